/**
 * Steps: a pop's life as it happens: each step with its time and the time since the one before, and why.
 */

import { announce, ask, el, Refused } from "../page.js";

const FINAL = ["shown", "unchanged", "refused", "expired", "recalled"];
const EVERY = 250;
const LONGEST = 60_000;
const GRACE = 1_500; // after `expires`: the bridge looks for what has expired a little later

/**
 * Ask for a pop until nothing more happens to it, and show each state.
 * @param {string} popid
 * @param {string} token who may read it
 * @param {HTMLElement} where
 * @param {AbortSignal} signal ends it
 */
export async function follow(popid, token, where, signal) {
    const until = Date.now() + LONGEST;
    let seen = 0;
    for (;;) {
        let pop;
        try {
            pop = await ask(`/api/pops/${popid}`, { token, signal });
        } catch (error) {
            if (signal.aborted) {
                return;
            }
            if (error instanceof Refused && (error.status === 0 || error.status >= 500) && Date.now() < until) {
                await pause(EVERY * 4, signal);
                continue;
            }
            throw error;
        }
        const over = FINAL.includes(pop.status) || Date.now() > Date.parse(pop.expires) + GRACE;
        if (pop.steps.length !== seen || over) {
            seen = pop.steps.length;
            where.replaceChildren(story(pop));
            announce(`The pop is ${pop.status}.`);
        }
        if (over || signal.aborted) {
            return;
        }
        if (Date.now() > until) {
            const again = () => follow(popid, token, where, signal);
            where.append(
                el(
                    "p",
                    {},
                    `Watched for a minute; it is still ${pop.status}. `,
                    el("button", { onclick: again }, "Go on"),
                ),
            );
            return;
        }
        await pause(EVERY, signal);
    }
}

/**
 * Draw a pop's steps and its story.
 * @param {{status: string, steps: {status: string, at: string, detail: string}[], why: string}} pop
 */
export function story(pop) {
    const times = pop.steps.map((step) => Date.parse(step.at));
    const span = Math.max(1, times.at(-1) - times[0]);
    const list = pop.steps.map((step, number) => {
        const since = number === 0 ? 0 : times[number] - times[number - 1];
        const bar = el("span");
        bar.style.marginInlineStart = `min(${(100 * (times[number] - since - times[0])) / span}%, 100% - 0.3rem)`;
        bar.style.width = `${(100 * since) / span}%`;
        return el(
            "li",
            { "data-status": step.status },
            el("strong", {}, step.status),
            el("span", { class: "quiet" }, precise(times[number]), step.detail === "" ? "" : ` · ${step.detail}`),
            el("span", { class: "after" }, number === 0 ? "" : `+${spelled(since)}`),
            el("div", { class: "track", "aria-hidden": "true" }, number === 0 ? null : bar),
        );
    });
    return el(
        "div",
        {},
        el("h3", {}, "Steps"),
        el("ol", { class: "steps" }, list),
        el("p", { id: "why" }, el("strong", {}, "Why: "), pop.why),
    );
}

function spelled(milliseconds) {
    return `${milliseconds.toLocaleString("en")} ms`;
}

function precise(time) {
    const at = new Date(time);
    const seconds = `${String(at.getSeconds()).padStart(2, "0")}.${String(at.getMilliseconds()).padStart(3, "0")}`;
    return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}:${seconds}`;
}

function pause(milliseconds, signal) {
    return new Promise((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        signal.addEventListener("abort", () => {
            clearTimeout(timer);
            resolve();
        });
    });
}
