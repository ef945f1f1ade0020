/**
 * State: how a desktop stands with the bridge, and how it ends.
 *
 * @typedef {"lost" | "connected" | "caught up"} Standing
 */

/** How the desktop stands with the bridge. */
export const State = Object.freeze({
    /** Not connected, trying; also the state to begin with. */
    LOST: "lost",
    /** Subscribed: pops arrive. */
    CONNECTED: "connected",
    /** Connected, and what was held meanwhile has arrived. */
    CAUGHT_UP: "caught up",
});

/** The bridge does not accept the token for this agent. Get another token; trying again makes no sense. */
export class NotAuthorised extends Error {
    /** @param {string} why */
    constructor(why) {
        super(why);
        this.name = "NotAuthorised";
    }
}

/** This desktop was left: it hands out no more pops. */
export class Left extends Error {
    constructor() {
        super("this desktop was left");
        this.name = "Left";
    }
}
