/**
 * History: today's pops of the agent as the bridge tells them, with what became of each and why.
 */

import { Refused, clock, el, failure, one, send } from "../page.js";

/** Rows at most. */
const MOST = 100;

/** Milliseconds after a pop until it is asked again: outcomes reach the bridge a moment later, and pops come in bursts. */
const SOON = 1_000;

const EVERY = 60_000;

/** A clock that is further off than this is corrected by the bridge's. */
const TOLERATED = 2_000;

/** Today's pops, asked when something happens and each minute while somebody looks. */
export class History {
    #where = one("#history");
    #signed;
    #ends = new AbortController();
    #soon;
    #regular;
    #skew = 0;

    /** @param {import("./sign-in.js").Signed} signed */
    constructor(signed) {
        this.#signed = signed;
        this.#where.replaceChildren();
        one("#history-again").onclick = () => this.ask();
        this.#regular = setInterval(() => document.visibilityState === "visible" && this.ask(), EVERY);
    }

    /** The time by the bridge's clock, where this machine's is wrong: pops expire by it. */
    now = () => Date.now() + this.#skew;

    /** Ask in a moment. */
    soon() {
        clearTimeout(this.#soon);
        this.#soon = setTimeout(() => this.ask(), SOON);
    }

    /** Ask now, and show. */
    async ask() {
        clearTimeout(this.#soon);
        const midnight = new Date(this.now());
        midnight.setHours(0, 0, 0, 0);
        const { agent, token } = this.#signed;
        const asked = new URLSearchParams({ agent, since: midnight.toISOString(), limit: String(MOST) });
        const begun = Date.now();
        try {
            const answer = await send(`/api/pops?${asked}`, { token, signal: this.#ends.signal });
            this.#correct(answer.headers.get("Date"), (begun + Date.now()) / 2);
            const said = await answer.json();
            if (!answer.ok) {
                throw new Refused(answer.status, said);
            }
            this.#draw(said.items, said.next !== undefined);
        } catch (error) {
            if (this.#ends.signal.aborted) {
                return;
            }
            this.#where.replaceChildren(failure(error));
        }
    }

    close() {
        this.#ends.abort();
        clearTimeout(this.#soon);
        clearInterval(this.#regular);
    }

    #correct(date, at) {
        const told = Date.parse(date ?? "");
        if (!Number.isNaN(told)) {
            const skew = told + 500 - at; // the field counts whole seconds
            this.#skew = Math.abs(skew) > TOLERATED ? skew : 0;
        }
    }

    #draw(pops, more) {
        if (pops.length === 0) {
            this.#where.replaceChildren(el("p", { class: "quiet" }, "No pops since midnight."));
            return;
        }
        const rows = pops.map((pop) =>
            el(
                "tr",
                {},
                el("td", {}, clock(pop.sent)),
                el("td", {}, pop.event ?? pop.campaign ?? ""),
                el("td", {}, pop.reference ?? ""),
                el("td", {}, pop.status),
                el("td", {}, pop.why),
            ),
        );
        const heads = ["Time", "Event or campaign", "Record", "Status", "Why"];
        const caption = more ? `The newest ${MOST} pops since midnight` : "Pops since midnight, the newest first";
        this.#where.replaceChildren(
            el(
                "div",
                { class: "scroll", tabindex: "0", role: "region", "aria-label": "Today's pops" },
                el(
                    "table",
                    {},
                    el("caption", {}, caption),
                    el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
                    el("tbody", {}, rows),
                ),
            ),
        );
    }
}
