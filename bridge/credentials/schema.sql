-- The credentials room's database: ids and what is known about them, never a secret.
-- Times are seconds since the epoch, UTC.

CREATE TABLE credentials (
    id           TEXT PRIMARY KEY,            -- the token's jti
    kind         TEXT NOT NULL,               -- a Role
    customer     TEXT NOT NULL,
    name         TEXT,                        -- what the operator called it
    agent        TEXT,                        -- desktops only
    user         TEXT,                        -- whose login minted it; ends with the user or the password
    demo         INTEGER NOT NULL,            -- 1: only a demo accepts it
    kid          TEXT NOT NULL,               -- which signing key signed it
    issued       REAL NOT NULL,
    expires      REAL NOT NULL,
    ends         REAL,                        -- an earlier end: revoked, regenerated, user removed
    last_used    REAL,
    last_address TEXT,
    uses         INTEGER NOT NULL DEFAULT 0,
    seq          INTEGER NOT NULL             -- the change that wrote this row last (uses do not count)
);
CREATE INDEX credentials_by_seq ON credentials (seq);
CREATE INDEX credentials_by_user ON credentials (user) WHERE user IS NOT NULL;
CREATE INDEX credentials_by_kid ON credentials (kid, expires);

-- One row: how many changes there were. A running process reads the credentials with a greater seq than it knows.
CREATE TABLE changes (seq INTEGER NOT NULL);
INSERT INTO changes (seq) VALUES (0);

CREATE TABLE users (
    username TEXT PRIMARY KEY,                -- unique over all customers
    customer TEXT NOT NULL,
    agent    TEXT,                            -- NULL: a Cloud API user
    demo     INTEGER NOT NULL,
    hash     TEXT NOT NULL,                   -- argon2id
    created  REAL NOT NULL,
    updated  REAL NOT NULL
);

CREATE TABLE signing_keys (
    kid     TEXT PRIMARY KEY,
    public  TEXT NOT NULL,                    -- PEM; the private key is in a file of its own
    created REAL NOT NULL,
    retired REAL                              -- since then it signs nothing more
);

PRAGMA user_version = 1;
