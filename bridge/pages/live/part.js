/** Part: a part of the live page: where it stands, whose token it uses, how often it asks, and what it says of trouble. */

import { ask, failure, one, Refused } from "../page.js";
import { disabled, howToSelect } from "./feeds.js";

export class Part {
    #over = new AbortController();
    #timer;
    token = "";

    /** @param {HTMLElement} where has a place for trouble, and one for the rest: `.trouble` and `.body` */
    constructor(where) {
        this.where = where;
        this.body = one(".body", where);
        this.trouble = one(".trouble", where);
        this.trouble.replaceChildren();
        this.body.hidden = false;
    }

    /** Begin: from now on do the work every so many ms, while somebody looks. */
    begin(token, every, work) {
        this.token = token;
        this.#timer = setInterval(() => {
            if (!document.hidden) {
                work();
            }
        }, every);
    }

    /** Whether it goes on. */
    get goes() {
        return this.#timer !== undefined;
    }

    /** Ask the bridge. Throws Refused; and AbortError where the part ended meanwhile. */
    ask(path) {
        return ask(path, { token: this.token, signal: this.#over.signal });
    }

    /** Say that all is well. */
    well() {
        this.trouble.replaceChildren();
    }

    /**
     * Say what is wrong. The page is told too, for the credential's sake; not of what comes after the end.
     * @param {unknown} error
     * @param {"lsm" | "stt" | "cim" | HTMLElement} [off] the feed that it needs, or what to say if it is not selected
     */
    fail(error, off) {
        if (this.#over.signal.aborted) {
            return;
        }
        if (!(error instanceof Refused)) {
            throw error;
        }
        if (off !== undefined && disabled(error)) {
            this.body.hidden = true;
            this.trouble.replaceChildren(typeof off === "string" ? howToSelect(off, this.token) : off);
            this.rest();
            return;
        }
        this.trouble.replaceChildren(failure(error));
        this.where.dispatchEvent(new CustomEvent("refused", { detail: error, bubbles: true }));
    }

    /** Ask no more. */
    rest() {
        clearInterval(this.#timer);
        this.#timer = undefined;
    }

    /** End. */
    end() {
        this.rest();
        this.#over.abort();
    }
}
