-- Who has an account here, and what each keeps.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- AUTOINCREMENT: a number is never used again, so a new account of an old name inherits nothing.
CREATE TABLE account (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    domain          TEXT    NOT NULL,
    local           TEXT    NOT NULL,
    disabled        INTEGER NOT NULL DEFAULT 0,
    disabled_why    TEXT    NOT NULL DEFAULT '',
    created_us      INTEGER NOT NULL,
    login_us        INTEGER NOT NULL DEFAULT 0,
    active_us       INTEGER NOT NULL DEFAULT 0,
    active_status   TEXT    NOT NULL DEFAULT '',
    roster_version  INTEGER NOT NULL DEFAULT 0,
    roster_floor    INTEGER NOT NULL DEFAULT 0,
    archive_default INTEGER,              -- NULL: the person never chose
    archive_always  BLOB NOT NULL DEFAULT x'',
    archive_never   BLOB NOT NULL DEFAULT x''
);
CREATE UNIQUE INDEX account_jid ON account (domain, local);

CREATE TABLE credential (
    account    INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    hash       INTEGER NOT NULL,          -- enum store_hash
    iterations INTEGER NOT NULL,
    salt       BLOB    NOT NULL,
    stored_key BLOB    NOT NULL,
    server_key BLOB    NOT NULL,
    PRIMARY KEY (account, hash)
) WITHOUT ROWID;

-- Removed items stay for a while (subscription 4), so that a client learns of them by version.
CREATE TABLE roster (
    account      INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    jid          TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    subscription INTEGER NOT NULL,        -- enum store_subscription
    ask          INTEGER NOT NULL,
    approved     INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    groups       BLOB    NOT NULL,        -- a list: see list_pack
    PRIMARY KEY (account, jid)
) WITHOUT ROWID;
CREATE INDEX roster_removed ON roster (account, version) WHERE subscription = 4;

CREATE TABLE pending (
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    jid     TEXT    NOT NULL,
    stanza  BLOB    NOT NULL,
    PRIMARY KEY (account, jid)
) WITHOUT ROWID;

CREATE TABLE blocked (
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    jid     TEXT    NOT NULL,
    PRIMARY KEY (account, jid)
) WITHOUT ROWID;

CREATE TABLE document (
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    key     TEXT    NOT NULL,
    xml     BLOB    NOT NULL
);
CREATE UNIQUE INDEX document_key ON document (account, key);
