-- The ledger. Times are seconds since the epoch.

-- `number` is the order of acceptance and begins with the time: milliseconds since the epoch << 20.
-- `open`: a desktop may still get it, or say something of it.
CREATE TABLE pops (
    number INTEGER PRIMARY KEY,
    popid TEXT NOT NULL UNIQUE,
    customer TEXT NOT NULL,
    agent TEXT NOT NULL,
    channel TEXT NOT NULL,
    event TEXT,
    campaign TEXT,
    reference TEXT,
    topic TEXT NOT NULL,
    sent REAL NOT NULL,
    expires REAL NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT,
    status TEXT NOT NULL,
    open INTEGER NOT NULL
) STRICT;
CREATE INDEX pops_of_customer ON pops (customer, number);
-- With the status, so that an agent's pops of one status are found without reading all of the agent's.
CREATE INDEX pops_of_agent ON pops (customer, agent, number, status);
CREATE INDEX pops_of_status ON pops (customer, status, number);
CREATE INDEX open_pops ON pops (expires) WHERE open = 1;

-- The published documents, apart: they are large, are needed for as long as a pop is open, and do not change.
CREATE TABLE documents (
    pop INTEGER PRIMARY KEY,
    payload BLOB NOT NULL
) STRICT;

CREATE TABLE steps (
    pop INTEGER NOT NULL,
    number INTEGER NOT NULL,
    status TEXT NOT NULL,
    at REAL NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (pop, number)
) STRICT, WITHOUT ROWID;

-- A pop with its steps as one JSON object. quote() spells a REAL so that it is the same when read again; the JSON
-- functions themselves cut it at 15 digits.
CREATE VIEW described_pops AS
SELECT number, popid, customer, agent, status, sent, fingerprint,
    json_object('number', number, 'popid', popid, 'customer', customer, 'agent', agent, 'channel', channel,
        'event', event, 'campaign', campaign, 'reference', reference, 'topic', topic, 'sent', json(quote(sent)),
        'expires', json(quote(expires)), 'key', key, 'status', status, 'steps', json((
            SELECT json_group_array(json_object('status', status, 'at', json(quote(at)), 'detail', detail))
            FROM (SELECT status, at, detail FROM steps WHERE pop = pops.number ORDER BY number)
        ))) AS described
FROM pops;

CREATE TRIGGER forget_pop AFTER DELETE ON pops BEGIN
    DELETE FROM documents WHERE pop = OLD.number;
    DELETE FROM steps WHERE pop = OLD.number;
END;

-- Answers to idempotency keys. `id` grows with every answer, so that it bounds how many there are.
CREATE TABLE answers (
    id INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    api TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    at REAL NOT NULL,
    UNIQUE (customer, api, key)
) STRICT;

CREATE TABLE records (
    customer TEXT NOT NULL,
    agent TEXT NOT NULL,
    reference TEXT NOT NULL,
    state TEXT NOT NULL,
    popid TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (customer, agent, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
    customer TEXT NOT NULL,
    agent TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (customer, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX agents_by_time ON agents (customer, at, agent);

-- The last number given to a pop or step. Written with every group, so that a group without rows tries the disk too.
CREATE TABLE numbers (last INTEGER NOT NULL) STRICT;
INSERT INTO numbers VALUES (0);

-- A group is inserted here as one row: arrays of JSON arrays, and all payloads end to end. One statement is one
-- transaction and one call into SQLite, however many rows: each further call would wait for the interpreter's lock
-- while the event loop is busy.
CREATE VIEW groups AS
    SELECT NULL AS pops, NULL AS payloads, NULL AS steps, NULL AS changes, NULL AS answers, NULL AS records,
        NULL AS agents, NULL AS last;

CREATE TRIGGER write_group INSTEAD OF INSERT ON groups BEGIN
    INSERT INTO pops (number, popid, customer, agent, channel, event, campaign, reference, topic, sent, expires, key,
        fingerprint, status, open)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
        json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'),
        json_extract(value, '$[9]'), json_extract(value, '$[10]'), json_extract(value, '$[11]'),
        json_extract(value, '$[12]'), json_extract(value, '$[13]'), json_extract(value, '$[14]')
    FROM json_each(NEW.pops);

    INSERT INTO documents (pop, payload)
    SELECT json_extract(value, '$[0]'),
        coalesce(substr(NEW.payloads, 1 + json_extract(value, '$[15]'), json_extract(value, '$[16]')), zeroblob(0))
    FROM json_each(NEW.pops);

    -- A pop that was purged meanwhile, or whose group failed, gets no steps. One that goes to and fro between desktops
    -- keeps its first 200, and how it ends.
    INSERT INTO steps (pop, number, status, at, detail)
    SELECT pops.number, json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'),
        json_extract(value, '$[4]')
    FROM json_each(NEW.steps) JOIN pops ON pops.popid = json_extract(value, '$[0]')
    WHERE json_extract(value, '$[5]') OR (SELECT count(*) FROM steps WHERE pop = pops.number) < 200;

    UPDATE pops SET status = coalesce(change.status, pops.status), open = pops.open AND change.open
    FROM (
        SELECT json_extract(value, '$[0]') AS popid, json_extract(value, '$[1]') AS status,
            json_extract(value, '$[2]') AS open
        FROM json_each(NEW.changes)
    ) AS change
    WHERE pops.popid = change.popid;

    REPLACE INTO answers (customer, api, key, fingerprint, status, body, at)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
        json_extract(value, '$[6]')
    FROM json_each(NEW.answers);

    -- Without a state: the record is dropped.
    DELETE FROM records WHERE (customer, agent, reference) IN (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(NEW.records) WHERE json_extract(value, '$[3]') IS NULL
    );
    REPLACE INTO records (customer, agent, reference, state, popid, at)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]')
    FROM json_each(NEW.records) WHERE json_extract(value, '$[3]') IS NOT NULL;

    REPLACE INTO agents (customer, agent, at)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
    FROM json_each(NEW.agents);

    UPDATE numbers SET last = NEW.last;
END;

PRAGMA user_version = 1;
