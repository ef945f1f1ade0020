/** Quality: how good the data is, and ids that nobody has told the name of. */

import { el } from "../page.js";
import { howToSelectAny } from "./feeds.js";
import { Part } from "./part.js";
import { table } from "./tables.js";

const EVERY = 60_000;

const MEANT = {
    unmapped: ["Ids without a name", "`popbridge cloudsync sync`, or write them into broker.yaml; no number is held back"],
    unclassified: ["Records whose status is not known to be open or closed", "map the status under `statuses`"],
    dirty: ["Records to be fetched: a gap, or a missing event", "nothing, if a CRM is configured"],
    quarantined: ["Events that could not be read", "correct the source; then `popbridge cloudsync replay`"],
    flagged: ["Records with times in the wrong order, mended", "correct the source"],
    duplicates: ["Events that came again", "nothing"],
    ignored: ["Events of entities that are not selected", "select them, or send less"],
};

export class Quality {
    constructor(where) {
        this.part = new Part(where);
        this.told = el("div");
        this.part.body.replaceChildren(this.told);
    }

    /** Begin. */
    async start(token) {
        this.part.begin(token, EVERY, () => this.refresh());
        await this.refresh();
    }

    stop() {
        this.part.end();
    }

    /** Ask again. */
    async refresh() {
        if (!this.part.goes) {
            return;
        }
        try {
            this.#show(await this.part.ask("/api/dq"));
            this.part.well();
        } catch (error) {
            this.part.fail(error, howToSelectAny(this.part.token));
        }
    }

    #show(quality) {
        const rows = Object.entries(MEANT).map(([key, [what, then]]) => [what, quality[key], quality[key] === 0 ? "" : then]);
        this.told.replaceChildren(
            el("p", {}, covered(quality.coverage)),
            el(
                "div",
                { class: "scroll", role: "region", "aria-label": "Data quality", tabindex: 0 },
                table("What is in doubt", [{ head: "What" }, { head: "How many", number: true }, { head: "What to do" }], rows),
            ),
            ...this.#lists(quality.lists),
        );
    }

    #lists(lists) {
        const few = (name, items) =>
            items.length === 0
                ? null
                : el(
                      "details",
                      {},
                      el("summary", {}, `${name} (${items.length === 100 ? "the first 100" : items.length})`),
                      el("ul", { class: "ids" }, items.map((item) => el("li", {}, el("code", {}, item)))),
                  );
        return [
            few("Ids without a name", lists.unmapped),
            few("Not classified", lists.unclassified.map((one) => `${one.entity} ${one.record}: ${(one.statuses ?? []).join(", ")}`)),
            few("To be fetched", lists.dirty.map((one) => `${one.entity} ${one.record}, since ${one.since}`)),
            few("In quarantine", lists.quarantined.map((one) => `${one.at} ${one.channel}: ${one.reason} (${one.detail})`)),
            few("Mended", lists.flagged.map((one) => `${one.entity} ${one.record}: ${one.flags.join(", ")}`)),
        ].filter((part) => part !== null);
    }
}

function covered({ feed_up: up, last_24h_s: seconds }) {
    const hours = Math.round(seconds / 360) / 10;
    const all = seconds >= 86_395 ? "all of the last 24 hours are covered" : `${hours} of the last 24 hours are covered`;
    return `The feed is ${up ? "up" : "down"}; ${all}.${up ? "" : " Hours that nobody told of can be filled with `popbridge cloudsync backfill`."}`;
}
