/**
 * Messages: what a desktop and the bridge say to each other beside the pops, on ACK/C/A and DESK/C/A. Pure.
 *
 * What a desktop says is written as it is spelled: its members in this order, none that does not apply.
 *
 * @typedef {{popid: string, outcome: "shown" | "unchanged" | "refused", suspended?: string, reason?: string}} Outcome
 *     what became of a pop at this desktop; `suspended` names a record that it put aside
 * @typedef {{record: string, state: "closed" | "resumed" | "suspended"}} Moved what the agent did with a record by hand
 * @typedef {{desktop: string, state: "gone"}} Gone the will: this desktop's connection broke
 * @typedef {Outcome | Moved | Gone} Saying
 *
 * @typedef {{kind: "recall", popid: string}} Recall a pop is withdrawn: it is not to be shown any more
 * @typedef {{kind: "refused", reference: string, reason: string}} Refused the bridge does not let this agent have a record
 * @typedef {{kind: "current", reference: string | null, activities: readonly string[]}} Current
 *     the bridge's account of the agent's records; activities newest first
 * @typedef {Recall | Refused | Current} Notice
 */

/** A message that is not what its topic is for. */
export class Unreadable extends Error {
    /** @param {string} why */
    constructor(why) {
        super(why);
        this.name = "Unreadable";
    }
}

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Read a message that is a JSON object.
 * @param {Uint8Array} payload
 * @returns {{text: string, object: Record<string, unknown>}}
 * @throws {Unreadable}
 */
export function read(payload) {
    let text;
    let object;
    try {
        text = DECODER.decode(payload);
        object = JSON.parse(text);
    } catch (error) {
        throw new Unreadable(error instanceof Error ? error.message : String(error));
    }
    if (typeof object !== "object" || object === null || Array.isArray(object)) {
        throw new Unreadable("not a JSON object");
    }
    return { text, object };
}

/**
 * Read what the bridge says on DESK; null for a kind that this version does not know.
 * @param {Uint8Array} payload
 * @returns {Notice | null}
 * @throws {Unreadable} for what is not such a message
 */
export function notice(payload) {
    const { object } = read(payload);
    const recall = text(object, "recall");
    const refused = text(object, "refused");
    const reason = text(object, "reason");
    const current = text(object, "current");
    const activities = texts(object, "activities");
    if (recall !== null) {
        return { kind: "recall", popid: recall };
    }
    if (refused !== null) {
        return { kind: "refused", reference: refused, reason: reason ?? "" };
    }
    if (current !== null || activities !== null) {
        return { kind: "current", reference: current, activities: activities ?? [] };
    }
    return null;
}

/**
 * Take a member that is text, or not there.
 * @param {Record<string, unknown>} object
 * @param {string} name
 * @returns {string | null}
 */
export function text(object, name) {
    const value = Object.hasOwn(object, name) ? object[name] : null;
    if (value !== null && typeof value !== "string") {
        throw new Unreadable(`\`${name}\` is not text`);
    }
    return value;
}

/**
 * @param {Record<string, unknown>} object
 * @param {string} name
 * @returns {string[] | null}
 */
function texts(object, name) {
    const value = Object.hasOwn(object, name) ? object[name] : null;
    if (value !== null && !(Array.isArray(value) && value.every((each) => typeof each === "string"))) {
        throw new Unreadable(`\`${name}\` is not a list of texts`);
    }
    return value;
}
