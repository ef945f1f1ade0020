/**
 * Records: the one that an agent has open, and the Activities, those put aside. Pure.
 */

export const MAX_ACTIVITIES = 50;

/** Only a record of the Activities can be resumed. */
export class NotInActivities extends Error {
    /** @param {string} reference */
    constructor(reference) {
        super(`not in the Activities: ${reference}`);
        this.name = "NotInActivities";
    }
}

/** What one agent has open, and what is suspended, newest first. The current record is never in the Activities. */
export class Records {
    /**
     * @param {string | null} current
     * @param {readonly string[]} activities
     */
    constructor(current = null, activities = []) {
        this.current = current;
        this.activities = Object.freeze([...activities]);
        Object.freeze(this);
    }

    /** Take over the bridge's account, which decides. @param {string | null} current @param {readonly string[]} activities */
    static told(current, activities) {
        return new Records(current, tidy(activities, current));
    }

    /** Open a record over the current one, which goes to the Activities. The same one: nothing changes. @param {string} reference */
    opening(reference) {
        return reference === this.current ? this : new Records(reference, tidy([this.current, ...this.activities], reference));
    }

    /** Open a record of the Activities again. Throws NotInActivities for any other. @param {string} reference */
    resuming(reference) {
        if (!this.activities.includes(reference)) {
            throw new NotInActivities(reference);
        }
        return this.opening(reference);
    }

    /** Put the current record aside. */
    suspending() {
        return new Records(null, tidy([this.current, ...this.activities], null));
    }

    /** Be done with a record, current or suspended. One that is neither changes nothing. @param {string} reference */
    closing(reference) {
        const current = reference === this.current ? null : this.current;
        return new Records(
            current,
            this.activities.filter((each) => each !== reference),
        );
    }
}

/**
 * @param {readonly (string | null)[]} activities
 * @param {string | null} current
 * @returns {string[]}
 */
function tidy(activities, current) {
    const distinct = new Set(activities.filter((each) => each !== null && each !== current));
    return /** @type {string[]} */ ([...distinct].slice(0, MAX_ACTIVITIES));
}
