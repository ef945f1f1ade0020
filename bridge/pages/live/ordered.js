/** Ordered: many items by id, in the order of one column, of which a few at a time are looked at. */

/**
 * A column of a list.
 * @typedef {object} Column
 * @property {string} key
 * @property {string} head
 * @property {(item: any) => string | number | null} of what it is sorted by, and told by unless there is `shows`
 * @property {(item: any) => string} [shows]
 * @property {(item: any) => string | null} [tick] since when its seconds tick, if they do
 * @property {boolean} [number] whether it stands on the right
 * @property {boolean} [downwards] whether it is sorted downwards first
 */

/** Spell an item's value in a column, as it does not tick. */
export function spelled(column, item) {
    if (column.shows !== undefined) {
        return column.shows(item);
    }
    const value = column.of(item);
    return value === null || value === undefined ? "–" : String(value);
}

export class Ordered {
    #entries = new Map();
    #list = [];
    #moved = false;
    #gone = false;
    #column;
    #downwards = false;

    /** @param {Column[]} columns the first one decides where others are equal, and is what a text is looked for in */
    constructor(columns) {
        this.columns = columns;
        this.#column = columns[0];
    }

    get size() {
        return this.#entries.size;
    }

    get(id) {
        return this.#entries.get(id)?.item;
    }

    put(id, item) {
        const entry = this.#entries.get(id);
        const key = keyOf(this.#column, item);
        if (entry === undefined) {
            const made = { id, item, key, name: keyOf(this.columns[0], item), gone: false };
            this.#entries.set(id, made);
            this.#list.push(made);
            this.#moved = true;
            return;
        }
        const name = keyOf(this.columns[0], item);
        this.#moved ||= entry.key !== key || entry.name !== name;
        entry.item = item;
        entry.key = key;
        entry.name = name;
    }

    remove(id) {
        const entry = this.#entries.get(id);
        if (entry !== undefined) {
            entry.gone = true;
            this.#gone = true;
            this.#entries.delete(id);
        }
    }

    clear() {
        this.#entries.clear();
        this.#list = [];
    }

    /** Sort by a column, by its key. */
    sort(key, downwards) {
        const column = this.columns.find((one) => one.key === key) ?? this.columns[0];
        this.#downwards = downwards;
        this.#column = column;
        this.#moved = true;
        for (const entry of this.#list) {
            entry.key = keyOf(column, entry.item);
        }
    }

    /**
     * Give `count` items from place `first` on, of those that fit.
     * @param {{text?: string, field?: string, value?: string | null}} fit a part of the first column; a field's value
     * @returns {{fitting: number, rows: any[]}}
     */
    some(first, count, fit = {}) {
        this.#settle();
        const { field, value = null } = fit;
        const text = (fit.text ?? "").toLowerCase();
        if (text === "" && value === null) {
            return { fitting: this.#list.length, rows: this.#list.slice(first, first + count).map((one) => one.item) };
        }
        const rows = [];
        let fitting = 0;
        for (const { item, name } of this.#list) {
            if ((value === null || item[field] === value) && (text === "" || String(name).includes(text))) {
                if (fitting >= first && rows.length < count) {
                    rows.push(item);
                }
                fitting += 1;
            }
        }
        return { fitting, rows };
    }

    #settle() {
        if (this.#gone) {
            this.#list = this.#list.filter((entry) => !entry.gone);
            this.#gone = false;
        }
        if (this.#moved) {
            // What is nearly in order is sorted in about one pass.
            const turn = this.#downwards ? -1 : 1;
            this.#list.sort((one, other) => compare(one.key, other.key, turn) || compare(one.name, other.name, 1));
            this.#moved = false;
        }
    }
}

function keyOf(column, item) {
    const key = column.of(item);
    return typeof key === "string" ? key.toLowerCase() : (key ?? null);
}

/** What is not known stands last, whichever the direction. */
function compare(one, other, turn) {
    if (one === other) {
        return 0;
    }
    if (one === null || other === null) {
        return one === null ? 1 : -1;
    }
    return one < other ? -turn : turn;
}
