//! Reads rows back as plain values; shared by the owner's connection and by readers'.
//!
//! It does not judge what it reads, except that it is what the declared types can hold.

use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::codes::Code;
use baton_core::ids::{ConversationId, Ordinal, TaskId, WorkflowId};
use baton_core::progress::Progress;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_engine::store::{DefinitionRow, Head, Record, SYSTEM_STREAM, SnapshotRow, Tail};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::Fault;
use crate::chain::Walk;
use crate::sound::{integer, split_key};

/// How far apart two events of a stream may stand to be reached by stepping over what is between:
/// a step over a row costs about a twentieth of a search.
const STEPS_MAX: u64 = 16;

/// The columns of [`record`], in its order.
pub(crate) const RECORD: &str =
    "position, stream, version, previous, cause, kind, shape, actor, at, body";
/// The columns of [`workflow`], in its order.
pub(crate) const WORKFLOW: &str = "workflow.number, id, conversation, parent, name, version, \
    plan, origin, priority, created_at, workflow.status, run, revision, head, current_stage, \
    completed, total, percentage, method, failed, waiting_people, workflow.started_at, \
    updated_at, workflow.ended_at";
/// The columns of [`task`], in its order.
pub(crate) const TASK: &str = "key, of, task.status, waits_for, attempts, task.started_at, \
    task.ended_at, items_first, items_count, position";

/// The cells of a row, taken one after the other.
pub(crate) struct Cells<'row, 'statement> {
    row: &'row Row<'statement>,
    next: usize,
}

impl<'row, 'statement> Cells<'row, 'statement> {
    /// All cells of a row, from the first.
    pub fn of(row: &'row Row<'statement>) -> Self {
        Self { row, next: 0 }
    }

    fn take<T: FromSql>(&mut self) -> Result<T, Fault> {
        let at = self.next;
        self.next += 1;
        Ok(self.row.get(at)?)
    }

    fn time(&mut self) -> Result<Timestamp, Fault> {
        self.take().map(Timestamp::from_millis)
    }

    fn maybe_time(&mut self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.take::<Option<i64>>()?.map(Timestamp::from_millis))
    }

    fn code<C: Code>(&mut self) -> Result<C, Fault> {
        let code = self.take()?;
        C::from_code(code).ok_or_else(|| unknown::<C>(code))
    }

    fn maybe_code<C: Code>(&mut self) -> Result<Option<C>, Fault> {
        let code: Option<u8> = self.take()?;
        code.map(|code| C::from_code(code).ok_or_else(|| unknown::<C>(code))).transpose()
    }
}

fn unknown<C: Code>(code: u8) -> Fault {
    Fault::corrupt(format!("{code} is not a code of the vocabulary `{}`", C::VOCABULARY))
}

/// The head row.
pub(crate) fn head(connection: &Connection) -> Result<Head, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT position, streams, system_version, system_head, epoch, at FROM head WHERE one = 1",
    )?;
    let mut rows = select.query([])?;
    let row = rows.next()?.ok_or_else(|| Fault::corrupt("its head row is missing"))?;
    let mut cells = Cells::of(row);
    Ok(Head {
        position: cells.take()?,
        streams: cells.take()?,
        system_version: cells.take()?,
        system_head: cells.take()?,
        epoch: cells.take()?,
        at: cells.time()?,
    })
}

/// The numbers of the workflows whose status does not end, ascending.
pub(crate) fn live(connection: &Connection) -> Result<Vec<u64>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT number FROM workflow WHERE status IN \
         (SELECT code FROM workflow_status WHERE terminal = 0) ORDER BY number",
    )?;
    let numbers = select.query_map([], |row| row.get(0))?;
    Ok(numbers.collect::<Result<_, _>>()?)
}

/// The number of the workflow with this id.
pub(crate) fn number_of(connection: &Connection, id: WorkflowId) -> Result<Option<u64>, Fault> {
    let mut select = connection.prepare_cached("SELECT number FROM workflow WHERE id = ?1")?;
    Ok(select.query_row([id.as_bytes()], |row| row.get(0)).optional()?)
}

/// The events of a stream whose position is larger than `after`, oldest first.
pub(crate) fn stream(
    connection: &Connection,
    number: u64,
    after: u64,
) -> Result<Vec<Record>, Fault> {
    let newest = newest_of(connection, number)?;
    chain_from(connection, number, newest, after)
}

/// The same, of a stream whose newest event is said to stand at `newest`.
pub(crate) fn chain_from(
    connection: &Connection,
    number: u64,
    newest: u64,
    after: u64,
) -> Result<Vec<Record>, Fault> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {RECORD} FROM journal WHERE position <= ?1 ORDER BY position DESC"
    ))?;
    let mut walk = Walk::new(number, newest, after);
    while let Some(start) = walk.next() {
        let mut rows = select.query([integer(start)])?;
        let mut last = start;
        // What stands near is reached by stepping; for what is far away, the search begins anew.
        while let Some(next) = walk.next().filter(|next| last - next <= STEPS_MAX) {
            let found = loop {
                match rows.next()? {
                    Some(row) if row.get::<_, u64>(0)? > next => {}
                    found => break found,
                }
            };
            walk.take(found.map(record).transpose()?)?;
            last = next;
        }
    }
    Ok(walk.into_records())
}

/// A workflow's snapshot.
pub(crate) fn snapshot(connection: &Connection, number: u64) -> Result<Option<SnapshotRow>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT stream, version, position, shape, bytes FROM snapshot WHERE stream = ?1",
    )?;
    let mut rows = select.query([integer(number)])?;
    rows.next()?.map(snapshot_row).transpose()
}

/// A snapshot.
pub(crate) fn snapshot_row(row: &Row<'_>) -> Result<SnapshotRow, Fault> {
    let mut cells = Cells::of(row);
    Ok(SnapshotRow {
        number: cells.take()?,
        version: cells.take()?,
        position: cells.take()?,
        shape: cells.take()?,
        bytes: cells.take::<Vec<u8>>()?.into(),
    })
}

/// A workflow's snapshot and the events from its on; the whole stream where it has none.
pub(crate) fn tail(connection: &Connection, number: u64) -> Result<Tail, Fault> {
    let snapshot = snapshot(connection, number)?;
    let after = snapshot.as_ref().map_or(0, |row| row.position.saturating_sub(1));
    Ok(Tail { records: stream(connection, number, after)?, snapshot })
}

/// The position of a stream's newest event; 0 where it has none.
fn newest_of(connection: &Connection, number: u64) -> Result<u64, Fault> {
    if number == SYSTEM_STREAM {
        return Ok(head(connection)?.system_head);
    }
    let mut select = connection.prepare_cached("SELECT head FROM workflow WHERE number = ?1")?;
    let newest = select.query_row([integer(number)], |row| row.get(0)).optional()?;
    Ok(newest.unwrap_or(0))
}

/// A blob by its hash.
pub(crate) fn blob(connection: &Connection, hash: BlobHash) -> Result<Option<Blob>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT packed FROM blob JOIN blob_bytes ON blob_bytes.blob = blob.number WHERE hash = ?1",
    )?;
    let packed: Option<Vec<u8>> = select.query_row([hash.0], |row| row.get(0)).optional()?;
    Ok(packed.map(|packed| Blob { hash, packed: packed.into() }))
}

/// The definition of this name; the newest version where none is given.
pub(crate) fn definition(
    connection: &Connection,
    name: &str,
    version: Option<u32>,
) -> Result<Option<DefinitionRow>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT name, version, plan, at FROM definition \
         WHERE workspace = 1 AND name = ?1 AND version = coalesce(?2, version) \
         ORDER BY version DESC LIMIT 1",
    )?;
    let mut rows = select.query(params![name, version])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let mut cells = Cells::of(row);
    Ok(Some(DefinitionRow {
        name: cells.take()?,
        version: cells.take()?,
        plan: BlobHash(cells.take()?),
        at: cells.time()?,
    }))
}

/// Every actor that has a number, ascending.
pub(crate) fn actors(connection: &Connection) -> Result<Vec<(u32, Actor)>, Fault> {
    let mut select =
        connection.prepare_cached("SELECT number, kind, name FROM actor ORDER BY number")?;
    let rows = select.query_and_then([], |row| {
        let mut cells = Cells::of(row);
        Ok((cells.take()?, Actor { kind: cells.code()?, name: cells.take()? }))
    })?;
    rows.collect()
}

/// The actor of a number.
pub(crate) fn actor(connection: &Connection, number: u32) -> Result<Option<Actor>, Fault> {
    let mut select = connection.prepare_cached("SELECT kind, name FROM actor WHERE number = ?1")?;
    let mut rows = select.query([number])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let mut cells = Cells::of(row);
    Ok(Some(Actor { kind: cells.code()?, name: cells.take()? }))
}

/// An event.
pub(crate) fn record(row: &Row<'_>) -> Result<Record, Fault> {
    let mut cells = Cells::of(row);
    Ok(Record {
        position: cells.take()?,
        stream: cells.take()?,
        version: cells.take()?,
        previous: cells.take()?,
        cause: cells.take()?,
        kind: cells.take()?,
        shape: cells.take()?,
        actor: cells.take()?,
        at: cells.time()?,
        body: cells.take::<Arc<str>>()?,
    })
}

/// A workflow.
pub(crate) fn workflow(cells: &mut Cells<'_, '_>) -> Result<(WorkflowCard, WorkflowRow), Fault> {
    let card = WorkflowCard {
        number: cells.take()?,
        id: WorkflowId::from_bytes(cells.take()?),
        conversation: ConversationId::from_bytes(cells.take()?),
        parent: cells.take::<Option<[u8; 16]>>()?.map(TaskId::from_bytes),
        name: cells.take()?,
        version: cells.take()?,
        plan: BlobHash(cells.take()?),
        origin: cells.code()?,
        priority: cells.take()?,
        created_at: cells.time()?,
    };
    let row = WorkflowRow {
        number: card.number,
        status: cells.code()?,
        run: cells.take()?,
        revision: cells.take()?,
        head: cells.take()?,
        current_stage: cells.take()?,
        progress: Progress {
            completed: cells.take()?,
            total: cells.take()?,
            percentage: cells.take()?,
            method: cells.code()?,
        },
        failed: cells.take()?,
        waiting_people: cells.take()?,
        started_at: cells.maybe_time()?,
        updated_at: cells.time()?,
        ended_at: cells.maybe_time()?,
    };
    Ok((card, row))
}

/// A task's row.
pub(crate) fn task(cells: &mut Cells<'_, '_>) -> Result<TaskRow, Fault> {
    let (number, ordinal) = split_key(cells.take()?);
    Ok(TaskRow {
        number,
        ordinal: Ordinal(ordinal),
        of: Ordinal(cells.take()?),
        status: cells.code()?,
        waits_for: cells.maybe_code()?,
        attempts: cells.take()?,
        started_at: cells.maybe_time()?,
        ended_at: cells.maybe_time()?,
        items: {
            let (first, count) = (cells.take::<Option<u32>>()?, cells.take()?);
            first.map(Ordinal).zip(count)
        },
        position: cells.take()?,
    })
}
