/**
 * Docs: the doors, topics, refusals and shapes, as /openapi.json and /asyncapi.json describe them now.
 */

import { about, ask, el, failure, one } from "../page.js";
import { channels, doors, refusals, shapes } from "./entries.js";

/** What is shown, with its words for the filter. */
const shownEntries = [];

function section(id, title, text, entries) {
    const list = entries.map((entry) => {
        const inside = el("div", { class: "inside" });
        const link = el("a", { href: `#${entry.id}`, "aria-label": `Link to ${entry.id}` }, "#");
        const details = el("details", { id: entry.id, class: "entry" }, el("summary", {}, entry.title), inside);
        details.addEventListener("toggle", () => {
            if (details.open && inside.childElementCount === 0) {
                inside.append(
                    link,
                    ...entry
                        .inside()
                        .flat()
                        .filter((part) => part !== null),
                );
            }
        });
        shownEntries.push({ details, words: `${entry.id} ${entry.words}`.toLowerCase(), section: id });
        return details;
    });
    return el(
        "section",
        { class: "card", id, "aria-labelledby": `${id}-title` },
        el("h2", { id: `${id}-title` }, title),
        el("p", { class: "quiet" }, text),
        list,
    );
}

/** Show only what has all the words that were typed. */
function filter() {
    const words = one("#filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const { details, words: inside } of shownEntries) {
        const fits = words.every((word) => inside.includes(word));
        details.hidden = !fits;
        left += fits ? 1 : 0;
    }
    for (const part of document.querySelectorAll("section.card[id]")) {
        part.hidden = [...part.querySelectorAll(".entry")].every((entry) => entry.hidden);
    }
    one("#found").textContent = words.length === 0 ? "" : `${left} of ${shownEntries.length}`;
}

/** Open what the address names. */
function follow() {
    const found = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (found === null) {
        return;
    }
    if (found.matches("details")) {
        if (found.hidden) {
            one("#filter").value = "";
            filter();
        }
        found.open = true;
        found.querySelector("summary").focus({ preventScroll: true });
    }
    found.scrollIntoView();
}

async function start() {
    const [openapi, asyncapi, told] = await Promise.all([ask("/openapi.json"), ask("/asyncapi.json"), about()]);
    one("#documents").replaceChildren(
        section(
            "doors",
            "HTTP",
            "Every path with its methods. The examples can be changed and sent; those that trigger are dry runs.",
            doors(openapi),
        ),
        section("topics", "MQTT topics", "MQTT 3.1.1 over TCP, and over WebSocket at /mqtt.", channels(asyncapi, told)),
        section(
            "errors",
            "Errors",
            "Every refusal has a code. Nothing was published where something is refused.",
            refusals(openapi),
        ),
        section("shapes", "Shapes", "What bodies, answers and messages are made of.", shapes(openapi, asyncapi)),
    );
    one("#filter").addEventListener("input", filter);
    addEventListener("hashchange", follow);
    filter();
    follow();
}

start().catch((error) => one("#documents").replaceChildren(failure(error)));
