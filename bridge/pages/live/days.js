/** Days: what each agent did on a day, as CIM has it. */

import { el, failure, Refused } from "../page.js";
import { COLUMNS } from "./columns.js";
import { Part } from "./part.js";
import { Roster } from "./roster.js";
import { fetched } from "./tables.js";

const EVERY = 60_000;

export class Days {
    #worker = null;
    #today = "";
    #date;
    #text = "";

    constructor(where) {
        this.part = new Part(where);
        this.day = el("input", { id: "cim-day", type: "date", required: true, onchange: () => this.#load() });
        this.groups = el(
            "select",
            { id: "cim-groups", onchange: () => this.#load() },
            el("option", { value: "*" }, "all groups together"),
            el("option", { value: "each" }, "a row for each group"),
        );
        this.search = el("input", {
            id: "cim-search",
            type: "search",
            autocomplete: "off",
            oninput: () => {
                this.#text = this.search.value;
                this.roster.element.scrollTop = 0;
                this.roster.ask(true);
            },
        });
        this.count = el("p", { class: "quiet" });
        this.roster = new Roster("Agents' day", COLUMNS.days, (asked) => this.#look(asked), { nothing: "Nothing is known of this day." });
        this.part.body.replaceChildren(
            el(
                "div",
                { class: "choices" },
                el("div", {}, el("label", { for: "cim-day" }, "Day"), this.day),
                el("div", {}, el("label", { for: "cim-groups" }, "Groups"), this.groups),
                el("div", {}, el("label", { for: "cim-search" }, "Agent's name or id"), this.search),
            ),
            this.count,
            this.roster.element,
            el("div", { class: "tools" }, el("button", { type: "button", onclick: () => this.#save() }, "CSV")),
        );
        this.roster.element.classList.add("wide");
    }

    /** Begin; `today` tells the date, which will be another tomorrow. */
    start(token, today) {
        this.part.begin(token, EVERY, () => this.refresh());
        this.#date = today;
        this.#today = today();
        this.day.value = this.#today;
        this.#worker = new Worker(new URL("./days-worker.js", import.meta.url), { type: "module" });
        this.#worker.onmessage = ({ data }) => this.#hear(data);
        this.#worker.onerror = (event) => this.part.trouble.replaceChildren(failure(new Error(`The days' worker failed. ${event.message ?? ""}`)));
        this.roster.ask(true);
        this.#load();
    }

    /** Ask again: a day that is over may be restated. */
    refresh() {
        if (!this.part.goes) {
            return;
        }
        const today = this.#date();
        if (this.day.value === this.#today) {
            this.day.value = today;
        }
        this.#today = today;
        this.#load();
    }

    stop() {
        this.part.end();
        this.#worker?.terminate();
        this.#worker = null;
    }

    #path() {
        return `/api/cim?date=${this.day.value}&group=${encodeURIComponent(this.groups.value)}`;
    }

    #load() {
        if (this.day.value !== "") {
            this.#worker?.postMessage({ type: "ask", path: this.#path(), token: this.part.token });
        }
    }

    #look(asked) {
        this.#worker?.postMessage({ type: "look", fit: { text: this.#text }, ...asked });
    }

    #hear(data) {
        if (data.type === "rows") {
            this.part.well();
            const rows = `${data.fitting.toLocaleString("en")} ${data.fitting === 1 ? "row" : "rows"}`;
            this.count.textContent = `${this.day.value}: ${rows}.`;
            this.roster.show(data, Date.now());
            return;
        }
        this.part.fail(new Refused(data.status, data.said), "cim");
    }

    async #save() {
        try {
            await fetched(`cim-${this.day.value}.csv`, this.#path(), this.part.token);
        } catch (error) {
            this.part.trouble.replaceChildren(failure(error));
        }
    }
}
