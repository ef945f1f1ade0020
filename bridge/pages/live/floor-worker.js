/**
 * Floor, the worker: reads the stream and keeps the tally, so that the page only paints the rows that are looked at.
 *
 * In: `open` {token}, `look` {list, first, count, sort, downwards, fit}, `seen` {seen}: whether the tab is, `wake`,
 * `csv` {list}, `close`. Out: `connection` {state}, `refused` {status, said}, `view` {sums, lists}, `csv` {list, text}.
 */

import { csv } from "./csv.js";
import { COLUMNS } from "./columns.js";
import { Stream } from "./stream.js";
import { Tally } from "./tally.js";

const EVERY = 250; // ms between two views

const tally = new Tally();
const looks = new Map();
let stream = null;
let seen = true;
let timer = null;
let shownAt = 0;

onmessage = ({ data: asked }) => {
    switch (asked.type) {
        case "open":
            open(asked.token).catch(reportError);
            break;
        case "look":
            look(asked);
            break;
        case "seen":
            seen = asked.seen;
            if (seen) {
                stream?.wake();
                schedule(0);
            }
            break;
        case "wake":
            stream?.wake();
            break;
        case "csv":
            spell(asked.list);
            break;
        case "close":
            stream?.close();
            close();
            break;
    }
};

async function open(token) {
    stream = new Stream("/api/lsm/stream", token, heard, (state) => postMessage({ type: "connection", state }));
    const refused = await stream.run();
    if (refused !== undefined) {
        postMessage({ type: "refused", ...refused });
    }
}

function heard(name, told) {
    tally.take(name, told);
    schedule(EVERY);
}

function look(asked) {
    const before = looks.get(asked.list);
    looks.set(asked.list, asked);
    if (before === undefined || before.sort !== asked.sort || before.downwards !== asked.downwards) {
        tally.lists[asked.list].sort(asked.sort, asked.downwards);
    }
    schedule(0);
}

/** Show what there is: at once where somebody waits for it, else not too soon after the last time. */
function schedule(wait) {
    if (!seen) {
        return;
    }
    if (timer !== null && wait === 0) {
        clearTimeout(timer);
        timer = null;
    }
    timer ??= setTimeout(show, wait === 0 ? 0 : Math.max(0, shownAt + wait - performance.now()));
}

function show() {
    timer = null;
    shownAt = performance.now();
    if (!seen || tally.feed === null) {
        return;
    }
    const lists = {};
    for (const [list, { first, count, fit }] of looks) {
        lists[list] = { first, ...tally.lists[list].some(first, count, fit) };
    }
    postMessage({ type: "view", sums: tally.sums(), lists });
}

function spell(list) {
    const { rows } = tally.lists[list].some(0, Infinity);
    const fields = rows.length > 0 ? Object.keys(rows[0]) : COLUMNS[list].map((column) => column.key);
    postMessage({ type: "csv", list, text: csv(fields, rows.map((row) => fields.map((field) => row[field]))) });
}
