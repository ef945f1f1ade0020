-- How a group is written: one INSERT here has one row for each pop, and a last one for all that is not bound to a new
-- pop, in arrays of JSON arrays. One statement is one transaction and one call into SQLite, however many rows: each
-- further call would wait for the interpreter's lock while the event loop is busy.
CREATE VIEW groups AS
    SELECT NULL AS number, NULL AS popid, NULL AS customer, NULL AS agent, NULL AS channel, NULL AS event,
        NULL AS campaign, NULL AS reference, NULL AS topic, NULL AS sent, NULL AS expires, NULL AS key,
        NULL AS fingerprint, NULL AS status, NULL AS open, NULL AS payload, NULL AS at, NULL AS detail,
        NULL AS steps, NULL AS changes, NULL AS answers, NULL AS records, NULL AS agents, NULL AS last;

-- A row whose number is 0 fills the statement up. `at` and `detail` are those of the only step; with more of them `at`
-- is NULL, and they come with the last row.
CREATE TRIGGER write_pop INSTEAD OF INSERT ON groups WHEN NEW.number BEGIN
    INSERT INTO pops (number, popid, customer, agent, channel, event, campaign, reference, topic, sent, expires, key,
        fingerprint, status, open)
    VALUES (NEW.number, NEW.popid, NEW.customer, NEW.agent, NEW.channel, NEW.event, NEW.campaign, NEW.reference,
        NEW.topic, NEW.sent, NEW.expires, NEW.key, NEW.fingerprint, NEW.status, NEW.open);

    INSERT INTO documents (pop, payload) VALUES (NEW.number, NEW.payload);

    INSERT INTO steps (pop, number, status, at, detail)
    SELECT NEW.number, NEW.number + 1, NEW.status, NEW.at, NEW.detail WHERE NEW.at IS NOT NULL;
END;

CREATE TRIGGER write_notes INSTEAD OF INSERT ON groups WHEN NEW.last IS NOT NULL BEGIN
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

    UPDATE numbers SET last = NEW.last;
END;

-- Most groups have nothing of this.
CREATE TRIGGER write_rest INSTEAD OF INSERT ON groups
WHEN NEW.answers IS NOT NULL OR NEW.records IS NOT NULL OR NEW.agents IS NOT NULL BEGIN
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
END;

PRAGMA user_version = 2;
