//! A store that fails in every way a store can: before it wrote, after it wrote, for a while.

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::words::FactKind;
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{
    Commit, DefinitionRow, FactRow, Head, Housekeeping, Record, Store, StoreError, Tail,
};
use baton_store::memory::MemoryStore;

use crate::rng::Rng;

/// How often the next commits fail.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: MemoryStoreCell,
    rng: Rng,
    /// Faults of a thousand commits; none at 0.
    pub permille: u64,
    /// Faults of a thousand readings.
    pub reads: u64,
    full_for: u32,
}

#[derive(Clone)]
struct MemoryStoreCell(MemoryStore);

impl std::fmt::Debug for MemoryStoreCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryStore")
    }
}

fn fault(said: &str) -> StoreError {
    StoreError::Unavailable(said.to_owned())
}

impl FaultyStore {
    /// Around this store, with chances of its own.
    pub fn new(inner: MemoryStore, rng: Rng, permille: u64) -> Self {
        Self { inner: MemoryStoreCell(inner), rng, permille, reads: 0, full_for: 0 }
    }

    /// From now on this many of a thousand readings fail.
    pub fn failing_reads(self, reads: u64) -> Self {
        Self { reads, ..self }
    }

    fn store(&mut self) -> &mut MemoryStore {
        &mut self.inner.0
    }

    fn reading(&mut self) -> Result<&mut MemoryStore, StoreError> {
        if self.rng.chance(self.reads) {
            return Err(fault("it cannot be read just now"));
        }
        Ok(self.store())
    }
}

impl Store for FaultyStore {
    fn take_over(&mut self) -> Result<Head, StoreError> {
        self.store().take_over()
    }

    fn head(&mut self) -> Result<Head, StoreError> {
        if self.permille > 0 && self.rng.chance(20) {
            return Err(fault("the head cannot be read just now"));
        }
        self.store().head()
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        if self.full_for > 0 && self.permille > 0 {
            self.full_for -= 1;
            return Err(fault("the disk is full"));
        }
        if !self.rng.chance(self.permille) {
            return self.store().commit(commit);
        }
        match self.rng.below(3) {
            0 => {
                self.store().commit(commit)?;
                Err(fault("the answer was lost"))
            }
            1 => Err(fault("the commit was not written")),
            _ => {
                self.full_for = 1 + u32::try_from(self.rng.below(12)).unwrap_or(0);
                Err(fault("the disk is full"))
            }
        }
    }

    fn live(&mut self) -> Result<Vec<u64>, StoreError> {
        self.reading()?.live()
    }

    fn number_of(&mut self, id: WorkflowId) -> Result<Option<u64>, StoreError> {
        self.reading()?.number_of(id)
    }

    fn conversation_number(&mut self, id: ConversationId) -> Result<Option<u64>, StoreError> {
        self.reading()?.conversation_number(id)
    }

    fn busy_conversations(&mut self) -> Result<Vec<u64>, StoreError> {
        self.reading()?.busy_conversations()
    }

    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError> {
        self.reading()?.stream(number)
    }

    fn tail(&mut self, number: u64) -> Result<Tail, StoreError> {
        self.store().tail(number)
    }

    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        self.reading()?.blob(hash)
    }

    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError> {
        self.reading()?.definition(name, version)
    }

    fn triggered(&mut self) -> Result<Vec<DefinitionRow>, StoreError> {
        self.store().triggered()
    }

    fn fact(&mut self, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, StoreError> {
        self.store().fact(kind, key)
    }

    fn usage(&mut self, number: u64) -> Result<Vec<UsageRow>, StoreError> {
        self.store().usage(number)
    }

    fn actors(&mut self) -> Result<Vec<(u32, Actor)>, StoreError> {
        self.store().actors()
    }

    fn idle(&mut self) -> Result<Housekeeping, StoreError> {
        self.store().idle()
    }
}
