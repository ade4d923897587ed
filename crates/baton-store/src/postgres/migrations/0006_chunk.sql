-- The text of running turns, which their answers hold once they are journaled. It may be lost, so it
-- is not in the server's log and no commit waits for it.
CREATE UNLOGGED TABLE chunk (
    task bytea NOT NULL CHECK (length(task) = 16),
    attempt int8 NOT NULL,
    start int8 NOT NULL,
    stream int8 NOT NULL,
    text bytea NOT NULL,
    PRIMARY KEY (task, attempt, start)
)
