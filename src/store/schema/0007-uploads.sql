-- Files that people uploaded (XEP-0363): what is known of each.  The bytes are files of their own.
-- owner is no reference: a file may outlive its account until somebody takes it off the disk.
CREATE TABLE upload (
    id         TEXT    PRIMARY KEY,       -- of the URL: nobody can guess it
    owner      INTEGER NOT NULL,          -- account.number
    jid        TEXT    NOT NULL,          -- the owner's address, for operators
    name       TEXT    NOT NULL,
    media_type TEXT    NOT NULL,          -- by content
    size       INTEGER NOT NULL,
    digest     BLOB    NOT NULL,          -- SHA-256
    flags      INTEGER NOT NULL,          -- the caller's
    finding    TEXT    NOT NULL,          -- what was found in it, for operators
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX upload_owner ON upload (owner, id);
