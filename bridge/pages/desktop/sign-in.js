/**
 * Sign-in: whose desktop this is: by user name and password, by a link with the token after `#`, in the demo by a click.
 *
 * @typedef {{token: string, customer: string, agent: string, ends: number}} Signed `ends` in milliseconds since the epoch
 */

import { about, ask, claims, el, failure } from "../page.js";

const KEPT = "popbridge.desktop";
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Take the token of a link out of the address bar, so that it stays in no history and no screenshot, and keep it for this tab.
 * @returns {boolean} whether there was one
 */
export function takeLink() {
    const token = location.hash.slice(1);
    if (!TOKEN.test(token)) {
        return false;
    }
    history.replaceState(null, "", location.pathname);
    sessionStorage.setItem(KEPT, token);
    return true;
}

/** Forget who this tab is. */
export function signOut() {
    sessionStorage.removeItem(KEPT);
}

/**
 * Give who this tab is, and ask in `where` if nobody is known.
 * @param {HTMLElement} where
 * @param {string} why what ended the last session, "" if nothing did
 * @returns {Promise<Signed>}
 */
export async function signedIn(where, why) {
    const kept = sessionStorage.getItem(KEPT);
    const known = kept === null ? undefined : read(kept);
    if (known !== undefined) {
        return known;
    }
    signOut();
    const token = await asked(where, kept === null ? why : "The link's token is not a desktop's. Ask for another one.");
    sessionStorage.setItem(KEPT, token);
    return signedIn(where, "");
}

/**
 * @param {string} token
 * @returns {Signed | undefined}
 */
function read(token) {
    const { sub, kind, agent, exp } = claims(token);
    if (kind !== "desktop" || typeof sub !== "string" || typeof agent !== "string" || typeof exp !== "number") {
        return undefined;
    }
    return { token, customer: sub, agent, ends: exp * 1000 };
}

/**
 * @param {HTMLElement} where
 * @param {string} why
 * @returns {Promise<string>} a token
 */
function asked(where, why) {
    return new Promise((resolve) => {
        const done = (token) => {
            where.replaceChildren();
            where.hidden = true;
            resolve(token);
        };
        const said = el("div", { id: "sign-in-said" }, why === "" ? null : el("p", { class: "bad", role: "alert" }, why));
        const user = el("input", { id: "user", autocomplete: "username", required: true, autocapitalize: "none" });
        const password = el("input", {
            id: "password",
            type: "password",
            autocomplete: "current-password",
            required: true,
        });
        const button = el("button", { class: "main" }, "Sign in");
        const form = el(
            "form",
            {
                class: "card",
                onsubmit: async (event) => {
                    event.preventDefault();
                    button.disabled = true;
                    try {
                        const answer = await ask("/api/desktop/token", {
                            method: "POST",
                            headers: { Authorization: basic(user.value.trim(), password.value) },
                        });
                        done(answer.token);
                    } catch (error) {
                        said.replaceChildren(failure(error));
                        password.value = "";
                        password.focus();
                    } finally {
                        button.disabled = false;
                    }
                },
            },
            el("h2", {}, "Sign in"),
            said,
            el("p", {}, el("label", { for: "user" }, "User name"), user),
            el("p", {}, el("label", { for: "password" }, "Password"), password),
            button,
            el(
                "p",
                { class: "quiet" },
                "A user is made by ",
                el("code", {}, "popbridge users add --customer C --username U --agent A --password-stdin"),
                ". The sign-in lasts 12 hours, for this tab only.",
            ),
        );
        where.replaceChildren(form);
        where.hidden = false;
        user.focus();
        offerDemo(where, done);
    });
}

/** In the demo its agents are a click away. @param {HTMLElement} where @param {(token: string) => void} done */
async function offerDemo(where, done) {
    const { desktops = {} } = await about().catch(() => ({}));
    const agents = Object.entries(desktops);
    if (agents.length > 0 && where.firstElementChild !== null) {
        where.append(
            el(
                "section",
                { class: "card", "aria-label": "The demo's agents" },
                el("p", {}, "This is the demo. Its agents need no password:"),
                agents.map(([agent, token]) =>
                    el("button", { type: "button", onclick: () => done(token) }, `Be agent ${agent}`),
                ),
            ),
        );
    }
}

function basic(user, password) {
    const bytes = new TextEncoder().encode(`${user}:${password}`);
    return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}
