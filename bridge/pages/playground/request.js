/**
 * Request: what the form asks for, as the requests that a platform would send. No page here, and no secret.
 *
 * @typedef {object} Asked what the form says
 * @property {"CTI" | "CRM" | "cloud"} api
 * @property {string} agent
 * @property {string} event
 * @property {string} crmid
 * @property {string} ctiid
 * @property {string} campaign
 * @property {string} reference
 * @property {[string, string][]} rows interaction data, a name and a value each
 * @property {string} json interaction data as a JSON object; counts where `rows` is empty
 * @property {{wait: string, until: string, ttl: string, key: string, dryrun: boolean}} controls
 */

const RESERVED = ["agentid", "jwt", "event", "crmid", "ctiid"];

/** Something in the form that the bridge could not be asked for. */
export class Unsaid extends Error {}

/**
 * List the reserved parameters that are filled in.
 * @param {Asked} asked
 * @returns {[string, string][]}
 */
export function parameters(asked) {
    const given = [
        ["agentid", asked.agent],
        ["event", asked.event],
        ["crmid", asked.crmid],
        ["ctiid", asked.ctiid],
    ];
    return given.filter(([, value]) => value !== "").map(([name, value]) => [name, whole(value)]);
}

/**
 * List the controls that say something else than the default.
 * @returns {[string, string][]}
 */
export function controls({ wait, until, ttl, key, dryrun }) {
    const given = [];
    if (wait !== "" && Number(wait) !== 0) {
        given.push(["pop_wait", wait]);
        if (until !== "shown") {
            given.push(["pop_until", until]);
        }
    }
    if (ttl !== "") {
        given.push(["pop_ttl", ttl]);
    }
    if (key !== "") {
        given.push(["pop_key", whole(key)]);
    }
    if (dryrun) {
        given.push(["pop_dryrun", "1"]);
    }
    return given;
}

/**
 * List the interaction data: name, and the value as JSON spells it. A name with several rows is a list.
 * @param {Asked} asked
 * @returns {[string, string][]}
 * @throws {Unsaid}
 */
export function data(asked) {
    const found = asked.rows.length > 0 ? gathered(asked.rows) : members(asked.json);
    const reserved = asked.api === "cloud" ? undefined : found.find(([name]) => isReserved(name))?.[0];
    if (reserved !== undefined) {
        throw new Unsaid(`The data has a name that is reserved, or begins with pop_: ${reserved}.`);
    }
    return found;
}

/** Spell the query of a GET, or of the controls of a Cloud pop; names and values are percent-encoded. */
export function query(pairs) {
    return pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");
}

/**
 * Spell the URL of a GET, without the key. Values that are no text are spelled as JSON: in a URL all is text.
 * @param {Asked} asked
 * @param {string} origin
 */
export function getUrl(asked, origin) {
    const text = data(asked).flatMap(([name, value]) => texts(value).map((one) => [name, one]));
    return `${origin}/api/sendmessage/${asked.api}?${query([...parameters(asked), ...text, ...controls(asked.controls)])}`;
}

/** Spell the JSON body of a POST, without the key. */
export function postBody(asked) {
    const spelled = (pairs) => pairs.map(([name, value]) => [name, JSON.stringify(value)]);
    const numbers = controls(asked.controls).map(([name, value]) => [
        name,
        name === "pop_until" || name === "pop_key" ? JSON.stringify(value) : value,
    ]);
    return object([...spelled(parameters(asked)), ...data(asked), ...numbers]);
}

/** Spell the form body of a POST, without the key. */
export function formBody(asked) {
    const url = getUrl(asked, "");
    return url.slice(url.indexOf("?") + 1);
}

/** Spell the body of a Cloud pop. */
export function cloudBody(asked) {
    const pairs = [
        ["Username", JSON.stringify(whole(asked.agent))],
        ["Campaign", JSON.stringify(whole(asked.campaign))],
    ];
    if (asked.reference !== "") {
        pairs.push(["Reference", JSON.stringify(whole(asked.reference))]);
    }
    const script = data(asked);
    if (script.length > 0) {
        pairs.push(["ScriptData", object(script)]);
    }
    return object(pairs);
}

/** Spell the URL of a Cloud pop, with its controls, from the one without. */
export function cloudUrl(asked, url) {
    const given = controls(asked.controls);
    return `${url}${given.length > 0 ? `?${query(given)}` : ""}`;
}

/**
 * Name the topic, as far as the form tells: the bridge spells `crmid` and `ctiid` as its configuration does.
 * @param {Asked} asked
 * @param {string} customer
 */
export function topic(asked, customer) {
    const level = (text) => text.replace(/[/+#%]|^\$/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
    const between = asked.api === "CTI" ? asked.ctiid : asked.api === "CRM" ? host(asked.crmid) : "";
    const levels = [asked.api === "CRM" ? "CRM" : "CTI", customer];
    if (between !== "") {
        levels.push(level(between));
    }
    return [...levels, level(asked.agent)].join("/");
}

/**
 * Take a JSON object apart: each member's name, and its value as it is spelled.
 * @param {string} text blank: no members
 * @returns {[string, string][]}
 * @throws {Unsaid}
 */
export function members(text) {
    if (text.trim() === "") {
        return [];
    }
    let read;
    try {
        read = JSON.parse(text);
    } catch (error) {
        throw new Unsaid(`The data is not JSON: ${error.message}`);
    }
    if (read === null || typeof read !== "object" || Array.isArray(read)) {
        throw new Unsaid("The data is not a JSON object: it begins with { and ends with }.");
    }
    return [...split(text.trim().slice(1, -1))];
}

/** Tell members apart at the commas and colons that stand outside of strings and brackets; the text is JSON. */
function* split(inner) {
    let depth = 0;
    let start = 0;
    let name;
    for (const found of `${inner},`.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
        const sign = found[0];
        if (sign === "{" || sign === "[") {
            depth += 1;
        } else if (sign === "}" || sign === "]") {
            depth -= 1;
        } else if (depth === 0 && sign === ":") {
            name = JSON.parse(inner.slice(start, found.index));
            start = found.index + 1;
        } else if (depth === 0 && sign === ",") {
            if (name !== undefined) {
                yield [name, inner.slice(start, found.index).trim()];
            }
            name = undefined;
            start = found.index + 1;
        }
    }
}

function gathered(rows) {
    const lists = new Map();
    for (const [name, value] of rows) {
        lists.set(name, [...(lists.get(name) ?? []), whole(value)]);
    }
    return [...lists].map(([name, values]) => [whole(name), JSON.stringify(values.length === 1 ? values[0] : values)]);
}

/** Spell a JSON value as the texts that stand for it in a URL. */
function texts(value) {
    if (value.startsWith('"')) {
        return [JSON.parse(value)];
    }
    const list = value.startsWith("[") ? JSON.parse(value) : [];
    return list.length > 1 && list.every((one) => typeof one === "string") ? list : [value];
}

function object(pairs) {
    return `{${pairs.map(([name, value]) => `${JSON.stringify(name)}: ${value}`).join(", ")}}`;
}

function isReserved(name) {
    return RESERVED.includes(name.toLowerCase()) || name.startsWith("pop_");
}

function host(crmid) {
    return crmid
        .trim()
        .replace(/^(?:[^/?#]*:)?\/\//, "")
        .replace(/[/?#].*$/s, "")
        .replace(/^.*@/, "")
        .replace(/:[0-9]*$/, "")
        .toLowerCase();
}

/** Half of a character, which no request can carry, becomes U+FFFD. */
function whole(text) {
    return text.toWellFormed ? text.toWellFormed() : text;
}
