/**
 * Shell: commands that run as they are shown, in a POSIX shell.
 */

/** Quote a text so that a shell takes it as it is. */
export function quoted(text) {
    return /^[A-Za-z0-9_.,:\/@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * Spell a command of `curl`, a part a line.
 * @param {{method: string, url: string, headers?: string[], secrets?: string[], body?: string}} request `headers` and
 *     `url` are taken as they are; `secrets` are words of the command that are quoted already, because a shell shall
 *     put a variable into them
 */
export function curl({ method, url, headers = [], secrets = [], body }) {
    const plain = method === "GET" || (method === "POST" && body !== undefined);
    const parts = [plain ? "curl -sS" : `curl -sS -X ${method}`];
    parts[0] += ` ${quoted(url)}`;
    parts.push(...secrets);
    parts.push(...headers.map((field) => `-H ${quoted(field)}`));
    if (body !== undefined) {
        parts.push(`--data-raw ${quoted(body)}`);
    }
    return parts.join(" \\\n  ");
}

/**
 * Spell the header that carries a credential; without one, a shell puts in its variable.
 * @param {string} before such as `X-API-Key: `
 * @param {string} variable its name
 * @param {string} [secret] the credential itself, where it shall be seen
 */
export function secretHeader(before, variable, secret) {
    return secret === undefined ? `-H "${before}$${variable}"` : `-H ${quoted(before + secret)}`;
}

/**
 * Take host and port out of the address where MQTT listens. Who listens on every address is reached by the page's name.
 * @returns {[string, string]}
 */
export function endpoint(mqtt) {
    const colon = mqtt.lastIndexOf(":");
    const bare = (host) => host.replace(/^\[(.*)\]$/, "$1");
    const host = bare(mqtt.slice(0, colon));
    return [["0.0.0.0", "::", ""].includes(host) ? bare(location.hostname) : host, mqtt.slice(colon + 1)];
}

/** Spell the command that listens to a topic as an observer does. */
export function subscriber({ mqtt, customer, topic, secret }) {
    const [host, port] = endpoint(mqtt);
    const password = secret === undefined ? '"$POPBRIDGE_OBSERVER"' : quoted(secret);
    return (
        `mosquitto_sub -V mqttv311 -q 1 -h ${quoted(host)} -p ${port} ` +
        `-u ${quoted(customer)} -P ${password} -v -t ${quoted(topic)}`
    );
}
