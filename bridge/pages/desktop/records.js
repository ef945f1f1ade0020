/**
 * Records: the one that the agent has open, and the Activities, with what can be done with them by hand.
 */

import { el, one } from "../page.js";

const REASONS = { record_locked: "another agent has it open" };

/** The records of a session. */
export class Records {
    #list = one("#records");
    #said = one("#records-said");
    #desktop;

    /** @param {import("../../client/desktop.js").Desktop} desktop */
    constructor(desktop) {
        this.#desktop = desktop;
        this.#said.textContent = "";
        this.draw();
    }

    /** Say what the bridge did not allow. @param {import("../../client/messages.js").Refused} refused */
    refused({ reference, reason }) {
        this.#said.textContent = `${reference} was not opened: ${REASONS[reason] ?? reason}.`;
    }

    /** Show them as they are now; the focus stays on the button where it was, if that is still there. */
    draw() {
        const { current, activities } = this.#desktop.records;
        const held = this.#list.contains(document.activeElement) ? document.activeElement.dataset.button : undefined;
        this.#list.replaceChildren(
            el("h3", {}, "Open"),
            current === null
                ? el("p", { class: "quiet" }, "No record is open.")
                : el("div", { class: "record", id: "current" }, this.#row(current, ["Put aside", "Close"])),
            el("h3", {}, `Activities (${activities.length})`),
            activities.length === 0
                ? el("p", { class: "quiet" }, "Nothing is put aside.")
                : el(
                      "ul",
                      { id: "activities" },
                      activities.map((each) => el("li", { class: "record" }, this.#row(each, ["Resume", "Close"]))),
                  ),
        );
        if (held !== undefined) {
            const same = [...this.#list.querySelectorAll("button")].find((button) => button.dataset.button === held);
            (same ?? one("#records-title")).focus();
        }
    }

    #row(reference, deeds) {
        return [
            el("span", { class: "name" }, reference),
            ...deeds.map((deed) =>
                el(
                    "button",
                    {
                        type: "button",
                        "data-button": `${deed} ${reference}`,
                        "aria-label": `${deed}: ${reference}`,
                        onclick: () => this.#do(deed, reference),
                    },
                    deed,
                ),
            ),
        ];
    }

    #do(deed, reference) {
        this.#said.textContent = "";
        switch (deed) {
            case "Put aside":
                this.#desktop.suspend();
                break;
            case "Close":
                this.#desktop.close(reference);
                break;
            case "Resume":
                this.#desktop.resume(reference);
                break;
        }
        this.draw();
    }
}
