-- One state of each live workflow, so that taking it up need not read its whole stream. A cache:
-- any row of it may be removed at any time.
CREATE TABLE snapshot (
    stream int8 PRIMARY KEY,
    version int8 NOT NULL,
    position int8 NOT NULL,
    shape int2 NOT NULL,
    bytes bytea NOT NULL
)
