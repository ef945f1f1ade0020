/**
 * Desktop: an agent's desktop as a library. Connects, stays connected, and hands out each pop once.
 *
 *     import { Desktop } from "https://BRIDGE/client/desktop.js";
 *
 *     const desktop = new Desktop("wss://BRIDGE/mqtt", "acme", "1001", token);
 *     for await (const pop of desktop) {
 *         openScreen(pop.event, pop.data);
 *     }
 *
 * It follows the same rules as the Python library agent_client. A page of another origin has to be listed under
 * `origins` of its customer in broker.yaml.
 *
 * @typedef {import("./connection.js").Fact} Fact
 * @typedef {import("./connection.js").Arrived} Arrived
 * @typedef {import("./messages.js").Notice} Notice
 * @typedef {import("./screen.js").Pop} Pop
 * @typedef {import("./screen.js").Shown} Shown
 * @typedef {import("./state.js").Standing} Standing
 */

import { onReturning } from "./clock.js";
import { lineOf } from "./line.js";
import { notice, Unreadable } from "./messages.js";
import { News, within } from "./news.js";
import { Outbox } from "./outbox.js";
import { waitBefore } from "./retry.js";
import { Screen } from "./screen.js";
import { addressOf } from "./server.js";
import { Left, NotAuthorised, State } from "./state.js";
import * as topics from "./topics.js";

export { NotInActivities, Records } from "./records.js";
export { Left, NotAuthorised, State };

/** Milliseconds without a message after which what was held is taken to have arrived: MQTT has no word for that. */
const QUIET = 250;

/** Milliseconds after which it is taken to have arrived even if messages keep coming. */
const LONGEST_SETTLING = 2_000;

const CUSTOMER_ID = /^[A-Za-z0-9_.-]{1,64}$/;

/**
 * One agent's desktop, an async iterable of pops.
 *
 * It connects as soon as somebody waits for pops or states, or with `open`, and reconnects with jitter until it is left. A
 * wrong, expired or revoked token ends it: waiting for pops or states then throws NotAuthorised.
 *
 * A pop is acknowledged (PUBACK, and the outcome `shown`) when the application takes it. One that the application does not
 * take in time stays the bridge's: it expires there, or goes to the next desktop if this one leaves. So the broker's window
 * is the back-pressure; where it is larger than `backlog`, the pop that waited longest is refused with the reason
 * `desktop_busy`. A pop that has expired by this machine's clock is refused with the reason `expired`.
 *
 * An account of the records is obeyed after the pops that arrived before it, when the application has taken them.
 */
export class Desktop {
    /** @type {Standing} */
    state = State.LOST;
    #login;
    #ackTopic;
    #deskTopic;
    #screen;
    #line;
    #onState;
    #onNotice;
    #now;
    /** @type {import("./line.js").Connected | null} */
    #connection = null;
    /** @type {Error | null} */
    #end = null;
    #opened = false;
    #online = false;
    #failures = 0;
    #outbox = new Outbox();
    #news = new News();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #retrying;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #settling;
    #settleBy = 0;
    #wake = () => this.wake();
    #stopListening = () => {};

    /**
     * @param {string | URL} server ws://HOST:PORT/mqtt or wss://…; http and https count as those
     * @param {string} customer
     * @param {string} agent
     * @param {string} token
     * @param {object} [how]
     * @param {string} [how.cti] only this CTI environment, in the spelling of broker.yaml; otherwise any
     * @param {string} [how.clientId]
     * @param {boolean} [how.clean] false: the session survives at the broker; it needs a `clientId` of its own
     * @param {number} [how.keepalive] seconds
     * @param {number} [how.backlog] pops that may wait for the application
     * @param {import("./screen.js").Refusal} [how.refusal] asked before a pop is shown; may give a reason to refuse it
     * @param {(state: Standing, why: string) => void} [how.onState] told each change of state
     * @param {(notice: Notice) => void} [how.onNotice] told what the bridge said, after it was obeyed
     * @param {any} [how.mqtt] an MQTT.js 5 of one's own; it runs in the page, which slows it down in a hidden tab
     * @param {string | URL} [how.worker] a Worker of one's own origin that imports worker.js, for a page of another origin
     * @param {() => number} [how.now] milliseconds since the epoch
     */
    constructor(server, customer, agent, token, how = {}) {
        if (!CUSTOMER_ID.test(customer)) {
            throw new TypeError("the customer is not a CustomerID: 1 to 64 of A-Z a-z 0-9 _ . -");
        }
        const signs = [...agent].length;
        if (signs < 1 || signs > 128) {
            throw new TypeError("an agent's id has 1 to 128 characters");
        }
        const { clean = true, keepalive = 30 } = how;
        if (!clean && how.clientId === undefined) {
            throw new TypeError("a session that survives (clean: false) needs a clientId of its own");
        }
        this.clientId = how.clientId ?? `desktop-${random()}`;
        this.#ackTopic = topics.ack(customer, agent);
        this.#deskTopic = topics.desk(customer, agent);
        this.#login = {
            url: addressOf(server),
            username: `${customer}/${agent}`,
            token,
            clientId: this.clientId,
            clean,
            keepalive,
            willTopic: this.#ackTopic,
            will: JSON.stringify({ desktop: this.clientId, state: "gone" }),
            filters: topics.forDesktop(customer, agent, how.cti),
        };
        this.#screen = new Screen({ backlog: how.backlog, refusal: how.refusal });
        this.#onState = how.onState;
        this.#onNotice = how.onNotice;
        this.#now = how.now ?? Date.now;
        this.#line = lineOf({ mqtt: how.mqtt, worker: how.worker, woke: this.#wake });
    }

    /** The record that the agent has open here, and the Activities. */
    get records() {
        return this.#screen.records;
    }

    /** Begin to connect. */
    open() {
        if (!this.#opened && this.#end === null) {
            this.#opened = true;
            this.#stopListening = onReturning(this.#wake);
            this.#connect();
        }
    }

    /** Give the pops one after the other, until this desktop is left; then end. Throws NotAuthorised. */
    async *[Symbol.asyncIterator]() {
        try {
            for (;;) {
                yield (await this.take()).pop;
            }
        } catch (error) {
            if (!(error instanceof Left)) {
                throw error;
            }
        }
    }

    /**
     * Wait for the next pop; give it, and the document as it arrived.
     * @returns {Promise<Shown>}
     * @throws {NotAuthorised | Left}
     */
    take() {
        return this.#until(() => {
            const shown = this.#screen.take(this.#now());
            this.#say();
            return shown;
        });
    }

    /**
     * Wait for a state; a desktop that has caught up is connected, too.
     * @param {Standing} state
     * @throws {NotAuthorised | Left}
     */
    async reached(state) {
        /** @type {string[]} */
        const enough = state === State.CONNECTED ? [state, State.CAUGHT_UP] : [state];
        await this.#until(() => enough.includes(this.state) || null);
    }

    /** Tell that the agent is done with a record, current or suspended. @param {string} reference */
    close(reference) {
        this.#screen.close(reference);
        this.#say();
    }

    /** Tell that the agent put the current record aside. */
    suspend() {
        this.#screen.suspend();
        this.#say();
    }

    /** Tell that the agent opened a record of the Activities again. Throws NotInActivities. @param {string} reference */
    resume(reference) {
        this.#screen.resume(reference);
        this.#say();
    }

    /** See now whether the connection still stands, and connect now if there is none: the machine slept, or the network is back. */
    wake() {
        if (!this.#opened || this.#end !== null) {
            return;
        }
        if (this.#retrying !== undefined) {
            clearTimeout(this.#retrying);
            this.#connect();
        } else {
            this.#connection?.probe();
        }
    }

    /** Leave: tell what is still to be told, then disconnect. It takes 3 seconds at most. */
    async leave() {
        const told = () => !this.#online || this.#outbox.size === 0 || null;
        await within(1_000, this.#news.until(told));
        this.#finish(new Left());
        this.#connection?.leave();
        await within(2_000, this.#news.until(() => this.#connection === null || null));
        this.#line.close();
    }

    /**
     * @template T
     * @param {() => T | null} ready
     * @returns {Promise<T>}
     */
    async #until(ready) {
        this.open();
        return this.#news.until(() => {
            const value = ready();
            if (value === null && this.#end !== null) {
                throw this.#end;
            }
            return value;
        });
    }

    /** @param {Error} end */
    #finish(end) {
        this.#end ??= end;
        clearTimeout(this.#retrying);
        clearTimeout(this.#settling);
        this.#retrying = undefined;
        this.#stopListening();
        this.#news.tell();
    }

    #connect() {
        this.#retrying = undefined;
        this.#connection = this.#line.connect(this.#login, (fact) => this.#hear(fact));
    }

    /** @param {Fact} fact */
    #hear(fact) {
        switch (fact.fact) {
            case "connected":
                this.#online = true;
                this.#outbox.numbers().forEach((number) => this.#publish(number));
                break;
            case "subscribed":
                if (fact.refused > 0) {
                    this.#finish(new NotAuthorised("the broker refused a subscription of this agent"));
                    this.#connection?.leave();
                } else {
                    this.#change(State.CONNECTED, "");
                    this.#settleBy = performance.now() + LONGEST_SETTLING;
                    this.#settle();
                }
                break;
            case "denied":
                this.#finish(new NotAuthorised(fact.why));
                break;
            case "arrived":
                this.#takeIn(fact);
                break;
            case "published":
                this.#outbox.said(fact.number);
                break;
            case "ended":
                this.#onEnd(fact.why);
                break;
        }
        this.#news.tell();
    }

    /** @param {string} why */
    #onEnd(why) {
        if (this.#connection === null) {
            return; // its Worker broke after it
        }
        this.#online = false;
        this.#connection = null;
        clearTimeout(this.#settling);
        this.#change(State.LOST, why);
        if (this.#end === null) {
            this.#failures += 1;
            this.#retrying = setTimeout(() => this.#connect(), waitBefore(this.#failures, Math.random()));
        } else {
            this.#line.close();
        }
    }

    /** @param {Arrived} message */
    #takeIn(message) {
        const connection = this.#connection;
        const ack = () => connection?.acknowledge(message.mid);
        const now = this.#now();
        try {
            if (message.topic === this.#deskTopic) {
                const said = notice(message.payload);
                if (said !== null) {
                    this.#screen.heed(said, now);
                }
                ack();
            } else {
                this.#screen.arrive(message.payload, ack, now);
            }
        } catch (error) {
            if (!(error instanceof Unreadable)) {
                throw error;
            }
            console.warn(`ignored a message on ${message.topic} that is not for a desktop: ${error.message}`);
            ack();
        }
        this.#say();
        if (this.state === State.CONNECTED) {
            this.#settle();
        }
    }

    #settle() {
        clearTimeout(this.#settling);
        const left = this.#settleBy - performance.now();
        this.#settling = setTimeout(() => this.#settled(), Math.max(0, Math.min(QUIET, left)));
    }

    #settled() {
        this.#failures = 0;
        this.#change(State.CAUGHT_UP, "");
        this.#news.tell();
    }

    /** @param {Standing} state @param {string} why */
    #change(state, why) {
        // Of the failed attempts in a row only the first is news, and none when the end is wanted, or thrown.
        const news = state !== this.state || (state === State.LOST && this.#failures === 0);
        this.state = state;
        if (news && this.#end === null) {
            this.#onState?.(state, why);
        }
    }

    #say() {
        for (const obeyed of this.#screen.obeyed.splice(0)) {
            // Not in the middle of `take`: the application has the pop before it hears what came after it.
            setTimeout(() => this.#onNotice?.(obeyed), 0);
        }
        for (const saying of this.#screen.sayings.splice(0)) {
            const number = this.#outbox.add(saying);
            if (this.#online) {
                this.#publish(number);
            }
        }
    }

    /** @param {number} number */
    #publish(number) {
        this.#connection?.publish(number, this.#ackTopic, this.#outbox.payload(number));
    }
}

function random() {
    const bytes = crypto.getRandomValues(new Uint8Array(6));
    return [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");
}
