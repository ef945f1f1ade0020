/**
 * Stage: plays the pure modules of agent_client/web for a test, one JSON line in, one out.
 *
 * In: {"do": NAME, …}. Out: {"done": …}, or {"error": NAME}. A screen's refusal is asked by {"ask": POP}, and the next
 * line in is the answer. Reads and writes synchronously, so that a rule may be asked in the middle of another.
 */

import { readSync, writeSync } from "node:fs";

import { notice } from "../../../agent_client/web/messages.js";
import { Records } from "../../../agent_client/web/records.js";
import { waitBefore } from "../../../agent_client/web/retry.js";
import { Screen } from "../../../agent_client/web/screen.js";
import { Seen } from "../../../agent_client/web/seen.js";
import { members, plain } from "../../../agent_client/web/spelling.js";
import * as topics from "../../../agent_client/web/topics.js";

const KEPT = 8; // things that a test may have in hand at once

let rest = Buffer.alloc(0);

function hear() {
    for (;;) {
        const end = rest.indexOf(10);
        if (end >= 0) {
            const line = rest.subarray(0, end).toString("utf8");
            rest = rest.subarray(end + 1);
            return JSON.parse(line);
        }
        const more = Buffer.alloc(65536);
        const read = readSync(0, more);
        if (read === 0) {
            process.exit(0);
        }
        rest = Buffer.concat([rest, more.subarray(0, read)]);
    }
}

function say(said) {
    let left = Buffer.from(`${JSON.stringify(said)}\n`);
    while (left.length > 0) {
        left = left.subarray(writeSync(1, left));
    }
}

const things = new Map();

function keep(id, thing) {
    things.set(id, thing);
    if (things.size > KEPT) {
        things.delete(things.keys().next().value);
    }
}

function bytes(base64) {
    return new Uint8Array(Buffer.from(base64, "base64"));
}

let acknowledged = [];

/** Give what a screen did: the result, the copies that were acknowledged, what it said and obeyed, its records. */
function told(screen, shown) {
    const done = {
        shown: shown === undefined || shown === null ? null : { pop: JSON.stringify(shown.pop), document: shown.document },
        acknowledged,
        sayings: screen.sayings.splice(0),
        obeyed: screen.obeyed.splice(0),
        records: screen.records,
    };
    acknowledged = [];
    return done;
}

const DEEDS = {
    screen({ id, backlog, refuses }) {
        const refusal = (pop) => {
            say({ ask: JSON.stringify(pop) });
            return hear();
        };
        keep(id, new Screen({ backlog, refusal: refuses ? refusal : undefined }));
    },
    arrive({ id, payload, copy, now }) {
        const screen = things.get(id);
        screen.arrive(bytes(payload), () => acknowledged.push(copy), now);
        return told(screen);
    },
    take({ id, now }) {
        const screen = things.get(id);
        return told(screen, screen.take(now));
    },
    heed({ id, notice: heard, now }) {
        const screen = things.get(id);
        screen.heed(heard, now);
        return told(screen);
    },
    close({ id, reference }) {
        things.get(id).close(reference);
        return told(things.get(id));
    },
    suspend({ id }) {
        things.get(id).suspend();
        return told(things.get(id));
    },
    resume({ id, reference }) {
        things.get(id).resume(reference);
        return told(things.get(id));
    },
    records({ records, step, argument }) {
        const before = new Records(records.current, records.activities);
        switch (step) {
            case "told":
                return Records.told(argument[0], argument[1]);
            case "suspending":
                return before.suspending();
            default:
                return before[step](argument);
        }
    },
    seen({ id, limit }) {
        keep(id, new Seen(limit));
    },
    add({ id, popid, until, now }) {
        return { isNew: things.get(id).add(popid, until, now), size: things.get(id).size };
    },
    notice({ payload }) {
        return notice(bytes(payload));
    },
    topics({ customer, agent, cti }) {
        return [...topics.forDesktop(customer, agent, cti ?? undefined), topics.ack(customer, agent), topics.desk(customer, agent)];
    },
    members({ document, name }) {
        return members(document, name).map((member) => [member.name, member.json, plain(member.json)]);
    },
    wait({ attempt, chance }) {
        return waitBefore(attempt, chance);
    },
};

for (;;) {
    const asked = hear();
    try {
        say({ done: DEEDS[asked.do](asked) ?? null });
    } catch (error) {
        say({ error: error.name, why: error.message });
    }
}
