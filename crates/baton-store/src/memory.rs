//! The store that forgets: plain collections behind the port, for tests and simulation.
//!
//! Clones share what is kept, so that an owner can "crash" and another open what was committed. It
//! survives no process, and injects no faults: the simulator does, around it.

mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::codes::Code;
use baton_core::conversation::rows::ConversationRow;
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::words::FactKind;
use baton_core::workflow::EventKind;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{
    Commit, DefinitionRow, FactRow, Head, Housekeeping, Record, SYSTEM_STREAM, SnapshotRow, Store,
    StoreError, Tail,
};

use crate::{chain, sound};

/// A store in memory; a clone is another connection to the same.
#[derive(Clone, Default)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
}

/// The readers' side of a [`MemoryStore`].
#[derive(Clone)]
pub struct MemoryViews {
    kept: Arc<Mutex<Kept>>,
}

/// What is kept. Ordered maps only: what iterates must do so alike in every run.
#[derive(Default)]
struct Kept {
    head: Head,
    journal: BTreeMap<u64, Record>,
    workflows: BTreeMap<u64, (WorkflowCard, WorkflowRow)>,
    numbers: BTreeMap<WorkflowId, u64>,
    tasks: BTreeMap<i64, TaskRow>,
    blobs: BTreeMap<BlobHash, Counted>,
    actors: BTreeMap<u32, Actor>,
    definitions: BTreeMap<(String, u32), DefinitionRow>,
    facts: BTreeMap<(FactKind, Vec<u8>), FactRow>,
    usage: BTreeMap<u64, UsageRow>,
    conversations: BTreeMap<u64, ConversationRow>,
    conversation_numbers: BTreeMap<ConversationId, u64>,
    snapshots: BTreeMap<u64, SnapshotRow>,
}

#[derive(Clone)]
struct Counted {
    uses: u64,
    blob: Blob,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every snapshot there is, to be looked at, damaged or removed by tests.
    pub fn change_snapshots(&self, change: impl FnOnce(&mut BTreeMap<u64, SnapshotRow>)) {
        change(&mut self.kept().snapshots);
    }

    /// A reader of the same store.
    pub fn views(&self) -> MemoryViews {
        MemoryViews { kept: Arc::clone(&self.kept) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryViews {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        sound::check(commit)?;
        let mut kept = self.kept();
        kept.fence(commit)?;
        kept.check_new(commit)?;
        let blobs = kept.counted(commit)?;
        let purged = kept.purgeable(commit)?;
        kept.apply(commit, blobs, &purged);
        Ok(())
    }

    fn live(&mut self) -> Result<Vec<u64>, StoreError> {
        let kept = self.kept();
        let live = kept.workflows.iter().filter(|(_, (_, row))| !row.status.is_terminal());
        Ok(live.map(|(number, _)| *number).collect())
    }

    fn number_of(&mut self, id: WorkflowId) -> Result<Option<u64>, StoreError> {
        Ok(self.kept().numbers.get(&id).copied())
    }

    fn conversation_number(&mut self, id: ConversationId) -> Result<Option<u64>, StoreError> {
        Ok(self.kept().conversation_numbers.get(&id).copied())
    }

    fn busy_conversations(&mut self) -> Result<Vec<u64>, StoreError> {
        let kept = self.kept();
        let busy = kept.conversations.values().filter(|row| row.busy);
        Ok(busy.map(|row| row.number).collect())
    }

    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError> {
        self.kept().stream(number, 0)
    }

    fn tail(&mut self, number: u64) -> Result<Tail, StoreError> {
        let kept = self.kept();
        let snapshot = kept.snapshots.get(&number).cloned();
        let after = snapshot.as_ref().map_or(0, |row| row.position.saturating_sub(1));
        Ok(Tail { records: kept.stream(number, after)?, snapshot })
    }

    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        Ok(self.kept().blob(hash))
    }

    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError> {
        Ok(self.kept().definition(name, version))
    }

    fn triggered(&mut self) -> Result<Vec<DefinitionRow>, StoreError> {
        let mut rows = self.kept().all_definitions();
        rows.retain(|row| row.triggers > 0);
        Ok(rows)
    }

    fn fact(&mut self, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, StoreError> {
        Ok(self.kept().fact(kind, key))
    }

    fn usage(&mut self, number: u64) -> Result<Vec<UsageRow>, StoreError> {
        Ok(self.kept().usage_of(number))
    }

    fn actors(&mut self) -> Result<Vec<(u32, Actor)>, StoreError> {
        let kept = self.kept();
        Ok(kept.actors.iter().map(|(number, actor)| (*number, actor.clone())).collect())
    }

    fn idle(&mut self) -> Result<Housekeeping, StoreError> {
        let mut kept = self.kept();
        let now = kept.head.at;
        kept.facts.retain(|_, fact| fact.expires.is_none_or(|at| at > now));
        Ok(Housekeeping::Done)
    }
}

impl Kept {
    fn fence(&self, commit: &Commit) -> Result<(), StoreError> {
        let Self { head, .. } = self;
        if (head.epoch, head.position) == (commit.after.epoch, commit.after.position) {
            return Ok(());
        }
        Err(sound::fenced(&commit.after, head))
    }

    /// What a database refuses by its keys and its vocabularies.
    fn check_new(&self, commit: &Commit) -> Result<(), StoreError> {
        if let Some(odd) = commit.records.iter().find(|r| EventKind::from_code(r.kind).is_none()) {
            return Err(sound::refused(format!("{} is not a kind of event", odd.kind)));
        }
        let mut new = BTreeSet::new();
        for card in &commit.cards {
            let twice = self.workflows.contains_key(&card.number)
                || self.numbers.contains_key(&card.id)
                || !new.insert(card.id);
            if twice {
                return Err(sound::refused(format!("workflow {} is not new", card.id)));
            }
        }
        let known = |number: u64| {
            self.workflows.contains_key(&number) || commit.cards.iter().any(|c| c.number == number)
        };
        if let Some(row) = commit.workflows.iter().find(|row| !known(row.number)) {
            return Err(sound::unknown_workflow(row.number));
        }
        let has_row = |number: u64| commit.workflows.iter().any(|row| row.number == number);
        if let Some(card) = commit.cards.iter().find(|card| !has_row(card.number)) {
            return Err(sound::rowless(card.number));
        }
        for (number, actor) in &commit.actors {
            if self.actors.contains_key(number) || self.actors.values().any(|it| it == actor) {
                return Err(sound::refused(format!("actor {actor} is not new")));
            }
        }
        if let Some(row) = commit.usage.iter().find(|row| self.usage.contains_key(&row.position)) {
            return Err(sound::refused(format!("the call at position {} is booked", row.position)));
        }
        for row in &commit.conversations {
            if self.conversation_numbers.get(&row.id).is_some_and(|number| *number != row.number) {
                return Err(sound::taken(row.id));
            }
        }
        for row in &commit.definitions {
            if self.definitions.contains_key(&(row.name.clone(), row.version)) {
                return Err(sound::refused(format!("definition {} is not new", row.name)));
            }
        }
        Ok(())
    }

    /// The blobs a commit changes, as they will be; `None` for those that go.
    fn counted(&self, commit: &Commit) -> Result<BTreeMap<BlobHash, Option<Counted>>, StoreError> {
        let mut changed: BTreeMap<BlobHash, Option<Counted>> = BTreeMap::new();
        for used in &commit.blobs {
            let known = changed.get(&used.hash).cloned().flatten();
            let known = known.or_else(|| self.blobs.get(&used.hash).cloned());
            let new = || used.blob.clone().map(|blob| Counted { uses: 0, blob });
            let mut counted = known.or_else(new).ok_or_else(|| sound::missing_blob(used.hash))?;
            counted.uses += u64::from(used.more);
            changed.insert(used.hash, Some(counted));
        }
        for (hash, fewer) in &commit.released {
            let known = match changed.get(hash) {
                Some(known) => known.clone(),
                None => self.blobs.get(hash).cloned(),
            };
            let left = known.as_ref().and_then(|it| it.uses.checked_sub(u64::from(*fewer)));
            let left = left.ok_or_else(|| sound::overreleased(*hash, *fewer))?;
            let kept = known.filter(|_| left > 0).map(|known| Counted { uses: left, ..known });
            changed.insert(*hash, kept);
        }
        Ok(changed)
    }

    /// The positions that a commit's purges remove.
    fn purgeable(&self, commit: &Commit) -> Result<Vec<u64>, StoreError> {
        let mut positions = Vec::new();
        for number in &commit.purged {
            if !self.workflows.contains_key(number) {
                return Err(sound::unknown_workflow(*number));
            }
            positions.extend(self.stream(*number, 0)?.iter().map(|record| record.position));
        }
        Ok(positions)
    }

    fn apply(
        &mut self,
        commit: &Commit,
        blobs: BTreeMap<BlobHash, Option<Counted>>,
        purged: &[u64],
    ) {
        self.head = commit.head;
        self.actors.extend(commit.actors.iter().cloned());
        self.definitions.retain(|(name, _), _| !commit.undefined.contains(name));
        for fact in &commit.facts {
            self.facts.insert((fact.kind, fact.key.clone()), fact.clone());
        }
        for row in &commit.definitions {
            self.definitions.insert((row.name.clone(), row.version), row.clone());
        }
        for (hash, counted) in blobs {
            match counted {
                Some(counted) => self.blobs.insert(hash, counted),
                None => self.blobs.remove(&hash),
            };
        }
        for position in purged {
            self.journal.remove(position);
        }
        for number in &commit.purged {
            let [first, last] = sound::task_keys(*number);
            self.tasks.retain(|key, _| !(first..=last).contains(key));
            if let Some((_, row)) = self.workflows.get_mut(number) {
                row.head = 0;
            }
        }
        self.journal.extend(commit.records.iter().map(|it| (it.position, it.clone())));
        self.usage.extend(commit.usage.iter().map(|row| (row.position, row.clone())));
        self.snapshots.extend(commit.snapshots.iter().map(|row| (row.number, row.clone())));
        for number in commit.outlived.iter().chain(&commit.purged) {
            self.snapshots.remove(number);
        }
        self.apply_rows(commit);
    }

    fn apply_rows(&mut self, commit: &Commit) {
        let mut cards: BTreeMap<u64, &WorkflowCard> =
            commit.cards.iter().map(|card| (card.number, card)).collect();
        for row in &commit.workflows {
            if let Some(card) = cards.remove(&row.number) {
                self.numbers.insert(card.id, card.number);
                self.workflows.insert(row.number, (card.clone(), row.clone()));
            } else if let Some((_, kept)) = self.workflows.get_mut(&row.number) {
                *kept = row.clone();
            }
        }
        for replanned in &commit.replanned {
            if let Some((card, _)) = self.workflows.get_mut(&replanned.number) {
                (card.plan, card.scripted) = (replanned.plan, replanned.scripted);
            }
        }
        for row in &commit.tasks {
            self.tasks.insert(sound::task_key(row.number, row.ordinal.0), row.clone());
        }
        for row in &commit.conversations {
            self.conversation_numbers.insert(row.id, row.number);
            self.conversations.insert(row.number, row.clone());
        }
    }

    fn stream(&self, number: u64, after: u64) -> Result<Vec<Record>, StoreError> {
        let newest = if number == SYSTEM_STREAM {
            self.head.system_head
        } else {
            let workflow = self.workflows.get(&number).map(|(_, row)| row.head);
            let conversation = || self.conversations.get(&number).map(|row| row.head);
            workflow.or_else(conversation).unwrap_or(0)
        };
        chain::walk(number, newest, after, |position| Ok(self.journal.get(&position).cloned()))
    }

    fn blob(&self, hash: BlobHash) -> Option<Blob> {
        self.blobs.get(&hash).map(|counted| counted.blob.clone())
    }

    fn fact(&self, kind: FactKind, key: &[u8]) -> Option<FactRow> {
        self.facts.get(&(kind, key.to_vec())).cloned()
    }

    fn usage_of(&self, number: u64) -> Vec<UsageRow> {
        self.usage.values().filter(|row| row.number == number).cloned().collect()
    }

    fn all_definitions(&self) -> Vec<DefinitionRow> {
        self.definitions.values().cloned().collect()
    }

    fn definition(&self, name: &str, version: Option<u32>) -> Option<DefinitionRow> {
        let versions = match version {
            Some(version) => version..=version,
            None => 0..=u32::MAX,
        };
        let range = (name.to_owned(), *versions.start())..=(name.to_owned(), *versions.end());
        self.definitions.range(range).next_back().map(|(_, row)| row.clone())
    }
}
