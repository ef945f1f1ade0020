/** Intervals: a group's day by quarter hours, beside the same day a week before. */

import { el } from "../page.js";
import { Chart } from "./charts.js";
import { Part } from "./part.js";
import { aligned, dataOf, drawn, IN_WORDS, INCOMPLETE, QUARTER, said } from "./quarters.js";
import { Numbers } from "./tables.js";

const HOUR = 3_600_000;
const EVERY = 60_000;
const AROUND = [14 * HOUR, 38 * HOUR]; // a local day of any zone lies within these of its date's 00:00 in UTC

const TOGETHER = {
    tickets: {
        name: "Tickets: created, closed, open at the end",
        series: [
            ["created", "created", "bars"],
            ["closed", "closed", "bars"],
            ["backlog_close", "open at the end", "line"],
        ],
    },
    contacts: {
        name: "Contacts: offered, answered, abandoned",
        series: [
            ["offered", "offered", "bars"],
            ["answered", "answered", "bars"],
            ["abandoned", "abandoned", "bars"],
        ],
    },
};

const NAMES = {
    sl_pct: "service level",
    abandon_pct: "abandoned, share",
    asa_s: "speed of answer, mean",
    aht_s: "handle time, mean",
    frt_avg_s: "first response, mean",
    res_avg_s: "resolution, mean",
    backlog_close: "tickets open at the end",
    open_end: "contacts waiting at the end",
};

const MARKS = new Set(["revision", "status", "complete", "coverage_s", "computed_at"]);
const KEYS = new Set(["interval_start", "interval_end", "local_start", "group", "group_name", "channel", "priority"]);

export class Intervals {
    #rows = [];
    #before = [];
    #asOf = 0;
    #asked = 0;
    #today = "";

    constructor(where) {
        this.part = new Part(where);
        this.part.body.hidden = true;
        this.group = el("select", { id: "stt-group", onchange: () => this.#load() }, el("option", { value: "*" }, "All groups"));
        this.metric = el("select", { id: "stt-metric", onchange: () => this.#show() }, this.#together());
        this.day = el("input", { id: "stt-day", type: "date", required: true, onchange: () => this.#load() });
        this.ghost = el("input", { id: "stt-ghost", type: "checkbox", checked: true, onchange: () => this.#show() });
        this.chart = new Chart("Quarter hours of a day");
        this.numbers = new Numbers("Quarter hours", "stt", () => ({ path: this.#shownPath(), token: this.part.token }));
        this.controls = el(
            "div",
            { class: "choices" },
            el("div", {}, el("label", { for: "stt-group" }, "Group"), this.group),
            el("div", {}, el("label", { for: "stt-metric" }, "Numbers"), this.metric),
            el("div", {}, el("label", { for: "stt-day" }, "Day"), this.day),
            el("label", { class: "tick" }, this.ghost, " a week before"),
        );
        this.part.body.replaceChildren(
            this.controls,
            this.chart.element,
            this.numbers.buttons,
            this.numbers.trouble,
            this.numbers.where,
        );
    }

    /** The date in the customer's zone; "" while that is not known. */
    get today() {
        return this.#today;
    }

    /** Begin. */
    async start(token) {
        this.part.begin(token, EVERY, () => this.refresh());
        await this.#go();
    }

    /** Ask again: a day that is over may be restated. */
    refresh() {
        if (this.part.goes) {
            this.#go();
        }
    }

    stop() {
        this.part.end();
        this.chart.close();
    }

    async #go() {
        try {
            if (this.#today === "") {
                await this.#choose();
                this.part.body.hidden = false;
            }
        } catch (error) {
            this.part.fail(error, "stt");
            return;
        }
        await this.#load();
        const last = this.#rows.at(-1);
        if (last !== undefined && this.day.value === this.#today && Date.parse(last.interval_end) <= this.#asOf) {
            this.#today = moment(Date.parse(`${this.#today}T00:00:00Z`) + 24 * HOUR).slice(0, 10);
            this.day.value = this.#today;
            await this.#load();
        }
    }

    /** Learn what groups there are and what day it is, from the quarter hour that runs. */
    async #choose() {
        const now = Math.floor(Date.now() / QUARTER) * QUARTER;
        const span = `from=${moment(now)}&to=${moment(now + QUARTER)}`;
        const [all, each] = await Promise.all([
            this.part.ask(`/api/stt?${span}&group=*`),
            this.part.ask(`/api/stt?${span}`),
        ]);
        const row = all.rows[0];
        this.#today = row === undefined ? moment(Date.now()).slice(0, 10) : row.local_start.slice(0, 10);
        this.day.value = this.#today;
        for (const { group, group_name: name } of each.rows) {
            this.group.append(el("option", { value: group }, name ?? (group || "no group")));
        }
        const single = Object.keys(row ?? {}).filter((key) => !KEYS.has(key) && !MARKS.has(key));
        this.metric.append(
            el("optgroup", { label: "One number" }, single.map((key) => el("option", { value: key }, NAMES[key] ?? plain(key)))),
        );
    }

    #together() {
        const options = Object.entries(TOGETHER).map(([key, { name }]) => el("option", { value: key }, name));
        return el("optgroup", { label: "Together" }, options);
    }

    #path(day) {
        const middle = Date.parse(`${day}T00:00:00Z`);
        const span = `from=${moment(middle - AROUND[0])}&to=${moment(middle + AROUND[1])}`;
        return `/api/stt?${span}&group=${encodeURIComponent(this.group.value)}`;
    }

    /** Give the path of exactly what is shown. */
    #shownPath() {
        const group = encodeURIComponent(this.group.value);
        if (this.#rows.length === 0) {
            return this.#path(this.day.value);
        }
        return `/api/stt?from=${this.#rows[0].interval_start}&to=${this.#rows.at(-1).interval_end}&group=${group}`;
    }

    async #load() {
        const day = this.day.value;
        if (day === "") {
            return;
        }
        this.#asked += 1;
        const turn = this.#asked;
        try {
            const [now, then] = await Promise.all([this.#ofDay(day), this.#ofDay(weekBefore(day))]);
            if (turn !== this.#asked) {
                return; // another choice was made meanwhile
            }
            this.#asOf = Date.parse(now.asOf);
            this.#rows = now.rows;
            this.#before = then.rows;
            this.part.well();
            this.#show();
        } catch (error) {
            if (turn === this.#asked) {
                this.part.fail(error, "stt");
            }
        }
    }

    /** Ask for a local day: more than it, of which the rows tell their local time. */
    async #ofDay(day) {
        const { as_of: asOf, rows } = await this.part.ask(this.#path(day));
        return { asOf, rows: rows.filter((row) => row.local_start.startsWith(day)) };
    }

    #show() {
        const asOf = this.#asOf;
        const chosen = TOGETHER[this.metric.value]?.series ?? [
            [this.metric.value, NAMES[this.metric.value] ?? plain(this.metric.value), "bars"],
        ];
        const data = this.#rows.map((row) => dataOf(row, asOf));
        const labels = this.#rows.map((row) => row.local_start.slice(11, 16));
        const earlier = this.ghost.checked ? aligned(this.#rows, this.#before) : null;
        const series = chosen.map(([metric, label, kind], number) => ({
            label,
            kind,
            colour: number + 1,
            values: this.#rows.map((row, place) => drawn(row, metric, data[place])),
        }));
        const ghosts = chosen.map(([metric, label], number) => ({
            label: `${label}, a week before`,
            kind: "ghost",
            colour: number + 1,
            values: (earlier ?? []).map((row) => (row === undefined ? null : drawn(row, metric, dataOf(row, asOf)))),
        }));
        const gaps = data.map((one) => INCOMPLETE.has(one));
        const missing = gaps.filter(Boolean).length;
        const name = this.group.selectedOptions[0]?.textContent ?? "";
        const tell = (place) =>
            [
                `${labels[place]}: ${chosen.map(([metric, label]) => `${label} ${said(this.#rows[place], metric, data[place])}`).join(", ")}`,
                data[place] === "complete" ? "" : IN_WORDS[data[place]](this.#rows[place]),
            ]
                .filter((part) => part !== "")
                .join("; ");
        this.chart.show({
            summary: `${name}, ${this.day.value}${zoneOf(this.#rows)}: ${missing === 0 ? "no gap" : `${missing} quarter hours without data, or not all of it`}.`,
            labels,
            series: [...series, ...ghosts.filter((one) => one.values.some((value) => value !== null))],
            gaps,
            unit: unitOf(this.metric.value),
            tell,
        });
        const before = (row, metric) => (row === undefined ? "" : said(row, metric, dataOf(row, asOf)));
        this.numbers.show(
            [
                { head: "From" },
                ...chosen.map(([, label]) => ({ head: label, number: true })),
                ...(earlier === null ? [] : chosen.map(([, label]) => ({ head: `${label}, a week before`, number: true }))),
                { head: "Data" },
            ],
            this.#rows.map((row, place) => [
                row.local_start.slice(11, 16) + (labels.indexOf(labels[place]) === place ? "" : ` ${row.local_start.slice(19)}`),
                ...chosen.map(([metric]) => said(row, metric, data[place])),
                ...(earlier === null ? [] : chosen.map(([metric]) => before(earlier[place], metric))),
                IN_WORDS[data[place]](row),
            ]),
        );
    }
}

function weekBefore(day) {
    return moment(Date.parse(`${day}T00:00:00Z`) - 7 * 24 * HOUR).slice(0, 10);
}

function moment(ms) {
    return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function zoneOf(rows) {
    const offset = rows[0]?.local_start.slice(19);
    return offset === undefined ? "" : ` (UTC${offset === "Z" || offset === "+00:00" ? "" : offset})`;
}

function plain(key) {
    return key.replace(/_s$/, " (s)").replace(/_pct$/, " (%)").replaceAll("_", " ");
}

function unitOf(metric) {
    return metric.endsWith("_pct") ? " %" : metric.endsWith("_s") ? " s" : "";
}
