-- The same tables as the embedded store's. Vocabulary tables exist already, filled from the
-- declared words. Times are milliseconds since 1970; statuses, kinds and reasons are codes.

CREATE TABLE head (
    one int2 PRIMARY KEY CHECK (one = 1),
    position int8 NOT NULL,
    streams int8 NOT NULL,
    system_version int8 NOT NULL,
    system_head int8 NOT NULL,
    epoch int8 NOT NULL,
    at int8 NOT NULL
);
INSERT INTO head VALUES (1, 0, 0, 0, 0, 0, 0);

CREATE TABLE workspace (
    number int8 PRIMARY KEY,
    name text NOT NULL UNIQUE
);
INSERT INTO workspace VALUES (1, 'default');

CREATE TABLE actor (
    number int8 PRIMARY KEY,
    workspace int8 NOT NULL DEFAULT 1 REFERENCES workspace (number),
    kind int2 NOT NULL REFERENCES actor_kind (code),
    name text NOT NULL,
    UNIQUE (workspace, kind, name)
);

-- Append only and without a second index: a stream is read by walking back over `previous`.
CREATE TABLE journal (
    position int8 PRIMARY KEY,
    stream int8 NOT NULL,
    version int8 NOT NULL,
    previous int8 NOT NULL,
    cause int8 NOT NULL,
    actor int8 NOT NULL,
    at int8 NOT NULL,
    kind int2 NOT NULL REFERENCES event_kind (code),
    shape int2 NOT NULL,
    body text NOT NULL
);

-- Room on each page, so that a changed row stays where its index entries point.
CREATE TABLE workflow (
    number int8 PRIMARY KEY,
    revision int8 NOT NULL,
    head int8 NOT NULL,
    run int8 NOT NULL,
    completed int8 NOT NULL,
    total int8 NOT NULL,
    failed int8 NOT NULL,
    waiting_people int8 NOT NULL,
    started_at int8,
    updated_at int8 NOT NULL,
    ended_at int8,
    created_at int8 NOT NULL,
    version int8 NOT NULL,
    workspace int8 NOT NULL DEFAULT 1 REFERENCES workspace (number),
    status int2 NOT NULL REFERENCES workflow_status (code),
    percentage int2 NOT NULL,
    method int2 NOT NULL REFERENCES progress_method (code),
    origin int2 NOT NULL REFERENCES origin (code),
    priority int2 NOT NULL,
    current_stage text,
    name text NOT NULL,
    id bytea NOT NULL UNIQUE CHECK (length(id) = 16),
    conversation bytea NOT NULL CHECK (length(conversation) = 16),
    parent bytea CHECK (length(parent) = 16),
    plan bytea NOT NULL CHECK (length(plan) = 32)
) WITH (fillfactor = 70);
CREATE INDEX workflow_status_newest ON workflow (status, number);
CREATE INDEX workflow_needs_people ON workflow (number) WHERE waiting_people > 0;

-- key = number of the workflow << 20 | ordinal.
CREATE TABLE task (
    key int8 PRIMARY KEY,
    of int8 NOT NULL,
    attempts int8 NOT NULL,
    started_at int8,
    ended_at int8,
    items_first int8,
    items_count int8,
    position int8 NOT NULL,
    status int2 NOT NULL REFERENCES task_status (code),
    waits_for int2 REFERENCES wait_reason (code)
) WITH (fillfactor = 70);
CREATE INDEX task_waiting ON task (waits_for) WHERE waits_for IS NOT NULL;

CREATE TABLE blob (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32),
    uses int8 NOT NULL,
    packed bytea NOT NULL,
    CONSTRAINT blob_has_fewer CHECK (uses >= 0)
);
-- Packed already.
ALTER TABLE blob ALTER COLUMN packed SET STORAGE EXTERNAL;

CREATE TABLE definition (
    workspace int8 NOT NULL DEFAULT 1 REFERENCES workspace (number),
    name text NOT NULL,
    version int8 NOT NULL,
    plan bytea NOT NULL CHECK (length(plan) = 32),
    at int8 NOT NULL,
    PRIMARY KEY (workspace, name, version)
);
