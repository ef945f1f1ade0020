/**
 * Topics: how those that concern one agent's desktop are spelled, as bridge/words/topics.py spells them. Pure.
 */

const UNSAFE = /[/+#%]|^\$/g;

/**
 * Encode one topic level: `/ + # %` and a leading `$` become %XX, upper-case hex.
 * @param {string} text
 * @returns {string}
 */
export function level(text) {
    return text.replace(UNSAFE, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Where a desktop tells outcomes. @param {string} customer @param {string} agent */
export function ack(customer, agent) {
    return `ACK/${customer}/${level(agent)}`;
}

/** Where the bridge talks to an agent's desktops. @param {string} customer @param {string} agent */
export function desk(customer, agent) {
    return `DESK/${customer}/${level(agent)}`;
}

/**
 * List the filters a desktop subscribes to: with and without CtiId, CTI and CRM, and its own DESK topic.
 * @param {string} customer
 * @param {string} agent
 * @param {string} [cti] one CTI environment; without it, any
 * @returns {string[]}
 */
export function forDesktop(customer, agent, cti) {
    const own = level(agent);
    const environment = cti === undefined ? "+" : level(cti);
    return [
        `CTI/${customer}/${own}`,
        `CTI/${customer}/${environment}/${own}`,
        `CRM/${customer}/${own}`,
        `CRM/${customer}/+/${own}`,
        `DESK/${customer}/${own}`,
    ];
}
