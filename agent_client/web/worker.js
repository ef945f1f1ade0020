/**
 * Worker: keeps the connection where the timers of a hidden tab are not slowed down.
 *
 * MQTT.js waits with a timer for each packet and each ping. A tab that is hidden for five minutes gets its timers once a
 * minute: its connection would break and come back late, again and again. In a Worker nothing is slowed down, and what it
 * tells arrives at once.
 */

import mqtt from "../vendor/mqtt.esm.js";
import { onWaking } from "./clock.js";
import { Connection } from "./connection.js";

/** @typedef {import("./line.js").Order} Order */

/** @type {Connection | undefined} */
let connection;
let current = 0;

self.addEventListener("message", (/** @type {MessageEvent<Order>} */ { data: order }) => {
    if (order.order === "start") {
        const { line } = order;
        current = line;
        connection = new Connection(mqtt, order.login, (fact) => self.postMessage({ line, fact }), "native");
        return;
    }
    if (connection === undefined || order.line !== current) {
        return;
    }
    switch (order.order) {
        case "publish":
            connection.publish(order.number, order.topic, order.payload);
            break;
        case "acknowledge":
            connection.acknowledge(order.mid);
            break;
        case "probe":
            connection.probe();
            break;
        case "leave":
            connection.leave();
            break;
    }
});

onWaking(() => self.postMessage({ woke: true }));
self.postMessage({ ready: true });
