/** Funnel: what became of the last 24 hours' pops, and how long it took. */

import { clock, el } from "../page.js";
import { Chart } from "./charts.js";
import { Part } from "./part.js";
import { Numbers, table } from "./tables.js";

const EVERY = 5_000;

const STEPS = [
    ["accepted", "Accepted", "the trigger was answered with a pop"],
    ["delivered", "Delivered", "a desktop's MQTT client acknowledged it"],
    ["shown", "Shown", "the desktop says that it opened it"],
    ["unchanged", "Unchanged", "it was the agent's current record already"],
    ["refused", "Refused", "it was not opened; why stands below"],
    ["expired", "Expired", "its time was over before a desktop acknowledged it"],
    ["recalled", "Recalled", "it was withdrawn before it was shown"],
];

const OPEN = [
    ["held", "no desktop was there yet"],
    ["sent", "written, not acknowledged yet"],
    ["delivered", "acknowledged; the desktop has not said more"],
];

const QUANTILES = [
    ["p50", "half of them within"],
    ["p90", "90 % within"],
    ["p99", "99 % within"],
    ["max", "the slowest"],
];

export class Funnel {
    #busy = false;
    #drawn = "";

    constructor(where) {
        this.part = new Part(where);
        this.told = el("p", { class: "quiet" });
        this.steps = el("div", { class: "steps" });
        this.rest = el("div", { class: "columns" });
        this.pops = new Chart("Pops by quarter hour");
        this.times = new Chart("Time from accepted to shown, by quarter hour");
        this.popNumbers = new Numbers("Pops by the quarter hour in which they were accepted", "pops");
        this.timeNumbers = new Numbers("Milliseconds from accepted to delivered and to shown, by quarter hour", "latency");
        this.part.body.replaceChildren(
            this.told,
            this.steps,
            this.rest,
            el(
                "div",
                { class: "columns" },
                [
                    ["Pops by quarter hour", this.pops, this.popNumbers],
                    ["Time from accepted to shown", this.times, this.timeNumbers],
                ].map(([title, chart, numbers]) =>
                    el("div", { class: "part" }, el("h3", {}, title), chart.element, numbers.buttons, numbers.trouble, numbers.where),
                ),
            ),
        );
    }

    /** Begin. */
    async start(token) {
        this.part.begin(token, EVERY, () => this.refresh());
        await this.refresh();
    }

    stop() {
        this.part.end();
        this.pops.close();
        this.times.close();
    }

    /** Ask again. */
    async refresh() {
        if (this.#busy || !this.part.goes) {
            return;
        }
        this.#busy = true;
        try {
            this.#show(await this.part.ask("/api/funnel"));
            this.part.well();
        } catch (error) {
            this.part.fail(error);
        } finally {
            this.#busy = false;
        }
    }

    #show(funnel) {
        const { totals, bins } = funnel;
        this.told.textContent =
            `From ${clock(funnel.from)}${dayOf(funnel.from) === dayOf(funnel.as_of) ? "" : " yesterday"} to ${clock(funnel.as_of)}, by when they were accepted.` +
            (funnel.complete === false ? " Older pops are still being counted." : "");
        const drawn = JSON.stringify([bins, funnel.open, funnel.reasons]);
        if (drawn === this.#drawn) {
            return;
        }
        this.#drawn = drawn;
        this.steps.replaceChildren(
            el(
                "table",
                { class: "funnel" },
                el("caption", {}, "Pops of the last 24 hours"),
                el("thead", {}, el("tr", {}, ["Step", "Pops", "Of all", "Share"].map((head, number) =>
                    el("th", { scope: "col", class: number === 1 || number === 2 ? "number" : number === 3 ? "share" : false }, head)))),
                el("tbody", {}, STEPS.map(([key, name, what]) => this.#step(name, what, totals[key], totals.accepted))),
            ),
        );
        this.rest.replaceChildren(
            el("div", {}, el("h3", {}, "How long it took"), spread("To delivered", funnel.delivered_ms), spread("To shown", funnel.shown_ms)),
            el("div", {}, el("h3", {}, "Still open"), open(funnel.open), el("h3", {}, "Why refused"), reasons(funnel.reasons)),
        );
        this.#pictures(bins);
    }

    #step(name, what, count, all) {
        const share = all > 0 ? count / all : 0;
        const bar = el("div", { class: "bar" });
        bar.style.width = `${Math.round(share * 1000) / 10}%`;
        return el(
            "tr",
            {},
            el("th", { scope: "row", title: what }, name),
            el("td", { class: "number" }, count.toLocaleString("en")),
            el("td", { class: "number" }, all > 0 ? `${Math.round(share * 1000) / 10} %` : "–"),
            el("td", { class: "share" }, bar),
        );
    }

    #pictures(bins) {
        const labels = bins.map((bin) => clock(bin.start).slice(0, 5));
        const failed = (bin) => bin.refused + bin.expired + bin.recalled;
        const sum = (count) => bins.reduce((all, bin) => all + count(bin), 0);
        this.pops.show({
            summary: `${sum((bin) => bin.accepted)} pops accepted, ${sum((bin) => bin.shown)} shown, ${sum(failed)} refused, expired or recalled in 24 hours.`,
            labels,
            series: [
                { label: "accepted", kind: "bars", colour: 1, values: bins.map((bin) => bin.accepted) },
                { label: "shown", kind: "bars", colour: 2, values: bins.map((bin) => bin.shown) },
                { label: "refused, expired or recalled", kind: "bars", colour: 3, values: bins.map(failed) },
            ],
            tell: (place) =>
                `${labels[place]}: ${STEPS.map(([key, name]) => `${name.toLowerCase()} ${bins[place][key]}`).join(", ")}`,
        });
        const timed = ["p50", "p90", "p99"];
        const told = bins.some((bin) => bin.shown_ms !== undefined);
        this.times.show({
            summary: told ? "Half, 90 % and 99 % of the pops that were shown took at most so long." : "No pop was shown yet.",
            labels,
            unit: " ms",
            series: timed.map((key, number) => ({
                label: { p50: "half of them", p90: "90 %", p99: "99 %" }[key],
                kind: "line",
                colour: number + 1,
                values: bins.map((bin) => bin.shown_ms?.[key] ?? null),
            })),
            tell: (place) => {
                const { shown_ms: shown } = bins[place];
                return `${labels[place]}: ${shown === undefined ? "none shown" : timed.map((key) => `${key.slice(1)} % within ${ms(shown[key])}`).join(", ")}`;
            },
        });
        // The file has whole times; the table those of the clock.
        this.popNumbers.show(
            [{ head: "From", key: "start" }, ...STEPS.map(([key, name]) => ({ head: name, key, number: true }))],
            bins.map((bin) => [bin.start, ...STEPS.map(([key]) => bin[key])]),
        );
        this.timeNumbers.show(
            [
                { head: "From", key: "start" },
                ...["delivered", "shown"].flatMap((step) =>
                    timed.map((key) => ({ head: `${step}, ${key.slice(1)} %`, key: `${step}_${key}_ms`, number: true })),
                ),
            ],
            bins.map((bin) => [
                bin.start,
                ...["delivered_ms", "shown_ms"].flatMap((step) => timed.map((key) => bin[step]?.[key] ?? "")),
            ]),
        );
    }
}

function dayOf(time) {
    return new Date(time).toDateString();
}

function spread(name, told) {
    if (told === undefined || (told.count ?? 0) === 0) {
        return el("p", {}, `${name}: none yet.`);
    }
    const parts = QUANTILES.filter(([key]) => told[key] !== undefined).map(([key, words]) => `${words} ${ms(told[key])}`);
    return el("p", {}, `${name} (${told.count.toLocaleString("en")} ${told.count === 1 ? "pop" : "pops"}): ${parts.join(", ")}.`);
}

function open(counts) {
    const some = OPEN.filter(([key]) => (counts[key] ?? 0) > 0);
    return some.length === 0
        ? el("p", {}, "None.")
        : el("ul", {}, some.map(([key, what]) => el("li", {}, `${counts[key]} ${key}: ${what}`)));
}

function reasons(counts) {
    const some = Object.entries(counts ?? {}).sort(([, one], [, other]) => other - one);
    return some.length === 0
        ? el("p", {}, "None was.")
        : table(
              "Refused, by reason",
              [{ head: "Reason" }, { head: "Pops", number: true }],
              some.map(([reason, count]) => [reason === "desktop" ? "further reasons of desktops" : reason, count]),
          );
}

function ms(value) {
    const tenth = (number) => Math.round(number * 10) / 10;
    return value < 1000 ? `${value < 10 ? tenth(value) : Math.round(value)} ms` : `${tenth(value / 1000)} s`;
}
