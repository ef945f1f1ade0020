/** Charts: bars and lines over places on a time axis, drawn by uPlot. Where there is no data there is a gap, hatched. */

import uPlot from "../../vendor/uPlot.esm.js";
import { el } from "../page.js";

const HEIGHT = 220;
const FILLED = 0.84; // of a place's width, by all its bars together

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {"bars" | "line" | "ghost"} kind `ghost`: a thin broken line, of another time
 * @property {number} colour 1 to 4
 * @property {Array<number | null>} values
 */

export class Chart {
    #plot = null;
    #shown = null;
    #theme = matchMedia("(prefers-color-scheme: dark)");
    #turned = () => this.#draw();

    /** @param {string} label what it shows, for who does not see it */
    constructor(label) {
        this.picture = el("div", { class: "picture", role: "img", "aria-label": label });
        this.legend = el("ul", { class: "legend" });
        this.readout = el("p", { class: "quiet readout" });
        this.element = el("div", { class: "chart" }, this.legend, this.picture, this.readout);
        this.label = label;
        new ResizeObserver(() => this.#fit()).observe(this.picture);
        this.#theme.addEventListener("change", this.#turned);
    }

    /** Let go of what it follows. */
    close() {
        this.#theme.removeEventListener("change", this.#turned);
        this.#plot?.destroy();
        this.#plot = null;
    }

    /**
     * Show.
     * @param {object} shown
     * @param {string} shown.summary what it shows now, for who does not see it
     * @param {string[]} shown.labels of the places, one after the other
     * @param {Series[]} shown.series
     * @param {boolean[]} [shown.gaps] places of which there is no data, or not all
     * @param {string} [shown.unit] after the numbers
     * @param {(place: number) => string} shown.tell says what is at a place, to who points there
     */
    show(shown) {
        this.#shown = shown;
        this.picture.setAttribute("aria-label", `${this.label}. ${shown.summary}`);
        this.readout.textContent = shown.summary;
        const gaps = shown.gaps?.includes(true) ? [{ label: "no data, or not all", kind: "gap" }] : [];
        this.legend.replaceChildren(
            ...[...shown.series, ...gaps].map((one) => el("li", { class: `${one.kind} colour-${one.colour}` }, one.label)),
        );
        this.#draw();
    }

    #fit() {
        const width = this.picture.clientWidth;
        if (this.#plot === null) {
            this.#draw();
        } else if (width > 0 && width !== this.#plot.width) {
            this.#plot.setSize({ width, height: HEIGHT });
        }
    }

    #draw() {
        const shown = this.#shown;
        if (shown === null || this.picture.clientWidth === 0) {
            return;
        }
        this.#plot?.destroy();
        const places = shown.labels.map((_, place) => place);
        this.#plot = new uPlot(
            this.#options(shown),
            [places, ...shown.series.map((one) => one.values)],
            this.picture,
        );
    }

    #options(shown) {
        const style = getComputedStyle(this.picture);
        const colour = (name) => style.getPropertyValue(name).trim();
        const axis = {
            stroke: colour("--quiet"),
            font: "12px system-ui, sans-serif",
            grid: { stroke: colour("--line"), width: 1 },
            ticks: { stroke: colour("--line"), width: 1 },
        };
        const count = shown.labels.length;
        const barred = shown.series.filter((one) => one.kind === "bars");
        return {
            width: this.picture.clientWidth,
            height: HEIGHT,
            legend: { show: false },
            cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
            scales: {
                x: { time: false, range: [-0.5, Math.max(1, count) - 0.5] },
                y: { range: (_, __, highest) => [0, highest > 0 ? highest * 1.08 : 1] },
            },
            axes: [
                {
                    ...axis,
                    space: 56,
                    incrs: [1, 2, 4, 8, 12, 16, 24, 32, 48, 96],
                    values: (_, splits) => splits.map((place) => shown.labels[place] ?? ""),
                },
                { ...axis, size: 56, values: (_, splits) => splits.map((value) => `${value}${shown.unit ?? ""}`) },
            ],
            series: [
                {},
                ...shown.series.map((one) => {
                    const stroke = colour(`--series-${one.colour}`);
                    if (one.kind === "bars") {
                        const paths = bars(barred.indexOf(one), barred.length);
                        return { label: one.label, fill: stroke, width: 0, paths, points: { show: false } };
                    }
                    const ghost = one.kind === "ghost";
                    const alone = (plot, series) => lonely(plot.data[series]);
                    return {
                        label: one.label,
                        stroke,
                        width: ghost ? 1.5 : 2,
                        dash: ghost ? [4, 4] : undefined,
                        points: { show: !ghost, filter: alone, size: 5, fill: stroke },
                    };
                }),
            ],
            hooks: {
                drawClear: [(plot) => hatch(plot, shown.gaps ?? [], colour("--quiet"))],
                setCursor: [
                    (plot) => {
                        const place = plot.cursor.idx;
                        this.readout.textContent = Number.isInteger(place) ? shown.tell(place) : shown.summary;
                    },
                ],
            },
        };
    }
}

/** Give the places of values without neighbours: no line would show them. */
function lonely(values) {
    const found = [];
    values.forEach((value, place) => {
        if (value !== null && (values[place - 1] ?? null) === null && (values[place + 1] ?? null) === null) {
            found.push(place);
        }
    });
    return found;
}

/** Draw one of `of` bars that stand beside each other at each place. */
function bars(number, of) {
    return (plot, series, first, last) => {
        const path = new Path2D();
        const values = plot.data[series];
        const ground = plot.valToPos(0, "y", true);
        const wide = ((plot.valToPos(1, "x", true) - plot.valToPos(0, "x", true)) * FILLED) / of;
        for (let place = first; place <= last; place += 1) {
            const value = values[place];
            if (value !== null && value !== undefined) {
                const left = plot.valToPos(place - FILLED / 2 + (FILLED * number) / of, "x", true);
                const top = plot.valToPos(value, "y", true);
                path.rect(left, top, Math.max(1, wide - (wide > 3 ? 1 : 0)), ground - top);
            }
        }
        return { stroke: null, fill: path, clip: null, band: null, gaps: null, flags: 1 };
    };
}

function hatch(plot, gaps, colour) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    ctx.globalAlpha = 0.45;
    const step = 7 * devicePixelRatio;
    gaps.forEach((gap, place) => {
        if (gap) {
            const left = plot.valToPos(place - 0.5, "x", true);
            const right = plot.valToPos(place + 0.5, "x", true);
            ctx.save();
            ctx.beginPath();
            ctx.rect(left, bbox.top, right - left, bbox.height);
            ctx.clip();
            ctx.beginPath();
            // The lines of neighbours meet: they are counted from the picture's edge.
            for (let at = left - (left % step) - bbox.height - step; at < right + step; at += step) {
                ctx.moveTo(at, bbox.top + bbox.height);
                ctx.lineTo(at + bbox.height, bbox.top);
            }
            ctx.stroke();
            ctx.restore();
        }
    });
    ctx.restore();
}
