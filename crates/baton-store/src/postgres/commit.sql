-- One commit, in one statement: all of it or nothing, without a transaction that could be left
-- open. Everything hangs on `fence`: where the head is not where the writer thinks, it yields no
-- row and nothing is written. The lock on the head row makes positions visible in order.
WITH RECURSIVE fence AS (
    UPDATE head SET position = $1, streams = $2, system_version = $3, system_head = $4, at = $5
    WHERE one = 1 AND epoch = $6 AND position = $7
    RETURNING 1 AS held
),
new_actor AS (
    INSERT INTO actor (number, kind, name)
    SELECT u.* FROM fence, unnest($8::int8[], $9::int2[], $10::text[]) AS u
),
new_definition AS (
    INSERT INTO definition (name, version, plan, at, source, triggers)
    SELECT u.* FROM fence, unnest($11::text[], $12::int8[], $13::bytea[], $14::int8[],
        $91::bytea[], $92::int8[]) AS u
),
old_definition AS (
    DELETE FROM definition USING fence, unnest($93::text[]) AS u (name)
    WHERE definition.workspace = 1 AND definition.name = u.name
),
new_fact AS (
    INSERT INTO fact (kind, key, value, position, at, expires)
    SELECT u.* FROM fence, unnest($85::int2[], $86::bytea[], $87::text[], $88::int8[], $89::int8[],
        $90::int8[]) AS u
    ON CONFLICT (kind, key) DO UPDATE SET value = EXCLUDED.value, position = EXCLUDED.position,
        at = EXCLUDED.at, expires = EXCLUDED.expires
),
-- `more` may be negative; `ends` says that the blob goes when nothing uses it any more.
use AS (
    SELECT u.hash, u.more, u.ends, u.packed, blob.uses
    FROM fence, unnest($15::bytea[], $16::int8[], $17::bool[], $18::bytea[])
        AS u (hash, more, ends, packed)
    LEFT JOIN blob ON blob.hash = u.hash
),
unused_blob AS (
    DELETE FROM blob USING use
    WHERE blob.hash = use.hash AND use.ends AND use.uses + use.more = 0
),
used_blob AS (
    UPDATE blob SET uses = use.uses + use.more FROM use
    WHERE blob.hash = use.hash AND use.uses + use.more >= 0
        AND NOT (use.ends AND use.uses + use.more = 0)
),
new_blob AS (
    INSERT INTO blob (hash, uses, packed)
    SELECT hash, more, packed FROM use
    WHERE uses IS NULL AND packed IS NOT NULL AND more >= 0 AND NOT (ends AND more = 0)
),
new_event AS (
    INSERT INTO journal
        (position, stream, version, previous, cause, kind, shape, actor, at, body)
    SELECT u.* FROM fence, unnest($19::int8[], $20::int8[], $21::int8[], $22::int8[], $23::int8[],
        $24::int2[], $25::int2[], $26::int8[], $27::int8[], $28::text[]) AS u
),
new_workflow AS (
    INSERT INTO workflow (number, id, conversation, parent, name, version, plan, origin, priority,
        created_at, status, run, revision, head, current_stage, completed, total, percentage,
        method, failed, waiting_people, started_at, updated_at, ended_at, project, scripted,
        budget)
    SELECT u.* FROM fence, unnest($29::int8[], $30::bytea[], $31::bytea[], $32::bytea[],
        $33::text[], $34::int8[], $35::bytea[], $36::int2[], $37::int2[], $38::int8[],
        $39::int2[], $40::int8[], $41::int8[], $42::int8[], $43::text[], $44::int8[], $45::int8[],
        $46::int2[], $47::int2[], $48::int8[], $49::int8[], $50::int8[], $51::int8[],
        $52::int8[], $94::bytea[], $96::int2[], $97::text[]) AS u
),
changed_workflow AS (
    UPDATE workflow SET status = u.status, run = u.run, revision = u.revision, head = u.head,
        current_stage = u.current_stage, completed = u.completed, total = u.total,
        percentage = u.percentage, method = u.method, failed = u.failed,
        waiting_people = u.waiting_people, started_at = u.started_at, updated_at = u.updated_at,
        ended_at = u.ended_at, budget = u.budget, plan = coalesce(u.plan, workflow.plan),
        scripted = coalesce(u.scripted, workflow.scripted)
    FROM fence, unnest($53::int8[], $54::int2[], $55::int8[], $56::int8[], $57::int8[],
        $58::text[], $59::int8[], $60::int8[], $61::int2[], $62::int2[], $63::int8[], $64::int8[],
        $65::int8[], $66::int8[], $67::int8[], $98::text[], $100::bytea[], $101::int2[])
        AS u (number, status, run, revision, head, current_stage, completed, total, percentage,
            method, failed, waiting_people, started_at, updated_at, ended_at, budget, plan,
            scripted)
    WHERE workflow.number = u.number
    RETURNING workflow.number
),
changed_task AS (
    INSERT INTO task (key, of, status, waits_for, attempts, started_at, ended_at, items_first,
        items_count, position)
    SELECT u.* FROM fence, unnest($68::int8[], $69::int8[], $70::int2[], $71::int2[], $72::int8[],
        $73::int8[], $74::int8[], $75::int8[], $76::int8[], $77::int8[]) AS u
    ON CONFLICT (key) DO UPDATE SET of = EXCLUDED.of, status = EXCLUDED.status,
        waits_for = EXCLUDED.waits_for, attempts = EXCLUDED.attempts,
        started_at = EXCLUDED.started_at, ended_at = EXCLUDED.ended_at,
        items_first = EXCLUDED.items_first, items_count = EXCLUDED.items_count,
        position = EXCLUDED.position
),
new_usage AS (
    INSERT INTO usage (position, number, ordinal, of, task, attempt, agent, model, started_by,
        conversation, at, day, billing, input_tokens, cached_tokens, cache_write_tokens,
        output_tokens, reasoning_tokens, cost, reserved_tokens, reserved_cost)
    SELECT position, number, ordinal, of, task, attempt, agent, model, started_by,
        decode(conversation, 'hex'), at, day, billing, input_tokens, cached_tokens,
        cache_write_tokens, output_tokens, reasoning_tokens, cost, reserved_tokens, reserved_cost
    FROM fence, jsonb_to_recordset($95::text::jsonb) AS u (position int8, number int8,
        ordinal int8, of int8, task text, attempt int8, agent text, model text, started_by text,
        conversation text, at int8, day int8, billing int2, input_tokens int8, cached_tokens int8,
        cache_write_tokens int8, output_tokens int8, reasoning_tokens int8, cost int8,
        reserved_tokens int8, reserved_cost int8)
),
changed_conversation AS (
    INSERT INTO conversation (number, id, status, busy, revision, head, created_at, updated_at,
        sought, face)
    SELECT number, decode(id, 'hex'), status, busy, revision, head, created_at, updated_at, sought,
        face
    FROM fence, jsonb_to_recordset($99::text::jsonb) AS u (number int8, id text, status int2,
        busy int2, revision int8, head int8, created_at int8, updated_at int8, sought text,
        face text)
    ON CONFLICT (number) DO UPDATE SET id = EXCLUDED.id, status = EXCLUDED.status,
        busy = EXCLUDED.busy, revision = EXCLUDED.revision, head = EXCLUDED.head,
        created_at = EXCLUDED.created_at, updated_at = EXCLUDED.updated_at,
        sought = EXCLUDED.sought, face = EXCLUDED.face
),
purged AS (
    SELECT workflow.number, workflow.head FROM fence, unnest($78::int8[]) AS u (number)
    JOIN workflow ON workflow.number = u.number
),
old_event AS (
    SELECT purged.number, journal.position, journal.previous
    FROM purged JOIN journal ON journal.position = purged.head
    UNION ALL
    SELECT old_event.number, journal.position, journal.previous
    FROM old_event JOIN journal ON journal.position = old_event.previous
        AND journal.stream = old_event.number AND journal.position < old_event.position
),
purged_event AS (
    DELETE FROM journal USING old_event WHERE journal.position = old_event.position
),
purged_task AS (
    DELETE FROM task USING purged
    WHERE task.key >= purged.number << 20 AND task.key < (purged.number + 1) << 20
),
purged_workflow AS (
    UPDATE workflow SET head = 0 FROM purged
    WHERE workflow.number = purged.number AND workflow.number <> ALL ($53::int8[])
),
new_snapshot AS (
    INSERT INTO snapshot (stream, version, position, shape, bytes)
    SELECT u.* FROM fence, unnest($79::int8[], $80::int8[], $81::int8[], $82::int2[], $83::bytea[])
        AS u
    ON CONFLICT (stream) DO UPDATE SET version = EXCLUDED.version, position = EXCLUDED.position,
        shape = EXCLUDED.shape, bytes = EXCLUDED.bytes
),
old_snapshot AS (
    DELETE FROM snapshot USING fence, unnest($84::int8[] || $78::int8[]) AS u (number)
    WHERE snapshot.stream = u.number
),
fault AS (
    SELECT 'workflow ' || number || ' is not in the store' AS words
    FROM unnest($53::int8[]) AS u (number)
    WHERE number NOT IN (SELECT number FROM changed_workflow)
    UNION ALL
    SELECT 'workflow ' || number || ' is not in the store'
    FROM unnest($78::int8[]) AS u (number) WHERE number NOT IN (SELECT number FROM purged)
    UNION ALL
    SELECT 'the chain of stream ' || number || ' breaks; run `baton doctor`' FROM purged
    WHERE head > 0 AND number NOT IN (SELECT number FROM old_event WHERE previous = 0)
    UNION ALL
    SELECT 'it ends uses of the blob ' || encode(hash, 'hex') || ', which has fewer' FROM use WHERE coalesce(uses, 0) + more < 0
    UNION ALL
    SELECT 'it names the blob ' || encode(hash, 'hex') || ', which is not in the store, and does '
        || 'not bring its bytes' FROM use WHERE uses IS NULL AND packed IS NULL AND more >= 0
)
-- A text that is no number fails to be cast to one: so a statement undoes itself and says why,
-- without a stored procedure.
SELECT coalesce((SELECT min(words) FROM fault), '1')::int8 FROM fence
