-- The books: a row for each call of a model, under the position of the event that settled it. What
-- is not known is null: the tokens of a call that was cut off, the cost where there is no price.
-- Money is in picodollars. Purging a workflow keeps its rows.
CREATE TABLE usage (
    position INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    of INTEGER NOT NULL,
    task TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    started_by TEXT NOT NULL,
    conversation BLOB NOT NULL CHECK (length(conversation) = 16),
    at INTEGER NOT NULL,
    day INTEGER NOT NULL,
    billing INTEGER NOT NULL REFERENCES billing (code),
    input_tokens INTEGER,
    cached_tokens INTEGER,
    cache_write_tokens INTEGER,
    output_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost INTEGER,
    reserved_tokens INTEGER,
    reserved_cost INTEGER
) STRICT;
CREATE INDEX usage_workflow ON usage (number);
CREATE INDEX usage_day ON usage (day);
