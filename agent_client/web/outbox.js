/**
 * Outbox: what a desktop said that the broker has not acknowledged yet. Bounded; it outlives connections.
 *
 * @typedef {import("./messages.js").Saying} Saying
 */

/** Sayings that may wait; more, and the oldest is forgotten. */
const MOST = 1_000;

/** Sayings by a number of our own: one of MQTT does not outlive its connection. */
export class Outbox {
    /** @type {Map<number, string>} */
    #unsaid = new Map();
    #count = 0;

    get size() {
        return this.#unsaid.size;
    }

    /**
     * Put something in; give its number.
     * @param {Saying} saying
     * @returns {number}
     */
    add(saying) {
        if (this.#unsaid.size >= MOST) {
            console.warn(`forgot the oldest of ${MOST} outcomes that could not be told`);
            this.#unsaid.delete(/** @type {number} */ (this.#unsaid.keys().next().value));
        }
        this.#count += 1;
        this.#unsaid.set(this.#count, JSON.stringify(saying));
        return this.#count;
    }

    /** Forget what the broker has. @param {number} number */
    said(number) {
        this.#unsaid.delete(number);
    }

    /** @param {number} number @returns {string} */
    payload(number) {
        return this.#unsaid.get(number) ?? "";
    }

    /** @returns {number[]} all that waits, the oldest first */
    numbers() {
        return [...this.#unsaid.keys()];
    }
}
