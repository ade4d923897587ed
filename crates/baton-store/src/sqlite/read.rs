//! Reads rows back as plain values; shared by the owner's connection and by readers'.
//!
//! It does not judge what it reads, except that it is what the declared types can hold.

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::codes::Code;
use baton_core::ids::WorkflowId;
use baton_core::words::FactKind;
use baton_core::workflow::rows::TaskRow;
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{DefinitionRow, FactRow, Head, Record, SYSTEM_STREAM, SnapshotRow, Tail};
use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::Fault;
use crate::chain::Walk;
use crate::rows::{self, Cells, DEFINITION, FACT, HEAD, RECORD, SNAPSHOT, TASK};
use crate::sound::{integer, task_keys};
use crate::usage::{self, USAGE};

/// How far apart two events of a stream may stand to be reached by stepping over what is between:
/// a step over a row costs about a twentieth of a search.
const STEPS_MAX: u64 = 16;

/// The cells of a row.
pub(crate) struct RowCells<'row> {
    row: &'row Row<'row>,
    next: usize,
}

impl<'row> RowCells<'row> {
    /// All cells of a row, from the first.
    pub fn of(row: &'row Row<'row>) -> Self {
        Self { row, next: 0 }
    }

    fn take(&mut self) -> Result<(usize, ValueRef<'row>), Fault> {
        let at = self.next;
        self.next += 1;
        Ok((at, self.row.get_ref(at)?))
    }
}

impl<'row> Cells<'row> for RowCells<'row> {
    type Fault = Fault;

    fn maybe_integer(&mut self) -> Result<Option<i64>, Fault> {
        let (at, value) = self.take()?;
        value.as_i64_or_null().map_err(|error| odd(at, error))
    }

    fn maybe_text(&mut self) -> Result<Option<&'row str>, Fault> {
        let (at, value) = self.take()?;
        value.as_str_or_null().map_err(|error| odd(at, error))
    }

    fn maybe_bytes(&mut self) -> Result<Option<&'row [u8]>, Fault> {
        let (at, value) = self.take()?;
        value.as_blob_or_null().map_err(|error| odd(at, error))
    }
}

fn odd(at: usize, error: FromSqlError) -> Fault {
    Fault::corrupt(format!("column {at} is odd: {error}"))
}

/// The head row.
pub(crate) fn head(connection: &Connection) -> Result<Head, Fault> {
    let mut select =
        connection.prepare_cached(&format!("SELECT {HEAD} FROM head WHERE one = 1"))?;
    let mut rows = select.query([])?;
    rows::head(rows.next()?.map(RowCells::of))
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
            walk.take(found.map(|row| rows::record(&mut RowCells::of(row))).transpose()?)?;
            last = next;
        }
    }
    Ok(walk.into_records())
}

/// A workflow's snapshot.
pub(crate) fn snapshot(connection: &Connection, number: u64) -> Result<Option<SnapshotRow>, Fault> {
    let sql = format!("SELECT {SNAPSHOT} FROM snapshot WHERE stream = ?1");
    one_snapshot(connection, &sql, number)
}

/// The snapshot of the smallest number after this one that has any.
pub(crate) fn next_snapshot(
    connection: &Connection,
    after: u64,
) -> Result<Option<SnapshotRow>, Fault> {
    let sql = format!("SELECT {SNAPSHOT} FROM snapshot WHERE stream > ?1 ORDER BY stream LIMIT 1");
    one_snapshot(connection, &sql, after)
}

fn one_snapshot(
    connection: &Connection,
    sql: &str,
    number: u64,
) -> Result<Option<SnapshotRow>, Fault> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([integer(number)])?;
    rows.next()?.map(|row| rows::snapshot(&mut RowCells::of(row))).transpose()
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
    // The second is looked for only where there is no first.
    let mut select = connection.prepare_cached(
        "SELECT head FROM workflow WHERE number = ?1 \
         UNION ALL SELECT head FROM conversation WHERE number = ?1 LIMIT 1",
    )?;
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
    let sql = format!(
        "SELECT {DEFINITION} FROM definition \
         WHERE workspace = 1 AND name = ?1 AND version = coalesce(?2, version) \
         ORDER BY version DESC LIMIT 1"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query(params![name, version])?;
    rows.next()?.map(|row| rows::definition(&mut RowCells::of(row))).transpose()
}

/// The definitions a clause asks for, by name and then by version.
pub(crate) fn definitions(
    connection: &Connection,
    clause: &str,
) -> Result<Vec<DefinitionRow>, Fault> {
    let sql = format!("SELECT {DEFINITION} FROM definition {clause} ORDER BY name, version");
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_and_then([], |row| rows::definition(&mut RowCells::of(row)))?;
    rows.collect()
}

/// The fact of this kind and key.
pub(crate) fn fact(
    connection: &Connection,
    kind: FactKind,
    key: &[u8],
) -> Result<Option<FactRow>, Fault> {
    let sql = format!("SELECT {FACT} FROM fact WHERE kind = ?1 AND key = ?2");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query(params![kind.code(), key])?;
    rows.next()?.map(|row| rows::fact(&mut RowCells::of(row))).transpose()
}

/// Every fact of a kind, by key.
pub(crate) fn facts(connection: &Connection, kind: FactKind) -> Result<Vec<FactRow>, Fault> {
    let sql = format!("SELECT {FACT} FROM fact WHERE kind = ?1 ORDER BY key");
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_and_then([kind.code()], |row| rows::fact(&mut RowCells::of(row)))?;
    rows.collect()
}

/// Every actor that has a number, ascending.
pub(crate) fn actors(connection: &Connection) -> Result<Vec<(u32, Actor)>, Fault> {
    let mut select =
        connection.prepare_cached("SELECT number, kind, name FROM actor ORDER BY number")?;
    let rows = select.query_and_then([], |row| {
        let mut cells = RowCells::of(row);
        Ok((cells.number()?, rows::actor(&mut cells)?))
    })?;
    rows.collect()
}

/// The actor of a number.
pub(crate) fn actor(connection: &Connection, number: u32) -> Result<Option<Actor>, Fault> {
    let mut select = connection.prepare_cached("SELECT kind, name FROM actor WHERE number = ?1")?;
    let mut rows = select.query([number])?;
    rows.next()?.map(|row| rows::actor(&mut RowCells::of(row))).transpose()
}

/// The rows of a workflow's tasks, by ordinal.
pub(crate) fn tasks(connection: &Connection, number: u64) -> Result<Vec<TaskRow>, Fault> {
    let sql = format!("SELECT {TASK} FROM task WHERE key BETWEEN ?1 AND ?2 ORDER BY key");
    let mut select = connection.prepare_cached(&sql)?;
    let rows =
        select.query_and_then(task_keys(number), |row| rows::task(&mut RowCells::of(row)))?;
    rows.collect()
}

/// The rows of the books of a workflow, by position.
pub(crate) fn usage(connection: &Connection, number: u64) -> Result<Vec<UsageRow>, Fault> {
    let sql = format!("SELECT {USAGE} FROM usage WHERE number = ?1 ORDER BY position");
    let mut select = connection.prepare_cached(&sql)?;
    let rows =
        select.query_and_then([integer(number)], |row| usage::row(&mut RowCells::of(row)))?;
    rows.collect()
}

/// Events of all streams after a position.
pub(crate) fn events(
    connection: &Connection,
    after: u64,
    limit: u32,
) -> Result<Vec<Record>, Fault> {
    let sql =
        format!("SELECT {RECORD} FROM journal WHERE position > ?1 ORDER BY position LIMIT ?2");
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_and_then(params![integer(after), limit], |row| {
        rows::record(&mut RowCells::of(row))
    })?;
    rows.collect()
}
