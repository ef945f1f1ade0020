/** Quarters: what is behind a quarter hour's numbers, and its like a week before. Zero and no data never look alike. */

export const QUARTER = 900_000;
const TOLD_LATE = 5; // seconds by which what is covered may be behind the clock

/** What `dataOf` says of quarter hours of which not all is known. */
export const INCOMPLETE = new Set(["part", "doubt", "none"]);

/**
 * Say what is behind a row's numbers: `complete`, `running` (complete so far), `ahead` (not begun), `part` (some of it
 * is not covered), `doubt` (covered, but something in it is not known yet), or `none`.
 */
export function dataOf(row, asOf) {
    if (row.complete) {
        return "complete";
    }
    const start = Date.parse(row.interval_start);
    if (start >= asOf) {
        return "ahead";
    }
    const passed = Math.min(QUARTER, asOf - start) / 1000;
    const runs = row.status === "open";
    const covered = row.coverage_s >= passed - (runs ? TOLD_LATE : 0);
    if (runs && covered) {
        return "running";
    }
    if (row.coverage_s === 0) {
        return "none";
    }
    return covered ? "doubt" : "part";
}

/** The same in words, by row. */
export const IN_WORDS = {
    complete: () => "complete",
    running: () => "still running",
    ahead: () => "",
    part: (row) => `part missing: ${row.coverage_s} of 900 s`,
    doubt: () => "in doubt: something is not known yet",
    none: () => "no data",
};

/** Give a row's number for the picture: null where there is none, and where a zero would only mean that nobody told. */
export function drawn(row, metric, data) {
    const value = row[metric];
    if (value === null || data === "ahead") {
        return null;
    }
    return value === 0 && !["complete", "running"].includes(data) ? null : value;
}

/** Spell a row's number for the table. */
export function said(row, metric, data) {
    const value = row[metric];
    if (data === "ahead" || (data === "none" && (value === 0 || value === null))) {
        return data === "ahead" ? "" : "no data";
    }
    return value === null ? "–" : value;
}

/** Find each row's like a week before: the same time on the clock, the first or second time it came. */
export function aligned(rows, before) {
    const known = new Map(numbered(before).map((key, place) => [key, before[place]]));
    return numbered(rows).map((key) => known.get(key));
}

function numbered(rows) {
    const met = new Map();
    return rows.map((row) => {
        const time = row.local_start.slice(11, 16);
        met.set(time, (met.get(time) ?? 0) + 1);
        return `${time} ${met.get(time)}`;
    });
}
