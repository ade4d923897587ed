-- Small records beside the journal, found by kind and key. Those without `expires` follow from the
-- events of the system stream.
CREATE TABLE fact (
    kind INTEGER NOT NULL REFERENCES fact_kind (code),
    key BLOB NOT NULL,
    value TEXT NOT NULL,
    position INTEGER NOT NULL,
    at INTEGER NOT NULL,
    expires INTEGER,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_expires ON fact (expires) WHERE expires IS NOT NULL;

-- Definitions keep the text they were read from, and say how many triggers they have, so that an owner
-- need not read the plans of the others.
ALTER TABLE definition ADD COLUMN source BLOB CHECK (length(source) = 32);
ALTER TABLE definition ADD COLUMN triggers INTEGER NOT NULL DEFAULT 0;
