/**
 * Server: where the bridge's MQTT over WebSocket is, as one writes it. Pure.
 */

/**
 * Read an address with the scheme ws or wss; http and https count as those, and `/mqtt` is the path where none is given.
 * @param {string | URL} server
 * @returns {string}
 * @throws {TypeError} which never quotes what may be a secret
 */
export function addressOf(server) {
    const wanted = "write ws://HOST:PORT/mqtt or wss://HOST:PORT/mqtt";
    let url;
    try {
        url = new URL(server);
    } catch {
        throw new TypeError(`this is not a server's address; ${wanted}`);
    }
    const scheme = { "ws:": "ws:", "wss:": "wss:", "http:": "ws:", "https:": "wss:" }[url.protocol];
    if (scheme === undefined) {
        throw new TypeError(`this is not a server's address; ${wanted}`);
    }
    if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
        throw new TypeError(`an address has no user, query or fragment; ${wanted}`);
    }
    return `${scheme}//${url.host}${url.pathname === "/" ? "/mqtt" : url.pathname}`;
}
