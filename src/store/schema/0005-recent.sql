-- The newest rows' places in archive and spool are packed: one row a commit instead of one a message.

-- What commits added and changed, in their order, since the newest places moved to archive and spool:
-- see recent.c.
CREATE TABLE recent_log (
    seq     INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
);

INSERT INTO archive SELECT owner, id, peer, visible FROM recent WHERE visible < 8 ORDER BY owner, id;
INSERT INTO spool SELECT owner, id, kept FROM recent WHERE kept >= 0 ORDER BY owner, id;
DROP TABLE recent;
