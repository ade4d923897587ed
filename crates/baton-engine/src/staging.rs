//! Builds one turn's commit: events in order, each changed row once, each blob's uses summed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash, Json};
use baton_core::codes::Code;
use baton_core::fact::{self, Change};
use baton_core::ids::Ordinal;
use baton_core::time::Timestamp;
use baton_core::words::FactKind;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use baton_core::workflow::{Event, SHAPE};

use crate::store::{
    BlobUse, Commit, DefinitionRow, FactRow, Head, Record, Replanned, SYSTEM_STREAM, SnapshotRow,
};

/// Where in its stream an event stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The stream.
    pub stream: u64,
    /// Its place there, from 1.
    pub version: u64,
    /// The position of the event before it.
    pub previous: u64,
}

/// What the present turn has to write.
#[derive(Debug, Default)]
pub struct Staging {
    after: Head,
    head: Head,
    records: Vec<Record>,
    pub(crate) cards: Vec<WorkflowCard>,
    replanned: Vec<Replanned>,
    pub(crate) workflows: Vec<u64>,
    pub(crate) tasks: Vec<(u64, Ordinal, u64)>,
    uses: BTreeMap<BlobHash, u32>,
    offered: HashMap<BlobHash, Blob>,
    actors: Vec<(u32, Actor)>,
    definitions: Vec<DefinitionRow>,
    undefined: Vec<String>,
    facts: BTreeMap<(FactKind, Vec<u8>), FactRow>,
    pub(crate) usage: Vec<UsageRow>,
    pub(crate) snapshots: Vec<SnapshotRow>,
    purged: Vec<WorkflowRow>,
    pub(crate) released: Vec<(BlobHash, u32)>,
}

impl Staging {
    /// Nothing staged, after this head.
    pub fn new(head: Head) -> Self {
        Self { after: head, head, ..Self::default() }
    }

    /// Where the journal will end.
    pub fn head(&self) -> Head {
        self.head
    }

    /// A new stream's number.
    pub fn open_stream(&mut self) -> u64 {
        self.head.streams += 1;
        self.head.streams
    }

    /// Appends an event and returns its position.
    pub fn append(
        &mut self,
        place: Place,
        event: &Event,
        cause: u64,
        actor: u32,
        at: Timestamp,
    ) -> u64 {
        self.head.position += 1;
        self.head.at = at;
        let Place { stream, version, previous } = place;
        // A body is made of plain structs with string keys: writing it cannot fail.
        let body: Arc<str> = event.body().unwrap_or_default().into();
        let (position, kind) = (self.head.position, event.kind().code());
        let record = Record {
            position,
            stream,
            version,
            previous,
            cause,
            kind,
            shape: SHAPE,
            body,
            actor,
            at,
        };
        self.records.push(record);
        let uses = &mut self.uses;
        event.blobs(&mut |hash| *uses.entry(hash).or_default() += 1);
        position
    }

    /// Appends an event to the system stream.
    pub fn append_system(&mut self, event: &Event, cause: u64, actor: u32, at: Timestamp) -> u64 {
        let (version, previous) = (self.head.system_version + 1, self.head.system_head);
        let place = Place { stream: SYSTEM_STREAM, version, previous };
        let position = self.append(place, event, cause, actor, at);
        self.head.system_version = version;
        self.head.system_head = position;
        for Change::Holds(kind, key, value) in fact::changes(event) {
            self.keep(FactRow { kind, key, value, position, at, expires: None });
        }
        position
    }

    /// Keeps a fact in the place of an earlier one.
    pub fn keep(&mut self, fact: FactRow) {
        self.facts.insert((fact.kind, fact.key.clone()), fact);
    }

    /// A fact of this turn.
    pub fn fact(&self, kind: FactKind, key: &[u8]) -> Option<&FactRow> {
        self.facts.get(&(kind, key.to_vec()))
    }

    /// Registers a definition.
    pub fn define(&mut self, row: DefinitionRow) {
        self.definitions.push(row);
    }

    /// Removes every version of a definition.
    pub fn undefine(&mut self, name: &str) {
        self.definitions.retain(|row| row.name != name);
        self.undefined.push(name.to_owned());
    }

    /// The newest version of a definition of this turn.
    pub fn newest_definition(&self, name: &str) -> Option<&DefinitionRow> {
        let named = self.definitions.iter().filter(|row| row.name == name);
        named.max_by_key(|row| row.version)
    }

    /// What this turn does to a version of a definition: `None` where nothing, `Some(None)` where it
    /// removes it.
    pub fn definition(&self, name: &str, version: u32) -> Option<Option<&DefinitionRow>> {
        let new = self.definitions.iter().find(|row| row.name == name && row.version == version);
        let gone = || self.undefined.iter().any(|other| other == name).then_some(None);
        new.map(Some).or_else(gone)
    }

    /// Whether an event of this stream is staged.
    pub fn touches(&self, stream: u64) -> bool {
        self.records.iter().any(|record| record.stream == stream)
    }

    /// Removes a workflow's events and tasks; this row stays of it.
    pub fn purge(&mut self, row: WorkflowRow) {
        self.purged.push(row);
    }

    /// Whether a workflow is purged by this turn.
    pub fn purges(&self, number: u64) -> bool {
        self.purged.iter().any(|row| row.number == number)
    }

    /// A workflow has another plan: its card says so where that is not written yet.
    pub fn replan(&mut self, replanned: Replanned) {
        let Replanned { number, plan, scripted } = replanned;
        if let Some(card) = self.cards.iter_mut().find(|card| card.number == number) {
            (card.plan, card.scripted) = (plan, scripted);
            return;
        }
        self.replanned.retain(|other| other.number != number);
        self.replanned.push(replanned);
    }

    /// Brings the bytes of a blob that an event of this turn may name.
    pub fn offer(&mut self, blob: Option<Blob>) {
        if let Some(blob) = blob {
            self.offered.insert(blob.hash, blob);
        }
    }

    /// A blob that was offered in this turn.
    pub fn offered_blob(&self, hash: BlobHash) -> Option<Blob> {
        self.offered.get(&hash).cloned()
    }

    /// The text of a blob that was offered in this turn.
    pub fn offered(&self, hash: BlobHash) -> Option<Json> {
        self.offered.get(&hash).and_then(|blob| blob.unpack().ok())
    }

    /// A new actor's number.
    pub fn name_actor(&mut self, number: u32, actor: Actor) {
        self.actors.push((number, actor));
    }

    /// The commit, with the rows of what lives to be filled in by the caller, and a staging after it.
    pub fn finish(&mut self) -> Commit {
        let staged = std::mem::take(self);
        self.after = staged.head;
        self.head = staged.head;
        // A turn without events is not written: whom it named must be named by the next one.
        let nothing = staged.records.is_empty() && staged.purged.is_empty();
        let (kept, actors) =
            if nothing { (staged.actors, Vec::new()) } else { (Vec::new(), staged.actors) };
        self.actors = kept;
        let mut offered = staged.offered;
        let blobs = staged.uses.into_iter();
        Commit {
            after: staged.after,
            head: staged.head,
            records: staged.records,
            cards: staged.cards,
            replanned: staged.replanned,
            conversations: Vec::new(),
            usage: staged.usage,
            snapshots: staged.snapshots,
            outlived: Vec::new(),
            purged: staged.purged.iter().map(|row| row.number).collect(),
            workflows: staged.purged,
            tasks: Vec::new(),
            blobs: blobs
                .map(|(hash, more)| BlobUse { hash, more, blob: offered.remove(&hash) })
                .collect(),
            actors,
            definitions: staged.definitions,
            undefined: staged.undefined,
            facts: staged.facts.into_values().collect(),
            released: staged.released,
        }
    }
}
