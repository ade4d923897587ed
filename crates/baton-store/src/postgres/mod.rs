//! The store on PostgreSQL, for more than one machine: the embedded store's tables, one statement
//! per commit, fenced by the head row.
//!
//! It holds no transaction open between calls and takes no lock that outlives a statement.

mod audit;
mod chunks;
mod claim;
mod conversation;
mod fault;
mod link;
mod migrate;
mod read;
mod repair;
#[cfg(test)]
mod tests;
mod tls;
mod views;
mod write;

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::words::FactKind;
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{
    Commit, DefinitionRow, FactRow, Head, Housekeeping, Record, Store, StoreError, Tail,
};

use fault::Fault;
use link::{Link, Purpose, Target};
use write::{COMMIT, Columns};

pub use audit::PostgresAudit;
pub use chunks::PostgresChunks;
pub use link::with_schema;
pub use repair::{Inspection, PostgresRepair, inspect, remove};
pub use views::PostgresViews;

/// The database and the schema that a URL names, for people; never the password.
pub fn place(url: &str) -> String {
    let target = Target::parse(url, Purpose::Read);
    target.map_or_else(|_| "postgres".to_owned(), |target| target.place)
}

/// The owner's connection to a store on PostgreSQL.
pub struct PostgresStore {
    link: Link,
}

impl PostgresStore {
    /// Opens the store at `postgres://user@host/database?schema=name`, makes it where there is
    /// none, and brings it up to this version.
    ///
    /// `Unavailable` when the server cannot be reached, or not as safely as it must, or when the
    /// schema was written by a newer Baton; the message says which and what to do.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Link::open(url, Purpose::Write, |mut link| {
            migrate::run(&mut link)?;
            Ok(Self { link })
        })
    }

    /// Waits a few seconds for other processes to let go of the store, for as long as this
    /// connection lives. A courtesy between owners: what keeps them apart is the epoch.
    pub fn claim(&mut self) -> Result<(), StoreError> {
        self.link.with(claim::wait)
    }
}

impl Store for PostgresStore {
    fn take_over(&mut self) -> Result<Head, StoreError> {
        self.link.with(|link| {
            let sql = format!("UPDATE head SET epoch = epoch + 1 RETURNING {}", crate::rows::HEAD);
            read::head_row(&link.once(&sql, &[])?)
        })
    }

    fn head(&mut self) -> Result<Head, StoreError> {
        self.link.with(read::head)
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        crate::sound::check(commit)?;
        let columns = Columns::of(commit)?;
        self.link.with(|link| {
            if !link.once(COMMIT, &columns.parameters())?.is_empty() {
                return Ok(());
            }
            let found = read::head(link)?;
            Err(Fault::from(crate::sound::fenced(&commit.after, &found)))
        })
    }

    fn live(&mut self) -> Result<Vec<u64>, StoreError> {
        self.link.with(read::live)
    }

    fn number_of(&mut self, id: WorkflowId) -> Result<Option<u64>, StoreError> {
        self.link.with(|link| read::number_of(link, id))
    }

    fn conversation_number(&mut self, id: ConversationId) -> Result<Option<u64>, StoreError> {
        self.link.with(|link| conversation::number_of(link, id))
    }

    fn busy_conversations(&mut self) -> Result<Vec<u64>, StoreError> {
        self.link.with(conversation::busy)
    }

    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError> {
        self.link.with(|link| read::stream(link, number, 0))
    }

    fn tail(&mut self, number: u64) -> Result<Tail, StoreError> {
        self.link.with(|link| read::tail(link, number))
    }

    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        self.link.with(|link| read::blob(link, hash))
    }

    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError> {
        self.link.with(|link| read::definition(link, name, version))
    }

    fn triggered(&mut self) -> Result<Vec<DefinitionRow>, StoreError> {
        self.link.with(|link| read::definitions(link, "WHERE triggers > 0"))
    }

    fn fact(&mut self, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, StoreError> {
        self.link.with(|link| read::fact(link, kind, key))
    }

    fn usage(&mut self, number: u64) -> Result<Vec<UsageRow>, StoreError> {
        self.link.with(|link| read::usage(link, number))
    }

    fn actors(&mut self) -> Result<Vec<(u32, Actor)>, StoreError> {
        self.link.with(read::actors)
    }

    fn idle(&mut self) -> Result<Housekeeping, StoreError> {
        // For the rest, the server looks after itself.
        let sql = "DELETE FROM fact WHERE (kind, key) IN (SELECT kind, key FROM fact \
                   WHERE expires <= (SELECT at FROM head) LIMIT 1000) RETURNING 1";
        let dropped = self.link.with(|link| link.once(sql, &[]))?;
        Ok(if dropped.is_empty() { Housekeeping::Done } else { Housekeeping::More })
    }
}
