/**
 * Spelling: the members of a pop's objects as the caller spelled them, in the caller's order. Pure.
 *
 * `JSON.parse` rounds long numbers and sorts names that look like numbers: an account 12345678901234567890 would show as
 * another one.
 *
 * @typedef {{name: string, json: string}} Member a name, and its value as it is spelled in JSON
 */

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

/**
 * List the members of the object that stands under `name` in a document; none if there is no such object.
 * @param {string} document an object in JSON, known to be well-formed
 * @param {"data" | "fields" | "variables"} name
 * @returns {Member[]}
 */
export function members(document, name) {
    const found = split(document).find((member) => member.name === name);
    return found !== undefined && found.json.startsWith("{") ? split(found.json) : [];
}

/**
 * Say a value for people: text as it is, a list of texts one after the other, anything else as it is spelled.
 * @param {string} json
 * @returns {string}
 */
export function plain(json) {
    const value = JSON.parse(json);
    if (typeof value === "string") {
        return value;
    }
    return Array.isArray(value) && value.every((each) => typeof each === "string") ? value.join(", ") : json;
}

/**
 * @param {string} object in JSON, known to be well-formed
 * @returns {Member[]}
 */
function split(object) {
    /** @type {Map<string, Member>} */
    const found = new Map(); // of a name that comes twice the last one counts, as in JSON.parse
    let depth = 0;
    /** @type {string | null} */
    let name = null;
    let start = 0;
    for (const { 0: sign, index } of object.matchAll(TOKEN)) {
        if (depth === 1 && name === null && sign.startsWith('"')) {
            name = JSON.parse(sign);
        } else if (depth === 1 && sign === ":") {
            start = index + 1;
        } else if (depth === 1 && name !== null && (sign === "," || sign === "}")) {
            found.set(name, { name, json: object.slice(start, index).trim() });
            name = null;
        }
        if (sign === "{" || sign === "[") {
            depth += 1;
        } else if (sign === "}" || sign === "]") {
            depth -= 1;
        }
    }
    return [...found.values()];
}
