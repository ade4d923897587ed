//! Writes one commit as one transaction, fenced by the head row.
//!
//! What stands in the rows is the engine's; here they are only bound to statements.

use std::collections::HashMap;

use baton_core::actor::Actor;
use baton_core::agent::{Cost, Usage};
use baton_core::body::BlobHash;
use baton_core::codes::Code;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{BlobUse, Commit, DefinitionRow, FactRow, Head, Record};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::fault::Fault;
use super::{conversation, read};
use crate::chain;
use crate::rows::budget_text;
use crate::sound::{self, task_key, task_keys};

/// The workspace of everything, until there are several.
const DEFAULT_WORKSPACE: i64 = 1;
/// How many void facts one idle moment drops.
const EXPIRED_DROPPED_MAX: usize = 1_000;
/// How many free pages one idle moment gives back to the disk.
const PAGES_GIVEN_BACK_MAX: u32 = 2_000;

/// Raises the epoch, so that earlier owners are fenced off.
pub(crate) fn take_over(connection: &mut Connection) -> Result<Head, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE head SET epoch = epoch + 1", [])?;
    let head = read::head(&transaction)?;
    transaction.commit().map_err(Fault::Outcome)?;
    Ok(head)
}

/// Writes a commit, all or nothing.
pub(crate) fn commit(connection: &mut Connection, commit: &Commit) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    fence(&transaction, commit)?;
    actors(&transaction, &commit.actors)?;
    undefine(&transaction, &commit.undefined)?;
    definitions(&transaction, &commit.definitions)?;
    facts(&transaction, &commit.facts)?;
    blobs(&transaction, &commit.blobs)?;
    journal(&transaction, &commit.records)?;
    purge(&transaction, &commit.purged)?;
    workflows(&transaction, commit)?;
    tasks(&transaction, &commit.tasks)?;
    usage(&transaction, &commit.usage)?;
    conversation::write(&transaction, &commit.conversations)?;
    release(&transaction, &commit.released)?;
    snapshots(&transaction, commit)?;
    transaction.commit().map_err(Fault::Outcome)
}

/// Gives some free pages back to the disk; whether there may be more.
pub(crate) fn shrink(connection: &mut Connection) -> Result<bool, Fault> {
    let mut vacuum =
        connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK_MAX})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    let left: u32 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    Ok(left > 0)
}

/// Moves the head, if it is where the writer thinks.
fn fence(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), Fault> {
    let Commit { after, head, .. } = commit;
    let moved = transaction
        .prepare_cached(
            "UPDATE head SET position = ?1, streams = ?2, system_version = ?3, system_head = ?4, \
             at = ?5 WHERE one = 1 AND epoch = ?6 AND position = ?7",
        )?
        .execute(params![
            head.position,
            head.streams,
            head.system_version,
            head.system_head,
            head.at.as_millis(),
            after.epoch,
            after.position,
        ])?;
    if moved == 1 {
        return Ok(());
    }
    let found = read::head(transaction)?;
    Err(Fault::from(sound::fenced(after, &found)))
}

fn journal(transaction: &Transaction<'_>, records: &[Record]) -> Result<(), Fault> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO journal \
         (position, stream, version, previous, cause, kind, shape, actor, at, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for record in records {
        insert.execute(params![
            record.position,
            record.stream,
            record.version,
            record.previous,
            record.cause,
            record.kind,
            record.shape,
            record.actor,
            record.at.as_millis(),
            &*record.body,
        ])?;
    }
    Ok(())
}

pub(crate) fn tasks(transaction: &Connection, rows: &[TaskRow]) -> Result<(), Fault> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO task (key, of, status, waits_for, attempts, started_at, ended_at, \
         items_first, items_count, position) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (key) DO UPDATE SET of = ?2, status = ?3, waits_for = ?4, attempts = ?5, \
         started_at = ?6, ended_at = ?7, items_first = ?8, items_count = ?9, position = ?10",
    )?;
    for row in rows {
        upsert.execute(params![
            task_key(row.number, row.ordinal.0),
            row.of.0,
            row.status.code(),
            row.waits_for.map(Code::code),
            row.attempts,
            row.started_at.map(Timestamp::as_millis),
            row.ended_at.map(Timestamp::as_millis),
            row.items.map(|(first, _)| first.0),
            row.items.map(|(_, count)| count),
            row.position,
        ])?;
    }
    Ok(())
}

pub(crate) fn usage(transaction: &Connection, rows: &[UsageRow]) -> Result<(), Fault> {
    for row in rows {
        let tokens = |of: fn(&Usage) -> u64| row.used.as_ref().map(of).map(sound::integer);
        let pico = |cost: Cost| sound::integer(cost.as_pico());
        transaction
            .prepare_cached(
                "INSERT INTO usage (position, number, ordinal, of, task, attempt, agent, model, \
                 started_by, conversation, at, day, billing, input_tokens, cached_tokens, \
                 cache_write_tokens, output_tokens, reasoning_tokens, cost, reserved_tokens, \
                 reserved_cost) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
                 ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
            )?
            .execute(params![
                row.position,
                row.number,
                row.ordinal.0,
                row.of.0,
                row.task,
                row.attempt,
                row.agent,
                row.model,
                row.user,
                row.conversation.as_bytes(),
                row.at.as_millis(),
                row.day(),
                row.billing.code(),
                tokens(|used| used.input_tokens),
                tokens(|used| used.cached_tokens),
                tokens(|used| used.cache_write_tokens),
                tokens(|used| used.output_tokens),
                tokens(|used| used.reasoning_tokens),
                row.cost.map(pico),
                row.reserved_tokens.map(sound::integer),
                row.reserved_cost.map(pico),
            ])?;
    }
    Ok(())
}

/// New workflows are inserted whole; others change where they changed.
fn workflows(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), Fault> {
    let mut cards: HashMap<u64, &WorkflowCard> =
        commit.cards.iter().map(|card| (card.number, card)).collect();
    for row in &commit.workflows {
        match cards.remove(&row.number) {
            Some(card) => insert_workflow(transaction, card, row)?,
            None => update_workflow(transaction, row)?,
        }
    }
    for replanned in &commit.replanned {
        transaction
            .prepare_cached("UPDATE workflow SET plan = ?2, scripted = ?3 WHERE number = ?1")?
            .execute(params![replanned.number, replanned.plan.0, replanned.scripted])?;
    }
    match cards.keys().next() {
        None => Ok(()),
        Some(number) => Err(Fault::from(sound::rowless(*number))),
    }
}

/// Most changes leave alone what indexes hold, and then no index is touched.
fn update_workflow(transaction: &Transaction<'_>, row: &WorkflowRow) -> Result<(), Fault> {
    let values = params![
        row.number,
        row.status.code(),
        row.waiting_people,
        row.run,
        row.revision,
        row.head,
        row.current_stage.as_deref(),
        row.progress.completed,
        row.progress.total,
        row.progress.percentage,
        row.progress.method.code(),
        row.failed,
        row.started_at.map(Timestamp::as_millis),
        row.updated_at.as_millis(),
        row.ended_at.map(Timestamp::as_millis),
        budget_text(row),
    ];
    let progressed = transaction
        .prepare_cached(
            "UPDATE workflow SET run = ?4, revision = ?5, head = ?6, current_stage = ?7, \
             completed = ?8, total = ?9, percentage = ?10, failed = ?12, started_at = ?13, \
             updated_at = ?14, ended_at = ?15, budget = ?16 \
             WHERE number = ?1 AND status = ?2 AND waiting_people = ?3 AND method = ?11",
        )?
        .execute(values)?;
    if progressed == 1 {
        return Ok(());
    }
    let changed = transaction
        .prepare_cached(
            "UPDATE workflow SET status = ?2, waiting_people = ?3, run = ?4, revision = ?5, \
             head = ?6, current_stage = ?7, completed = ?8, total = ?9, percentage = ?10, \
             method = ?11, failed = ?12, started_at = ?13, updated_at = ?14, ended_at = ?15, \
             budget = ?16 WHERE number = ?1",
        )?
        .execute(values)?;
    if changed == 1 {
        return Ok(());
    }
    Err(Fault::from(sound::unknown_workflow(row.number)))
}

pub(crate) fn insert_workflow(
    transaction: &Connection,
    card: &WorkflowCard,
    row: &WorkflowRow,
) -> Result<(), Fault> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO workflow (number, status, waiting_people, run, revision, head, \
         current_stage, completed, total, percentage, method, failed, started_at, updated_at, \
         ended_at, id, conversation, parent, name, version, plan, origin, priority, created_at, \
         workspace, project, scripted, budget) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
         ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, \
         ?28)",
    )?;
    insert.execute(params![
        row.number,
        row.status.code(),
        row.waiting_people,
        row.run,
        row.revision,
        row.head,
        row.current_stage.as_deref(),
        row.progress.completed,
        row.progress.total,
        row.progress.percentage,
        row.progress.method.code(),
        row.failed,
        row.started_at.map(Timestamp::as_millis),
        row.updated_at.as_millis(),
        row.ended_at.map(Timestamp::as_millis),
        card.id.as_bytes(),
        card.conversation.as_bytes(),
        card.parent.as_ref().map(|task| task.as_bytes()),
        card.name,
        card.version,
        card.plan.0,
        card.origin.code(),
        card.priority,
        card.created_at.as_millis(),
        DEFAULT_WORKSPACE,
        card.project.as_ref().map(|project| project.as_bytes()),
        card.scripted,
        budget_text(row),
    ])?;
    Ok(())
}

fn actors(transaction: &Transaction<'_>, actors: &[(u32, Actor)]) -> Result<(), Fault> {
    for (number, actor) in actors {
        transaction
            .prepare_cached(
                "INSERT INTO actor (number, workspace, kind, name) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![number, DEFAULT_WORKSPACE, actor.kind.code(), actor.name])?;
    }
    Ok(())
}

pub(crate) fn definitions(transaction: &Connection, rows: &[DefinitionRow]) -> Result<(), Fault> {
    for row in rows {
        transaction
            .prepare_cached(
                "INSERT INTO definition (workspace, name, version, plan, source, triggers, at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                DEFAULT_WORKSPACE,
                row.name,
                row.version,
                row.plan.0,
                row.source.map(|hash| hash.0),
                row.triggers,
                row.at.as_millis()
            ])?;
    }
    Ok(())
}

fn undefine(transaction: &Transaction<'_>, names: &[String]) -> Result<(), Fault> {
    for name in names {
        transaction
            .prepare_cached("DELETE FROM definition WHERE workspace = ?1 AND name = ?2")?
            .execute(params![DEFAULT_WORKSPACE, name])?;
    }
    Ok(())
}

pub(crate) fn facts(transaction: &Connection, rows: &[FactRow]) -> Result<(), Fault> {
    for row in rows {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO fact (kind, key, value, position, at, expires) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                row.kind.code(),
                row.key,
                row.value.as_str(),
                row.position,
                row.at.as_millis(),
                row.expires.map(Timestamp::as_millis),
            ])?;
    }
    Ok(())
}

/// Drops some facts that are void; whether there may be more.
pub(crate) fn drop_expired(connection: &Connection) -> Result<bool, Fault> {
    let dropped = connection
        .prepare_cached(
            "DELETE FROM fact WHERE (kind, key) IN (SELECT kind, key FROM fact \
             WHERE expires <= (SELECT at FROM head) LIMIT ?1)",
        )?
        .execute([EXPIRED_DROPPED_MAX])?;
    Ok(dropped == EXPIRED_DROPPED_MAX)
}

fn blobs(transaction: &Transaction<'_>, blobs: &[BlobUse]) -> Result<(), Fault> {
    for BlobUse { hash, more, blob } in blobs {
        let used_more = transaction
            .prepare_cached("UPDATE blob SET uses = uses + ?2 WHERE hash = ?1")?
            .execute(params![hash.0, more])?;
        if used_more == 1 {
            continue;
        }
        let Some(blob) = blob else {
            return Err(Fault::from(sound::missing_blob(*hash)));
        };
        let number = transaction
            .prepare_cached("INSERT INTO blob (hash, uses) VALUES (?1, ?2)")?
            .insert(params![hash.0, more])?;
        transaction
            .prepare_cached("INSERT INTO blob_bytes (blob, packed) VALUES (?1, ?2)")?
            .execute(params![number, &*blob.packed])?;
    }
    Ok(())
}

/// Ends uses of blobs; one that nothing uses any more goes.
fn release(transaction: &Transaction<'_>, released: &[(BlobHash, u32)]) -> Result<(), Fault> {
    for (hash, fewer) in released {
        let kept = transaction
            .prepare_cached("UPDATE blob SET uses = uses - ?2 WHERE hash = ?1 AND uses > ?2")?
            .execute(params![hash.0, fewer])?;
        if kept == 1 {
            continue;
        }
        let removed = transaction
            .prepare_cached("DELETE FROM blob WHERE hash = ?1 AND uses = ?2")?
            .execute(params![hash.0, fewer])?;
        if removed == 0 {
            return Err(Fault::from(sound::overreleased(*hash, *fewer)));
        }
    }
    Ok(())
}

fn snapshots(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), Fault> {
    for row in &commit.snapshots {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO snapshot (stream, version, position, shape, bytes) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![row.number, row.version, row.position, row.shape, &*row.bytes])?;
    }
    for number in commit.outlived.iter().chain(&commit.purged) {
        drop_snapshot(transaction, *number)?;
    }
    Ok(())
}

pub(crate) fn drop_snapshot(transaction: &Connection, number: u64) -> Result<(), Fault> {
    transaction
        .prepare_cached("DELETE FROM snapshot WHERE stream = ?1")?
        .execute([sound::integer(number)])?;
    Ok(())
}

/// Removes the events and tasks of workflows; their rows stay, with nothing behind them.
fn purge(transaction: &Transaction<'_>, numbers: &[u64]) -> Result<(), Fault> {
    for &number in numbers {
        let head = "SELECT head FROM workflow WHERE number = ?1";
        let head: Option<u64> =
            transaction.prepare_cached(head)?.query_row([number], |row| row.get(0)).optional()?;
        let mut at = head.ok_or_else(|| sound::unknown_workflow(number))?;
        while at != 0 {
            at = transaction
                .prepare_cached(
                    "DELETE FROM journal WHERE position = ?1 AND stream = ?2 RETURNING previous",
                )?
                .query_row([at, number], |row| row.get(0))
                .optional()?
                .ok_or_else(|| chain::broken(number, at))?;
        }
        transaction
            .prepare_cached("DELETE FROM task WHERE key BETWEEN ?1 AND ?2")?
            .execute(task_keys(number))?;
        transaction
            .prepare_cached("UPDATE workflow SET head = 0 WHERE number = ?1")?
            .execute([number])?;
    }
    Ok(())
}
