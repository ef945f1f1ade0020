/**
 * Seen: which pops were there already, so that each is shown once. Pure and bounded.
 */

/** Popids, each remembered until its pop has expired: from then on its age alone keeps it from being shown. */
export class Seen {
    #limit;
    /** @type {Map<string, number>} */
    #until = new Map();

    constructor(limit = 10_000) {
        this.#limit = limit;
    }

    get size() {
        return this.#until.size;
    }

    /**
     * Remember a popid; say whether it is new. At the limit, what has expired is forgotten, then the oldest.
     * @param {string} popid
     * @param {number} until milliseconds since the epoch, as `now`
     * @param {number} now
     * @returns {boolean}
     */
    add(popid, until, now) {
        if (this.#until.has(popid)) {
            return false;
        }
        if (this.#until.size >= this.#limit) {
            this.#until = new Map([...this.#until].filter(([, end]) => end > now));
        }
        for (const oldest of this.#until.keys()) {
            if (this.#until.size < this.#limit) {
                break;
            }
            this.#until.delete(oldest);
        }
        this.#until.set(popid, until);
        return true;
    }
}
