/**
 * Credentials: what each door takes, for the examples of this page: kept for the tab, the demo's, or asked for.
 */

import { about, ask, credential, el } from "../page.js";

/** Kinds as `x-credential` calls them: what to ask for, and how one comes by it. `basic`: user name and password. */
const KINDS = {
    key: { name: "API key", how: "popbridge keys issue" },
    bearer_key: { name: "API key", how: "popbridge keys issue", as: "key" },
    observer: { name: "Observer's token", how: "popbridge tokens issue --role observer" },
    admin: { name: "Admin's token", how: "popbridge tokens issue --role admin" },
    feed: { name: "Feed's token", how: "popbridge tokens issue --role feed" },
    person: { name: "A person's user name and password", how: "popbridge users add --agent A", basic: true },
    cloud_user: { name: "Cloud user's name and password", how: "popbridge users add", basic: true },
    id_token: { name: "Cloud user's name and password", how: "popbridge users add", basic: true, as: "cloud_user" },
};

/** What was typed, by kind: a token, or `{username, password}`. Tokens are kept for the tab, passwords nowhere. */
const typed = new Map();

/** Which of what the page learnt from answers may be put into later requests. */
export const learnt = { popid: undefined, IdToken: undefined, RefreshToken: undefined };

/** Learn from an answer: the last pop, and tokens of the Cloud API. */
export function learn(said) {
    const result = said?.Result ?? {};
    learnt.popid = said?.popid ?? said?.items?.[0]?.popid ?? result.PopId ?? learnt.popid;
    learnt.IdToken = result.IdToken ?? learnt.IdToken;
    learnt.RefreshToken = result.RefreshToken ?? learnt.RefreshToken;
}

/** Find a credential of a kind; undefined where it has to be asked for. */
async function find(kind) {
    const own = KINDS[kind].as ?? kind;
    if (typed.has(own)) {
        return typed.get(own);
    }
    if (own === "key" || own === "observer") {
        return credential(own);
    }
    if (own === "cloud_user") {
        return (await about()).cloud;
    }
    return sessionStorage.getItem(`popbridge.${own}`) ?? undefined;
}

/** Whether a kind has to be asked for. */
export async function missing(kind) {
    return kind !== "none" && (await find(kind)) === undefined;
}

/**
 * Make the fields that ask for a kind.
 * @param {string} kind
 * @param {string} id a prefix for the fields' ids
 * @returns {{fields: HTMLElement, take: () => boolean}} `take` keeps what was typed; false where nothing was
 */
export function asking(kind, id) {
    const { name, how, basic, as } = KINDS[kind];
    const user = el("input", { id: `${id}-user`, autocomplete: "off", spellcheck: "false" });
    const secret = el("input", { id: `${id}-secret`, type: "password", autocomplete: "off" });
    const made = el("p", { class: "quiet" }, "Made by ", el("code", {}, how), ". Kept in this tab only.");
    const fields = el(
        "fieldset",
        {},
        el("legend", {}, name),
        basic ? [el("label", { for: user.id }, "User name"), user] : [],
        el("label", { for: secret.id }, basic ? "Password" : "Token"),
        secret,
        made,
    );
    const take = () => {
        if (secret.value === "" || (basic && user.value === "")) {
            return false;
        }
        const own = as ?? kind;
        typed.set(own, basic ? { username: user.value, password: secret.value } : secret.value.trim());
        if (!basic) {
            sessionStorage.setItem(`popbridge.${own}`, secret.value.trim());
        }
        secret.value = "";
        return true;
    };
    return { fields, take };
}

/** Forget a kind that was refused, so that it is asked for. */
export function drop(kind) {
    const own = KINDS[kind]?.as ?? kind;
    typed.delete(own);
    sessionStorage.removeItem(`popbridge.${own}`);
    learnt.IdToken = kind === "id_token" ? undefined : learnt.IdToken;
}

/**
 * Spell the header fields that carry a credential.
 * @param {string} kind
 * @param {string} tokenPath where the Cloud API gives tokens
 * @returns {Promise<Record<string, string>>}
 */
export async function headers(kind, tokenPath) {
    if (kind === "none") {
        return {};
    }
    const found = await find(kind);
    if (kind === "key") {
        return { "X-API-Key": found };
    }
    if (kind === "id_token") {
        if (learnt.IdToken === undefined) {
            learn(await ask(tokenPath, { headers: { Authorization: basic(found) } }));
        }
        return { Authorization: `Bearer ${learnt.IdToken}` };
    }
    return { Authorization: typeof found === "string" ? `Bearer ${found}` : basic(found) };
}

function basic({ username, password }) {
    const bytes = new TextEncoder().encode(`${username}:${password}`);
    return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}
