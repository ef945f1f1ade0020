/**
 * Platforms: for each telephony platform what goes into which field of its form, and the request as it then arrives.
 *
 * The facts are those of examples/connections: how a platform carries the key, what it can send, how long it waits.
 */

import { formBody, getUrl, postBody } from "./request.js";

/**
 * @typedef {object} Platform
 * @property {string} name
 * @property {string} where the place in the platform
 * @property {"GET" | "JSON" | "form"} sends
 * @property {"query" | "body" | "header" | "bearer" | "basic"} key where it carries the key
 * @property {string} timeout
 * @property {string} [note]
 * @property {boolean} [old] HTTP/1.0, a connection for each request
 * @property {(asked: import("./request.js").Asked, url: string) => {name: string, text: string}} [code]
 */

/** @type {Platform[]} */
export const PLATFORMS = [
    {
        name: "Amazon Connect",
        where: "A Lambda function, called by the block “Invoke AWS Lambda function” of the contact flow",
        sends: "JSON",
        key: "header",
        timeout: "3 s by default, at most 8 s; add no retry",
        note: "The key is in the function's environment. The flow reads $.External.status.",
        code: lambda,
    },
    {
        name: "8x8",
        where: "The web integration of the agent workspace; the agent's browser sends it",
        sends: "JSON",
        key: "body",
        timeout: "The browser's; add no retry",
        note: "The workspace's origin must stand under `origins` in broker.yaml. The agent's browser sees the key: issue one for this alone.",
    },
    {
        name: "Avaya",
        where: "The web service or HTTP request node of the workflow",
        sends: "form",
        key: "body",
        old: true,
        timeout: "As set in the workflow; add no retry",
    },
    {
        name: "Cisco UCCE",
        where: "The REST client element of the CVP application",
        sends: "GET",
        key: "query",
        timeout: "As set in the element; add no retry",
        note: "Checking certificates is optional there: turn it on.",
    },
    {
        name: "Cisco UCCX",
        where: "The step “Make REST Call” of the script",
        sends: "JSON",
        key: "basic",
        timeout: "5 s to connect, 5 s to read; add no retry, branch on the step's status",
        note: "Its trust store must know the certificate, with the whole chain.",
    },
    {
        name: "Cisco WebEx Contact Center",
        where: "The activity “HTTP Request” of the flow",
        sends: "JSON",
        key: "bearer",
        timeout: "As set in the activity; at most one retry",
    },
    {
        name: "Five9",
        where: "A connector, triggered on call ringing or call accepted",
        sends: "GET",
        key: "query",
        timeout: "5 s; add no retry",
        note: "Its variables are not always URL-encoded: a plus that came as a blank is answered with the warning plus_lost.",
    },
    {
        name: "Genesys PureCloud",
        where: "A data action of the web services integration",
        sends: "form",
        key: "header",
        timeout: "About 3 s; add no retry",
        note: "Its templates put variables in without escaping them: a form is safer than JSON, and each variable needs $esc.uriEncode.",
        code: dataAction,
    },
    {
        name: "Genesys PureConnect",
        where: "A handler with the HTTP request tools",
        sends: "JSON",
        key: "body",
        old: true,
        timeout: "As set in the handler; add no retry",
    },
    {
        name: "Genesys PureEngage",
        where: "The web request block of the strategy, or an extension of the agent workspace",
        sends: "JSON",
        key: "header",
        timeout: "As set in the strategy: choose 5 s and no retry",
    },
    {
        name: "InContact Central",
        where: "The REST action of a script that the agent's skill runs",
        sends: "GET",
        key: "query",
        old: true,
        timeout: "As set in the action; add no retry",
    },
    {
        name: "InContact Hub",
        where: "The REST action of the hub's workflow",
        sends: "JSON",
        key: "bearer",
        timeout: "As set in the action; add no retry",
    },
    {
        name: "TalkDesk",
        where: "A custom connection, called by an automation",
        sends: "JSON",
        key: "header",
        timeout: "5 to 30 s, as set; add no retry",
        note: "It reads JSON without nulls and mixed types only: so are all answers, errors too.",
    },
    {
        name: "Twilio Flex",
        where: "The widget “Make HTTP Request” of a Studio flow, or a function called by Flex",
        sends: "form",
        key: "body",
        timeout: "10 s; it repeats by itself, with a token that keeps the pop from being popped twice",
    },
];

const KEY_FIELDS = {
    query: (key) => ["Key", `parameter jwt = ${key}`],
    body: (key) => ["Key", `field jwt = ${key}`],
    header: (key) => ["Header", `X-API-Key: ${key}`],
    bearer: (key) => ["Header", `Authorization: Bearer ${key}`],
    basic: (key) => ["Basic authentication", `user name popbridge, password ${key}`],
};

/**
 * Say what to enter in a platform's form.
 * @param {Platform} platform
 * @param {import("./request.js").Asked} asked
 * @param {string} origin
 * @param {string} key the key, or what stands for it
 * @returns {[string, string, boolean?][]} field, value, and whether the value is prose rather than what to enter
 */
export function fields(platform, asked, origin, key) {
    const url = `${origin}/api/sendmessage/${asked.api}`;
    const rows = [
        ["Where", platform.where, true],
        ["Method", platform.sends === "GET" ? "GET" : "POST"],
        ["URL", platform.sends === "GET" ? withKey(platform, getUrl(asked, origin), key) : url],
    ];
    if (platform.sends !== "GET") {
        rows.push(["Content type", contentType(platform)], ["Body", body(platform, asked, key)]);
    }
    rows.push(KEY_FIELDS[platform.key](key), ["Time-out and retries", platform.timeout, true]);
    if (platform.note !== undefined) {
        rows.push(["Mind", platform.note, true]);
    }
    return rows;
}

/** Spell the request as it arrives at the bridge; `KEY` stands for the key, also inside of `BASE64(…)`. */
export function arriving(platform, asked, host) {
    const url =
        platform.sends === "GET" ? withKey(platform, getUrl(asked, ""), "KEY") : `/api/sendmessage/${asked.api}`;
    const head = [
        `${platform.sends === "GET" ? "GET" : "POST"} ${url} HTTP/1.${platform.old ? 0 : 1}`,
        `Host: ${host}`,
        ...(platform.old ? ["Connection: close"] : []),
        ...({
            header: ["X-API-Key: KEY"],
            bearer: ["Authorization: Bearer KEY"],
            basic: ["Authorization: Basic BASE64(popbridge:KEY)"],
        }[platform.key] ?? []),
    ];
    if (platform.sends === "GET") {
        return `${head.join("\n")}\n\n`;
    }
    return `${[...head, `Content-Type: ${contentType(platform)}`].join("\n")}\n\n${body(platform, asked, "KEY")}`;
}

function contentType(platform) {
    return platform.sends === "JSON" ? "application/json" : "application/x-www-form-urlencoded";
}

function body(platform, asked, key) {
    if (platform.sends === "form") {
        return platform.key === "body" ? `${formBody(asked)}&jwt=${key}` : formBody(asked);
    }
    const json = postBody(asked);
    // What stands for the key is a word of its own, and a key has no character that JSON escapes.
    return platform.key === "body" ? `${json.slice(0, -1)}, "jwt": "${key}"}` : json;
}

function withKey(platform, url, key) {
    return platform.key === "query" ? `${url}&jwt=${key}` : url;
}

/** The Lambda function whole: Python, nothing but the standard library. */
function lambda(asked, url) {
    const wait = Number(asked.controls.wait);
    const key = asked.controls.key === "" ? ', "Idempotency-Key": contact["ContactId"]' : "";
    const text = [
        '"""Pop the agent\'s screen. Environment: POPBRIDGE_KEY."""',
        "import json, os, urllib.request",
        "",
        "",
        "def lambda_handler(event, context):",
        '    contact = event["Details"]["ContactData"]',
        // JSON's spelling of a text is one of Python's, too.
        `    body = json.loads(${JSON.stringify(postBody(asked))})`,
        '    body["ContactId"] = contact["ContactId"]',
        "    # What the contact flow passes on, such as agentid:",
        '    body.update(event["Details"].get("Parameters") or {})',
        '    headers = {"Content-Type": "application/json", "X-API-Key": os.environ["POPBRIDGE_KEY"]' + `${key}}`,
        `    request = urllib.request.Request(${JSON.stringify(url)}, json.dumps(body).encode(), headers)`,
        `    with urllib.request.urlopen(request, timeout=${Math.min(7.5, wait + 2.5)}) as answer:`,
        "        told = json.load(answer)",
        '    return {name: str(told[name]) for name in ("status", "popid", "receivers") if name in told}',
        "",
    ].join("\n");
    return { name: "lambda_function.py", text };
}

/** The data action's configuration, as it is imported. The data's names become the action's input. */
function dataAction(asked, url) {
    const variable = (name) => /^[A-Za-z][A-Za-z0-9_]*$/.test(name) && name !== "event" && !name.startsWith("pop_");
    const pairs = new Map(new URLSearchParams(formBody(asked)));
    const template = [...pairs].map(([name, value]) =>
        variable(name)
            ? `${name}=$esc.uriEncode("\${input.${name}}")`
            : `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
    );
    const request = {
        requestUrlTemplate: url,
        requestType: "POST",
        headers: { "X-API-Key": "${credentials.key}", "Content-Type": contentType({ sends: "form" }) },
        requestTemplate: template.join("&"),
    };
    const response = { translationMap: { status: "$.status" }, successTemplate: '{"status": ${status}}' };
    return {
        name: "Configuration of the data action",
        text: JSON.stringify({ config: { request, response } }, null, 2),
    };
}
