-- Small records beside the journal, found by kind and key. Those without `expires` follow from the
-- events of the system stream.
CREATE TABLE fact (
    kind int2 NOT NULL REFERENCES fact_kind (code),
    key bytea NOT NULL,
    value text NOT NULL,
    position int8 NOT NULL,
    at int8 NOT NULL,
    expires int8,
    PRIMARY KEY (kind, key)
);
CREATE INDEX fact_expires ON fact (expires) WHERE expires IS NOT NULL;

-- Definitions keep the text they were read from, and say how many triggers they have, so that an owner
-- need not read the plans of the others.
ALTER TABLE definition ADD COLUMN source bytea CHECK (length(source) = 32);
ALTER TABLE definition ADD COLUMN triggers int8 NOT NULL DEFAULT 0
