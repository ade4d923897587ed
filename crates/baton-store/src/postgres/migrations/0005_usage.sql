-- The books: a row for each call of a model, under the position of the event that settled it. What
-- is not known is null: the tokens of a call that was cut off, the cost where there is no price.
-- Money is in picodollars. Purging a workflow keeps its rows.
CREATE TABLE usage (
    position int8 PRIMARY KEY,
    number int8 NOT NULL,
    ordinal int8 NOT NULL,
    of int8 NOT NULL,
    task text COLLATE "C" NOT NULL,
    attempt int8 NOT NULL,
    agent text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    started_by text COLLATE "C" NOT NULL,
    conversation bytea NOT NULL CHECK (length(conversation) = 16),
    at int8 NOT NULL,
    day int8 NOT NULL,
    billing int2 NOT NULL REFERENCES billing (code),
    input_tokens int8,
    cached_tokens int8,
    cache_write_tokens int8,
    output_tokens int8,
    reasoning_tokens int8,
    cost int8,
    reserved_tokens int8,
    reserved_cost int8
);
CREATE INDEX usage_workflow ON usage (number);
CREATE INDEX usage_day ON usage (day)
