/** Floor: sessions, queues and agents as they are now. A worker has them; here is what is painted. */

import { announce, clock, el, failure, one, Refused } from "../page.js";
import { COLUMNS, stateName } from "./columns.js";
import { Part } from "./part.js";
import { Roster } from "./roster.js";
import { save } from "./tables.js";

const STATES = ["available", "busy", "away", "break", "training", "unknown", "offline"];

const FEED = {
    up: (lag) => (lag < 1 ? "The feed is up, and what you see is current." : `The feed is up, ${lag} s behind.`),
    degraded: (lag) =>
        `The feed is up, but not all of it is here: ${lag >= 1 ? `it is ${lag} s behind` : "the disk fails, or something found no room"}.`,
    down: () => "The feed is down: nobody tells what happens. What you see is what was told last.",
};

export class Floor {
    #worker = null;
    #view = null;
    #painting = false;
    #connection = "connecting";
    #lostAt = null;
    #said = "";
    #filter = { state: null, text: "" };

    constructor(where) {
        this.part = new Part(where);
        this.stands = el("p", { id: "feed" });
        this.figures = el("dl", { class: "figures" });
        this.states = el("div", { class: "states", role: "group", "aria-label": "Agents by state" });
        this.search = el("input", {
            id: "agent-search",
            type: "search",
            autocomplete: "off",
            oninput: () => this.#narrow({ text: this.search.value }),
        });
        this.count = el("p", { class: "quiet", id: "agent-count" });
        const begins = {
            queues: { nothing: "No group is known yet." },
            sessions: { sort: "waited", downwards: true, nothing: "No session is open." },
            agents: { nothing: "No agent." },
        };
        this.rosters = Object.fromEntries(
            [
                ["queues", "Queues"],
                ["sessions", "Sessions"],
                ["agents", "Agents"],
            ].map(([list, caption]) => [
                list,
                new Roster(caption, COLUMNS[list], (asked) => this.#look(list, asked), begins[list]),
            ]),
        );
        this.part.body.replaceChildren(
            this.figures,
            el("h3", {}, "Queues"),
            this.rosters.queues.element,
            this.#file("queues"),
            el("h3", {}, "Sessions"),
            this.rosters.sessions.element,
            this.#file("sessions"),
            el("h3", {}, "Agents"),
            this.states,
            el("div", { class: "choices" }, el("div", {}, el("label", { for: "agent-search" }, "Agent's name or id"), this.search)),
            this.count,
            this.rosters.agents.element,
            this.#file("agents"),
        );
        this.part.body.hidden = true;
        one(".stands", where).replaceChildren(this.stands);
    }

    /** Begin. */
    start(token) {
        this.part.begin(token, 1000, () => this.#tick());
        this.#said = "";
        this.#worker = new Worker(new URL("./floor-worker.js", import.meta.url), { type: "module" });
        this.#worker.onmessage = ({ data }) => this.#hear(data);
        this.#worker.onerror = (event) => {
            this.part.trouble.replaceChildren(failure(new Error(`The floor's worker failed. ${event.message ?? ""}`)));
        };
        this.#worker.postMessage({ type: "open", token });
        this.#seen();
        document.addEventListener("visibilitychange", this.#seen);
        addEventListener("online", this.#wake);
        for (const roster of Object.values(this.rosters)) {
            roster.ask(true);
        }
    }

    stop() {
        this.part.end();
        document.removeEventListener("visibilitychange", this.#seen);
        removeEventListener("online", this.#wake);
        this.#worker?.postMessage({ type: "close" });
        this.#worker = null;
        this.#view = null;
        this.part.body.hidden = true;
        this.stands.textContent = "";
    }

    #seen = () => this.#worker?.postMessage({ type: "seen", seen: !document.hidden });
    #wake = () => this.#worker?.postMessage({ type: "wake" });

    #hear(data) {
        if (this.#worker === null) {
            return; // what was under way when it was closed
        }
        switch (data.type) {
            case "view":
                this.#view = data;
                this.#paintSoon();
                break;
            case "connection":
                this.#connection = data.state === "connecting" && this.#connection === "lost" ? "lost" : data.state;
                if (data.state === "lost") {
                    this.#lostAt ??= Date.now();
                } else if (data.state === "open") {
                    this.#lostAt = null;
                }
                this.#say();
                break;
            case "csv":
                save(`${data.list}.csv`, data.text);
                break;
            case "refused":
                this.#view = null;
                this.stands.textContent = "";
                this.part.fail(new Refused(data.status, data.said), "lsm");
                break;
        }
    }

    #look(list, asked) {
        const fit =
            list === "agents" ? { text: this.#filter.text, field: "state", value: this.#filter.state } : {};
        this.#worker?.postMessage({ type: "look", list, fit, ...asked });
    }

    #narrow(change) {
        Object.assign(this.#filter, change);
        this.rosters.agents.element.scrollTop = 0;
        this.rosters.agents.ask(true);
    }

    #file(list) {
        return el(
            "div",
            { class: "tools" },
            el(
                "button",
                { type: "button", "aria-label": `CSV of all ${list}`, onclick: () => this.#worker?.postMessage({ type: "csv", list }) },
                "CSV",
            ),
        );
    }

    /** Paint once per frame, and not at all while nobody looks. */
    #paintSoon() {
        if (!this.#painting) {
            this.#painting = true;
            requestAnimationFrame(() => {
                this.#painting = false;
                if (this.#view !== null && !document.hidden) {
                    this.#paint(this.#view);
                }
            });
        }
    }

    #paint({ sums, lists }) {
        this.part.well();
        if (this.part.body.hidden) {
            this.part.body.hidden = false;
        }
        this.#say();
        const now = Date.now() + sums.skew;
        this.#figure("Waiting", sums.waiting);
        this.#figure("In progress", sums.inProgress);
        this.#figure("Over the service level", sums.breach);
        this.#figure("Stale", sums.stale);
        this.#figure("Agents", sums.agents);
        this.#count(new Map(sums.states));
        for (const [list, some] of Object.entries(lists)) {
            this.rosters[list].show(some, now);
        }
        const fitting = lists.agents?.fitting ?? 0;
        const all = `${sums.agents.toLocaleString("en")} ${sums.agents === 1 ? "agent" : "agents"}`;
        set(this.count, fitting === sums.agents ? all : `${fitting.toLocaleString("en")} of ${all}`);
    }

    #figure(name, value) {
        const id = `figure-${name.toLowerCase().replaceAll(" ", "-")}`;
        let place = this.figures.querySelector(`#${id}`);
        if (place === null) {
            place = el("dd", { id });
            this.figures.append(el("div", {}, el("dt", {}, name), place));
        }
        set(place, value.toLocaleString("en"));
    }

    #count(states) {
        const known = [...STATES, ...[...states.keys()].filter((state) => !STATES.includes(state))];
        for (const state of known) {
            let button = [...this.states.children].find((one) => one.dataset.state === state);
            if (button === undefined) {
                button = el(
                    "button",
                    { type: "button", "aria-pressed": "false", onclick: () => this.#press(state) },
                    el("span", {}, stateName(state)),
                    " ",
                    el("strong", {}),
                );
                button.dataset.state = state;
                this.states.append(button);
            }
            set(button.lastChild, (states.get(state) ?? 0).toLocaleString("en"));
        }
    }

    #press(state) {
        const pressed = this.#filter.state === state ? null : state;
        for (const button of this.states.children) {
            button.setAttribute("aria-pressed", String(button.dataset.state === pressed));
        }
        this.#narrow({ state: pressed });
    }

    /** Let seconds tick, while what is seen is current. */
    #tick() {
        if (this.#view === null || this.#connection !== "open") {
            return;
        }
        const now = Date.now() + this.#view.sums.skew;
        for (const roster of Object.values(this.rosters)) {
            roster.tick(now);
        }
    }

    /** Say how connection and feed are; aloud when that is another than before, but for seconds. */
    #say() {
        const feed = this.#view?.sums.feed ?? null;
        let [kind, text] = ["quiet", "Connecting…"];
        if (this.#connection === "lost") {
            const since = clock(this.#lostAt);
            [kind, text] = ["bad", `The connection to the bridge is lost since ${since}. What you see is as it was then; it is tried again.`];
        } else if (feed !== null) {
            kind = { up: "good", degraded: "warn", down: "bad" }[feed.state] ?? "warn";
            text = (FEED[feed.state] ?? (() => `The feed is ${feed.state}.`))(Math.round(feed.lag));
        }
        set(this.stands, text);
        this.stands.className = kind;
        const aloud = text.replace(/\d+ s /, "");
        if (this.#said !== "" && aloud !== this.#said) {
            announce(text);
        }
        this.#said = aloud;
    }
}

function set(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}
