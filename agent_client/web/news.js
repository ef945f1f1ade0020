/**
 * News: waiting for something to become so.
 */

/** Lets many wait for what each of them looks for. */
export class News {
    /** @type {Set<() => void>} */
    #waiting = new Set();

    /**
     * Wait until `ready` gives something else than null, looking again at each news.
     * @template T
     * @param {() => T | null} ready throws what ends the wait
     * @returns {Promise<T>}
     */
    async until(ready) {
        for (;;) {
            const value = ready();
            if (value !== null) {
                return value;
            }
            await new Promise((/** @type {(value?: undefined) => void} */ resolve) => this.#waiting.add(resolve));
        }
    }

    /** Let all look again. */
    tell() {
        const waiting = this.#waiting;
        this.#waiting = new Set();
        for (const resolve of waiting) {
            resolve();
        }
    }
}

/**
 * Wait for something, but not longer.
 * @param {number} time milliseconds
 * @param {Promise<unknown>} awaited
 */
export async function within(time, awaited) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const over = new Promise((resolve) => (timer = setTimeout(resolve, time)));
    await Promise.race([awaited, over]);
    clearTimeout(timer);
}
