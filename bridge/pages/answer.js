/**
 * Answer: what the bridge said to a request, as a person reads it: status, warnings, what is wrong and what to do.
 */

import { el } from "./page.js";

const SECRET = /^(?:token|IdToken|AccessToken|RefreshToken)$/;

/**
 * Show an answer.
 * @param {{status: number, text: string, took?: number}} answer
 * @returns {HTMLElement}
 */
export function shown({ status, text, took }) {
    const said = read(text);
    const time = took === undefined ? "" : `, after ${Math.round(took)} ms`;
    return el(
        "div",
        { class: "told" },
        el("p", {}, "HTTP ", el("strong", { class: status < 400 ? "good" : "bad" }, String(status)), time),
        said === undefined ? null : summary(said),
        text === ""
            ? null
            : el(
                  "pre",
                  { tabindex: "0", "aria-label": "Answer" },
                  said === undefined ? text : JSON.stringify(said, hide, 2),
              ),
    );
}

/** Read JSON; undefined where it is none. */
export function read(text) {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

function summary(said) {
    const told = said.Result ?? said;
    if (said.code !== undefined) {
        return list([
            ["What is wrong", said.title],
            ["In detail", said.detail],
            ["What to do", said.hint],
        ]);
    }
    const rows = [];
    const status = told.status ?? told.Status;
    if (status !== undefined) {
        rows.push(["Status", status]);
    }
    for (const [name, value] of [
        ["Reason", told.reason ?? told.Reason],
        ["In detail", told.Detail],
        ["Topic", told.topic],
        ["Desktops there", told.receivers],
    ]) {
        if (value !== undefined) {
            rows.push([name, String(value)]);
        }
    }
    for (const warning of Array.isArray(said.warnings) ? said.warnings : []) {
        const [code, ...sentence] = warning.split(": ");
        rows.push([`Warning ${code}`, sentence.join(": ")]);
    }
    return rows.length > 0 ? list(rows) : null;
}

function list(rows) {
    return el(
        "dl",
        {},
        rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
    );
}

/** Leave secrets out of what is shown. */
function hide(name, value) {
    return SECRET.test(name) && typeof value === "string" ? `${value.slice(0, 3)}…` : value;
}
