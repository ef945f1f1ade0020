/** Feeds: what is said where a part of the page has nothing to show, because a feed is not selected or it failed. */

import { claims, el } from "../page.js";

const WHAT = {
    lsm: "sessions, queues and agents as they are now",
    stt: "the quarter hours",
    cim: "the agents' days",
};

/** Whether the bridge said that the customer has not selected the feed. */
export function disabled(error) {
    return error.code === "feed_disabled";
}

/** Say which line of broker.yaml switches a feed on. */
export function howToSelect(feed, token) {
    const customer = claims(token).sub ?? "CUSTOMER";
    return el(
        "div",
        { class: "off" },
        el("p", {}, `This customer has not selected the feed ${feed}: ${WHAT[feed]}. This line of broker.yaml switches it on:`),
        el("pre", {}, `customers:\n  ${customer}:\n    cloudsync:\n      feeds: [${feed}]   # beside those that are there`),
        el("p", { class: "quiet" }, "Then let the bridge read it again (SIGHUP), and load this page again."),
    );
}

/** Say how to give the feeds their first events; for a part that needs any feed at all. */
export function howToSelectAny(token) {
    const customer = claims(token).sub ?? "CUSTOMER";
    return el(
        "div",
        { class: "off" },
        el("p", {}, "This customer has no CloudSync feed. This line of broker.yaml switches all of them on:"),
        el("pre", {}, `customers:\n  ${customer}:\n    cloudsync:\n      feeds: [lsm, stt, cim]`),
    );
}
