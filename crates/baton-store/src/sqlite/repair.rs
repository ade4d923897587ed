//! Mends read models in one exclusive transaction, fencing off whoever owns the store.
//!
//! What is wrong and what would be right is the caller's finding; the journal is never touched.

use std::path::{Path, PathBuf};

use baton_core::codes::Code;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_engine::check::{Mend, Repair};
use baton_engine::store::StoreError;
use rusqlite::{Connection, OptionalExtension, params};

use super::fault::{Fault, Place};
use super::{conversation, migrate, open, write};
use crate::sound::{integer, task_key};

/// One exclusive transaction.
pub struct SqliteRepair {
    path: PathBuf,
    connection: Connection,
    mends: u64,
}

impl SqliteRepair {
    /// Keeps everybody else from writing to the store at `path` until this is over.
    ///
    /// `Unavailable` when another process writes and does not stop within a few seconds.
    pub fn begin(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        let begun = || {
            let mut connection = open::owner(&path)?;
            migrate::run(&mut connection)?;
            connection.execute_batch("BEGIN IMMEDIATE")?;
            Ok(connection)
        };
        let connection = begun().map_err(|fault| Place::of(&path).opening(fault))?;
        Ok(Self { path, connection, mends: 0 })
    }
}

impl Repair for SqliteRepair {
    fn mend(&mut self, mend: &Mend) -> Result<(), StoreError> {
        self.mends += 1;
        let place = Place::of(&self.path);
        carry_out(&self.connection, mend).map_err(|fault| place.of_fault(fault))
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let end = || {
            if self.mends == 0 {
                return Ok(self.connection.execute_batch("ROLLBACK")?);
            }
            self.connection.execute("UPDATE head SET epoch = epoch + 1", [])?;
            self.connection.execute_batch("COMMIT").map_err(Fault::Outcome)
        };
        end().map_err(|fault| Place::of(&self.path).of_fault(fault))
    }
}

fn carry_out(connection: &Connection, mend: &Mend) -> Result<(), Fault> {
    match mend {
        Mend::Workflow(rows) => {
            let (card, row) = &**rows;
            put_workflow(connection, card, row)
        }
        Mend::NoWorkflow(number) => {
            remove(connection, "DELETE FROM workflow WHERE number = ?1", integer(*number))
        }
        Mend::Task(row) => put_task(connection, row),
        Mend::NoTask(number, ordinal) => {
            remove(connection, "DELETE FROM task WHERE key = ?1", task_key(*number, ordinal.0))
        }
        Mend::Conversation(row) => conversation::rewrite(connection, row),
        Mend::NoConversation(number) => {
            remove(connection, "DELETE FROM conversation WHERE number = ?1", integer(*number))
        }
        Mend::NoSnapshot(number) => write::drop_snapshot(connection, *number),
        Mend::Usage(row) => {
            drop_usage(connection, row.position)?;
            write::usage(connection, std::slice::from_ref(row))
        }
        Mend::NoUsage(position) => drop_usage(connection, *position),
        Mend::BlobUses(hash, 0) => {
            let sql = "DELETE FROM blob WHERE hash = ?1";
            connection.prepare_cached(sql)?.execute([hash.0])?;
            Ok(())
        }
        Mend::BlobUses(hash, uses) => {
            let sql = "UPDATE blob SET uses = ?2 WHERE hash = ?1";
            connection.prepare_cached(sql)?.execute(params![hash.0, integer(*uses)])?;
            Ok(())
        }
        Mend::Definition(row) => {
            drop_definition(connection, &row.name, row.version)?;
            write::definitions(connection, std::slice::from_ref(row))
        }
        Mend::NoDefinition(name, version) => drop_definition(connection, name, *version),
        Mend::Fact(row) => write::facts(connection, std::slice::from_ref(row)),
        Mend::NoFact(kind, key) => {
            let sql = "DELETE FROM fact WHERE kind = ?1 AND key = ?2";
            connection.prepare_cached(sql)?.execute(params![kind.code(), key])?;
            Ok(())
        }
        Mend::Head(head) => {
            let sql = "UPDATE head SET position = ?1, streams = ?2, system_version = ?3, \
                       system_head = ?4, at = ?5";
            connection.prepare_cached(sql)?.execute(params![
                integer(head.position),
                integer(head.streams),
                integer(head.system_version),
                integer(head.system_head),
                head.at.as_millis(),
            ])?;
            Ok(())
        }
    }
}

fn remove(connection: &Connection, sql: &str, key: i64) -> Result<(), Fault> {
    connection.prepare_cached(sql)?.execute([key])?;
    Ok(())
}

fn drop_usage(connection: &Connection, position: u64) -> Result<(), Fault> {
    remove(connection, "DELETE FROM usage WHERE position = ?1", integer(position))
}

fn drop_definition(connection: &Connection, name: &str, version: u32) -> Result<(), Fault> {
    let sql = "DELETE FROM definition WHERE workspace = 1 AND name = ?1 AND version = ?2";
    connection.prepare_cached(sql)?.execute(params![name, version])?;
    Ok(())
}

/// Writes the whole row anew: what never changes of it may be what was damaged.
fn put_workflow(
    connection: &Connection,
    card: &WorkflowCard,
    row: &WorkflowRow,
) -> Result<(), Fault> {
    let number = integer(row.number);
    let twin = "SELECT number FROM workflow WHERE id = ?1 AND number <> ?2";
    let twin: Option<i64> = connection
        .prepare_cached(twin)?
        .query_row(params![card.id.as_bytes(), number], |row| row.get(0))
        .optional()?;
    let gone = "DELETE FROM workflow WHERE number = ?1";
    for number in twin.into_iter().chain([number]) {
        remove(connection, gone, number)?;
    }
    write::insert_workflow(connection, card, row)
}

fn put_task(connection: &Connection, row: &TaskRow) -> Result<(), Fault> {
    write::tasks(connection, std::slice::from_ref(row))
}

/// What SQLite itself says of the file, and how it is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Faults of the file's structure, at most a hundred; none when it is sound.
    pub integrity: Vec<String>,
    /// Rows that refer to what is not there, by table.
    pub dangling: Vec<String>,
    /// `wal` when commits go to the log.
    pub journal_mode: String,
    /// 2 when every commit is synced.
    pub synchronous: i64,
    /// 2 when the file can be cut without being written anew.
    pub auto_vacuum: i64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of it that hold nothing.
    pub bytes_free: u64,
}

/// Looks the file at `path` over as its owner would open it.
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection, StoreError> {
    let path = path.as_ref();
    let place = Place::of(path);
    let mut connection = open::owner(path).map_err(|fault| place.opening(fault))?;
    migrate::run(&mut connection).map_err(|fault| place.opening(fault))?;
    look(&connection).map_err(|fault| place.of_fault(fault))
}

fn look(connection: &Connection) -> Result<Inspection, Fault> {
    let number = |name: &str| -> Result<i64, Fault> {
        Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
    };
    let mut said = connection.prepare("PRAGMA integrity_check(100)")?;
    let said = said.query_map([], |row| row.get::<_, String>(0))?;
    let mut integrity: Vec<String> = said.collect::<Result<_, _>>()?;
    integrity.retain(|line| line != "ok");
    let mut said = connection.prepare("PRAGMA foreign_key_check")?;
    let said = said.query_map([], |row| {
        let (table, rowid, parent): (String, Option<i64>, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let rowid = rowid.map_or_else(|| "a row".to_owned(), |rowid| format!("row {rowid}"));
        Ok(format!("{rowid} of `{table}` names what `{parent}` does not have"))
    })?;
    let dangling = said.take(100).collect::<Result<_, _>>()?;
    let page = u64::try_from(number("page_size")?).unwrap_or(0);
    let pages = |name| Ok::<_, Fault>(u64::try_from(number(name)?).unwrap_or(0));
    Ok(Inspection {
        integrity,
        dangling,
        journal_mode: connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
        synchronous: number("synchronous")?,
        auto_vacuum: number("auto_vacuum")?,
        bytes: page * pages("page_count")?,
        bytes_free: page * pages("freelist_count")?,
    })
}
