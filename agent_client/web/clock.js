/**
 * Clock: notices that the machine slept, by the time that passed between two ticks, and that the user is back.
 */

const TICK = 2_000;

/** Milliseconds between two ticks that no busy machine takes, only one that slept. */
const JUMP = 10_000;

/**
 * Call when the machine has woken up.
 * @param {() => void} woke
 * @param {() => number} now milliseconds since the epoch
 * @param {number} tick milliseconds
 * @returns {() => void} stops it
 */
export function onWaking(woke, now = Date.now, tick = TICK) {
    let last = now();
    const timer = setInterval(() => {
        const moment = now();
        if (moment - last > JUMP) {
            woke();
        }
        last = moment;
    }, tick);
    return () => clearInterval(timer);
}

/**
 * Call when the browser says that the page or the network is back.
 * @param {() => void} back
 * @returns {() => void} stops it
 */
export function onReturning(back) {
    const page = globalThis.document;
    if (page === undefined) {
        return () => {};
    }
    const ends = new AbortController();
    const { signal } = ends;
    addEventListener("online", back, { signal });
    addEventListener("pageshow", (event) => event.persisted && back(), { signal });
    page.addEventListener("resume", back, { signal });
    page.addEventListener("visibilitychange", () => page.visibilityState === "visible" && back(), { signal });
    return () => ends.abort();
}
