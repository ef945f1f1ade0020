/**
 * Connection: one MQTT connection from CONNECT to its end, by MQTT.js 5, which only this file knows.
 *
 * What happens is told as facts, one after the other, the last one always `ended`. A connection is used once; who wants
 * another makes another: reconnecting is not MQTT.js's business here.
 *
 * @typedef {object} Login who connects, with which will and filters
 * @property {string} url ws://HOST:PORT/mqtt or wss://…
 * @property {string} username
 * @property {string} token
 * @property {string} clientId
 * @property {boolean} clean
 * @property {number} keepalive seconds
 * @property {string} willTopic
 * @property {string} will
 * @property {string[]} filters
 *
 * @typedef {{fact: "connected"}} Connected the broker accepted the login
 * @typedef {{fact: "subscribed", refused: number}} Subscribed the broker answered SUBSCRIBE; so many filters were refused
 * @typedef {{fact: "denied", why: string}} Denied the broker does not accept this token; trying again makes no sense
 * @typedef {{fact: "arrived", topic: string, payload: Uint8Array, mid: number}} Arrived a message, unacknowledged until
 *     `acknowledge(mid)`; `mid` is 0 at QoS 0
 * @typedef {{fact: "published", number: number}} Published the broker acknowledged what was published under this number
 * @typedef {{fact: "ended", why: string}} Ended the connection is over, or never came about
 * @typedef {Connected | Subscribed | Denied | Arrived | Published | Ended} Fact
 */

/** Milliseconds from the start to SUBACK. */
const LONGEST_START = 10_000;

/** Milliseconds in which something must come from a broker that was asked whether it is still there. */
const LONGEST_PROBE = 4_000;

/** Milliseconds that a wanted end may take. */
const LONGEST_LEAVING = 1_000;

// CONNACK's codes for it.
const DENIED = new Map([
    [4, "the user name or the token is not accepted"],
    [5, "the token is not accepted for this agent"],
]);

const PUBACK = 0x40;

/** What `handleMessage` gives instead of a result: MQTT.js then reads on, and sends no PUBACK of its own. */
const LATER = new Error("acknowledged when the application takes it");

/** Tells facts to `hear`. */
export class Connection {
    #client;
    #hear;
    #filters;
    #why = "the bridge cannot be reached";
    #begun = Date.now(); // goes on while the machine sleeps, as timers do not
    #subscribed = false;
    #over = false;
    /** @type {number[]} */
    #unacknowledged = [];
    /** @type {Set<number>} */
    #taken = new Set();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #deadline;

    /**
     * Begin to connect. `ended` tells when that failed.
     * @param {any} mqtt MQTT.js 5
     * @param {Login} login
     * @param {(fact: Fact) => void} hear
     * @param {"native" | "auto"} timers MQTT.js's `timerVariant`: native in a Worker, whose timers a hidden tab does not slow
     */
    constructor(mqtt, login, hear, timers) {
        this.#hear = hear;
        this.#filters = login.filters;
        this.#client = mqtt.connect(login.url, {
            protocolVersion: 4,
            clientId: login.clientId,
            clean: login.clean,
            username: login.username,
            password: login.token,
            keepalive: login.keepalive,
            will: { topic: login.willTopic, payload: login.will, qos: 1, retain: false },
            reconnectPeriod: 0,
            connectTimeout: LONGEST_START,
            timerVariant: timers,
            // MQTT.js takes the address apart, and puts an IPv6 one together without its brackets.
            createWebsocket: (/** @type {string} */ _url, /** @type {string[]} */ protocols) =>
                new WebSocket(login.url, protocols),
        });
        this.#client.handleMessage = this.#onMessage.bind(this);
        this.#client.on("connect", () => this.#onConnect());
        this.#client.on("packetreceive", (/** @type {any} */ packet) => this.#onPacket(packet));
        this.#client.on("error", (/** @type {Error & {code?: number}} */ error) => this.#onError(error));
        this.#client.on("close", () => this.#end());
        this.#expect(LONGEST_START, "the bridge did not answer in time");
    }

    /** Publish at QoS 1; `published` tells when the broker has it. @param {number} number @param {string} topic @param {string} payload */
    publish(number, topic, payload) {
        this.#client.publish(topic, payload, { qos: 1 }, (/** @type {unknown} */ error) => {
            if (!error) {
                this.#tell({ fact: "published", number });
            }
        });
    }

    /** Send PUBACK for a message. PUBACKs leave in the order of arrival (MQTT-4.6.0-2), so it may be kept back. @param {number} mid */
    acknowledge(mid) {
        if (mid === 0 || this.#over) {
            return;
        }
        this.#taken.add(mid);
        while (this.#unacknowledged.length > 0 && this.#taken.delete(this.#unacknowledged[0])) {
            const first = this.#unacknowledged.shift() ?? 0;
            this.#client.stream.write(new Uint8Array([PUBACK, 2, first >> 8, first & 0xff]));
        }
    }

    /** Ask the broker whether it is still there; if nothing comes from it, the connection ends. */
    probe() {
        if (!this.#subscribed) {
            if (Date.now() - this.#begun > LONGEST_PROBE) {
                this.#expect(LONGEST_PROBE, "the bridge did not answer in time");
            }
        } else if (this.#deadline === undefined) {
            this.#client.sendPing();
            this.#expect(LONGEST_PROBE, "the bridge was gone after a pause");
        }
    }

    /** Disconnect, so that the will is not published; `ended` tells when that is done. */
    leave() {
        this.#client.end();
        this.#expect(LONGEST_LEAVING, "left");
    }

    /** @param {number} time @param {string} why */
    #expect(time, why) {
        clearTimeout(this.#deadline);
        if (this.#over) {
            return;
        }
        this.#deadline = setTimeout(() => {
            this.#why = why;
            this.#client.stream.destroy();
            this.#end();
        }, time);
    }

    #onConnect() {
        this.#why = "the connection broke";
        this.#tell({ fact: "connected" });
        this.#client.subscribe(this.#filters, { qos: 1 });
    }

    /** @param {any} packet */
    #onPacket(packet) {
        if (packet.cmd === "suback") {
            this.#subscribed = true;
            const refused = packet.granted.filter((/** @type {number} */ code) => code >= 0x80).length;
            this.#tell({ fact: "subscribed", refused });
        }
        if (this.#subscribed && !this.#client.disconnecting) {
            clearTimeout(this.#deadline);
            this.#deadline = undefined;
        }
    }

    /** @param {any} packet @param {(error?: Error) => void} done */
    #onMessage(packet, done) {
        const mid = packet.qos > 0 ? packet.messageId : 0;
        if (mid !== 0) {
            this.#unacknowledged.push(mid);
        }
        this.#tell({ fact: "arrived", topic: packet.topic, payload: new Uint8Array(packet.payload), mid });
        done(LATER);
    }

    /** @param {Error & {code?: number}} error */
    #onError(error) {
        this.#why = error.message;
        const denied = DENIED.get(error.code ?? 0);
        if (denied !== undefined && !this.#client.connected) {
            this.#tell({ fact: "denied", why: denied });
        }
    }

    #end() {
        if (!this.#over) {
            clearTimeout(this.#deadline);
            this.#tell({ fact: "ended", why: this.#why });
            this.#over = true;
        }
    }

    /** @param {Fact} fact */
    #tell(fact) {
        if (!this.#over) {
            this.#hear(fact);
        }
    }
}
