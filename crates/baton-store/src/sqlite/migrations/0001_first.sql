-- Everything the first version keeps. Vocabulary tables (actor_kind, workflow_status, ...) exist
-- already: they are made and filled from the declared words before any migration runs.
-- Times are milliseconds since 1970; statuses, kinds and reasons are codes of their vocabulary.

CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL,
    streams INTEGER NOT NULL,
    system_version INTEGER NOT NULL,
    system_head INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, 0, 0, 0, 0, 0);

CREATE TABLE workspace (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO workspace VALUES (1, 'default');

CREATE TABLE actor (
    number INTEGER PRIMARY KEY,
    workspace INTEGER NOT NULL DEFAULT 1 REFERENCES workspace (number),
    kind INTEGER NOT NULL REFERENCES actor_kind (code),
    name TEXT NOT NULL,
    UNIQUE (workspace, kind, name)
) STRICT;

-- Append only and without a second index: a stream is read by walking back over `previous`.
CREATE TABLE journal (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    version INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    kind INTEGER NOT NULL REFERENCES event_kind (code),
    shape INTEGER NOT NULL,
    actor INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE workflow (
    number INTEGER PRIMARY KEY,
    status INTEGER NOT NULL REFERENCES workflow_status (code),
    waiting_people INTEGER NOT NULL,
    name TEXT NOT NULL,
    run INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    head INTEGER NOT NULL,
    current_stage TEXT,
    completed INTEGER NOT NULL,
    total INTEGER NOT NULL,
    percentage INTEGER NOT NULL,
    method INTEGER NOT NULL REFERENCES progress_method (code),
    failed INTEGER NOT NULL,
    started_at INTEGER,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    workspace INTEGER NOT NULL DEFAULT 1 REFERENCES workspace (number),
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    conversation BLOB NOT NULL CHECK (length(conversation) = 16),
    parent BLOB CHECK (length(parent) = 16),
    version INTEGER NOT NULL,
    plan BLOB NOT NULL CHECK (length(plan) = 32),
    origin INTEGER NOT NULL REFERENCES origin (code),
    priority INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
-- Lists by status are newest first, and what is live is found by the statuses that do not end.
CREATE INDEX workflow_status_newest ON workflow (status);
CREATE INDEX workflow_needs_people ON workflow (number) WHERE waiting_people > 0;

-- key = number of the workflow << 20 | ordinal.
CREATE TABLE task (
    key INTEGER PRIMARY KEY,
    of INTEGER NOT NULL,
    status INTEGER NOT NULL REFERENCES task_status (code),
    waits_for INTEGER REFERENCES wait_reason (code),
    attempts INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    items_first INTEGER,
    items_count INTEGER,
    position INTEGER NOT NULL
) STRICT;
CREATE INDEX task_waiting ON task (waits_for) WHERE waits_for IS NOT NULL;

-- The count of uses changes often and the bytes never: apart, so that a use does not rewrite them.
CREATE TABLE blob (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    uses INTEGER NOT NULL CHECK (uses >= 0)
) STRICT;
CREATE TABLE blob_bytes (
    blob INTEGER PRIMARY KEY REFERENCES blob (number) ON DELETE CASCADE,
    packed BLOB NOT NULL
) STRICT;

CREATE TABLE definition (
    workspace INTEGER NOT NULL DEFAULT 1 REFERENCES workspace (number),
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    plan BLOB NOT NULL CHECK (length(plan) = 32),
    at INTEGER NOT NULL,
    PRIMARY KEY (workspace, name, version)
) STRICT, WITHOUT ROWID;
