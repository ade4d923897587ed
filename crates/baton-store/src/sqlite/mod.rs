//! The embedded store: one SQLite file with a write-ahead log, every commit synced.
//!
//! Readers come beside the owner on connections of their own ([`SqliteViews`]). It decides nothing:
//! who may write is settled by the fencing token in the head row.

mod audit;
mod checkpoint;
mod chunks;
mod conversation;
mod fault;
mod migrate;
mod open;
mod read;
mod repair;
#[cfg(test)]
mod tests;
mod views;
mod write;

use std::path::{Path, PathBuf};

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::words::FactKind;
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{
    Commit, DefinitionRow, FactRow, Head, Housekeeping, Record, Store, StoreError, Tail,
};
use rusqlite::Connection;

use checkpoint::Checkpointer;
use fault::{Fault, Place};

pub use audit::SqliteAudit;
pub use chunks::SqliteChunks;
pub use repair::{Inspection, SqliteRepair, inspect};
pub use views::SqliteViews;

/// The owner's connection to an embedded store.
pub struct SqliteStore {
    path: PathBuf,
    // Before the connection: fields drop in this order, and the last connection to close is the
    // one that folds the log into the file and removes it.
    checkpointer: Checkpointer,
    /// `None` after a fault that leaves open what the file holds; opened again at the next use.
    connection: Option<Connection>,
    /// Whether a purge has left pages that the file can be cut by.
    freed: bool,
}

impl SqliteStore {
    /// Opens the store at `path`, makes it where there is none, and brings it up to this version.
    ///
    /// `Unavailable` when the file cannot be opened or written, is something else, or was written
    /// by a newer Baton; the message says which and what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        let place = Place::of(&path);
        let open = || {
            let mut connection = open::owner(&path)?;
            migrate::run(&mut connection)?;
            Ok(connection)
        };
        let mut connection = open::patiently(open).map_err(|fault| place.opening(fault))?;
        let checkpointer = Checkpointer::start(&path)?;
        open::count_log_pages(&mut connection, checkpointer.log())
            .map_err(|fault| place.opening(fault))?;
        Ok(Self { path, checkpointer, connection: Some(connection), freed: false })
    }

    /// Does `work` on the connection; after a fault that leaves the connection's state open, the
    /// next use gets a new one.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let place = Place::of(&self.path);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reopen().map_err(|fault| place.opening(fault))?,
        };
        match work(&mut connection) {
            Ok(value) => {
                self.connection = Some(connection);
                Ok(value)
            }
            Err(fault) => {
                self.connection = (!fault.spoils_the_connection()).then_some(connection);
                Err(place.of_fault(fault))
            }
        }
    }

    fn reopen(&self) -> Result<Connection, Fault> {
        let mut connection = open::owner(&self.path)?;
        open::count_log_pages(&mut connection, self.checkpointer.log())?;
        Ok(connection)
    }
}

impl Store for SqliteStore {
    fn take_over(&mut self) -> Result<Head, StoreError> {
        self.with(|connection| {
            checkpoint::start_over(connection)?;
            write::take_over(connection)
        })
    }

    fn head(&mut self) -> Result<Head, StoreError> {
        self.with(|connection| read::head(connection))
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        crate::sound::check(commit)?;
        let caught_up = self.checkpointer.take_copied();
        self.with(|connection| {
            if caught_up {
                checkpoint::copy_rest(connection)?;
            }
            write::commit(connection, commit)
        })?;
        self.freed |= !commit.purged.is_empty();
        self.checkpointer.after_commit();
        Ok(())
    }

    fn live(&mut self) -> Result<Vec<u64>, StoreError> {
        self.with(|connection| read::live(connection))
    }

    fn number_of(&mut self, id: WorkflowId) -> Result<Option<u64>, StoreError> {
        self.with(|connection| read::number_of(connection, id))
    }

    fn conversation_number(&mut self, id: ConversationId) -> Result<Option<u64>, StoreError> {
        self.with(|connection| conversation::number_of(connection, id))
    }

    fn busy_conversations(&mut self) -> Result<Vec<u64>, StoreError> {
        self.with(|connection| conversation::busy(connection))
    }

    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError> {
        self.with(|connection| read::stream(connection, number, 0))
    }

    fn tail(&mut self, number: u64) -> Result<Tail, StoreError> {
        self.with(|connection| read::tail(connection, number))
    }

    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        self.with(|connection| read::blob(connection, hash))
    }

    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError> {
        self.with(|connection| read::definition(connection, name, version))
    }

    fn triggered(&mut self) -> Result<Vec<DefinitionRow>, StoreError> {
        self.with(|connection| read::definitions(connection, "WHERE triggers > 0"))
    }

    fn fact(&mut self, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, StoreError> {
        self.with(|connection| read::fact(connection, kind, key))
    }

    fn usage(&mut self, number: u64) -> Result<Vec<UsageRow>, StoreError> {
        self.with(|connection| read::usage(connection, number))
    }

    fn actors(&mut self) -> Result<Vec<(u32, Actor)>, StoreError> {
        self.with(|connection| read::actors(connection))
    }

    fn idle(&mut self) -> Result<Housekeeping, StoreError> {
        if self.freed {
            let more = self.with(write::shrink)?;
            // The file gets shorter when the log is carried over.
            self.freed = more || !self.checkpointer.cut();
        }
        let more = self.with(|connection| write::drop_expired(connection))?;
        self.checkpointer.idle()?;
        Ok(if self.freed || more { Housekeeping::More } else { Housekeeping::Done })
    }
}
