-- Archive entries in blocks: one row where archive has one for each message.

-- An owner's entries as they came, all at once, from the newest: see packed.c.  Those that came
-- alone or late stand in archive, as all did before.  Readers look at both.
CREATE TABLE packed (
    owner   INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    entries BLOB    NOT NULL,
    PRIMARY KEY (owner, last_id)
) WITHOUT ROWID;
