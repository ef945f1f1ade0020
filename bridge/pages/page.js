/**
 * Page: what every page has: elements made of text, the APIs asked with a credential, and the credential itself.
 *
 * Nothing here, or on any page, makes HTML out of a string: what comes from outside becomes text.
 */

/**
 * Make an element.
 * @param {string} name the tag
 * @param {Record<string, unknown>} [given] attributes; `class`, `onclick` and other listeners (functions) as well;
 *     a boolean sets or leaves out the attribute; `value` and `checked` are set as properties
 * @param {...(Node | string | number | null | undefined | Array<Node | string>)} inside children; what is no node is text
 * @returns {HTMLElement}
 */
export function el(name, given = {}, ...inside) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(given)) {
        if (typeof value === "function") {
            element.addEventListener(key.replace(/^on/, ""), value);
        } else if (key === "value" || key === "checked") {
            element[key] = value;
        } else if (value !== false && value !== null && value !== undefined) {
            element.setAttribute(key, value === true ? "" : String(value));
        }
    }
    element.append(...inside.flat().filter((one) => one !== null && one !== undefined));
    return element;
}

/** Find the one element of a selector; throws where there is none. */
export function one(selector, within = document) {
    const found = within.querySelector(selector);
    if (found === null) {
        throw new Error(`the page has no ${selector}`);
    }
    return found;
}

/** What the bridge refused, in its own words; `status` 0: it could not be reached. */
export class Refused extends Error {
    /** @param {number} status @param {{code?: string, title?: string, detail?: string, hint?: string}} said */
    constructor(status, said) {
        super(said.detail ?? said.title ?? `HTTP ${status}`);
        this.name = "Refused";
        this.status = status;
        this.code = said.code ?? "";
        this.title = said.title ?? "";
        this.hint = said.hint ?? "";
        this.said = said;
    }

    /** Whether another credential is needed. */
    get credential() {
        return this.status === 401;
    }
}

/**
 * Ask the bridge, and give what it said as JSON.
 * @param {string} path
 * @param {{token?: string, method?: string, body?: unknown, headers?: Record<string, string>, signal?: AbortSignal}} [how]
 * @returns {Promise<any>}
 * @throws {Refused}
 */
export async function ask(path, how = {}) {
    const answer = await send(path, how);
    const text = await answer.text();
    let said;
    try {
        said = text === "" ? {} : JSON.parse(text);
    } catch {
        throw new Refused(answer.status, { detail: "The answer is not JSON." });
    }
    if (!answer.ok) {
        throw new Refused(answer.status, said);
    }
    return said;
}

/**
 * Ask the bridge, and give the answer as it came (to be streamed, or saved).
 * @returns {Promise<Response>}
 * @throws {Refused} only where the bridge cannot be reached
 */
export async function send(path, { token, method = "GET", body, headers = {}, signal } = {}) {
    const fields = { ...headers };
    if (token !== undefined) {
        fields.Authorization = `Bearer ${token}`;
    }
    if (body !== undefined && typeof body !== "string") {
        fields["Content-Type"] = "application/json";
    }
    try {
        return await fetch(path, {
            method,
            headers: fields,
            body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
            cache: "no-store",
            credentials: "omit",
            signal,
        });
    } catch (error) {
        if (error instanceof DOMException && error.name === "AbortError") {
            throw error;
        }
        throw new Refused(0, { detail: "The bridge cannot be reached.", hint: "It may be restarting; try again." });
    }
}

let known;

/**
 * Give what the bridge tells everybody who sees its pages: `version`, `mqtt`, `demo`, and in the demo `customer`, `key`,
 * `observer`, `desktops` (token by agent), `cloud` {`username`, `password`}, `lines` (commands that work as printed).
 * @returns {Promise<any>}
 */
export function about() {
    known ??= ask("/about.json").catch((error) => {
        known = undefined;
        throw error;
    });
    return known;
}

/** Read what a token says of itself: `sub` (customer), `kind`, `agent`, `exp`; nothing is verified. */
export function claims(token) {
    try {
        const middle = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
        const bytes = Uint8Array.from(atob(middle), (letter) => letter.charCodeAt(0));
        return JSON.parse(new TextDecoder().decode(bytes));
    } catch {
        return {};
    }
}

/** The kinds of credentials that pages ask for, and how one comes by each. */
const KINDS = {
    observer: {
        name: "Observer's token",
        how: "popbridge tokens issue --customer CUSTOMER --role observer",
        demo: (told) => told.observer,
    },
    key: { name: "API key", how: "popbridge keys issue --customer CUSTOMER", demo: (told) => told.key },
};

/**
 * Give a credential: the one kept for this tab, else the demo's, else undefined.
 * @param {"observer" | "key"} kind
 */
export async function credential(kind) {
    const kept = sessionStorage.getItem(`popbridge.${kind}`);
    if (kept !== null) {
        return kept;
    }
    return KINDS[kind].demo(await about());
}

/**
 * Give a credential; ask the user for one in `where` until one is given.
 * @param {"observer" | "key"} kind
 * @param {HTMLElement} where an empty element of the page, shown while there is something to ask
 * @param {string} [why] what was wrong with the last one
 * @returns {Promise<string>}
 */
export async function signedIn(kind, where, why) {
    const found = why === undefined ? await credential(kind) : undefined;
    if (found !== undefined) {
        return found;
    }
    return new Promise((resolve) => {
        const box = el("input", { id: `${kind}-token`, type: "password", autocomplete: "off", required: true });
        const form = el(
            "form",
            {
                class: "card",
                onsubmit: (event) => {
                    event.preventDefault();
                    const token = box.value.trim();
                    sessionStorage.setItem(`popbridge.${kind}`, token);
                    where.replaceChildren();
                    where.hidden = true;
                    resolve(token);
                },
            },
            el("h2", {}, "Sign in"),
            why === undefined ? null : el("p", { class: "bad", role: "alert" }, why),
            el("label", { for: box.id }, KINDS[kind].name),
            box,
            el("p", { class: "quiet" }, "Made by ", el("code", {}, KINDS[kind].how), ". Kept in this tab only."),
            el("button", { class: "main" }, "Sign in"),
        );
        where.replaceChildren(form);
        where.hidden = false;
    });
}

/** Forget a credential of this tab. */
export function forget(kind) {
    sessionStorage.removeItem(`popbridge.${kind}`);
}

/** Say something to who listens rather than looks, without moving the focus. */
export function announce(text) {
    let region = document.querySelector("#announcements");
    if (region === null) {
        region = el("div", { id: "announcements", class: "visually-hidden", role: "status", "aria-live": "polite" });
        document.body.append(region);
    }
    region.textContent = text;
}

/** Say a failure where the user looks: what happened, and what to do. */
export function failure(error) {
    const hint = error instanceof Refused && error.hint !== "" ? ` ${error.hint}` : "";
    return el("p", { class: "bad", role: "alert" }, `${error.message}${hint}`);
}

/** Make a button that copies a text. */
export function copier(text, label = "Copy") {
    return el(
        "button",
        {
            type: "button",
            onclick: async (event) => {
                if (navigator.clipboard === undefined) {
                    // Plain HTTP under a name that is not loopback.
                    event.target.textContent = "Select it and copy by hand";
                    return;
                }
                await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
                event.target.textContent = "Copied";
                setTimeout(() => (event.target.textContent = label), 1500);
            },
        },
        label,
    );
}

/** Spell a time as the user's clock has it: hours to seconds. */
export function clock(time) {
    return new Date(time).toLocaleTimeString([], { hour12: false });
}
