-- CloudSync. Times are milliseconds since the epoch; `grp` is a group, whose plain word SQL keeps for itself.

-- What arrived, as it came. `number` is that of its first change.
CREATE TABLE raw (
    number INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    channel TEXT NOT NULL,
    received INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;

-- What events say of single records. `number` is the order of arrival, and the processor's cursor; `identity` a hash of
-- what makes an event the same when it comes again. It stands behind `at` so that the index grows at its end.
CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    entity TEXT NOT NULL,
    record TEXT NOT NULL,
    at INTEGER NOT NULL,
    identity INTEGER NOT NULL,
    raw INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX changes_once ON changes (customer, at, identity);
CREATE INDEX changes_of_record ON changes (customer, entity, record);

-- What could not be read: the first 64 KiB, and the SHA-256 of all of it.
CREATE TABLE quarantine (
    number INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    channel TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    head BLOB NOT NULL,
    at INTEGER NOT NULL,
    times INTEGER NOT NULL DEFAULT 1,
    UNIQUE (customer, sha256, channel)
) STRICT;

CREATE TABLE counts (
    customer TEXT NOT NULL,
    what TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (customer, what)
) STRICT, WITHOUT ROWID;

-- A record as it was folded last. `since`: from when on its numbers are not sure, NULL if they are; `groups`: whose rows
-- that concerns (none: any). `open`: something of it still lasts. `sealed`: facts up to then stay as they are, because
-- the changes behind them were forgotten.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    entity TEXT NOT NULL,
    record TEXT NOT NULL,
    folded TEXT NOT NULL,
    dirty INTEGER NOT NULL,
    unclassified INTEGER NOT NULL,
    flagged INTEGER NOT NULL,
    open INTEGER NOT NULL,
    since INTEGER,
    groups TEXT NOT NULL,
    last INTEGER NOT NULL,
    sealed INTEGER,
    UNIQUE (customer, entity, record)
) STRICT;
CREATE INDEX unsure_records ON records (customer, since) WHERE since IS NOT NULL;
CREATE INDEX open_records ON records (customer) WHERE open = 1;
CREATE INDEX flagged_records ON records (customer) WHERE flagged = 1;
CREATE INDEX idle_records ON records (last) WHERE open = 0;

-- `until` is `at` for what has no length, and far away for what still lasts. `long` is more than an hour. Most facts are
-- posted in the arrival view where they are in the event view; those that stray have an index of their own, and so have
-- presences, of which a later one ends the one before (`agent` is set only there).
CREATE TABLE facts (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,
    customer TEXT NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    long INTEGER NOT NULL,
    arrival INTEGER NOT NULL,
    agent TEXT,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX facts_of_record ON facts (owner);
CREATE INDEX short_facts ON facts (customer, at, until) WHERE long = 0;
CREATE INDEX long_facts ON facts (customer, until, at) WHERE long = 1;
CREATE INDEX stray_facts ON facts (customer, arrival) WHERE arrival <> 0;
CREATE INDEX presence_facts ON facts (customer, agent, at) WHERE agent IS NOT NULL;

-- How far each customer is. `dirty_…`: ranges to compute; `…_final`: what ended before is final, but for the groups of
-- `…_held` from a time on. `mapping` is what records were folded with, `posted` when the feed last spoke by HTTP.
CREATE TABLE customers (
    customer TEXT PRIMARY KEY,
    rolled INTEGER NOT NULL DEFAULT 0,
    dirty_stt TEXT NOT NULL DEFAULT '[]',
    dirty_cim TEXT NOT NULL DEFAULT '[]',
    stt_final INTEGER NOT NULL DEFAULT 0,
    stt_held TEXT NOT NULL DEFAULT '{}',
    cim_final INTEGER NOT NULL DEFAULT 0,
    cim_held TEXT NOT NULL DEFAULT '{}',
    mapping TEXT,
    posted INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Numbers as JSON arrays in the order of their names, which `state` holds. What was asked for most lies together.
CREATE TABLE stt (
    customer TEXT NOT NULL,
    channel TEXT NOT NULL,
    priority TEXT NOT NULL,
    start INTEGER NOT NULL,
    grp TEXT NOT NULL,
    revision INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (customer, channel, priority, start, grp)
) STRICT, WITHOUT ROWID;

CREATE TABLE cim (
    customer TEXT NOT NULL,
    channel TEXT NOT NULL,
    date TEXT NOT NULL,
    grp TEXT NOT NULL,
    agent TEXT NOT NULL,
    revision INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (customer, channel, date, grp, agent)
) STRICT, WITHOUT ROWID;

-- The channels and priorities that rows have, and when each group was first heard of.
CREATE TABLE views (
    customer TEXT NOT NULL,
    feed TEXT NOT NULL,
    channel TEXT NOT NULL,
    priority TEXT NOT NULL,
    PRIMARY KEY (customer, feed, channel, priority)
) STRICT, WITHOUT ROWID;
CREATE TABLE active (
    customer TEXT NOT NULL,
    grp TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (customer, grp)
) STRICT, WITHOUT ROWID;

CREATE TABLE restatements (
    number INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    feed TEXT NOT NULL,
    bucket TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX restatements_of_customer ON restatements (customer, number);

-- When the bridge ran and the feed was up (`live`), or what a back-fill covered.
CREATE TABLE coverage (
    customer TEXT NOT NULL,
    source TEXT NOT NULL,
    start INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (customer, source, start)
) STRICT, WITHOUT ROWID;

-- What another process wants done; it waits for the answer.
CREATE TABLE wishes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    customer TEXT NOT NULL,
    what TEXT NOT NULL,
    body BLOB NOT NULL,
    answer TEXT,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX open_wishes ON wishes (number) WHERE answer IS NULL;

CREATE TABLE state (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO state VALUES ('cursor', '0');

-- A group of arrivals is inserted here as one row: one statement is one transaction and one call into SQLite, however
-- many events: each further call would wait for the interpreter's lock while the event loop is busy. Payloads and heads
-- come end to end.
CREATE VIEW arrivals AS
    SELECT NULL AS changes, NULL AS raws, NULL AS payloads, NULL AS rejected, NULL AS heads, NULL AS counts,
        NULL AS posted;

CREATE TRIGGER write_arrivals INSTEAD OF INSERT ON arrivals BEGIN
    INSERT INTO changes (number, customer, entity, record, at, identity, raw, body)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
        json_extract(value, '$[6]'), json_extract(value, '$[7]')
    FROM json_each(NEW.changes) WHERE true
    ON CONFLICT (customer, at, identity) DO NOTHING;

    -- An event all of whose changes were known already leaves nothing.
    INSERT INTO raw (number, customer, channel, received, payload)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'),
        coalesce(substr(NEW.payloads, 1 + json_extract(value, '$[4]'), json_extract(value, '$[5]')), zeroblob(0))
    FROM json_each(NEW.raws)
    WHERE EXISTS (
        SELECT 1 FROM changes
        WHERE number BETWEEN json_extract(value, '$[0]') AND json_extract(value, '$[0]') + json_extract(value, '$[6]') - 1
    );

    INSERT INTO quarantine (customer, channel, reason, detail, size, sha256, at, head)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
        json_extract(value, '$[6]'),
        coalesce(substr(NEW.heads, 1 + json_extract(value, '$[7]'), json_extract(value, '$[8]')), zeroblob(0))
    FROM json_each(NEW.rejected) WHERE true
    ON CONFLICT (customer, sha256, channel) DO UPDATE SET times = times + 1, at = excluded.at,
        reason = excluded.reason, detail = excluded.detail;

    INSERT INTO counts (customer, what, count)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
    FROM json_each(NEW.counts) WHERE true
    ON CONFLICT (customer, what) DO UPDATE SET count = counts.count + excluded.count;

    INSERT INTO customers (customer, posted)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(NEW.posted) WHERE true
    ON CONFLICT (customer) DO UPDATE SET posted = excluded.posted;
END;

PRAGMA user_version = 1;
