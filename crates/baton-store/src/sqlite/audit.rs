//! What checks read: everything of one snapshot, with the journal and the rows apart.
//!
//! It compares nothing and writes nothing.

use std::path::{Path, PathBuf};

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::conversation::rows::ConversationRow;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{Audit, DefinitionRow, FactRow, Head, Record, SnapshotRow, StoreError};
use rusqlite::{Connection, OptionalExtension, params};

use super::fault::{Fault, Place};
use super::read::{self, RowCells};
use super::{conversation, migrate, open};
use crate::rows::{self, FACT, WORKFLOW};
use crate::sound::{integer, split_key, task_keys};

/// A reader that sees the store as it was when it was opened, however long it reads.
pub struct SqliteAudit {
    path: PathBuf,
    connection: Connection,
}

impl SqliteAudit {
    /// Opens the store at `path`, which must exist and be of this version, and takes a snapshot.
    ///
    /// The log cannot start over while this is open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        let place = Place::of(&path);
        let opened = || {
            let connection = open::reader(&path)?;
            connection.execute_batch("BEGIN")?;
            // The snapshot is taken by the first read.
            migrate::require_current(&connection)?;
            Ok(connection)
        };
        let connection = opened().map_err(|fault| place.opening(fault))?;
        Ok(Self { path, connection })
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        work(&self.connection).map_err(|fault| Place::of(&self.path).of_fault(fault))
    }
}

impl Audit for SqliteAudit {
    fn head(&mut self) -> Result<Head, StoreError> {
        self.read(read::head)
    }

    fn events(&mut self, after: u64, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.read(|connection| read::events(connection, after, limit))
    }

    fn chain(&mut self, stream: u64, newest: u64) -> Result<Vec<Record>, StoreError> {
        self.read(|connection| read::chain_from(connection, stream, newest, 0))
    }

    fn workflow(&mut self, number: u64) -> Result<Option<(WorkflowCard, WorkflowRow)>, StoreError> {
        self.read(|connection| {
            let sql = format!("SELECT {WORKFLOW} FROM workflow WHERE number = ?1");
            let mut select = connection.prepare_cached(&sql)?;
            let mut rows = select.query([integer(number)])?;
            rows.next()?.map(|row| rows::workflow(&mut RowCells::of(row))).transpose()
        })
    }

    fn next_workflow(&mut self, after: u64) -> Result<Option<u64>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT number FROM workflow WHERE number > ?1 ORDER BY number LIMIT 1";
            let mut select = connection.prepare_cached(sql)?;
            Ok(select.query_row([integer(after)], |row| row.get(0)).optional()?)
        })
    }

    fn conversation(&mut self, number: u64) -> Result<Option<ConversationRow>, StoreError> {
        self.read(|connection| conversation::by_number(connection, number))
    }

    fn next_conversation(&mut self, after: u64) -> Result<Option<u64>, StoreError> {
        self.read(|connection| conversation::next(connection, after))
    }

    fn tasks(&mut self, number: u64) -> Result<Vec<TaskRow>, StoreError> {
        self.read(|connection| read::tasks(connection, number))
    }

    fn next_with_tasks(&mut self, after: u64) -> Result<Option<u64>, StoreError> {
        self.read(|connection| {
            let [_, last] = task_keys(after);
            let sql = "SELECT key FROM task WHERE key > ?1 ORDER BY key LIMIT 1";
            let mut select = connection.prepare_cached(sql)?;
            let key: Option<u64> = select.query_row([last], |row| row.get(0)).optional()?;
            Ok(key.map(|key| split_key(key).0))
        })
    }

    fn usage(&mut self, number: u64) -> Result<Vec<UsageRow>, StoreError> {
        self.read(|connection| read::usage(connection, number))
    }

    fn next_with_usage(&mut self, after: u64) -> Result<Option<u64>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT number FROM usage WHERE number > ?1 ORDER BY number LIMIT 1";
            let mut select = connection.prepare_cached(sql)?;
            Ok(select.query_row([integer(after)], |row| row.get(0)).optional()?)
        })
    }

    fn blob_uses(
        &mut self,
        after: Option<BlobHash>,
        limit: u32,
    ) -> Result<Vec<(BlobHash, u64)>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT hash, uses FROM blob WHERE ?1 IS NULL OR hash > ?1 ORDER BY hash LIMIT ?2",
            )?;
            let rows = select.query_and_then(params![after.map(|hash| hash.0), limit], |row| {
                let (hash, uses) = (BlobHash(row.get(0)?), row.get(1)?);
                Ok::<_, Fault>((hash, uses))
            })?;
            rows.collect()
        })
    }

    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        self.read(|connection| read::blob(connection, hash))
    }

    fn next_snapshot(&mut self, after: u64) -> Result<Option<SnapshotRow>, StoreError> {
        self.read(|connection| read::next_snapshot(connection, after))
    }

    fn definitions(&mut self) -> Result<Vec<DefinitionRow>, StoreError> {
        self.read(|connection| read::definitions(connection, ""))
    }

    fn facts(&mut self) -> Result<Vec<FactRow>, StoreError> {
        self.read(|connection| {
            let sql = format!("SELECT {FACT} FROM fact WHERE expires IS NULL ORDER BY kind, key");
            let mut select = connection.prepare_cached(&sql)?;
            let rows = select.query_and_then([], |row| rows::fact(&mut RowCells::of(row)))?;
            rows.collect()
        })
    }

    fn actors(&mut self) -> Result<Vec<(u32, Actor)>, StoreError> {
        self.read(read::actors)
    }
}
