//! What checks read on PostgreSQL: everything of one snapshot, with the journal and the rows apart.
//!
//! It compares nothing and writes nothing. A lost connection loses the snapshot and ends the audit.

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::conversation::rows::ConversationRow;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{Audit, DefinitionRow, FactRow, Head, Record, SnapshotRow, StoreError};

use super::link::{Link, Purpose};
use super::{conversation, migrate, read};
use crate::rows::{self, Cells, FACT, WORKFLOW};
use crate::sound::{integer, split_key, task_keys};

/// A reader that sees the store as it was when it was opened, however long it reads.
pub struct PostgresAudit {
    link: Link,
}

impl PostgresAudit {
    /// Opens the store at this URL, which must exist and be of this version, and takes a snapshot.
    ///
    /// The server cannot clear away what changed rows were while this is open.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Link::open(url, Purpose::Snapshot, |mut link| {
            link.batch("BEGIN")?;
            // The snapshot is taken by the first read.
            migrate::require_current(&mut link)?;
            Ok(Self { link })
        })
    }
}

impl Audit for PostgresAudit {
    fn head(&mut self) -> Result<Head, StoreError> {
        self.link.with(read::head)
    }

    fn events(&mut self, after: u64, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.link.with(|link| read::events(link, after, limit))
    }

    fn chain(&mut self, stream: u64, newest: u64) -> Result<Vec<Record>, StoreError> {
        self.link.with(|link| read::chain_from(link, stream, newest))
    }

    fn workflow(&mut self, number: u64) -> Result<Option<(WorkflowCard, WorkflowRow)>, StoreError> {
        self.link.with(|link| {
            let sql = format!("SELECT {WORKFLOW} FROM workflow WHERE number = $1");
            read::first(&link.read(&sql, &[&integer(number)])?, rows::workflow)
        })
    }

    fn next_workflow(&mut self, after: u64) -> Result<Option<u64>, StoreError> {
        self.link.with(|link| {
            let sql = "SELECT number FROM workflow WHERE number > $1 ORDER BY number LIMIT 1";
            read::first(&link.read(sql, &[&integer(after)])?, Cells::number)
        })
    }

    fn conversation(&mut self, number: u64) -> Result<Option<ConversationRow>, StoreError> {
        self.link.with(|link| conversation::by_number(link, number))
    }

    fn next_conversation(&mut self, after: u64) -> Result<Option<u64>, StoreError> {
        self.link.with(|link| conversation::next(link, after))
    }

    fn tasks(&mut self, number: u64) -> Result<Vec<TaskRow>, StoreError> {
        self.link.with(|link| read::tasks(link, number))
    }

    fn next_with_tasks(&mut self, after: u64) -> Result<Option<u64>, StoreError> {
        self.link.with(|link| {
            let [_, last] = task_keys(after);
            let sql = "SELECT key FROM task WHERE key > $1 ORDER BY key LIMIT 1";
            let key: Option<u64> = read::first(&link.read(sql, &[&last])?, Cells::number)?;
            Ok(key.map(|key| split_key(key).0))
        })
    }

    fn usage(&mut self, number: u64) -> Result<Vec<UsageRow>, StoreError> {
        self.link.with(|link| read::usage(link, number))
    }

    fn next_with_usage(&mut self, after: u64) -> Result<Option<u64>, StoreError> {
        self.link.with(|link| {
            let sql = "SELECT number FROM usage WHERE number > $1 ORDER BY number LIMIT 1";
            read::first(&link.read(sql, &[&integer(after)])?, Cells::number)
        })
    }

    fn blob_uses(
        &mut self,
        after: Option<BlobHash>,
        limit: u32,
    ) -> Result<Vec<(BlobHash, u64)>, StoreError> {
        self.link.with(|link| {
            // No hash is shorter than the empty one.
            let after = after.as_ref().map_or(&[][..], |hash| hash.0.as_slice());
            let sql = "SELECT hash, uses FROM blob WHERE hash > $1 ORDER BY hash LIMIT $2";
            read::all(&link.read(sql, &[&after, &i64::from(limit)])?, |cells| {
                Ok((BlobHash(cells.bytes()?), cells.number()?))
            })
        })
    }

    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        self.link.with(|link| read::blob(link, hash))
    }

    fn next_snapshot(&mut self, after: u64) -> Result<Option<SnapshotRow>, StoreError> {
        self.link.with(|link| read::next_snapshot(link, after))
    }

    fn definitions(&mut self) -> Result<Vec<DefinitionRow>, StoreError> {
        self.link.with(|link| read::definitions(link, ""))
    }

    fn facts(&mut self) -> Result<Vec<FactRow>, StoreError> {
        self.link.with(|link| {
            let sql = format!("SELECT {FACT} FROM fact WHERE expires IS NULL ORDER BY kind, key");
            read::all(&link.read(&sql, &[])?, rows::fact)
        })
    }

    fn actors(&mut self) -> Result<Vec<(u32, Actor)>, StoreError> {
        self.link.with(read::actors)
    }
}
