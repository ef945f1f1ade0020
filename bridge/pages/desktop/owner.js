/**
 * Owner: of several tabs of one agent, the one that has the desktop. By Web Locks, which a browser gives to https and to
 * loopback only; without them each tab has a desktop of its own.
 *
 * @typedef {{lost: Promise<void>, release: () => void}} Owned `lost` is kept when another tab took over
 */

/**
 * Become the owner if there is none.
 * @param {string} name
 * @returns {Promise<Owned | null>}
 */
export function claim(name) {
    return request(name, { ifAvailable: true });
}

/**
 * Become the owner when there is none any more; null when that is not wanted any longer.
 * @param {string} name
 * @param {AbortSignal} signal
 * @returns {Promise<Owned | null>}
 */
export function wait(name, signal) {
    return request(name, { signal });
}

/**
 * Become the owner now; the tab that was it is told.
 * @param {string} name
 * @returns {Promise<Owned | null>}
 */
export function takeOver(name) {
    return request(name, { steal: true });
}

/**
 * @param {string} name
 * @param {LockOptions} how
 * @returns {Promise<Owned | null>}
 */
function request(name, how) {
    if (navigator.locks === undefined) {
        return Promise.resolve({ lost: new Promise(() => {}), release: () => {} });
    }
    return new Promise((resolve) => {
        let lose = () => {};
        const lost = new Promise((done) => (lose = done));
        const held = (lock) =>
            new Promise((release) => {
                if (lock === null) {
                    resolve(null);
                    release();
                } else {
                    resolve({ lost, release });
                }
            });
        navigator.locks.request(name, how, held).catch((error) => {
            if (error.name !== "AbortError") {
                throw error;
            }
            // Stolen, if it was held; not wanted any longer, if it was waited for.
            lose();
            resolve(null);
        });
    });
}
