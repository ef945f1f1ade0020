/** Tables: the numbers behind a picture, as a table and as a file. */

import { el, failure, send, Refused } from "../page.js";
import { csv } from "./csv.js";

/**
 * Make a table.
 * @param {string} caption
 * @param {Array<{head: string, number?: boolean}>} columns
 * @param {Array<Array<string | number>>} rows the first cell of each names it
 */
export function table(caption, columns, rows) {
    const side = (number) => (columns[number].number ? "number" : false);
    return el(
        "table",
        {},
        el("caption", {}, caption),
        el(
            "thead",
            {},
            el("tr", {}, columns.map((column, number) => el("th", { scope: "col", class: side(number) }, column.head))),
        ),
        el(
            "tbody",
            {},
            rows.map((row) =>
                el("tr", {}, row.map((cell, number) =>
                    number === 0
                        ? el("th", { scope: "row" }, String(cell))
                        : el("td", { class: side(number) }, String(cell)),
                )),
            ),
        ),
    );
}

/** Hand the user a file. */
export function save(name, content, type = "text/csv;charset=utf-8") {
    const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
    el("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

let number = 0;

/** What goes with a picture: a button that shows its table, and one that saves its numbers as CSV. */
export class Numbers {
    #columns = [];
    #rows = [];

    /**
     * @param {string} caption of the table
     * @param {string} name of the file, without its ending
     * @param {() => {path: string, token: string}} [source] whose CSV is saved; else it is made of the table
     */
    constructor(caption, name, source) {
        number += 1;
        this.caption = caption;
        this.name = name;
        this.source = source;
        this.where = el("div", {
            class: "scroll numbers",
            id: `numbers-${number}`,
            role: "region",
            "aria-label": caption,
            tabindex: 0,
            hidden: true,
        });
        this.toggle = el(
            "button",
            { type: "button", "aria-expanded": "false", "aria-controls": this.where.id, onclick: () => this.#turn() },
            "Table",
        );
        this.trouble = el("div");
        this.buttons = el(
            "div",
            { class: "tools" },
            this.toggle,
            el("button", { type: "button", onclick: () => this.#save() }, "CSV"),
        );
    }

    /** Take what there is to show; the columns' `head` is said, their `key` (else the same) stands in the file. */
    show(columns, rows) {
        this.#columns = columns;
        this.#rows = rows;
        this.#draw();
    }

    #turn() {
        this.where.hidden = !this.where.hidden;
        this.toggle.setAttribute("aria-expanded", String(!this.where.hidden));
        this.#draw();
    }

    #draw() {
        if (!this.where.hidden) {
            this.where.replaceChildren(table(this.caption, this.#columns, this.#rows));
        }
    }

    async #save() {
        this.trouble.replaceChildren();
        try {
            if (this.source === undefined) {
                save(`${this.name}.csv`, csv(this.#columns.map((one) => one.key ?? one.head), this.#rows));
                return;
            }
            const { path, token } = this.source();
            await fetched(`${this.name}.csv`, path, token);
        } catch (error) {
            this.trouble.replaceChildren(failure(error));
        }
    }
}

/** Save what the bridge gives as CSV. Throws Refused. */
export async function fetched(name, path, token) {
    const answer = await send(path, { token, headers: { Accept: "text/csv" } });
    if (!answer.ok) {
        throw new Refused(answer.status, await answer.json().catch(() => ({})));
    }
    save(name, await answer.blob());
}
