-- One state of each live workflow, so that taking it up need not read its whole stream. A cache:
-- any row of it may be removed at any time.
CREATE TABLE snapshot (
    stream INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    shape INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
