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
-- Without the status: where agents are many, each change of it would write two more pages.
CREATE INDEX pops_of_agent ON pops (customer, agent, number);
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
