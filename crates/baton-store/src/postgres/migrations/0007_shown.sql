-- Whether some agent of a workflow may ask a model that answers from a file. Of workflows that were
-- here before it is told by what they called; purged ones stay as their tombstones have them.
ALTER TABLE workflow ADD COLUMN scripted int2 NOT NULL DEFAULT 0 CHECK (scripted IN (0, 1));
UPDATE workflow SET scripted = 1
WHERE head <> 0 AND number IN (SELECT number FROM usage WHERE model LIKE 'scripted/%');
-- What the present run has used of its plan's budget, as JSON; null where the plan bounds nothing, and
-- of workflows that were here before until they go on.
ALTER TABLE workflow ADD COLUMN budget text
