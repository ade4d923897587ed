-- What a workflow belongs to, and the way to list what belongs to it, newest first.
ALTER TABLE workflow ADD COLUMN project BLOB CHECK (length(project) = 16);
CREATE INDEX workflow_project ON workflow (project) WHERE project IS NOT NULL;
