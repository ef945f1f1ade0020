/**
 * Pops: what came to this desktop, each as a card, the newest first. What a caller sent is text everywhere.
 */

import { members, plain } from "../../client/spelling.js";
import { announce, clock, el, one } from "../page.js";

/** Cards on the page; the oldest goes. */
const MOST = 30;

const TABLES = [
    ["data", "Interaction data"],
    ["fields", "Fields of the campaign"],
    ["variables", "Variables of the campaign"],
];

const TITLE = document.title;

/** The pops of a session. */
export class Pops {
    #list = one("#pops");
    #none = one("#no-pops");
    #unseen = 0;
    #ends = new AbortController();

    constructor() {
        this.#list.replaceChildren();
        this.#none.hidden = false;
        const seen = () => this.#count(0);
        addEventListener("focus", seen, { signal: this.#ends.signal });
    }

    /**
     * Show a pop, and say so without moving the focus.
     * @param {import("../../client/screen.js").Shown} shown
     */
    show({ pop, document: spelled }) {
        this.#none.hidden = true;
        this.#list.prepend(this.#card(pop, spelled));
        while (this.#list.children.length > MOST) {
            this.#list.lastElementChild.remove();
        }
        // With its time, so that the same pop again is something new to say.
        announce(`New pop, ${clock(pop.sent)}: ${title(pop)}${pop.reference === undefined ? "" : `, record ${pop.reference}`}.`);
        if (!document.hasFocus()) {
            this.#count(this.#unseen + 1);
        }
        notify(pop);
    }

    /** End: the title counts nothing any more. */
    close() {
        this.#ends.abort();
        this.#count(0);
    }

    #count(unseen) {
        this.#unseen = unseen;
        document.title = unseen === 0 ? TITLE : `(${unseen}) ${TITLE}`;
    }

    #card(pop, spelled) {
        const heading = `pop-${pop.popid}`;
        const card = el(
            "article",
            { class: "card pop", "aria-labelledby": heading, "data-popid": pop.popid },
            el("header", {}, el("h3", { id: heading }, title(pop)), el("time", { datetime: pop.sent }, clock(pop.sent))),
            facts(pop),
            TABLES.map(([name, caption]) => table(caption, members(spelled, name))).filter((each) => each !== null),
            el("button", { type: "button", onclick: () => this.#dismiss(card) }, "Dismiss"),
        );
        return card;
    }

    #dismiss(card) {
        const next = card.nextElementSibling ?? card.previousElementSibling;
        card.remove();
        this.#none.hidden = this.#list.children.length > 0;
        (next === null ? one("#sign-out") : one("button", next)).focus();
    }
}

function title(pop) {
    return pop.event ?? pop.campaign ?? "Pop";
}

function facts(pop) {
    const known = [
        ["Record", pop.reference],
        ["Campaign", pop.campaign],
        ["CRM", pop.crmid],
        ["CTI environment", pop.ctiid],
        ["Expires", clock(pop.expires)],
        ["Pop id", pop.popid],
    ];
    return el(
        "dl",
        {},
        known.flatMap(([name, value]) => (value === undefined ? [] : [el("dt", {}, name), el("dd", {}, value)])),
    );
}

function table(caption, rows) {
    if (rows.length === 0) {
        return null;
    }
    return el(
        "table",
        {},
        el("caption", {}, caption),
        el(
            "tbody",
            {},
            rows.map(({ name, json }) =>
                el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, plain(json))),
            ),
        ),
    );
}

/** Let the user be notified of pops while the tab is hidden; browsers want a click for that. */
export function offerNotifications() {
    const button = one("#notify");
    const said = one("#notify-said");
    const look = () => {
        const permission = globalThis.Notification?.permission ?? "unavailable";
        button.hidden = permission !== "default";
        said.textContent = permission === "granted" ? "Notifies you while this tab is hidden." : "";
        if (permission === "denied") {
            said.textContent = "The browser does not allow notifications here.";
        }
    };
    button.onclick = async () => {
        await Notification.requestPermission();
        look();
    };
    look();
}

function notify(pop) {
    if (document.visibilityState === "visible" || globalThis.Notification?.permission !== "granted") {
        return;
    }
    try {
        const body = pop.reference === undefined ? "A pop is on your desktop." : `Record ${pop.reference}`;
        const shown = new Notification(title(pop), { body, tag: pop.popid });
        shown.onclick = () => {
            window.focus();
            shown.close();
        };
    } catch (error) {
        // Telephones' browsers have the name, but allow it to service workers only.
        if (!(error instanceof TypeError)) {
            throw error;
        }
    }
}
