/**
 * Days, the worker: asks for a day of all agents and keeps it in order; the page has only the rows in sight.
 *
 * In: `ask` {path, token}, `look` {first, count, sort, downwards, fit}. Out: `refused` {status, said}, `rows` {first, fitting, rows, asOf}.
 */

import { COLUMNS } from "./columns.js";
import { Ordered } from "./ordered.js";

let days = new Ordered(COLUMNS.days);
let looked = null;
let asOf = null;
let turn = 0;

onmessage = ({ data: asked }) => {
    if (asked.type === "ask") {
        ask(asked);
    } else {
        if (looked?.sort !== asked.sort || looked?.downwards !== asked.downwards) {
            days.sort(asked.sort, asked.downwards);
        }
        looked = asked;
        show();
    }
};

async function ask({ path, token }) {
    turn += 1;
    const mine = turn;
    let status = 0;
    let said = {};
    try {
        const headers = { Authorization: `Bearer ${token}` };
        const answer = await fetch(path, { headers, cache: "no-store", credentials: "omit" });
        status = answer.status;
        said = await answer.json();
    } catch {
        said = { ...said, detail: "The bridge cannot be reached.", hint: "It may be restarting; it is tried again." };
        status = status === 200 ? 0 : status;
    }
    if (mine !== turn) {
        return; // another day was chosen meanwhile
    }
    if (status !== 200) {
        postMessage({ type: "refused", status, said });
        return;
    }
    days = new Ordered(COLUMNS.days);
    if (looked !== null) {
        days.sort(looked.sort, looked.downwards);
    }
    for (const row of said.rows) {
        days.put(JSON.stringify([row.agent, row.group]), row);
    }
    asOf = said.as_of;
    show();
}

function show() {
    if (looked !== null && asOf !== null) {
        const { first, count, fit } = looked;
        postMessage({ type: "rows", first, asOf, ...days.some(first, count, fit) });
    }
}
