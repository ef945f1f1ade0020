/**
 * Line: makes a desktop's connections, one after the other, in a Worker where there can be one, else in the page.
 *
 * @typedef {import("./connection.js").Login} Login
 * @typedef {import("./connection.js").Fact} Fact
 * @typedef {import("./connection.js").Connection} Connection
 * @typedef {{fact: "woke"}} Woke the machine slept
 * @typedef {(fact: Fact) => void} Hear
 *
 * @typedef {Pick<Connection, "publish" | "acknowledge" | "probe" | "leave">} Connected what a desktop does with a connection
 *
 * @typedef {object} Line
 * @property {(login: Login, hear: Hear) => Connected} connect make a connection
 * @property {() => void} close give back what the line holds; its connection is over without a word
 *
 * @typedef {{order: "start", line: number, login: Login}
 *     | {order: "publish", line: number, number: number, topic: string, payload: string}
 *     | {order: "acknowledge", line: number, mid: number}
 *     | {order: "probe" | "leave", line: number}} Order what the page tells the Worker
 */

import { onWaking } from "./clock.js";
import { Connection as InPage } from "./connection.js";

const WORKER = new URL("./worker.js", import.meta.url);
const MQTT = new URL("../vendor/mqtt.esm.js", import.meta.url);

/**
 * Choose where connections are kept: with an MQTT.js of one's own in the page, else in a Worker. A page of another
 * origin than these files' cannot start their Worker, unless it has one of its own that imports worker.js.
 * @param {{mqtt?: any, worker?: string | URL, woke: () => void}} how
 * @returns {Line}
 */
export function lineOf({ mqtt, worker, woke }) {
    const own = globalThis.location?.origin === WORKER.origin ? WORKER : undefined;
    const address = worker ?? own;
    if (mqtt === undefined && address !== undefined && globalThis.Worker !== undefined) {
        return new WorkerLine(address, woke);
    }
    return new PageLine(mqtt, woke);
}

/** @implements {Line} */
class WorkerLine {
    #address;
    #woke;
    /** @type {Worker | undefined} */
    #worker;
    #line = 0;
    /** @type {Hear} */
    #hear = () => {};

    /** @param {string | URL} address @param {() => void} woke */
    constructor(address, woke) {
        this.#address = address;
        this.#woke = woke;
    }

    /** @param {Login} login @param {Hear} hear @returns {Connected} */
    connect(login, hear) {
        this.#hear = hear;
        const line = ++this.#line;
        this.#order({ order: "start", line, login });
        return {
            publish: (number, topic, payload) => this.#order({ order: "publish", line, number, topic, payload }),
            acknowledge: (mid) => this.#order({ order: "acknowledge", line, mid }),
            probe: () => this.#order({ order: "probe", line }),
            leave: () => this.#order({ order: "leave", line }),
        };
    }

    close() {
        this.#worker?.terminate();
        this.#worker = undefined;
    }

    /** @param {Order} order */
    #order(order) {
        this.#worker ??= this.#started();
        this.#worker.postMessage(order);
    }

    #started() {
        const worker = new Worker(this.#address, { type: "module", name: "popbridge desktop" });
        worker.addEventListener("message", ({ data }) => {
            if (data.woke) {
                this.#woke();
            } else if (data.line === this.#line) {
                this.#hear(data.fact);
            }
        });
        // Its files did not come, or it broke: the next connection has a new one.
        worker.addEventListener("error", (event) => {
            event.preventDefault();
            this.close();
            this.#hear({ fact: "ended", why: event.message || "the connection's Worker did not start" });
        });
        return worker;
    }
}

/** @implements {Line} */
class PageLine {
    #mqtt;
    #stop;

    /** @param {any} mqtt @param {() => void} woke */
    constructor(mqtt, woke) {
        this.#mqtt = mqtt;
        this.#stop = onWaking(woke);
    }

    /** @param {Login} login @param {Hear} hear @returns {Connected} */
    connect(login, hear) {
        if (this.#mqtt !== undefined) {
            return new InPage(this.#mqtt, login, hear, "auto");
        }
        return new Fetched(import(MQTT.href), login, hear);
    }

    close() {
        this.#stop();
    }
}

/** A connection by an MQTT.js that is still on its way. @implements {Connected} */
class Fetched {
    /** @type {InPage | undefined} */
    #connection;
    #left = false;

    /** @param {Promise<any>} module @param {Login} login @param {Hear} hear */
    constructor(module, login, hear) {
        module.then(
            ({ default: mqtt }) => {
                if (this.#left) {
                    hear({ fact: "ended", why: "left" });
                } else {
                    this.#connection = new InPage(mqtt, login, hear, "auto");
                }
            },
            (error) => hear({ fact: "ended", why: String(error) }),
        );
    }

    /** @param {number} number @param {string} topic @param {string} payload */
    publish(number, topic, payload) {
        this.#connection?.publish(number, topic, payload);
    }

    /** @param {number} mid */
    acknowledge(mid) {
        this.#connection?.acknowledge(mid);
    }

    probe() {
        this.#connection?.probe();
    }

    leave() {
        this.#left = true;
        this.#connection?.leave();
    }
}
