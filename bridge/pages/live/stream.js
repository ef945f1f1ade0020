/**
 * Stream: a text/event-stream read by fetch, which unlike EventSource can send a credential. It comes back by itself,
 * with Last-Event-ID.
 */

const SILENT = 30_000; // ms; the bridge shows life every 10 s
const LONGEST = 15_000;

/** Takes a text/event-stream apart, however it is cut. */
export class Parser {
    #rest = "";
    #from = 0;

    /**
     * @param {string} text what came next
     * @returns {Array<{name: string, id: string | undefined, data: string, retry: number | undefined}>}
     */
    feed(text) {
        this.#rest += text;
        const found = [];
        let start = 0;
        let end = this.#rest.indexOf("\n\n", this.#from);
        while (end !== -1) {
            found.push(event(this.#rest.slice(start, end)));
            start = end + 2;
            end = this.#rest.indexOf("\n\n", start);
        }
        this.#rest = this.#rest.slice(start);
        this.#from = Math.max(0, this.#rest.length - 1);
        return found;
    }
}

function event(block) {
    const told = { name: "message", id: undefined, data: "", retry: undefined };
    for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        const value = line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
        switch (line.slice(0, colon)) {
            case "event":
                told.name = value;
                break;
            case "id":
                told.id = value;
                break;
            case "data":
                told.data += value;
                break;
            case "retry":
                told.retry = Number(value);
                break;
        }
    }
    return told;
}

/** A rest between two tries, which may be cut short. */
class Rest {
    #wake = () => {};

    /** @param {number} ms */
    async take(ms) {
        await new Promise((resolve) => {
            const timer = setTimeout(resolve, ms);
            this.#wake = () => {
                clearTimeout(timer);
                resolve();
            };
        });
    }

    end() {
        this.#wake();
    }
}

/** Follows a stream until it is closed, or the bridge says that it must not be read. */
export class Stream {
    #last;
    #retry = 2_000;
    #rest = new Rest();
    #closed = new AbortController();

    /**
     * @param {string} path
     * @param {string} token
     * @param {(name: string, data: any) => void} heard gets each event, its data read as JSON
     * @param {(state: "connecting" | "open" | "lost") => void} stands is told how the connection is
     */
    constructor(path, token, heard, stands) {
        this.path = path;
        this.token = token;
        this.heard = heard;
        this.stands = stands;
    }

    /**
     * Follow.
     * @returns {Promise<{status: number, said: any} | undefined>} what the bridge refused it with; undefined: closed
     */
    async run() {
        let tries = 0;
        while (!this.#closed.signal.aborted) {
            this.stands("connecting");
            const silence = new AbortController();
            try {
                const answer = await this.#open(silence);
                if ([401, 403, 404].includes(answer.status)) {
                    return { status: answer.status, said: await answer.json().catch(() => ({})) };
                }
                if (answer.ok && answer.body !== null) {
                    tries = 0;
                    this.stands("open");
                    await this.#read(answer.body, silence);
                }
            } catch (error) {
                if (!(error instanceof TypeError || error instanceof DOMException)) {
                    throw error; // only a broken connection is tried again
                }
            } finally {
                silence.abort();
            }
            if (!this.#closed.signal.aborted) {
                this.stands("lost");
                const longest = Math.min(LONGEST, this.#retry * 2 ** Math.min(tries, 4));
                tries += 1;
                await this.#rest.take(100 + Math.random() * longest);
            }
        }
        return undefined;
    }

    /** Try again now, where it rests. */
    wake() {
        this.#rest.end();
    }

    close() {
        this.#closed.abort();
        this.#rest.end();
    }

    #open(silence) {
        const headers = { Authorization: `Bearer ${this.token}` };
        if (this.#last !== undefined) {
            headers["Last-Event-ID"] = this.#last;
        }
        const signal = AbortSignal.any([this.#closed.signal, silence.signal]);
        return fetch(this.path, { headers, cache: "no-store", credentials: "omit", signal });
    }

    async #read(body, silence) {
        const parser = new Parser();
        const decoder = new TextDecoder();
        const reader = body.getReader();
        for (;;) {
            const timer = setTimeout(() => silence.abort(), SILENT);
            const { done, value } = await reader.read().finally(() => clearTimeout(timer));
            if (done) {
                return;
            }
            for (const told of parser.feed(decoder.decode(value, { stream: true }))) {
                this.#retry = told.retry ?? this.#retry;
                if (told.data !== "") {
                    this.heard(told.name, JSON.parse(told.data));
                }
                // Kept once it was taken, so that what comes twice is rather that than lost.
                this.#last = told.id ?? this.#last;
            }
        }
    }
}
