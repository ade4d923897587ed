//! The store of a simulation: plain collections behind the port, shared by its clones.
//!
//! It injects no faults; [`crate::fault`] does, around it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::codes::Code;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_engine::store::{Commit, DefinitionRow, Head, Record, Store, StoreError};

/// A store in memory; a clone is another connection to the same.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

/// What is kept.
#[derive(Default)]
pub(crate) struct Kept {
    pub head: Head,
    pub journal: Vec<Record>,
    pub workflows: BTreeMap<u64, (WorkflowCard, WorkflowRow)>,
    pub tasks: BTreeMap<(u64, Ordinal), TaskRow>,
    pub blobs: BTreeMap<BlobHash, Blob>,
    pub actors: BTreeMap<u32, Actor>,
    pub definitions: BTreeMap<(String, u32), DefinitionRow>,
}

impl MemoryStore {
    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn corrupt<T>(said: &str) -> Result<T, StoreError> {
    Err(StoreError::Corrupt(said.to_owned()))
}

impl Store for MemoryStore {
    fn take_over(&mut self) -> Result<Head, StoreError> {
        let mut kept = self.kept();
        kept.head.epoch += 1;
        Ok(kept.head)
    }

    fn head(&mut self) -> Result<Head, StoreError> {
        Ok(self.kept().head)
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if commit.after != kept.head {
            return Err(StoreError::Conflict(format!("{:?}", kept.head)));
        }
        for used in &commit.blobs {
            match &used.blob {
                Some(blob) => drop(kept.blobs.insert(used.hash, blob.clone())),
                None if kept.blobs.contains_key(&used.hash) => {}
                None => return corrupt("an event names a blob that nobody brought"),
            }
        }
        kept.journal.extend_from_slice(&commit.records);
        kept.actors.extend(commit.actors.iter().cloned());
        for card in &commit.cards {
            let row = commit
                .workflows
                .iter()
                .find(|row| row.number == card.number);
            let Some(row) = row else {
                return corrupt("a new workflow has no row");
            };
            kept.workflows
                .insert(card.number, (card.clone(), row.clone()));
        }
        for row in &commit.workflows {
            match kept.workflows.get_mut(&row.number) {
                Some((_, old)) => *old = row.clone(),
                None => return corrupt("a row of a workflow that has no card"),
            }
        }
        let tasks = commit.tasks.iter();
        kept.tasks
            .extend(tasks.map(|row| ((row.number, row.ordinal), row.clone())));
        for row in &commit.definitions {
            let key = (row.name.clone(), row.version);
            kept.definitions.insert(key, row.clone());
        }
        kept.head = commit.head;
        Ok(())
    }

    fn live(&mut self) -> Result<Vec<u64>, StoreError> {
        let kept = self.kept();
        let open = |row: &WorkflowRow| !row.status.is_terminal();
        let workflows = kept.workflows.iter();
        Ok(workflows
            .filter(|(_, (_, row))| open(row))
            .map(|(number, _)| *number)
            .collect())
    }

    fn number_of(&mut self, id: WorkflowId) -> Result<Option<u64>, StoreError> {
        let kept = self.kept();
        let found = kept.workflows.iter().find(|(_, (card, _))| card.id == id);
        Ok(found.map(|(number, _)| *number))
    }

    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError> {
        let kept = self.kept();
        let records = kept.journal.iter().filter(|record| record.stream == number);
        Ok(records.cloned().collect())
    }

    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        Ok(self.kept().blobs.get(&hash).cloned())
    }

    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError> {
        let kept = self.kept();
        let fits =
            |row: &&DefinitionRow| row.name == name && version.is_none_or(|v| v == row.version);
        Ok(kept.definitions.values().rfind(fits).cloned())
    }

    fn actors(&mut self) -> Result<Vec<(u32, Actor)>, StoreError> {
        let kept = self.kept();
        Ok(kept
            .actors
            .iter()
            .map(|(number, actor)| (*number, actor.clone()))
            .collect())
    }

    fn idle(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
