/** Columns: what is shown of sessions, queues, agents and agents' days. The same for the page and its workers. */

const STATUS = { waiting: "waiting", in_progress: "in progress" };
const STATES = { break: "on a break", training: "in training", unknown: "not known" };

/** Say an agent's state in words. */
export function stateName(state) {
    return STATES[state] ?? state;
}

const LATE = 1e15; // ms, later than any time

const named = (id, name) => (item) => item[name] ?? (item[id] || null);
const time = (text) => (text === null ? null : -Date.parse(text)); // longer is more
const marks = (item) =>
    [item.breach ? "over the service level" : "", item.stale ? "stale: nothing was heard of it for hours" : ""]
        .filter((one) => one !== "")
        .join("; ");

/** @type {Record<string, import("./ordered.js").Column[]>} */
export const COLUMNS = {
    queues: [
        { key: "name", head: "Group", of: (item) => item.group_name ?? (item.group || "no group") },
        { key: "waiting", head: "Waiting", of: (item) => item.waiting, number: true, downwards: true },
        {
            key: "longest",
            head: "Longest",
            of: (item) => time(item.longest_waiting_since),
            shows: () => "–",
            tick: (item) => item.longest_waiting_since,
            number: true,
            downwards: true,
        },
        { key: "in_progress", head: "In progress", of: (item) => item.in_progress, number: true, downwards: true },
        { key: "available", head: "Available", of: (item) => item.available_agents, number: true },
        { key: "offered", head: "Offered today", of: (item) => item.offered, number: true, downwards: true },
        { key: "answered", head: "Answered", of: (item) => item.answered, number: true, downwards: true },
        { key: "abandoned", head: "Abandoned", of: (item) => item.abandoned, number: true, downwards: true },
        { key: "sl_pct", head: "In time, %", of: (item) => item.sl_pct, number: true },
    ],
    sessions: [
        { key: "name", head: "Session", of: (item) => item.id },
        { key: "status", head: "Status", of: (item) => item.status, shows: (item) => STATUS[item.status] ?? item.status },
        { key: "group", head: "Group", of: named("group", "group_name") },
        { key: "channel", head: "Channel", of: (item) => item.channel },
        { key: "agent", head: "Agent", of: named("agent", "agent_name") },
        {
            key: "waited",
            head: "Waited",
            // Who waits still stands above who has waited.
            of: (item) => (item.status === "waiting" ? LATE - Date.parse(item.queued_at) : item.waiting_s * 1000),
            shows: (item) => elapsed(item.waiting_s * 1000),
            tick: (item) => (item.status === "waiting" ? item.queued_at : null),
            number: true,
            downwards: true,
        },
        {
            key: "in_progress",
            head: "In progress",
            of: (item) => (item.status === "in_progress" ? time(item.since) : null),
            shows: () => "–",
            tick: (item) => (item.status === "in_progress" ? item.since : null),
            number: true,
            downwards: true,
        },
        { key: "marks", head: "Note", of: (item) => marks(item) || null, shows: marks },
    ],
    agents: [
        { key: "name", head: "Agent", of: named("agent", "agent_name") },
        { key: "state", head: "State", of: (item) => item.state, shows: (item) => stateName(item.state) },
        {
            key: "since",
            head: "For",
            of: (item) => time(item.since),
            shows: () => "–",
            tick: (item) => item.since,
            number: true,
            downwards: true,
        },
        { key: "reason", head: "Reason", of: (item) => item.reason },
        { key: "open_sessions", head: "Sessions", of: (item) => item.open_sessions, number: true, downwards: true },
        { key: "capacity", head: "Capacity", of: (item) => item.capacity, number: true, downwards: true },
    ],
    days: [
        { key: "name", head: "Agent", of: named("agent", "agent_name") },
        { key: "group", head: "Group", of: (item) => (item.group === "*" ? "all" : (item.group_name ?? item.group)) },
        ...count("offered_to_agent", "Offered"),
        ...count("accepted", "Accepted"),
        ...count("missed", "Missed"),
        ...count("handled", "Handled"),
        ...duration("talk_s", "Talk"),
        ...duration("aht_s", "Handle, mean"),
        ...duration("login_s", "Logged in"),
        ...duration("available_s", "Available"),
        ...duration("busy_s", "Busy"),
        ...count("occupancy_pct", "Occupancy, %"),
        ...count("tickets_assigned", "Tickets"),
        ...count("closed", "Closed"),
        { key: "data", head: "Data", of: (item) => dayData(item) },
    ],
};

function count(key, head) {
    return [{ key, head, of: (item) => item[key], number: true, downwards: true }];
}

function duration(key, head) {
    const shows = (item) => (item[key] === null ? "–" : elapsed(item[key] * 1000));
    return [{ key, head, of: (item) => item[key], shows, number: true, downwards: true }];
}

function dayData(item) {
    if (item.complete) {
        return "complete";
    }
    return item.status === "open" ? "so far" : item.coverage_s === 0 ? "no data" : "part missing";
}

/** Spell how long something lasts: 0:07, 12:34, 1:02:03, 2 d 3 h. */
export function elapsed(ms) {
    const seconds = Math.max(0, Math.floor(ms / 1000));
    const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600), Math.floor(seconds / 60)];
    const two = (number) => String(number).padStart(2, "0");
    if (days > 0) {
        return `${days} d ${hours % 24} h`;
    }
    return hours > 0 ? `${hours}:${two(minutes % 60)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
