//! Reads rows back as plain values; shared by the owner's connection and by readers'.
//!
//! Every question is one statement, so that each answer is of one instant.

use std::collections::BTreeMap;

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::codes::Code;
use baton_core::ids::WorkflowId;
use baton_core::words::FactKind;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{DefinitionRow, FactRow, Head, Record, SnapshotRow, Tail};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::fault::Fault;
use super::link::Link;
use crate::chain;
use crate::rows::{self, Cells, DEFINITION, FACT, HEAD, RECORD, SNAPSHOT, TASK, WORKFLOW};
use crate::sound::{integer, task_keys};
use crate::usage::{self, USAGE};

/// Where the newest event of the stream `$1` is said to stand.
const NEWEST: &str = "coalesce(CASE WHEN $1::int8 = 0 THEN (SELECT system_head FROM head)
    ELSE coalesce((SELECT head FROM workflow WHERE number = $1::int8),
        (SELECT head FROM conversation WHERE number = $1::int8)) END, 0)";

/// A stream walked back to `$2`: the position of its newest event, and the events that were found.
fn walk_back(newest: &str) -> String {
    format!(
        "WITH RECURSIVE newest AS (
            SELECT {newest} AS at
        ), walk AS (
            SELECT journal.* FROM newest JOIN journal ON journal.position = newest.at
            WHERE newest.at > $2::int8
            UNION ALL
            SELECT journal.* FROM walk JOIN journal ON journal.position = walk.previous
                AND journal.position < walk.position
            WHERE walk.previous > $2::int8
        ) SELECT newest.at AS newest, position, stream, version, previous, cause, kind, shape,
            actor, walk.at, body FROM newest LEFT JOIN walk ON true"
    )
}

/// The same from a snapshot's event on, with the snapshot beside that event.
const TAIL: &str = "WITH RECURSIVE newest AS (
        SELECT workflow.head AS at, coalesce(snapshot.position, 1) AS first
        FROM workflow LEFT JOIN snapshot ON snapshot.stream = workflow.number
        WHERE workflow.number = $1::int8
        UNION ALL
        SELECT head, 1 FROM conversation WHERE number = $1::int8
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

/// The cells of a row.
pub(crate) struct RowCells<'row> {
    row: &'row Row,
    next: usize,
}

impl<'row> RowCells<'row> {
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
}

impl<'row> Cells<'row> for RowCells<'row> {
    type Fault = Fault;

    fn maybe_integer(&mut self) -> Result<Option<i64>, Fault> {
        let column = self.row.columns().get(self.next);
        if column.is_some_and(|column| *column.type_() == Type::INT2) {
            return Ok(self.take::<Option<i16>>()?.map(i64::from));
        }
        self.take()
    }

    fn maybe_text(&mut self) -> Result<Option<&'row str>, Fault> {
        self.take()
    }

    fn maybe_bytes(&mut self) -> Result<Option<&'row [u8]>, Fault> {
        self.take()
    }
}

/// The only row, if there is one.
pub(crate) fn first<'row, T>(
    rows: &'row [Row],
    read: impl Fn(&mut RowCells<'row>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    rows.first().map(|row| read(&mut RowCells::of(row))).transpose()
}

/// Every row.
pub(crate) fn all<'row, T>(
    rows: &'row [Row],
    read: impl Fn(&mut RowCells<'row>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    rows.iter().map(|row| read(&mut RowCells::of(row))).collect()
}

/// The head row.
pub(crate) fn head(link: &mut Link) -> Result<Head, Fault> {
    head_row(&link.read(&format!("SELECT {HEAD} FROM head WHERE one = 1"), &[])?)
}

/// A head as a statement returned it.
pub(crate) fn head_row(rows: &[Row]) -> Result<Head, Fault> {
    rows::head(rows.first().map(RowCells::of))
}

/// The numbers of the workflows whose status does not end, ascending.
pub(crate) fn live(link: &mut Link) -> Result<Vec<u64>, Fault> {
    let sql = "SELECT number FROM workflow WHERE status IN \
        (SELECT code FROM workflow_status WHERE NOT terminal) ORDER BY number";
    all(&link.read(sql, &[])?, |cells| cells.number())
}

/// The number of the workflow with this id.
pub(crate) fn number_of(link: &mut Link, id: WorkflowId) -> Result<Option<u64>, Fault> {
    let sql = "SELECT number FROM workflow WHERE id = $1";
    first(&link.read(sql, &[&id.as_bytes().as_slice()])?, |cells| cells.number())
}

/// The id of the workflow of a number.
pub(crate) fn id_of(link: &mut Link, number: u64) -> Result<Option<WorkflowId>, Fault> {
    let rows = link.read("SELECT id FROM workflow WHERE number = $1", &[&integer(number)])?;
    first(&rows, |cells| cells.bytes().map(WorkflowId::from_bytes))
}

/// The events of a stream whose position is larger than `after`, oldest first.
pub(crate) fn stream(link: &mut Link, number: u64, after: u64) -> Result<Vec<Record>, Fault> {
    let rows = link.read(&walk_back(NEWEST), &[&integer(number), &integer(after)])?;
    chain_of(&rows, number, after)
}

/// The events of a stream whose newest is said to stand at `newest`, oldest first.
pub(crate) fn chain_from(link: &mut Link, number: u64, newest: u64) -> Result<Vec<Record>, Fault> {
    let rows = link.read(&walk_back("$1::int8"), &[&integer(newest), &0_i64])?;
    chain_of(&rows, number, 0)
}

fn chain_of(rows: &[Row], number: u64, after: u64) -> Result<Vec<Record>, Fault> {
    let Some(newest) = first(rows, |cells| cells.number())? else {
        return Ok(Vec::new());
    };
    let mut found = BTreeMap::new();
    for row in rows {
        let mut cells = RowCells::of(row);
        let newest: u64 = cells.number()?;
        if cells.row.try_get::<_, Option<i64>>(cells.next)?.is_some() && newest > after {
            let record = rows::record(&mut cells)?;
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
        let mut cells = RowCells::of(row);
        (newest, position) = (cells.number()?, cells.number()?);
        let (version, shape) = (cells.maybe_number()?, cells.maybe_number()?);
        let bytes = cells.maybe_bytes()?;
        if let (Some(version), Some(shape), Some(bytes)) = (version, shape, bytes) {
            snapshot = Some(SnapshotRow { number, version, position, shape, bytes: bytes.into() });
        }
        if cells.row.try_get::<_, Option<i64>>(cells.next)?.is_some() {
            let record = rows::record(&mut cells)?;
            found.insert(record.position, record);
        }
    }
    let after = position.saturating_sub(1);
    let records = chain::walk(number, newest, after, |at| Ok::<_, Fault>(found.remove(&at)))?;
    Ok(Tail { snapshot, records })
}

/// The snapshot of the smallest number after this one that has any.
pub(crate) fn next_snapshot(link: &mut Link, after: u64) -> Result<Option<SnapshotRow>, Fault> {
    let sql = format!("SELECT {SNAPSHOT} FROM snapshot WHERE stream > $1 ORDER BY stream LIMIT 1");
    first(&link.read(&sql, &[&integer(after)])?, rows::snapshot)
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
    let sql = format!(
        "SELECT {DEFINITION} FROM definition \
         WHERE workspace = 1 AND name = $1 AND version = coalesce($2::int8, version) \
         ORDER BY version DESC LIMIT 1"
    );
    first(&link.read(&sql, &[&name, &version.map(i64::from)])?, rows::definition)
}

/// The definitions a clause asks for, by name and then by version.
pub(crate) fn definitions(link: &mut Link, clause: &str) -> Result<Vec<DefinitionRow>, Fault> {
    let order = "ORDER BY name COLLATE \"C\", version";
    let sql = format!("SELECT {DEFINITION} FROM definition {clause} {order}");
    all(&link.read(&sql, &[])?, rows::definition)
}

/// The fact of this kind and key.
pub(crate) fn fact(link: &mut Link, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, Fault> {
    let sql = format!("SELECT {FACT} FROM fact WHERE kind = $1 AND key = $2");
    first(&link.read(&sql, &[&i16::from(kind.code()), &key])?, rows::fact)
}

/// Every fact of a kind, by key.
pub(crate) fn facts(link: &mut Link, kind: FactKind) -> Result<Vec<FactRow>, Fault> {
    let sql = format!("SELECT {FACT} FROM fact WHERE kind = $1 ORDER BY key");
    all(&link.read(&sql, &[&i16::from(kind.code())])?, rows::fact)
}

/// Every actor that has a number, ascending.
pub(crate) fn actors(link: &mut Link) -> Result<Vec<(u32, Actor)>, Fault> {
    let rows = link.read("SELECT number, kind, name FROM actor ORDER BY number", &[])?;
    all(&rows, |cells| Ok((cells.number()?, rows::actor(cells)?)))
}

/// The actor of a number.
pub(crate) fn actor(link: &mut Link, number: u32) -> Result<Option<Actor>, Fault> {
    let sql = "SELECT kind, name FROM actor WHERE number = $1";
    first(&link.read(sql, &[&i64::from(number)])?, rows::actor)
}

/// One workflow.
pub(crate) fn workflow_by_id(
    link: &mut Link,
    id: WorkflowId,
) -> Result<Option<(WorkflowCard, WorkflowRow)>, Fault> {
    let sql = format!("SELECT {WORKFLOW} FROM workflow WHERE id = $1");
    first(&link.read(&sql, &[&id.as_bytes().as_slice()])?, rows::workflow)
}

/// The rows of a workflow's tasks, by ordinal.
pub(crate) fn tasks(link: &mut Link, number: u64) -> Result<Vec<TaskRow>, Fault> {
    let sql = format!("SELECT {TASK} FROM task WHERE key BETWEEN $1 AND $2 ORDER BY key");
    let [from, to] = task_keys(number);
    all(&link.read(&sql, &[&from, &to])?, rows::task)
}

/// The rows of the books of a workflow, by position.
pub(crate) fn usage(link: &mut Link, number: u64) -> Result<Vec<UsageRow>, Fault> {
    let sql = format!("SELECT {USAGE} FROM usage WHERE number = $1 ORDER BY position");
    all(&link.read(&sql, &[&integer(number)])?, usage::row)
}

/// Events of all streams after a position.
pub(crate) fn events(link: &mut Link, after: u64, limit: u32) -> Result<Vec<Record>, Fault> {
    let sql =
        format!("SELECT {RECORD} FROM journal WHERE position > $1 ORDER BY position LIMIT $2");
    all(&link.read(&sql, &[&integer(after), &i64::from(limit)])?, rows::record)
}

/// What the tables and indexes of the store take on disk.
pub(crate) fn bytes_on_disk(link: &mut Link) -> Result<u64, Fault> {
    let sql = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = current_schema() AND c.relkind = 'r'";
    Ok(first(&link.read(sql, &[])?, RowCells::number)?.unwrap_or(0))
}
