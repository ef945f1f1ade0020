/**
 * Retry: how long to wait before connecting again. Pure.
 */

export const FIRST_WAIT = 500;
export const LONGEST_WAIT = 30_000;

/**
 * Say how long to wait before attempt 1, 2, …, in milliseconds: any part (`chance`, 0 to 1) of a time that doubles up to a
 * limit. The whole range is used, so that the desktops of a centre do not come back together after a network cut.
 * @param {number} attempt
 * @param {number} chance
 */
export function waitBefore(attempt, chance) {
    return chance * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(attempt - 1, 10));
}
