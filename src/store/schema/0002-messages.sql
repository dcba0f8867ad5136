-- Archive and spool.

-- A log: rows are appended at its end, which is what makes an insert cheap.  Whoever looks for an
-- owner's rows finds their ids in archive and spool.
CREATE TABLE message (
    id         INTEGER PRIMARY KEY,       -- time and randomness: see STORE_ID_SHIFT
    owner      INTEGER NOT NULL,
    flags      INTEGER NOT NULL,          -- ARCHIVED, OUTGOING; 256 * type
    peer       TEXT    NOT NULL,
    resource   TEXT    NOT NULL,
    message_id TEXT    NOT NULL,
    origin_id  TEXT    NOT NULL,
    stanza     BLOB    NOT NULL
);

-- peer is a keyed hash of the bare JID: filtering by contact reads no message.
-- visible: 0 shown, +1 hidden, +2 tombstone, +4 not of the archive, kept for its lures.
CREATE TABLE archive (
    owner   INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    peer    INTEGER NOT NULL,
    visible INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;

-- kept: what delivery leaves of the message: 0 nothing, 1 all, 2 all but the stanza; +4: withdrawn
-- while it waits.
CREATE TABLE spool (
    owner INTEGER NOT NULL,
    id    INTEGER NOT NULL,
    kept  INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;

-- The newest rows' entries of archive and spool, in order of arrival: a batch of appends dirties
-- one page here instead of one page an owner there.  Moved there in large, sorted portions.
-- visible as above, 12: not of the archive at all; kept as above, NULL: not in the spool (and, unlike
-- a number, no longer on the disk than 0 or 1: leaving the spool never splits a page).
CREATE TABLE recent (
    id      INTEGER PRIMARY KEY,
    owner   INTEGER NOT NULL,
    peer    INTEGER NOT NULL,
    visible INTEGER NOT NULL,
    kept    INTEGER
);
CREATE INDEX recent_spool ON recent (owner) WHERE kept >= 0;

-- Accounts deleted whose messages are still to be erased.
CREATE TABLE doomed (
    owner INTEGER PRIMARY KEY
);
