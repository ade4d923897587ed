//! Reads rows back as plain values; shared by the owner's connection and by readers'.
//!
//! Every question is one statement, so that each answer is of one instant.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::codes::Code;
use baton_core::ids::{ConversationId, Ordinal, TaskId, WorkflowId};
use baton_core::progress::Progress;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_engine::store::{DefinitionRow, Head, Record, SnapshotRow, Tail};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::fault::Fault;
use super::link::Link;
use crate::chain;
use crate::sound::{integer, split_key};

/// The columns of [`record`], in its order.
pub(crate) const RECORD: &str = "position, stream, version, previous, cause, kind, shape, actor, \
    at, body";
/// The columns of [`workflow`], in its order.
pub(crate) const WORKFLOW: &str = "workflow.number, id, conversation, parent, name, version, \
    plan, origin, priority, created_at, workflow.status, run, revision, head, current_stage, \
    completed, total, percentage, method, failed, waiting_people, workflow.started_at, \
    updated_at, workflow.ended_at";
/// The columns of [`task`], in its order.
pub(crate) const TASK: &str = "key, of, task.status, waits_for, attempts, task.started_at, \
    task.ended_at, items_first, items_count, position";

/// A stream walked back: the position of its newest event, and the events that were found.
const STREAM: &str = "WITH RECURSIVE newest AS (
        SELECT coalesce(CASE WHEN $1::int8 = 0 THEN (SELECT system_head FROM head)
            ELSE (SELECT head FROM workflow WHERE number = $1::int8) END, 0) AS at
    ), walk AS (
        SELECT journal.* FROM newest JOIN journal ON journal.position = newest.at
        WHERE newest.at > $2::int8
        UNION ALL
        SELECT journal.* FROM walk JOIN journal ON journal.position = walk.previous
            AND journal.position < walk.position
        WHERE walk.previous > $2::int8
    ) SELECT newest.at AS newest, position, stream, version, previous, cause, kind, shape, actor, \
        walk.at, body FROM newest LEFT JOIN walk ON true";

/// The same from a snapshot's event on, with the snapshot beside that event.
const TAIL: &str = "WITH RECURSIVE newest AS (
        SELECT workflow.head AS at, coalesce(snapshot.position, 1) AS first
        FROM workflow LEFT JOIN snapshot ON snapshot.stream = workflow.number
        WHERE workflow.number = $1::int8
    ), walk AS (
        SELECT journal.* FROM newest JOIN journal ON journal.position = newest.at
        WHERE newest.at >= newest.first
        UNION ALL
        SELECT journal.* FROM walk JOIN newest ON true JOIN journal
            ON journal.position = walk.previous AND journal.position < walk.position
        WHERE walk.previous >= newest.first
    ) SELECT newest.at AS newest, newest.first, snapshot.version, snapshot.shape, snapshot.bytes,
        walk.position, walk.stream, walk.version, previous, cause, kind, walk.shape, actor,
        walk.at, body
    FROM newest LEFT JOIN walk ON true
        LEFT JOIN snapshot ON snapshot.stream = $1::int8 AND snapshot.position = walk.position";

/// The cells of a row, taken one after the other.
pub(crate) struct Cells<'row> {
    row: &'row Row,
    next: usize,
}

impl<'row> Cells<'row> {
    /// All cells of a row, from the first.
    pub fn of(row: &'row Row) -> Self {
        Self { row, next: 0 }
    }

    /// The next cell, as the driver reads it.
    pub fn take<T: FromSql<'row>>(&mut self) -> Result<T, Fault> {
        let at = self.next;
        self.next += 1;
        self.row.try_get(at).map_err(|error| Fault::corrupt(format!("a column is odd: {error}")))
    }

    /// A number that is never negative.
    fn natural<T: TryFrom<i64>>(&mut self) -> Result<T, Fault> {
        let value: i64 = self.take()?;
        T::try_from(value).map_err(|_| out_of_range(value))
    }

    fn maybe_natural<T: TryFrom<i64>>(&mut self) -> Result<Option<T>, Fault> {
        let value: Option<i64> = self.take()?;
        value.map(|value| T::try_from(value).map_err(|_| out_of_range(value))).transpose()
    }

    /// A small number that is never negative.
    pub fn small(&mut self) -> Result<u8, Fault> {
        let value: i16 = self.take()?;
        u8::try_from(value).map_err(|_| out_of_range(i64::from(value)))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes: &[u8] = self.take()?;
        bytes.try_into().map_err(|_| Fault::corrupt(format!("{} bytes for {N}", bytes.len())))
    }

    fn time(&mut self) -> Result<Timestamp, Fault> {
        self.take().map(Timestamp::from_millis)
    }

    fn maybe_time(&mut self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.take::<Option<i64>>()?.map(Timestamp::from_millis))
    }

    fn code<C: Code>(&mut self) -> Result<C, Fault> {
        let code = self.small()?;
        C::from_code(code).ok_or_else(|| unknown::<C>(code))
    }

    fn maybe_code<C: Code>(&mut self) -> Result<Option<C>, Fault> {
        let Some(code) = self.take::<Option<i16>>()? else {
            return Ok(None);
        };
        let code = u8::try_from(code).map_err(|_| out_of_range(i64::from(code)))?;
        C::from_code(code).map(Some).ok_or_else(|| unknown::<C>(code))
    }
}

fn unknown<C: Code>(code: u8) -> Fault {
    Fault::corrupt(format!("{code} is not a code of the vocabulary `{}`", C::VOCABULARY))
}

fn out_of_range(value: i64) -> Fault {
    Fault::corrupt(format!("a column holds {value}, which is out of its range"))
}

/// The only row, if there is one.
fn first<T>(
    rows: &[Row],
    read: impl Fn(&mut Cells<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    rows.first().map(|row| read(&mut Cells::of(row))).transpose()
}

/// Every row.
pub(crate) fn all<T>(
    rows: &[Row],
    read: impl Fn(&mut Cells<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    rows.iter().map(|row| read(&mut Cells::of(row))).collect()
}

/// The head row's columns, in the order of [`head_row`].
pub(crate) const HEAD: &str = "position, streams, system_version, system_head, epoch, at";

/// The head row.
pub(crate) fn head(link: &mut Link) -> Result<Head, Fault> {
    head_row(&link.read(&format!("SELECT {HEAD} FROM head WHERE one = 1"), &[])?)
}

/// A head as a statement returned it.
pub(crate) fn head_row(rows: &[Row]) -> Result<Head, Fault> {
    let head = first(rows, |cells| {
        Ok(Head {
            position: cells.natural()?,
            streams: cells.natural()?,
            system_version: cells.natural()?,
            system_head: cells.natural()?,
            epoch: cells.natural()?,
            at: cells.time()?,
        })
    })?;
    head.ok_or_else(|| Fault::corrupt("its head row is missing"))
}

/// The numbers of the workflows whose status does not end, ascending.
pub(crate) fn live(link: &mut Link) -> Result<Vec<u64>, Fault> {
    let sql = "SELECT number FROM workflow WHERE status IN \
        (SELECT code FROM workflow_status WHERE NOT terminal) ORDER BY number";
    all(&link.read(sql, &[])?, |cells| cells.natural())
}

/// The number of the workflow with this id.
pub(crate) fn number_of(link: &mut Link, id: WorkflowId) -> Result<Option<u64>, Fault> {
    let sql = "SELECT number FROM workflow WHERE id = $1";
    first(&link.read(sql, &[&id.as_bytes().as_slice()])?, |cells| cells.natural())
}

/// The id of the workflow of a number.
pub(crate) fn id_of(link: &mut Link, number: u64) -> Result<Option<WorkflowId>, Fault> {
    let rows = link.read("SELECT id FROM workflow WHERE number = $1", &[&integer(number)])?;
    first(&rows, |cells| cells.bytes().map(WorkflowId::from_bytes))
}

/// The events of a stream whose position is larger than `after`, oldest first.
pub(crate) fn stream(link: &mut Link, number: u64, after: u64) -> Result<Vec<Record>, Fault> {
    let rows = link.read(STREAM, &[&integer(number), &integer(after)])?;
    let Some(newest) = first(&rows, |cells| cells.natural())? else {
        return Ok(Vec::new());
    };
    let mut found = BTreeMap::new();
    for row in &rows {
        let mut cells = Cells::of(row);
        let newest: u64 = cells.natural()?;
        if cells.row.try_get::<_, Option<i64>>(cells.next)?.is_some() && newest > after {
            let record = record(&mut cells)?;
            found.insert(record.position, record);
        }
    }
    chain::walk(number, newest, after, |position| Ok(found.remove(&position)))
}

/// A workflow's snapshot and the events from its on; the whole stream where it has none.
pub(crate) fn tail(link: &mut Link, number: u64) -> Result<Tail, Fault> {
    let rows = link.read(TAIL, &[&integer(number)])?;
    let (mut newest, mut position) = (0, 1);
    let (mut snapshot, mut found) = (None, BTreeMap::new());
    for row in &rows {
        let mut cells = Cells::of(row);
        (newest, position) = (cells.natural()?, cells.natural()?);
        let version = cells.maybe_natural()?;
        let shape: Option<u8> = cells.take::<Option<i16>>()?.and_then(|it| u8::try_from(it).ok());
        let bytes = cells.take::<Option<&[u8]>>()?;
        if let (Some(version), Some(shape), Some(bytes)) = (version, shape, bytes) {
            snapshot = Some(SnapshotRow { number, version, position, shape, bytes: bytes.into() });
        }
        if cells.row.try_get::<_, Option<i64>>(cells.next)?.is_some() {
            let record = record(&mut cells)?;
            found.insert(record.position, record);
        }
    }
    let after = position.saturating_sub(1);
    let records = chain::walk(number, newest, after, |at| Ok::<_, Fault>(found.remove(&at)))?;
    Ok(Tail { snapshot, records })
}

/// A blob by its hash.
pub(crate) fn blob(link: &mut Link, hash: BlobHash) -> Result<Option<Blob>, Fault> {
    let rows = link.read("SELECT packed FROM blob WHERE hash = $1", &[&hash.0.as_slice()])?;
    first(&rows, |cells| Ok(Blob { hash, packed: cells.take::<Vec<u8>>()?.into() }))
}

/// The definition of this name; the newest version where none is given.
pub(crate) fn definition(
    link: &mut Link,
    name: &str,
    version: Option<u32>,
) -> Result<Option<DefinitionRow>, Fault> {
    let sql = "SELECT name, version, plan, at FROM definition \
        WHERE workspace = 1 AND name = $1 AND version = coalesce($2::int8, version) \
        ORDER BY version DESC LIMIT 1";
    first(&link.read(sql, &[&name, &version.map(i64::from)])?, |cells| {
        Ok(DefinitionRow {
            name: cells.take()?,
            version: cells.natural()?,
            plan: BlobHash(cells.bytes()?),
            at: cells.time()?,
        })
    })
}

/// Every actor that has a number, ascending.
pub(crate) fn actors(link: &mut Link) -> Result<Vec<(u32, Actor)>, Fault> {
    let rows = link.read("SELECT number, kind, name FROM actor ORDER BY number", &[])?;
    all(&rows, |cells| Ok((cells.natural()?, Actor { kind: cells.code()?, name: cells.take()? })))
}

/// The actor of a number.
pub(crate) fn actor(link: &mut Link, number: u32) -> Result<Option<Actor>, Fault> {
    let sql = "SELECT kind, name FROM actor WHERE number = $1";
    first(&link.read(sql, &[&i64::from(number)])?, |cells| {
        Ok(Actor { kind: cells.code()?, name: cells.take()? })
    })
}

/// One workflow.
pub(crate) fn workflow_by_id(
    link: &mut Link,
    id: WorkflowId,
) -> Result<Option<(WorkflowCard, WorkflowRow)>, Fault> {
    let sql = format!("SELECT {WORKFLOW} FROM workflow WHERE id = $1");
    first(&link.read(&sql, &[&id.as_bytes().as_slice()])?, workflow)
}

/// An event.
pub(crate) fn record(cells: &mut Cells<'_>) -> Result<Record, Fault> {
    Ok(Record {
        position: cells.natural()?,
        stream: cells.natural()?,
        version: cells.natural()?,
        previous: cells.natural()?,
        cause: cells.natural()?,
        kind: cells.small()?,
        shape: cells.small()?,
        actor: cells.natural()?,
        at: cells.time()?,
        body: Arc::from(cells.take::<&str>()?),
    })
}

/// A workflow.
pub(crate) fn workflow(cells: &mut Cells<'_>) -> Result<(WorkflowCard, WorkflowRow), Fault> {
    let card = WorkflowCard {
        number: cells.natural()?,
        id: WorkflowId::from_bytes(cells.bytes()?),
        conversation: ConversationId::from_bytes(cells.bytes()?),
        parent: match cells.take::<Option<&[u8]>>()? {
            None => None,
            Some(bytes) => {
                let bytes = bytes.try_into().map_err(|_| Fault::corrupt("a parent is odd"))?;
                Some(TaskId::from_bytes(bytes))
            }
        },
        name: cells.take()?,
        version: cells.natural()?,
        plan: BlobHash(cells.bytes()?),
        origin: cells.code()?,
        priority: cells.small()?,
        created_at: cells.time()?,
    };
    let row = WorkflowRow {
        number: card.number,
        status: cells.code()?,
        run: cells.natural()?,
        revision: cells.natural()?,
        head: cells.natural()?,
        current_stage: cells.take::<Option<&str>>()?.map(str::to_owned),
        progress: Progress {
            completed: cells.natural()?,
            total: cells.natural()?,
            percentage: cells.small()?,
            method: cells.code()?,
        },
        failed: cells.natural()?,
        waiting_people: cells.natural()?,
        started_at: cells.maybe_time()?,
        updated_at: cells.time()?,
        ended_at: cells.maybe_time()?,
    };
    Ok((card, row))
}

/// A task's row.
pub(crate) fn task(cells: &mut Cells<'_>) -> Result<TaskRow, Fault> {
    let (number, ordinal) = split_key(cells.natural()?);
    Ok(TaskRow {
        number,
        ordinal: Ordinal(ordinal),
        of: Ordinal(cells.natural()?),
        status: cells.code()?,
        waits_for: cells.maybe_code()?,
        attempts: cells.natural()?,
        started_at: cells.maybe_time()?,
        ended_at: cells.maybe_time()?,
        items: {
            let (first, count) = (cells.maybe_natural()?, cells.maybe_natural()?);
            first.map(Ordinal).zip(count)
        },
        position: cells.natural()?,
    })
}
