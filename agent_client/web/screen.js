/**
 * Screen: what a desktop shows, puts aside, refuses and says, as a state machine. Pure: no I/O; time is an argument.
 *
 * @typedef {import("./messages.js").Notice} Notice
 * @typedef {import("./messages.js").Current} Current
 * @typedef {import("./messages.js").Saying} Saying
 *
 * @typedef {object} Pop the document; what does not apply is absent
 * @property {string} popid
 * @property {string} [event]
 * @property {string} agentid
 * @property {string} [crmid]
 * @property {string} [ctiid]
 * @property {string} [campaign]
 * @property {string} [reference]
 * @property {string} sent RFC 3339 in UTC, as `expires`
 * @property {string} expires
 * @property {string} ack the topic on which the desktop answers
 * @property {string} [traceparent]
 * @property {Record<string, unknown>} [fields]
 * @property {Record<string, unknown>} [variables]
 * @property {Record<string, unknown>} data the interaction data; for its spelling see spelling.js
 *
 * @typedef {{pop: Pop, document: string}} Shown a pop, and its document as it arrived
 * @typedef {() => void} Ack acknowledges one message to the broker
 * @typedef {(pop: Pop) => string | null | undefined} Refusal asked before a pop is shown: a reason to refuse it, or none
 *
 * @typedef {object} Arrival a pop that waits to be shown
 * @property {Pop} pop
 * @property {string | null} record what it opens
 * @property {string} document
 * @property {number} expires milliseconds since the epoch
 * @property {Ack[]} acks acknowledge each copy of it
 * @property {Current | null} account what the bridge told of the records after this pop: it takes effect when the pop
 *     was shown or refused
 */

import { read, text, Unreadable } from "./messages.js";
import { Records } from "./records.js";
import { Seen } from "./seen.js";

/** The most that `pop_ttl` can be, in milliseconds: a recalled pop cannot arrive later than that. */
export const LONGEST_TTL = 3_600_000;

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const TEXTS = ["popid", "agentid", "sent", "expires", "ack"];
const MAYBE_TEXTS = ["event", "crmid", "ctiid", "campaign", "reference", "traceparent"];
const MAYBE_OBJECTS = ["fields", "variables"];

/**
 * One agent's desktop. What it has to say collects in `sayings`, what it obeyed in `obeyed`, both in order; who uses the
 * screen takes them away.
 *
 * Pops and the bridge's accounts of the records take effect in the order of their arrival. With two desktops the bridge
 * tells both what is current as soon as one has shown it: the other may still have the pop waiting, and has to show it,
 * too. Recalls and refusals take effect at once.
 */
export class Screen {
    records = new Records();
    /** @type {Saying[]} */
    sayings = [];
    /** @type {Notice[]} */
    obeyed = [];
    #backlog;
    #refusal;
    #seen = new Seen();
    /** @type {Map<string, Arrival>} */
    #waiting = new Map();

    /** @param {{backlog?: number, refusal?: Refusal}} [how] */
    constructor({ backlog = 1_000, refusal } = {}) {
        this.#backlog = backlog;
        this.#refusal = refusal;
    }

    /**
     * Take in a pop, to be shown when the application asks for it, and acknowledged then.
     *
     * A copy of one that was shown is acknowledged at once. If the backlog is full, the pop that waited longest is
     * refused: the call that rings now matters most.
     * @param {Uint8Array} payload
     * @param {Ack} ack
     * @param {number} now milliseconds since the epoch
     * @throws {Unreadable} for anything else than a pop document
     */
    arrive(payload, ack, now) {
        const arrival = arrivalOf(payload, ack);
        const { popid } = arrival.pop;
        const waiting = this.#waiting.get(popid);
        if (waiting !== undefined) {
            waiting.acks.push(ack);
        } else if (this.#seen.add(popid, arrival.expires, now)) {
            const longest = this.#waiting.size >= this.#backlog ? this.#next() : null;
            if (longest !== null) {
                this.#refuse(longest, "desktop_busy");
                this.#follow(longest);
            }
            this.#waiting.set(popid, arrival);
        } else {
            ack();
        }
    }

    /**
     * Show the next pop. Null if no pop waits that is to be shown.
     * @param {number} now
     * @returns {Shown | null}
     */
    take(now) {
        for (let arrival = this.#next(); arrival !== null; arrival = this.#next()) {
            const opens = this.#opens(arrival, now);
            this.#follow(arrival);
            if (opens) {
                return { pop: arrival.pop, document: arrival.document };
            }
        }
        return null;
    }

    /**
     * Obey the bridge, in an account of the records after the pops that wait; only the newest of several counts.
     * @param {Notice} notice
     * @param {number} now
     */
    heed(notice, now) {
        switch (notice.kind) {
            case "recall":
                this.#seen.add(notice.popid, now + LONGEST_TTL, now);
                this.obeyed.push(notice);
                this.#withdraw(notice.popid);
                break;
            case "refused":
                // It was resumed here while another agent had it: it goes back to where it came from.
                if (notice.reference === this.records.current) {
                    this.records = this.records.suspending();
                }
                this.obeyed.push(notice);
                break;
            case "current":
                this.#account(notice, this.#waiting.values());
                break;
        }
    }

    /** Be done with a record by hand. @param {string} reference */
    close(reference) {
        if (reference === this.records.current || this.records.activities.includes(reference)) {
            this.records = this.records.closing(reference);
            this.sayings.push({ record: reference, state: "closed" });
        }
    }

    /** Put the current record aside by hand. */
    suspend() {
        if (this.records.current !== null) {
            this.sayings.push({ record: this.records.current, state: "suspended" });
            this.records = this.records.suspending();
        }
    }

    /** Open a record of the Activities again; the current one is suspended. Throws NotInActivities. @param {string} reference */
    resume(reference) {
        const records = this.records.resuming(reference);
        this.suspend();
        this.records = records;
        this.sayings.push({ record: reference, state: "resumed" });
    }

    /** @returns {Arrival | null} the pop that waited longest, which waits no more */
    #next() {
        for (const [popid, arrival] of this.#waiting) {
            this.#waiting.delete(popid);
            return arrival;
        }
        return null;
    }

    /**
     * Let an account take effect after those of the pops before it that open a record, at once if there is none.
     * @param {Current} account
     * @param {Iterable<Arrival>} before
     */
    #account(account, before) {
        const last = [...before].findLast((arrival) => arrival.record !== null);
        if (last !== undefined) {
            last.account = account;
        } else {
            this.records = Records.told(account.reference, account.activities);
            this.obeyed.push(account);
        }
    }

    /** @param {Arrival} arrival */
    #follow(arrival) {
        if (arrival.account !== null) {
            this.#account(arrival.account, []);
        }
    }

    /** @param {string} popid */
    #withdraw(popid) {
        const withdrawn = this.#waiting.get(popid);
        if (withdrawn === undefined) {
            return;
        }
        if (withdrawn.account !== null) {
            const waiting = [...this.#waiting.values()];
            this.#account(withdrawn.account, waiting.slice(0, waiting.indexOf(withdrawn)));
        }
        this.#waiting.delete(popid);
        acknowledge(withdrawn);
    }

    /**
     * @param {Arrival} arrival
     * @param {number} now
     * @returns {boolean} whether it is to be shown
     */
    #opens(arrival, now) {
        const { pop, record } = arrival;
        const reason = now >= arrival.expires ? "expired" : (this.#refusal?.(pop) ?? null);
        if (reason !== null) {
            this.#refuse(arrival, reason);
            return false;
        }
        acknowledge(arrival);
        const before = this.records.current;
        if (record === null) {
            this.sayings.push({ popid: pop.popid, outcome: "shown" });
            return true;
        }
        if (record === before) {
            this.sayings.push({ popid: pop.popid, outcome: "unchanged" });
            return false;
        }
        this.records = this.records.opening(record);
        const aside = before === null ? {} : { suspended: before };
        this.sayings.push({ popid: pop.popid, outcome: "shown", ...aside });
        return true;
    }

    /** @param {Arrival} arrival @param {string} reason */
    #refuse(arrival, reason) {
        acknowledge(arrival);
        this.sayings.push({ popid: arrival.pop.popid, outcome: "refused", reason });
    }
}

/**
 * Name the record that a pop opens: a Cloud pop without a reference is a record of its own, others are none.
 * @param {Pop} pop
 * @returns {string | null}
 */
function recordOf(pop) {
    return pop.reference ?? (pop.campaign === undefined ? null : pop.popid);
}

/** @param {Arrival} arrival */
function acknowledge(arrival) {
    for (const ack of arrival.acks) {
        ack();
    }
}

/**
 * @param {Uint8Array} payload
 * @param {Ack} ack
 * @returns {Arrival}
 */
function arrivalOf(payload, ack) {
    const { text: document, object } = read(payload);
    const pop = popOf(object);
    const expires = TIME.test(pop.expires) ? Date.parse(pop.expires) : NaN;
    if (Number.isNaN(expires)) {
        throw new Unreadable("`expires` is not a time with its zone");
    }
    return { pop, record: recordOf(pop), document, expires, acks: [ack], account: null };
}

/**
 * @param {Record<string, unknown>} object
 * @returns {Pop}
 */
function popOf(object) {
    for (const name of TEXTS) {
        if (text(object, name) === null) {
            throw new Unreadable(`\`${name}\` is missing`);
        }
    }
    for (const name of MAYBE_TEXTS) {
        if (text(object, name) === null) {
            delete object[name];
        }
    }
    for (const name of ["data", ...MAYBE_OBJECTS]) {
        const value = Object.hasOwn(object, name) ? object[name] : null;
        if (value === null && name !== "data") {
            delete object[name];
        } else if (typeof value !== "object" || value === null || Array.isArray(value)) {
            throw new Unreadable(`\`${name}\` is not an object`);
        }
    }
    return /** @type {Pop} */ (/** @type {unknown} */ (object));
}
