/**
 * Example: a request that may be changed and sent from the page, and its answer.
 */

import { el, failure, send } from "../page.js";
import { asking, drop, headers, learn, learnt, missing } from "./credentials.js";
import { read, shown } from "../answer.js";

const METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"];
const TOLD = ["Allow", "ETag", "Retry-After", "WWW-Authenticate", "Idempotent-Replayed", "Preference-Applied"];
const LONGEST_TEXT = 20_000;
const STREAMED = 3_000; // milliseconds that a stream is listened to

let count = 0;

/**
 * Make an example.
 * @param {object} request
 * @param {string} request.method
 * @param {string} request.path with its query; `{name}` has to be filled in
 * @param {Record<string, string>} [request.given] what is filled in already, by name
 * @param {Record<string, string>} [request.headers]
 * @param {string} [request.body]
 * @param {string} request.credential the kind that it takes, or "none"
 * @param {number} [request.fill] for how many letters `{fill}` stands
 * @param {string} tokenPath where the Cloud API gives tokens
 */
export function example(request, tokenPath) {
    count += 1;
    const id = `example-${count}`;
    const method = el(
        "select",
        { id: `${id}-method` },
        METHODS.map((name) => el("option", {}, name)),
    );
    method.value = request.method;
    const path = el("input", { id: `${id}-path`, value: request.path, spellcheck: "false" });
    const lines = Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
    const fields = area(`${id}-headers`, lines.join("\n"), Math.max(1, lines.length));
    const body = area(`${id}-body`, request.body ?? "", Math.min(12, (request.body ?? "").split("\n").length));
    const blanks = [...request.path.matchAll(/{(\w+)}/g)].map((found) => found[1]).filter((name) => name !== "fill");
    const boxes = blanks.map((name) => blank(name, `${id}-${name}`, request));
    const credentials = el("div");
    const answer = el("div", { class: "answer" });
    const button = el("button", { class: "main" }, "Send");
    const form = el(
        "form",
        { class: "example", autocomplete: "off" },
        el(
            "div",
            { class: "line" },
            el("div", {}, el("label", { for: method.id }, "Method"), method),
            el("div", {}, el("label", { for: path.id }, "Path"), path),
        ),
        boxes.map(({ label, box }) => [label, box]).flat(),
        labelled(fields, "Headers", lines.length > 0),
        labelled(body, "Body", request.body !== undefined),
        request.fill
            ? el("p", { class: "quiet" }, `{fill} stands for ${request.fill.toLocaleString("en")} letters.`)
            : null,
        credentials,
        button,
    );
    let asked;
    const askFor = async () => {
        if (await missing(request.credential)) {
            asked ??= asking(request.credential, id);
            credentials.replaceChildren(asked.fields);
            asked.fields.querySelector("input").focus();
            return true;
        }
        return false;
    };
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        if (asked?.take()) {
            credentials.replaceChildren();
            asked = undefined;
        }
        const empty = boxes.find(({ box }) => box.value === "");
        if (empty !== undefined) {
            empty.box.focus();
            answer.replaceChildren(el("p", { class: "bad", role: "alert" }, `Fill in ${empty.name}.`));
            return;
        }
        if (await askFor()) {
            answer.replaceChildren(el("p", { role: "status" }, "This takes a credential that the page does not have."));
            return;
        }
        button.disabled = true;
        try {
            const whole = (text) => text.replaceAll("{fill}", "x".repeat(request.fill ?? 0));
            const target = boxes.reduce(
                (at, { name, box }) => at.replaceAll(`{${name}}`, encodeURIComponent(box.value)),
                path.value,
            );
            const answered = await exchange({
                method: method.value,
                path: whole(target),
                headers: { ...split(fields.value), ...(await headers(request.credential, tokenPath)) },
                body:
                    body.value === "" || method.value === "GET" || method.value === "HEAD"
                        ? undefined
                        : put(whole(body.value)),
            });
            answer.replaceChildren(shown(answered), told(answered.headers));
            if (request.credential !== "none" && anotherNeeded(answered, request)) {
                drop(request.credential);
                await askFor();
            }
        } catch (error) {
            answer.replaceChildren(failure(error));
        } finally {
            button.disabled = false;
        }
    });
    return el("div", {}, form, answer);
}

/** Whether the credential itself was refused. That an API key opens no other door is what one example shows. */
function anotherNeeded({ status, text }, { credential }) {
    return status === 401 || (read(text)?.code === "forbidden" && credential !== "bearer_key");
}

async function exchange({ path, ...how }) {
    const ended = new AbortController();
    const begun = performance.now();
    const response = await send(path, { ...how, signal: ended.signal });
    const took = performance.now() - begun;
    const streamed = (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream");
    const text = streamed ? await beginning(response, ended) : await response.text();
    learn(read(text));
    const cut =
        text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}\n… ${text.length} characters in all` : text;
    return { status: response.status, text: cut, took, headers: response.headers };
}

/** Read the beginning of a stream, and end it. */
async function beginning(response, ended) {
    const timer = setTimeout(() => ended.abort(), STREAMED);
    const decoder = new TextDecoder();
    let text = "";
    try {
        for await (const part of parts(response.body.getReader())) {
            text += decoder.decode(part, { stream: true });
            if (text.length > LONGEST_TEXT) {
                break;
            }
        }
    } catch (error) {
        if (!ended.signal.aborted) {
            throw error;
        }
    }
    clearTimeout(timer);
    ended.abort();
    return `${text}\n… listened for ${STREAMED / 1000} s`;
}

async function* parts(reader) {
    for (;;) {
        const { done, value } = await reader.read();
        if (done) {
            return;
        }
        yield value;
    }
}

function told(fields) {
    const found = TOLD.filter((name) => fields.has(name));
    return found.length === 0
        ? ""
        : el(
              "p",
              { class: "quiet" },
              found.map((name) => el("code", {}, `${name}: ${fields.get(name)} `)),
          );
}

/** Put what the page learnt into a body. */
function put(body) {
    return body.replaceAll("{RefreshToken}", learnt.RefreshToken ?? "{RefreshToken}");
}

function split(text) {
    const pairs = text.split("\n").filter((line) => line.includes(":"));
    return Object.fromEntries(
        pairs.map((line) => [line.slice(0, line.indexOf(":")).trim(), line.slice(line.indexOf(":") + 1).trim()]),
    );
}

function blank(name, id, request) {
    const box = el("input", { id, value: request.given?.[name] ?? "", spellcheck: "false" });
    if (name === "popid" && request.method === "GET") {
        // What is withdrawn is named by who withdraws it; what is only read may be the last one heard of.
        box.addEventListener("focus", () => (box.value ||= learnt.popid ?? ""));
    }
    return { name, box, label: el("label", { for: id }, name) };
}

function area(id, text, rows) {
    return el("textarea", { id, rows: String(rows), spellcheck: "false", value: text });
}

function labelled(box, name, there) {
    const label = el("label", { for: box.id }, name);
    return there ? el("div", {}, label, box) : el("details", {}, el("summary", {}, name), label, box);
}
