-- The newest messages' lure keys, a list of them each (list_pack), in order of arrival.  In lure
-- every key has a page of its own; so they move there in portions, sorted.  Readers look at both.
CREATE TABLE lure_recent (
    id   INTEGER PRIMARY KEY,             -- message.id
    keys BLOB    NOT NULL
);
