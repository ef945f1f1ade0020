/** Tally: the floor as it stands: sessions, queues and agents from a snapshot and its changes, counted as they change. */

import { COLUMNS } from "./columns.js";
import { Ordered } from "./ordered.js";

const IDS = { sessions: "id", queues: "group", agents: "agent" };

export class Tally {
    lists = {
        sessions: new Ordered(COLUMNS.sessions),
        queues: new Ordered(COLUMNS.queues),
        agents: new Ordered(COLUMNS.agents),
    };

    states = new Map();
    waiting = 0;
    inProgress = 0;
    breach = 0;
    stale = 0;
    feed = null;
    skew = 0;

    /** Take an event of the stream. */
    take(name, told) {
        if (name === "snapshot") {
            this.#empty();
            for (const [kind, id] of Object.entries(IDS)) {
                for (const item of told[kind]) {
                    this.#put(kind, item[id], item);
                }
            }
        } else if (name === "change" && told.kind in IDS) {
            this.#put(told.kind, told.id, told.item);
        }
        if (name === "snapshot" || name === "feed") {
            this.feed = { state: told.feed_state, lag: told.lag_s };
        }
        if (typeof told.as_of === "string") {
            this.skew = Date.parse(told.as_of) - Date.now();
        }
    }

    /** Tell the sums. `skew`: what the bridge's clock is ahead of this one, in ms. */
    sums() {
        return {
            states: [...this.states].filter(([, count]) => count > 0),
            agents: this.lists.agents.size,
            sessions: this.lists.sessions.size,
            waiting: this.waiting,
            inProgress: this.inProgress,
            breach: this.breach,
            stale: this.stale,
            feed: this.feed,
            skew: this.skew,
        };
    }

    #put(kind, id, item) {
        const list = this.lists[kind];
        const before = list.get(id);
        if (before !== undefined) {
            this.#count(kind, before, -1);
        }
        if (item === null) {
            list.remove(id);
        } else {
            list.put(id, item);
            this.#count(kind, item, 1);
        }
    }

    #count(kind, item, by) {
        if (kind === "agents") {
            this.states.set(item.state, (this.states.get(item.state) ?? 0) + by);
        } else if (kind === "sessions") {
            this.waiting += item.status === "waiting" ? by : 0;
            this.inProgress += item.status === "in_progress" ? by : 0;
            this.breach += item.breach ? by : 0;
            this.stale += item.stale ? by : 0;
        }
    }

    #empty() {
        for (const list of Object.values(this.lists)) {
            list.clear();
        }
        this.states.clear();
        this.waiting = this.inProgress = this.breach = this.stale = 0;
    }
}
