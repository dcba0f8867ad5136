-- What the guard and its operators must remember.

CREATE TABLE lure (
    key BLOB    NOT NULL,
    id  INTEGER NOT NULL,                 -- message.id
    PRIMARY KEY (key, id)
) WITHOUT ROWID;
CREATE INDEX lure_message ON lure (id);

CREATE TABLE record (
    kind       INTEGER NOT NULL,          -- enum store_kind
    key        TEXT    NOT NULL,
    within     TEXT    NOT NULL,          -- store_record.group
    subject    TEXT    NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    value      BLOB    NOT NULL
);
CREATE UNIQUE INDEX record_key ON record (kind, key);
CREATE INDEX record_within ON record (kind, within, key) WHERE within <> '';
CREATE INDEX record_subject ON record (kind, subject, key) WHERE subject <> '';
CREATE INDEX record_expires ON record (kind, expires_us) WHERE expires_us <> 0;

CREATE TABLE event (
    number INTEGER PRIMARY KEY,
    blob   BLOB NOT NULL
);

CREATE TABLE audit (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    wall_us INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    scope   TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    details TEXT    NOT NULL
);
