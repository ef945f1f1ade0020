/**
 * Schema: JSON Schema as a person reads it: a type in words, and an object as a table of its members.
 */

import { el } from "../page.js";

/** Make text in which `backticks` are code. */
export function marked(text) {
    return text.split("`").map((part, number) => (number % 2 === 1 ? el("code", {}, part) : part));
}

/**
 * Say a type in words; what is described elsewhere is a link.
 * @param {any} schema
 * @returns {(Node | string)[]}
 */
export function type(schema) {
    if (schema.$ref !== undefined) {
        const name = schema.$ref.split("/").at(-1);
        return [el("a", { href: `#schema-${name}` }, name)];
    }
    if (schema.enum !== undefined) {
        return joined(schema.enum.map((one) => [el("code", {}, JSON.stringify(one))]));
    }
    const kinds = schema.anyOf ?? schema.oneOf;
    if (kinds !== undefined && kinds.every((kind) => kind.type !== undefined || kind.$ref !== undefined || kind.enum)) {
        return joined(kinds.map(type));
    }
    if (schema.type === "array") {
        return ["list of ", ...type(schema.items ?? {})];
    }
    const name = [schema.type ?? "anything"].flat().join(" or ");
    return [name === "null" ? "null" : name, ...bounds(schema)];
}

function bounds({ format, minimum, maximum, minLength, maxLength, default: without }) {
    const said = [];
    if (format === "date-time") {
        said.push("a time");
    } else if (format !== undefined) {
        said.push(format);
    }
    if (minimum !== undefined || maximum !== undefined) {
        said.push(maximum === undefined ? `from ${minimum}` : `${minimum ?? ""} to ${maximum}`);
    }
    if (maxLength !== undefined) {
        said.push(`${minLength ?? 0} to ${maxLength} characters`);
    }
    if (without !== undefined) {
        said.push(`default ${JSON.stringify(without)}`);
    }
    return said.length > 0 ? [`, ${said.join(", ")}`] : [];
}

function joined(parts) {
    return parts.flatMap((part, number) => (number === 0 ? part : [" or ", ...part]));
}

/** Show a component: what it is, and its members. */
export function component(schema) {
    const members = Object.entries(schema.properties ?? {});
    return [
        schema.description === undefined ? null : el("p", {}, marked(schema.description)),
        members.length === 0 ? el("p", {}, type(schema)) : table(members, schema.required ?? []),
    ];
}

function table(members, required) {
    const rows = members.map(([name, member]) =>
        el(
            "tr",
            {},
            el("th", { scope: "row" }, el("code", {}, name)),
            el("td", {}, type(member)),
            el("td", {}, required.includes(name) ? "always" : "where it applies"),
        ),
    );
    return grid(["member", "type", "there"], rows);
}

/** Make a table that scrolls by itself where it is too wide. */
export function grid(heads, rows) {
    const head = el(
        "tr",
        {},
        heads.map((name) => el("th", { scope: "col" }, name)),
    );
    return el(
        "div",
        { class: "scroll", tabindex: "0", role: "group", "aria-label": `Table of ${heads[0]}s` },
        el("table", {}, el("thead", {}, head), el("tbody", {}, rows)),
    );
}
