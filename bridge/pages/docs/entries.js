/**
 * Entries: what the docs are made of: doors, topics, refusals and shapes, each made from what the documents say of it.
 *
 * @typedef {object} Entry
 * @property {string} id the fragment of its link
 * @property {(Node | string)[]} title
 * @property {string} words what the filter looks into
 * @property {() => (Node | null)[]} inside made when it is opened first
 */

import { copier, el } from "../page.js";
import { example } from "./example.js";
import { component, grid, marked, type } from "./schema.js";
import { endpoint, quoted, subscriber } from "../shell.js";

const METHODS = ["get", "post", "put", "delete"];
const JSON_TYPE = "application/json";

/**
 * Give the path of an operation.
 * @param {any} openapi
 * @param {string} id its operationId
 */
export function pathOf(openapi, id) {
    const is = ([, item]) => METHODS.some((method) => item[method]?.operationId === id);
    return Object.entries(openapi.paths).find(is)?.[0];
}

/** @returns {Entry[]} one for each method of each path */
export function doors(openapi) {
    const tokenPath = pathOf(openapi, "cloud_token");
    return Object.entries(openapi.paths).flatMap(([path, item]) =>
        METHODS.filter((method) => item[method] !== undefined).map((method) => {
            const operation = item[method];
            const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])];
            return {
                id: operation.operationId,
                title: [
                    el("span", { class: "method" }, method.toUpperCase()),
                    " ",
                    el("code", {}, path),
                    ` ${operation.summary}`,
                ],
                words: JSON.stringify([method, path, operation]),
                inside: () => [
                    el("p", {}, takes(operation, openapi)),
                    parameters.length === 0 ? null : parameterTable(parameters),
                    bodyOf(operation),
                    answerTable(operation),
                    el("h4", {}, "Try it"),
                    example(requestOf(method, path, parameters, operation), tokenPath),
                ],
            };
        }),
    );
}

const CREDENTIALS = {
    none: "Open to everybody.",
    key: "Takes an API key, as X-API-Key, `Authorization: Bearer`, the parameter `jwt`, or the password of Basic authentication.",
    observer: "Takes the token of an observer or admin, as `Authorization: Bearer`.",
    admin: "Takes an admin's token, as `Authorization: Bearer`.",
    feed: "Takes the token of a feed or admin, as `Authorization: Bearer`.",
    person: "Takes the user name and password of a person, by Basic authentication.",
    cloud_user: "Takes the user name and password of a Cloud user, by Basic authentication.",
    id_token: "Takes an IdToken of the Cloud API, as `Authorization: Bearer`.",
};

function takes(operation) {
    const said = marked(CREDENTIALS[operation["x-credential"]]);
    return operation.description === undefined ? said : [...said, " ", ...marked(operation.description)];
}

function parameterTable(parameters) {
    const rows = parameters.map((one) =>
        el(
            "tr",
            {},
            el("th", { scope: "row" }, el("code", {}, one.name)),
            el("td", {}, one.in),
            el("td", {}, one.required ? "required" : "optional"),
            el("td", {}, one.description === undefined ? type(one.schema) : marked(one.description)),
        ),
    );
    return grid(["parameter", "in", "", "what"], rows);
}

function bodyOf({ requestBody }) {
    if (requestBody === undefined) {
        return null;
    }
    const { schema } = requestBody.content[JSON_TYPE];
    const media = Object.keys(requestBody.content).join(", ");
    return el("div", {}, el("h4", {}, "Body"), el("p", { class: "quiet" }, media), component(schema));
}

function answerTable({ responses }) {
    const rows = Object.entries(responses).map(([status, { description, content = {} }]) => {
        const kinds = Object.entries(content);
        const shapes = kinds.map(([media, { schema }], number) => [
            number === 0 ? "" : " · ",
            ...(media === JSON_TYPE ? type(schema) : [media]),
        ]);
        return el("tr", {}, el("th", { scope: "row" }, status), el("td", {}, description), el("td", {}, shapes.flat()));
    });
    return el("div", {}, el("h4", {}, "Answers"), grid(["status", "when", "shape"], rows));
}

/** Put an operation's example together, as `example` takes it. */
function requestOf(method, path, parameters, operation) {
    const given = {};
    const query = [];
    for (const one of parameters.filter((parameter) => parameter.example !== undefined)) {
        const value = fresh(one.example, one.schema);
        if (one.in === "path") {
            given[one.name] = String(value);
        } else if (typeof value === "object") {
            query.push(...Object.entries(value));
        } else {
            query.push([one.name, value]);
        }
    }
    const spelled = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");
    const body = operation.requestBody?.content[JSON_TYPE].example;
    return {
        method: method.toUpperCase(),
        path: spelled === "" ? path : `${path}?${spelled}`,
        given,
        headers: body === undefined ? {} : { "Content-Type": JSON_TYPE },
        body: body === undefined ? undefined : JSON.stringify(body, null, 2),
        credential: operation["x-credential"],
    };
}

/** A time of an example is yesterday's: of that day there may be something to see. */
function fresh(value, { format }) {
    if (format !== "date" && format !== "date-time") {
        return value;
    }
    const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    return `${yesterday}${String(value).slice(10)}`;
}

/** @returns {Entry[]} one for each code */
export function refusals(openapi) {
    const tokenPath = pathOf(openapi, "cloud_token");
    return openapi["x-errors"].map((row) => ({
        id: `error-${row.code}`,
        title: [el("span", { class: "method" }, String(row.status)), " ", el("code", {}, row.code), ` ${row.title}`],
        words: JSON.stringify(row),
        inside: () => [
            el("p", {}, el("strong", {}, "What to do: "), marked(row.hint)),
            row.happens === undefined
                ? null
                : el("p", {}, el("strong", {}, "How it comes about: "), marked(row.happens)),
            ...(row.example === undefined ? [] : provoked(row, tokenPath)),
        ],
    }));
}

function provoked(row, tokenPath) {
    const { needs, method = "GET", credential = "none", ...request } = row.example;
    return [
        el("h4", {}, "Provoke it"),
        needs === undefined ? null : el("p", {}, "The customer needs this in broker.yaml: ", marked(needs), "."),
        example({ ...request, method, credential }, tokenPath),
    ];
}

/**
 * @param {any} asyncapi
 * @param {{customer?: string, mqtt: string}} told
 * @returns {Entry[]} one for each topic
 */
export function channels(asyncapi, told) {
    const customer = told.customer ?? "CUSTOMER";
    return Object.entries(asyncapi.channels).map(([name, channel]) => {
        const { action, bindings } = asyncapi.operations[name];
        return {
            id: `topic-${name}`,
            title: [el("code", {}, channel.address), ` ${channel.description}`],
            words: JSON.stringify([channel, action]),
            inside: () => [
                el(
                    "p",
                    {},
                    action === "send" ? "From the bridge" : "To the bridge",
                    `, QoS ${bindings.mqtt.qos}${bindings.mqtt.retain ? ", retained" : ""}.`,
                ),
                parts(channel.parameters),
                ...Object.entries(channel.messages).flatMap(([kind, message]) => said(kind, message)),
                command("Listen to it as an observer", listen(channel.address, customer, told.mqtt)),
                action === "send" ? null : command(...publish(channel, customer, told.mqtt)),
            ],
        };
    });
}

function parts(parameters) {
    const rows = Object.entries(parameters).flatMap(([name, { description }]) => [
        el("dt", {}, el("code", {}, name)),
        el("dd", {}, description),
    ]);
    return el("dl", {}, rows);
}

function said(kind, { payload, examples }) {
    return [
        el("h4", {}, "Message: ", type(payload)),
        ...examples.map((one) =>
            el("pre", { tabindex: "0", "aria-label": `Example: ${kind}` }, JSON.stringify(one.payload)),
        ),
    ];
}

function listen(address, customer, mqtt) {
    // A level that is a part stands for any; one with something beside the part cannot, but the rest of the topic can.
    const levels = address.replace("{CustomerID}", customer).split("/");
    const beside = levels.findIndex((level) => /{\w+}./.test(level));
    const filter = beside < 0 ? levels : [...levels.slice(0, beside), "#"];
    return subscriber({
        mqtt,
        customer,
        topic: filter.map((level) => (level.startsWith("{") ? "+" : level)).join("/"),
    });
}

const STANDS_FOR = {
    CustomerID: undefined,
    AgentId: "1001",
    Entity: "SupportTicket",
    PushTopicName: "Tickets",
    Mapped: "User",
};

function publish({ address, messages }, customer, mqtt) {
    const topic = address.replace(/{(\w+)}/g, (_, part) => STANDS_FOR[part] ?? customer);
    const [{ examples }] = Object.values(messages);
    const desktop = address.startsWith("ACK/");
    const [host, port] = endpoint(mqtt);
    const who = desktop ? quoted(`${customer}/1001`) : quoted(customer);
    return [
        desktop ? "Say it as the agent's desktop" : "Say it as a feed",
        `mosquitto_pub -V mqttv311 -q 1 -h ${quoted(host)} -p ${port} -u ${who} -P "$POPBRIDGE_TOKEN" ` +
            `-t ${quoted(topic)} -m ${quoted(JSON.stringify(examples[0].payload))}`,
    ];
}

function command(title, text) {
    return el(
        "div",
        { class: "spelled" },
        el("div", {}, el("h4", {}, title), copier(text)),
        el("pre", { tabindex: "0", "aria-label": title }, text),
    );
}

/** @returns {Entry[]} one for each shape of either document */
export function shapes(openapi, asyncapi) {
    const all = { ...asyncapi.components.schemas, ...openapi.components.schemas };
    return Object.entries(all).map(([name, schema]) => ({
        id: `schema-${name}`,
        title: [el("code", {}, name)],
        words: JSON.stringify([name, schema]),
        inside: () => component(schema),
    }));
}
