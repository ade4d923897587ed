-- Conversations: their streams' numbers come from the same sequence as those of workflows. What is
-- asked for by itself has a column; the rest is one face, a JSON text.
CREATE TABLE conversation (
    number int8 PRIMARY KEY,
    revision int8 NOT NULL,
    head int8 NOT NULL,
    created_at int8 NOT NULL,
    updated_at int8 NOT NULL,
    status int2 NOT NULL REFERENCES conversation_status (code),
    busy int2 NOT NULL CHECK (busy IN (0, 1)),
    id bytea NOT NULL UNIQUE CHECK (length(id) = 16),
    -- What the title is found by.
    sought text NOT NULL,
    face text NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX conversation_status_newest ON conversation (status, number);
-- Taking a store up asks for these alone, however many others there are.
CREATE INDEX conversation_busy ON conversation (number) WHERE busy <> 0;
-- To tell what happens in a conversation, its workflows are looked for.
CREATE INDEX workflow_conversation ON workflow (conversation, number)
