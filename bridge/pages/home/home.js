/**
 * Home: what is running here, and where to go from it.
 */

import { about, ask, claims, copier, credential, el, failure, one, Refused, signedIn } from "../page.js";
import { marked } from "../docs/schema.js";
import { endpoint } from "../shell.js";

const EVERY = 15_000;
const MOST_AGENTS = 500;

const PARTS = {
    broker: ["The MQTT broker takes desktops.", "The MQTT broker does not run: no desktop can connect."],
    delivery: ["Pops are taken and delivered.", "No pop is taken: the bridge starts or stops."],
    ledger: ["The ledger can be written.", "The ledger cannot be written (a full disk?): triggers are answered 503."],
    cloudsync: [
        "CloudSync's events are taken.",
        "CloudSync's events cannot be written down: they are not acknowledged.",
    ],
};

const STATUSES = ["shown", "unchanged", "refused", "expired", "recalled"];

/** Say of each part whether it works. */
async function readiness() {
    let failing = [];
    try {
        await ask("/readyz");
    } catch (error) {
        if (!(error instanceof Refused) || error.status === 0) {
            throw error;
        }
        failing = Object.keys(PARTS).filter((name) => error.message.includes(name));
        if (failing.length === 0) {
            throw error;
        }
    }
    const items = Object.entries(PARTS).map(([name, [works, fails]]) => {
        const bad = failing.includes(name);
        return el(
            "li",
            {},
            el("strong", { class: bad ? "bad" : "good" }, bad ? "Fails: " : "Works: "),
            bad ? fails : works,
        );
    });
    one("#ready").replaceChildren(el("ul", {}, items));
}

/** Say who is there and what happened, to who may know. */
async function figures(token) {
    const [agents, funnel] = await Promise.all([
        ask(`/api/agents?limit=${MOST_AGENTS}`, { token }),
        ask("/api/funnel?hours=1", { token }),
    ]);
    const online = agents.items.filter((agent) => agent.online).length;
    const { totals } = funnel;
    const ended = STATUSES.filter((name) => totals[name] > 0).map((name) => `${totals[name]} ${name}`);
    const some = agents.next === undefined ? "" : ` of the ${MOST_AGENTS} heard of last`;
    one("#figures").replaceChildren(
        el(
            "dl",
            {},
            el("dt", {}, "Agents online"),
            el("dd", { id: "online" }, `${online}${some}`),
            el("dt", {}, "Pops of the last hour"),
            el("dd", { id: "pops" }, `${totals.accepted}${ended.length > 0 ? `: ${ended.join(", ")}` : ""}`),
        ),
    );
}

async function look() {
    if (document.hidden) {
        return;
    }
    try {
        await readiness();
        const token = await credential("observer");
        // Who is being asked for a token is not disturbed.
        if (token !== undefined && one("#sign-in").hidden) {
            await figures(token);
        }
    } catch (error) {
        if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
            await askFor(error.message);
        } else {
            one("#ready").replaceChildren(failure(error));
        }
    }
}

/** Ask for an observer's token, and look again. */
async function askFor(why) {
    one("#figures").replaceChildren();
    await signedIn("observer", one("#sign-in"), why);
    await look();
}

function said(told) {
    return el(
        "dl",
        {},
        [
            ["Version", told.version],
            ["HTTP", location.host],
            ["MQTT", `${endpoint(told.mqtt).join(":")} over TCP; ${location.host}/mqtt as WebSocket`],
            ["This is", told.demo ? `the demo, customer ${told.customer}` : "a bridge with customers of its own"],
        ].flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
    );
}

/** Show the demo's commands; what is secret in them is seen only by who copies. */
function commands(lines) {
    return lines.map((line) => {
        if (line.startsWith("#")) {
            return el("p", {}, marked(line.slice(2)));
        }
        const hidden = line
            .replace(/eyJ[\w.-]+/g, "eyJ…")
            .replace(/^(password of [^:]+: ).*/, "$1…")
            .replace(/(-u [^: ]+:)\S+/, "$1…");
        const copied = line.replace(/^password of [^:]+: /, "");
        return el("div", { class: "command" }, el("code", {}, hidden), named(copier(copied), hidden), opener(line));
    });
}

function opener(line) {
    if (!line.startsWith("http")) {
        return "";
    }
    const { agent } = claims(line.split("#")[1] ?? "");
    return el("button", { type: "button", onclick: () => open(line, "_blank", "noopener") }, `Open as ${agent}`);
}

function named(button, text) {
    button.setAttribute("aria-label", `Copy: ${text.slice(0, 80)}`);
    return button;
}

async function start() {
    const told = await about();
    one("#about").replaceChildren(said(told));
    if (told.lines !== undefined) {
        one("#lines").replaceChildren(...commands(told.lines));
        one("#demo").hidden = false;
    }
    if ((await credential("observer")) === undefined) {
        const button = el("button", { type: "button" }, "Sign in as an observer");
        button.addEventListener("click", () => askFor());
        one("#figures").replaceChildren(el("p", {}, "Agents and pops are shown to an observer. ", button));
    }
    await look();
    setInterval(look, EVERY);
    document.addEventListener("visibilitychange", look);
}

start().catch((error) => one("#about").replaceChildren(failure(error)));
