/**
 * Desktop: an agent's desktop in a browser. Signs in, stays connected, shows pops and records, and says how it stands.
 */

import { Desktop, Left, NotAuthorised, State } from "../../client/desktop.js";
import { History } from "./history.js";
import * as owner from "./owner.js";
import { Pops, offerNotifications } from "./pops.js";
import { Records } from "./records.js";
import { signOut, signedIn, takeLink } from "./sign-in.js";
import { el, one } from "../page.js";

const SAID = {
    [State.LOST]: ["bad", "✕", "Not connected: trying again."],
    [State.CONNECTED]: ["warn", "…", "Connected. What was held meanwhile is coming."],
    [State.CAUGHT_UP]: ["good", "✓", "Connected and caught up."],
};

/** Milliseconds that connecting waits for the history. */
const LONGEST_FIRST = 2_000;

const signIn = one("#sign-in");
const session = one("#session");
const elsewhere = one("#elsewhere");

/**
 * @param {"lost" | "connected" | "caught up"} state
 * @param {string} why
 */
function say(state, why) {
    const [kind, mark, text] = SAID[state];
    const more = state === State.LOST ? ` Pops wait at the bridge until they expire.${why === "" ? "" : ` (${why})`}` : "";
    const sign = el("span", { class: "mark", "aria-hidden": "true" }, mark);
    one("#state").replaceChildren(sign, el("span", { class: kind }, text), more);
    one("#state").dataset.state = state;
}

/**
 * Wait until this tab has the agent's desktop; null when the user signed out instead.
 * @param {string} name
 * @param {string} why
 * @returns {Promise<owner.Owned | null>}
 */
async function owned(name, why) {
    const found = why === "" ? await owner.claim(name) : null;
    if (found !== null) {
        return found;
    }
    one("#elsewhere-why").textContent =
        why || "Another tab of this browser has this agent's desktop. Each pop is shown there. It opens here when that tab is closed.";
    elsewhere.hidden = false;
    const waiting = new AbortController();
    const clicked = new Promise((resolve) => {
        one("#take-over").onclick = () => resolve("take over");
        one("#elsewhere-out").onclick = () => resolve("out");
    });
    const freed = owner.wait(name, waiting.signal);
    const first = await Promise.race([clicked, freed]);
    waiting.abort();
    elsewhere.hidden = true;
    if (first === "take over") {
        return owner.takeOver(name);
    }
    return first === "out" ? null : first;
}

/**
 * Be the desktop until it ends.
 * @param {import("./sign-in.js").Signed} signed
 * @param {owner.Owned} place
 * @returns {Promise<"out" | "taken over" | NotAuthorised>} why it ended
 */
async function sit(signed, place) {
    session.hidden = false;
    one("#state").textContent = "Connecting…";
    const history = new History(signed);
    const pops = new Pops();
    // It tells the bridge's time besides; a desktop without it is better than none.
    await Promise.race([history.ask(), new Promise((resolve) => setTimeout(resolve, LONGEST_FIRST))]);
    const desktop = new Desktop(location.origin, signed.customer, signed.agent, signed.token, {
        now: history.now,
        onState: (state, why) => {
            say(state, why);
            if (state === State.CAUGHT_UP) {
                history.soon();
            }
        },
        onNotice: (notice) => {
            if (notice.kind === "refused") {
                records.refused(notice);
            }
            records.draw();
            history.soon();
        },
    });
    const records = new Records(desktop);
    const ended = new Promise((resolve) => {
        one("#sign-out").onclick = () => resolve("out");
        place.lost.then(() => resolve("taken over"));
        show(desktop, pops, records, history).catch(resolve);
    });
    const why = await ended;
    session.hidden = true;
    pops.close();
    history.close();
    await desktop.leave();
    return why;
}

/** Show each pop as it comes. Throws NotAuthorised. */
async function show(desktop, pops, records, history) {
    try {
        for (;;) {
            pops.show(await desktop.take());
            records.draw();
            history.soon();
        }
    } catch (error) {
        if (!(error instanceof Left)) {
            throw error;
        }
    }
}

/**
 * @param {NotAuthorised} error
 * @param {import("./sign-in.js").Signed} signed
 */
function reason(error, signed) {
    if (signed.ends <= Date.now()) {
        return "Your sign-in has expired. Sign in again.";
    }
    return `You were signed out: ${error.message}. It may have been revoked. Sign in again.`;
}

async function run() {
    let why = "";
    let lost = "";
    for (;;) {
        const signed = await signedIn(signIn, why);
        one("#who").textContent = `agent ${signed.agent} · ${signed.customer}`;
        why = "";
        const place = await owned(`popbridge desktop ${signed.customer}/${signed.agent}`, lost);
        lost = "";
        const end = place === null ? "out" : await sit(signed, place);
        place?.release();
        if (end === "taken over") {
            lost = "Another tab took this desktop over. Pops are shown there. It opens here again when that tab is closed.";
            continue;
        }
        signOut();
        one("#who").textContent = "";
        if (end instanceof NotAuthorised) {
            why = reason(end, signed);
        } else if (end instanceof Error) {
            why = end.message;
        }
    }
}

takeLink();
addEventListener("hashchange", () => {
    if (takeLink()) {
        // Another link in the same tab: whoever it is for sits here now.
        location.reload();
    }
});
offerNotifications();
run();
