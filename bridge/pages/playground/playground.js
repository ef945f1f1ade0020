/**
 * Playground: a form that spells a trigger in every way it can be sent, sends it, and shows what becomes of the pop.
 *
 * A secret is in no address, no history and no element, unless "show my key" is ticked.
 */

import { about, announce, ask, claims, copier, credential, el, failure, forget, one, send, signedIn } from "../page.js";
import { read, shown } from "../answer.js";
import { arriving, fields, PLATFORMS } from "./platforms.js";
import { cloudBody, cloudUrl, getUrl, postBody, topic, Unsaid } from "./request.js";
import { curl, quoted, secretHeader, subscriber } from "../shell.js";
import { follow } from "./steps.js";

const form = one("#request");
const JSON_FIELD = "Content-Type: application/json";
const state = {
    key: undefined,
    signing: undefined,
    told: {},
    paths: { token: "/api/cloud/token", pop: "/api/cloud/pop" },
    // The topic that the bridge named for what the form said then.
    last: { said: "", topic: "" },
    following: new AbortController(),
};

/** Read the form. */
function asked() {
    const value = (name) => form.elements[name].value;
    const rows = [...document.querySelectorAll(".row")]
        .map((row) => [...row.querySelectorAll("input")].map((box) => box.value))
        .filter(([name]) => name !== "");
    const json = value("spelling") === "json";
    return {
        api: value("api"),
        agent: value("agent"),
        event: value("event"),
        crmid: value("crmid"),
        ctiid: value("ctiid"),
        campaign: value("campaign"),
        reference: value("reference"),
        rows: json ? [] : rows,
        json: json ? one("#json").value : "",
        controls: {
            wait: value("wait"),
            until: value("until"),
            ttl: value("ttl"),
            key: value("key"),
            dryrun: form.elements.dryrun.checked,
        },
    };
}

/** Show everything that follows from the form. */
function spell() {
    const said = asked();
    for (const part of document.querySelectorAll("[data-for]")) {
        part.hidden = !part.dataset.for.split(" ").includes(said.api);
    }
    one("label[for=agent]").textContent = said.api === "cloud" ? "Username" : "agentid";
    const json = form.elements.spelling.value === "json";
    one("#rows").hidden = one("#add").hidden = json;
    one("#as-json").hidden = !json;
    const wrong = one("#unsaid");
    try {
        const visible = one("#show-key").checked;
        one("#spelled").replaceChildren(...(said.api === "cloud" ? cloud(said, visible) : connect(said, visible)));
        if (said.api !== "cloud") {
            one("#recipe").replaceChildren(recipe(said, visible));
        }
        wrong.hidden = true;
    } catch (error) {
        if (!(error instanceof Unsaid)) {
            throw error;
        }
        wrong.textContent = error.message;
        wrong.hidden = false;
    }
    one("#send").disabled = !wrong.hidden;
}

function connect(said, visible) {
    const key = visible ? state.key : undefined;
    const url = `${location.origin}/api/sendmessage/${said.api}`;
    const header = secretHeader("X-API-Key: ", "POPBRIDGE_KEY", key);
    one("#variables").textContent = "If not shown, it is taken from the variable POPBRIDGE_KEY of your shell.";
    return [
        block("GET URL", `${getUrl(said, location.origin)}&jwt=${key ?? "$POPBRIDGE_KEY"}`, "get-url"),
        block("POST body", postBody(said), "post-body"),
        block(
            "curl, by POST",
            curl({ method: "POST", url, secrets: [header], headers: [JSON_FIELD], body: postBody(said) }),
            "curl-post",
        ),
        block(
            "curl, by GET",
            curl({ method: "GET", url: getUrl(said, location.origin), secrets: [header] }),
            "curl-get",
        ),
        listener(said, visible),
    ];
}

function cloud(said, visible) {
    const { username, password } = cloudUser();
    const url = `${location.origin}${state.paths.token}`;
    const user =
        visible && password !== ""
            ? quoted(`${username}:${password}`)
            : `${quoted(username || "USER")}:"$POPBRIDGE_PASSWORD"`;
    const pick = String.raw`sed -n 's/.*"IdToken":"\([^"]*\)".*/\1/p'`;
    one("#variables").textContent =
        "If not shown, the password is taken from the variable POPBRIDGE_PASSWORD of your shell.";
    return [
        block(
            "curl for the token",
            `POPBRIDGE_ID_TOKEN=$(curl -sS -u ${user} ${quoted(url)} |\n  ${pick})`,
            "curl-token",
        ),
        block("POST body", cloudBody(said), "post-body"),
        block(
            "curl for the pop",
            curl({
                method: "POST",
                url: cloudUrl(said, location.origin + state.paths.pop),
                secrets: [secretHeader("Authorization: Bearer ", "POPBRIDGE_ID_TOKEN")],
                headers: [JSON_FIELD],
                body: cloudBody(said),
            }),
            "curl-pop",
        ),
        listener(said, visible),
    ];
}

function listener(said, visible) {
    const { mqtt = "127.0.0.1:1883", customer, observer } = state.told;
    const who = customer ?? claims(state.key ?? "").sub ?? "CUSTOMER";
    const named = state.last.said === JSON.stringify(said) ? state.last.topic : topic(said, who);
    const line = subscriber({ mqtt, customer: who, topic: named, secret: visible ? observer : undefined });
    return block("Watch its topic, with an observer's token in POPBRIDGE_OBSERVER", line, "watch");
}

function recipe(said, visible) {
    const platform = PLATFORMS.find(({ name }) => name === one("#platform").value);
    const rows = fields(platform, said, location.origin, visible && state.key ? state.key : "$POPBRIDGE_KEY");
    const code = platform.code?.(said, `${location.origin}/api/sendmessage/${said.api}`);
    return el(
        "div",
        {},
        el(
            "dl",
            { class: "recipe" },
            rows.flatMap(([name, value, prose]) => [
                el("dt", {}, name),
                el("dd", {}, prose ? value : el("code", {}, value)),
            ]),
        ),
        code === undefined ? null : block(code.name, code.text, "code"),
        block("So it arrives; KEY stands for the key", arriving(platform, said, location.host), "arriving"),
    );
}

function block(title, text, id) {
    return el(
        "div",
        { class: "spelled" },
        el("div", {}, el("h3", {}, title), named(copier(text), title)),
        el("pre", { id, tabindex: "0", "aria-label": title }, text),
    );
}

function named(button, title) {
    button.setAttribute("aria-label", `Copy: ${title}`);
    return button;
}

/** Give the Cloud API's user as typed; where nothing is typed, the demo's. */
function cloudUser() {
    const username = form.elements.username.value;
    const typed = form.elements.password.value;
    const demo = state.told.cloud;
    const password = typed === "" && demo !== undefined && demo.username === username ? demo.password : typed;
    return { username, password };
}

/** Send what the form says, show the answer, and follow the pop. */
async function submit() {
    state.following.abort();
    state.following = new AbortController();
    const { signal } = state.following;
    const said = asked();
    one("#story").replaceChildren();
    one("#answer").replaceChildren(el("p", { role: "status" }, "Sent; waiting for the answer."));
    try {
        const response = await answered(said, signal);
        await afterwards(said, response, signal);
    } catch (error) {
        if (!signal.aborted) {
            one("#story").append(failure(error));
        }
    }
}

/** Send, and show the answer; nothing else is sent until it came. */
async function answered(said, signal) {
    one("#send").disabled = true;
    try {
        if (said.api !== "cloud" && state.key === undefined) {
            await signIn("A key is needed to send this.");
        }
        const begun = performance.now();
        const response = said.api === "cloud" ? await popByCloud(said, signal) : await trigger(said, signal);
        const text = await response.text();
        one("#answer").replaceChildren(shown({ status: response.status, text, took: performance.now() - begun }));
        announce(`The bridge answered ${response.status}.`);
        return { status: response.status, told: read(text) ?? {} };
    } finally {
        one("#send").disabled = false;
    }
}

async function trigger(said, signal) {
    const headers = { "X-API-Key": state.key };
    if (form.elements.method.value === "GET") {
        return send(getUrl(said, ""), { headers, signal });
    }
    const fields = { ...headers, "Content-Type": "application/json" };
    return send(`/api/sendmessage/${said.api}`, { method: "POST", body: postBody(said), headers: fields, signal });
}

async function popByCloud(said, signal) {
    const { username, password } = cloudUser();
    const bytes = new TextEncoder().encode(`${username}:${password}`);
    const basic = `Basic ${btoa(String.fromCharCode(...bytes))}`;
    const granted = await send(state.paths.token, { headers: { Authorization: basic }, signal });
    if (!granted.ok) {
        return granted;
    }
    const { IdToken } = (await granted.json()).Result;
    const headers = { "Content-Type": "application/json" };
    return send(cloudUrl(said, state.paths.pop), {
        method: "POST",
        body: cloudBody(said),
        headers,
        token: IdToken,
        signal,
    });
}

/** Follow what came of it, as far as there is a credential that may read it. */
async function afterwards(said, { status, told }, signal) {
    if (status === 401 && said.api !== "cloud") {
        forget("key");
        await signIn(`The key was refused. ${told.detail ?? ""}`);
        return;
    }
    if (told.topic !== undefined) {
        state.last = { said: JSON.stringify(said), topic: told.topic };
        spell();
    }
    const popid = told.popid ?? told.Result?.PopId;
    if (popid === undefined) {
        return;
    }
    const token = said.api === "cloud" ? await credential("observer") : state.key;
    if (token === undefined) {
        const where = el("a", { href: "/live" }, "live floor");
        const text = "The steps of a Cloud pop are read with an observer's token. Sign in to the ";
        one("#story").replaceChildren(
            el("p", { class: "quiet" }, text, where, " in this tab, come back and send again."),
        );
        return;
    }
    const first = told.status === "duplicate" ? el("p", {}, "The steps are those of the first one.") : "";
    const place = el("div");
    one("#story").replaceChildren(first, place);
    await follow(popid, token, place, signal);
}

/** Take the key that is kept, or ask for one; who asks meanwhile waits for the same. */
function signIn(why) {
    state.key = undefined;
    state.signing ??= asking(why).finally(() => (state.signing = undefined));
    return state.signing;
}

async function asking(why) {
    const place = one("#sign-in");
    const signing = signedIn("key", place, why);
    if (why !== undefined) {
        place.querySelector("input").focus();
    }
    state.key = await signing;
    tellWhose();
    spell();
}

function tellWhose() {
    const { sub } = claims(state.key ?? "");
    const whose = state.key === state.told.key ? "the demo's" : "kept in this tab only";
    one("#whose").replaceChildren(`API key of ${sub ?? "a customer"}: ${whose}. `);
    if (state.key !== state.told.key) {
        const other = () => {
            forget("key");
            one("#whose").replaceChildren();
            signIn("Give the other key.");
        };
        one("#whose").append(el("button", { type: "button", onclick: other }, "Use another"));
    }
}

function addRow(name = "", value = "") {
    const row = el("div", { class: "row" });
    const remove = () => {
        row.remove();
        one("#add").focus();
        spell();
    };
    row.append(
        el("input", { "aria-label": "Name", value: name, spellcheck: "false", placeholder: "name" }),
        el("input", { "aria-label": "Value", value, spellcheck: "false", placeholder: "value" }),
        el("button", { type: "button", "aria-label": "Remove this row", onclick: remove }, "✕"),
    );
    one("#rows").append(row);
    return row;
}

async function start() {
    addRow("caller", "+15551234567");
    one("#platform").append(...PLATFORMS.map(({ name }) => el("option", {}, name)));
    form.addEventListener("input", spell);
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        submit();
    });
    one("#add").addEventListener("click", () => {
        addRow().querySelector("input").focus();
        spell();
    });
    for (const id of ["#show-key", "#platform"]) {
        one(id).addEventListener("input", spell);
    }
    spell();
    state.told = await about();
    form.elements.username.value = state.told.cloud?.username ?? "";
    form.elements.password.placeholder = state.told.cloud === undefined ? "" : "the demo's, if left empty";
    const { paths } = await ask("/openapi.json");
    for (const [path, { get, post }] of Object.entries(paths)) {
        if (get?.operationId === "cloud_token") {
            state.paths.token = path;
        } else if (post?.operationId === "cloud_pop") {
            state.paths.pop = path;
        }
    }
    spell();
    await signIn();
}

start().catch((error) => one("#answer").replaceChildren(failure(error)));
