-- Conversations: their streams' numbers come from the same sequence as those of workflows. What is
-- asked for by itself has a column; the rest is one face, a JSON text.
CREATE TABLE conversation (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    status INTEGER NOT NULL REFERENCES conversation_status (code),
    busy INTEGER NOT NULL CHECK (busy IN (0, 1)),
    revision INTEGER NOT NULL,
    head INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- What the title is found by.
    sought TEXT NOT NULL,
    face TEXT NOT NULL
) STRICT;
CREATE INDEX conversation_status_newest ON conversation (status);
-- Taking a store up asks for these alone, however many others there are.
CREATE INDEX conversation_busy ON conversation (number) WHERE busy <> 0;
-- To tell what happens in a conversation, its workflows are looked for.
CREATE INDEX workflow_conversation ON workflow (conversation);
