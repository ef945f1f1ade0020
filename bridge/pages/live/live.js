/** Live: the floor at a glance, for an observer: what the parts of the page are, and whose token they use. */

import { claims, failure, forget, one, signedIn, Refused } from "../page.js";
import { Days } from "./days.js";
import { Floor } from "./floor.js";
import { Funnel } from "./funnel.js";
import { Intervals } from "./intervals.js";
import { Quality } from "./quality.js";

const signIn = one("#sign-in");
const parts = one("#parts");

/** Show everything until the credential is no good any more; gives why. */
async function show(token) {
    const funnel = new Funnel(one("#funnel"));
    const floor = new Floor(one("#floor"));
    const intervals = new Intervals(one("#intervals"));
    const days = new Days(one("#days"));
    const quality = new Quality(one("#quality"));
    const all = [funnel, floor, intervals, days, quality];
    const who = claims(token);
    one("#who").textContent = typeof who.sub === "string" ? `${who.sub}, ${who.kind}` : "";
    parts.hidden = false;
    let refuse;
    const ended = new Promise((resolve) => (refuse = resolve));
    const refused = ({ detail: error }) => {
        if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
            refuse(`${error.message} ${error.hint}`.trim());
        }
    };
    const seen = () => {
        if (!document.hidden) {
            [funnel, intervals, days, quality].forEach((part) => part.refresh());
        }
    };
    let over = false;
    parts.addEventListener("refused", refused);
    document.addEventListener("visibilitychange", seen);
    try {
        floor.start(token);
        funnel.start(token);
        quality.start(token);
        // The day is the customer's, which the quarter hours tell.
        intervals.start(token).then(() => {
            if (!over) {
                days.start(token, () => intervals.today || localToday());
            }
        });
        return await ended;
    } finally {
        over = true;
        parts.removeEventListener("refused", refused);
        document.removeEventListener("visibilitychange", seen);
        all.forEach((part) => part.stop());
        parts.hidden = true;
        one("#who").textContent = "";
    }
}

function localToday() {
    const now = new Date();
    return new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
}

let why;
for (;;) {
    let token;
    try {
        token = await signedIn("observer", signIn, why);
    } catch (error) {
        signIn.replaceChildren(failure(error));
        signIn.hidden = false;
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        continue;
    }
    signIn.hidden = true;
    why = await show(token);
    forget("observer");
}
