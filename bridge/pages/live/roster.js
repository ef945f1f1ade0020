/**
 * Roster: a table of any length of which only the rows in sight are in the page. Who has the rows (a worker) is asked
 * for those from a place on.
 */

import { el } from "../page.js";
import { elapsed } from "./columns.js";
import { spelled } from "./ordered.js";

const BEYOND = 8; // rows kept ready above and below
const MOST = 80;

export class Roster {
    #rows = [];
    #given = [];
    #height = 0;
    #asked = "";

    /**
     * @param {string} caption
     * @param {import("./ordered.js").Column[]} columns
     * @param {(asked: {first: number, count: number, sort: string, downwards: boolean}) => void} look
     * @param {{sort?: string, downwards?: boolean, nothing?: string}} [begins] `nothing`: what is said of no rows
     */
    constructor(caption, columns, look, begins = {}) {
        this.columns = columns;
        this.look = look;
        this.sort = begins.sort ?? columns[0].key;
        this.downwards = begins.downwards ?? false;
        this.heads = columns.map((column) => this.#head(column));
        this.above = el("tr", { "aria-hidden": "true", class: "space" }, el("td", { colspan: columns.length }));
        this.below = el("tr", { "aria-hidden": "true", class: "space" }, el("td", { colspan: columns.length }));
        this.body = el("tbody", {}, this.above, this.below);
        this.table = el(
            "table",
            {},
            el("caption", {}, caption),
            el("thead", {}, el("tr", { "aria-rowindex": 1 }, this.heads)),
            this.body,
        );
        this.none = el("p", { class: "quiet", hidden: true }, begins.nothing ?? "Nothing.");
        this.element = el(
            "div",
            { class: "roster", role: "region", "aria-label": caption, tabindex: 0, onscroll: () => this.ask() },
            this.table,
            this.none,
        );
        new ResizeObserver(() => {
            this.#measure();
            this.ask();
        }).observe(this.element);
        this.#mark();
    }

    /** Ask for the rows in sight, where they are others than before. `anew`: even if they are not. */
    ask(anew = false) {
        const height = this.#height || 36;
        const first = Math.max(0, Math.floor(this.element.scrollTop / height) - BEYOND);
        const count = Math.min(MOST, Math.ceil((this.element.clientHeight || 400) / height) + 2 * BEYOND);
        const asked = { first, count, sort: this.sort, downwards: this.downwards };
        const spelling = JSON.stringify(asked);
        if (anew || spelling !== this.#asked) {
            this.#asked = spelling;
            this.look(asked);
        }
    }

    /** Show rows from place `first` on, of so many that fit. `now`: the time by the bridge's clock. */
    show({ first, fitting, rows }, now) {
        this.#given = rows;
        this.none.hidden = fitting > 0;
        while (this.#rows.length < rows.length) {
            this.#rows.push(this.#row());
        }
        this.#rows.forEach((row, place) => {
            const item = rows[place];
            if (item === undefined) {
                row.element.remove();
                return;
            }
            if (!row.element.isConnected) {
                this.body.insertBefore(row.element, this.below);
            }
            set(row.element, "aria-rowindex", String(first + place + 2));
            this.columns.forEach((column, number) => write(row.cells[number], this.#text(column, item, now)));
        });
        set(this.table, "aria-rowcount", String(fitting + 1));
        // Measured once, and when the size changes: in between the browser would scroll back from where there is nothing
        // for a moment, and would have to lay the page out just to be asked.
        const unknown = this.#height === 0;
        if (unknown) {
            this.#measure();
        }
        const after = Math.max(0, fitting - first - rows.length);
        tall(this.above, first * this.#height);
        tall(this.below, after * this.#height);
        if (unknown && this.#height > 0) {
            this.ask();
        }
    }

    /** Let the seconds tick. */
    tick(now) {
        this.#given.forEach((item, place) => {
            this.columns.forEach((column, number) => {
                if (column.tick !== undefined) {
                    write(this.#rows[place].cells[number], this.#text(column, item, now));
                }
            });
        });
    }

    #text(column, item, now) {
        const since = column.tick?.(item) ?? null;
        return since === null ? spelled(column, item) : elapsed(now - Date.parse(since));
    }

    #measure() {
        const shown = this.#given.length;
        if (shown > 0 && this.#rows[0].element.isConnected) {
            const top = this.#rows[0].element.getBoundingClientRect().top;
            const bottom = this.#rows[shown - 1].element.getBoundingClientRect().bottom;
            this.#height = (bottom - top) / shown || this.#height;
        }
    }

    #row() {
        const cells = this.columns.map((column, number) =>
            number === 0 ? el("th", { scope: "row" }) : el("td", { class: column.number ? "number" : false }),
        );
        return { element: el("tr", {}, cells), cells };
    }

    #head(column) {
        const button = el(
            "button",
            {
                type: "button",
                onclick: () => {
                    this.downwards = this.sort === column.key ? !this.downwards : (column.downwards ?? false);
                    this.sort = column.key;
                    this.#mark();
                    this.ask(true);
                },
            },
            column.head,
        );
        return el("th", { scope: "col", class: column.number ? "number" : false }, button);
    }

    #mark() {
        this.columns.forEach((column, number) => {
            const way = this.downwards ? "descending" : "ascending";
            set(this.heads[number], "aria-sort", column.key === this.sort ? way : "none");
        });
    }
}

/** Touch the page only where something is another. */
function write(cell, text) {
    if (cell.textContent !== text) {
        cell.textContent = text;
        cell.title = text.length > 12 ? text : "";
    }
}

function set(element, name, value) {
    if (element.getAttribute(name) !== value) {
        element.setAttribute(name, value);
    }
}

function tall(space, pixels) {
    const height = `${Math.round(pixels)}px`;
    space.hidden = pixels < 1;
    if (space.firstChild.style.height !== height) {
        space.firstChild.style.height = height;
    }
}
