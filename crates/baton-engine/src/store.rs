//! The store port: what is written in one commit, and what can be read back.
//!
//! A store writes what it is given and matches on nothing. Views are read by others, beside the
//! owner, through [`Views`].

use std::fmt;
use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::agent::Spending;
use baton_core::body::{Blob, BlobHash, Json};
use baton_core::conversation::rows::ConversationRow;
use baton_core::ids::{ConversationId, Ordinal, ProjectId, TaskId, WorkflowId};
use baton_core::time::Timestamp;
use baton_core::words::{ConversationStatus, FactKind, Origin, UsageBy, WorkflowStatus};
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use serde::Serialize;

/// The stream of what concerns the whole store: definitions, purges.
pub const SYSTEM_STREAM: u64 = 0;

/// One event as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// One sequence per store, from 1, increasing in the order of visibility.
    pub position: u64,
    /// The number of the workflow or conversation it belongs to, or [`SYSTEM_STREAM`].
    pub stream: u64,
    /// Its place in its stream, from 1.
    pub version: u64,
    /// The position of the event before it in its stream; 0 for the first.
    pub previous: u64,
    /// The position of the event that led to it; 0 where a command did.
    pub cause: u64,
    /// The code of its kind.
    pub kind: u8,
    /// The shape its body is written in.
    pub shape: u8,
    /// Its body as JSON.
    pub body: Arc<str>,
    /// The number of the actor behind it.
    pub actor: u32,
    /// When it happened.
    pub at: Timestamp,
}

/// Where a journal ends, and who may extend it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Head {
    /// The newest position; 0 when empty.
    pub position: u64,
    /// The newest stream number.
    pub streams: u64,
    /// The version of the system stream.
    pub system_version: u64,
    /// The position of the newest event of the system stream.
    pub system_head: u64,
    /// The present owner's fencing token.
    pub epoch: u64,
    /// When the newest event happened.
    pub at: Timestamp,
}

/// How the use of a blob changes: how many more events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobUse {
    /// Which.
    pub hash: BlobHash,
    /// How many more.
    pub more: u32,
    /// Its bytes, unless they are known to be stored.
    pub blob: Option<Blob>,
}

/// A definition by name and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DefinitionRow {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Its plan's blob.
    pub plan: BlobHash,
    /// The blob of its source, where that was registered too.
    pub source: Option<BlobHash>,
    /// How many triggers it has.
    pub triggers: u32,
    /// When it was registered.
    pub at: Timestamp,
}

/// A small record found by its kind and key without reading the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FactRow {
    /// What it is about.
    pub kind: FactKind,
    /// Unique for the kind.
    pub key: Vec<u8>,
    /// What is known.
    pub value: Json,
    /// The position of the event it follows from.
    pub position: u64,
    /// When that was.
    pub at: Timestamp,
    /// After this moment it is void, and a store may drop it; such a fact is not derived anew.
    pub expires: Option<Timestamp>,
}

/// A workflow's state at one event of its stream, so that taking it up need not read what is before.
/// It may be removed at any time: it is a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// The workflow's number.
    pub number: u64,
    /// The version of the event.
    pub version: u64,
    /// Its position.
    pub position: u64,
    /// The shape the bytes are in.
    pub shape: u8,
    /// The state, with a checksum.
    pub bytes: Arc<[u8]>,
}

/// What it takes to take a workflow up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Its snapshot, if it has one whose event stands where it says.
    pub snapshot: Option<SnapshotRow>,
    /// The events from that of the snapshot on, oldest first; all of them where there is none.
    pub records: Vec<Record>,
}

/// A workflow whose plan is another one from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replanned {
    /// Its number.
    pub number: u64,
    /// The blob of the plan.
    pub plan: BlobHash,
    /// As [`WorkflowCard::scripted`], by that plan.
    pub scripted: bool,
}

/// Everything one turn writes, all or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// The head this commit extends; its epoch is the writer's fencing token.
    pub after: Head,
    /// The head once it is written.
    pub head: Head,
    /// New events, in order of position.
    pub records: Vec<Record>,
    /// New workflows.
    pub cards: Vec<WorkflowCard>,
    /// Workflows that changed (new ones included), once each.
    pub workflows: Vec<WorkflowRow>,
    /// Those of them, new ones excluded, whose plan was replaced, once each.
    pub replanned: Vec<Replanned>,
    /// Tasks that changed, once each.
    pub tasks: Vec<TaskRow>,
    /// Blobs that new events name.
    pub blobs: Vec<BlobUse>,
    /// New actors and their numbers.
    pub actors: Vec<(u32, Actor)>,
    /// New definitions.
    pub definitions: Vec<DefinitionRow>,
    /// Names no version of which is kept any more; no new definition has one of them.
    pub undefined: Vec<String>,
    /// Facts, each in the place of the one before it of the same kind and key; no two are alike.
    pub facts: Vec<FactRow>,
    /// Conversations that changed (new ones included), once each.
    pub conversations: Vec<ConversationRow>,
    /// New rows of the books.
    pub usage: Vec<UsageRow>,
    /// Snapshots, each in the place of the one before it of the same workflow.
    pub snapshots: Vec<SnapshotRow>,
    /// Workflows whose snapshots are removed.
    pub outlived: Vec<u64>,
    /// Workflows whose events, tasks and snapshots are removed; their rows of the books stay.
    pub purged: Vec<u64>,
    /// Uses of blobs that end with them.
    pub released: Vec<(BlobHash, u32)>,
}

impl Commit {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.purged.is_empty()
            && self.snapshots.is_empty()
            && self.facts.is_empty()
    }
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The head is not where the writer thinks: another owner has taken over. Nothing was written.
    Conflict(String),
    /// A passing or lasting fault outside; whether a commit was applied is not known.
    Unavailable(String),
    /// What is stored is not what was written.
    Corrupt(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(detail) => write!(f, "another owner has taken over the store: {detail}"),
            Self::Unavailable(detail) => write!(f, "the store does not answer: {detail}"),
            Self::Corrupt(detail) => {
                write!(f, "the store is damaged: {detail}; run `baton doctor`")
            }
        }
    }
}

impl std::error::Error for StoreError {}

/// Whether a store has more to tidy up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Housekeeping {
    /// It has not.
    Done,
    /// It wants another idle moment.
    More,
}

/// The owner's side of a store.
pub trait Store {
    /// Takes the store over: the returned epoch is larger than any before, and every earlier
    /// owner's commits are refused from now on.
    fn take_over(&mut self) -> Result<Head, StoreError>;

    /// Where the journal ends now.
    fn head(&mut self) -> Result<Head, StoreError>;

    /// Writes a commit; when it returns `Ok`, it is on disk.
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError>;

    /// The numbers of all workflows that have not ended.
    fn live(&mut self) -> Result<Vec<u64>, StoreError>;

    /// The number of the workflow with this id.
    fn number_of(&mut self, id: WorkflowId) -> Result<Option<u64>, StoreError>;

    /// The number of the stream of the conversation with this id.
    fn conversation_number(&mut self, id: ConversationId) -> Result<Option<u64>, StoreError>;

    /// The numbers of all conversations for which their owner has something to do by itself.
    fn busy_conversations(&mut self) -> Result<Vec<u64>, StoreError>;

    /// The events of a stream, of a workflow, a conversation or the system, oldest first.
    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError>;

    /// The snapshot of a workflow and the events from its on; the whole stream where it has none.
    fn tail(&mut self, number: u64) -> Result<Tail, StoreError>;

    /// A blob by its hash.
    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError>;

    /// The definition of this name; the newest version where none is given.
    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError>;

    /// Every definition that has triggers.
    fn triggered(&mut self) -> Result<Vec<DefinitionRow>, StoreError>;

    /// The fact of this kind and key; one that has expired may still be there.
    fn fact(&mut self, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, StoreError>;

    /// The rows of the books of a workflow, by position.
    fn usage(&mut self, number: u64) -> Result<Vec<UsageRow>, StoreError>;

    /// Every actor that has a number.
    fn actors(&mut self) -> Result<Vec<(u32, Actor)>, StoreError>;

    /// A little housekeeping when there is nothing else to do, such as a checkpoint. Returns at once
    /// where there is none.
    fn idle(&mut self) -> Result<Housekeeping, StoreError>;
}

/// Which workflows to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these statuses; all when empty.
    pub statuses: Vec<WorkflowStatus>,
    /// Only those whose name contains this.
    pub name: Option<String>,
    /// Only those that came to be like this.
    pub origin: Option<Origin>,
    /// Only those that belong to this project.
    pub project: Option<ProjectId>,
    /// Only those that belong to this conversation.
    pub conversation: Option<ConversationId>,
    /// Only those that were admitted at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those with a task that waits for a person.
    pub needs_people: bool,
    /// Only those with a smaller number: the cursor of the page before.
    pub before: Option<u64>,
    /// At most this many.
    pub limit: u32,
}

/// Which conversations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// Only those of this status.
    pub status: Option<ConversationStatus>,
    /// Only those whose title contains this, whatever the case of its letters.
    pub title: Option<String>,
    /// Only those with a smaller number: the cursor of the page before.
    pub before: Option<u64>,
    /// At most this many.
    pub limit: u32,
}

/// Which rows of the books to add up, and by what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// One sum for each of these; one of all where it is absent.
    pub by: Option<UsageBy>,
    /// From this day on, in days since 1970 (UTC).
    pub from_day: Option<i64>,
    /// Up to and with this day.
    pub until_day: Option<i64>,
    /// Only of the workflows of these numbers; of all when empty.
    pub workflows: Vec<u64>,
    /// Only of this model.
    pub model: Option<String>,
    /// Only of this agent.
    pub agent: Option<String>,
    /// Only of workflows that this actor started.
    pub user: Option<String>,
    /// Only of this conversation.
    pub conversation: Option<ConversationId>,
    /// Only what was settled up to and with this position.
    pub until_position: Option<u64>,
    /// Only sums behind this one: the cursor of the page before.
    pub after: Option<UsageKey>,
    /// At most this many sums.
    pub limit: u32,
}

/// What one sum is of: a day or the number of a workflow, a name, or the bytes of an id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UsageKey {
    /// A day in days since 1970, or the number of a workflow; 0 where nothing was grouped.
    Number(i64),
    /// A name.
    Name(String),
    /// A conversation.
    Id([u8; 16]),
}

/// What one task used, over all runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageOfTask {
    /// Which.
    pub ordinal: Ordinal,
    /// The task of the plan it is, or is an item of.
    pub of: Ordinal,
    /// The sum.
    pub spending: Spending,
}

/// What checks and repairs read, all of it in one snapshot, beside what [`Views`] offers.
///
/// It reads the journal without trusting any row, and the rows without trusting the journal.
pub trait Audit: Send {
    /// The head row.
    fn head(&mut self) -> Result<Head, StoreError>;
    /// Events after a position, of all streams.
    fn events(&mut self, after: u64, limit: u32) -> Result<Vec<Record>, StoreError>;
    /// The events of a stream whose newest stands at this position, oldest first.
    fn chain(&mut self, stream: u64, newest: u64) -> Result<Vec<Record>, StoreError>;
    /// The row of a workflow.
    fn workflow(&mut self, number: u64) -> Result<Option<(WorkflowCard, WorkflowRow)>, StoreError>;
    /// The smallest number after this one of a workflow that has a row.
    fn next_workflow(&mut self, after: u64) -> Result<Option<u64>, StoreError>;
    /// The row of a conversation.
    fn conversation(&mut self, number: u64) -> Result<Option<ConversationRow>, StoreError>;
    /// The smallest number after this one of a conversation that has a row.
    fn next_conversation(&mut self, after: u64) -> Result<Option<u64>, StoreError>;
    /// The rows of a workflow's tasks, by ordinal.
    fn tasks(&mut self, number: u64) -> Result<Vec<TaskRow>, StoreError>;
    /// The smallest number after this one that rows of tasks name.
    fn next_with_tasks(&mut self, after: u64) -> Result<Option<u64>, StoreError>;
    /// The rows of the books of a workflow, by position.
    fn usage(&mut self, number: u64) -> Result<Vec<UsageRow>, StoreError>;
    /// The smallest number after this one of a workflow that rows of the books name.
    fn next_with_usage(&mut self, after: u64) -> Result<Option<u64>, StoreError>;
    /// Blobs and how many events are said to name them, by hash, after this one.
    fn blob_uses(
        &mut self,
        after: Option<BlobHash>,
        limit: u32,
    ) -> Result<Vec<(BlobHash, u64)>, StoreError>;
    /// A blob by its hash.
    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError>;
    /// The snapshot with the smallest number of a workflow after this one.
    fn next_snapshot(&mut self, after: u64) -> Result<Option<SnapshotRow>, StoreError>;
    /// Every definition.
    fn definitions(&mut self) -> Result<Vec<DefinitionRow>, StoreError>;
    /// Every fact that does not expire.
    fn facts(&mut self) -> Result<Vec<FactRow>, StoreError>;
    /// Every actor that has a number.
    fn actors(&mut self) -> Result<Vec<(u32, Actor)>, StoreError>;
}

/// The readers' side of a store: one query each, the same for every surface.
pub trait Views: Send {
    /// Where the journal ends now.
    fn head(&mut self) -> Result<Head, StoreError>;
    /// Workflows, newest first.
    fn list(&mut self, filter: &Filter) -> Result<Vec<(WorkflowCard, WorkflowRow)>, StoreError>;
    /// One workflow.
    fn workflow(
        &mut self,
        id: WorkflowId,
    ) -> Result<Option<(WorkflowCard, WorkflowRow)>, StoreError>;
    /// Conversations, newest first.
    fn conversations(
        &mut self,
        filter: &ConversationFilter,
    ) -> Result<Vec<ConversationRow>, StoreError>;
    /// One conversation.
    fn conversation(&mut self, id: ConversationId) -> Result<Option<ConversationRow>, StoreError>;
    /// The id of the conversation whose stream has this number.
    fn conversation_of(&mut self, number: u64) -> Result<Option<ConversationId>, StoreError>;
    /// The rows of a workflow's tasks, by ordinal; those that never started have none.
    fn tasks(&mut self, number: u64) -> Result<Vec<TaskRow>, StoreError>;
    /// Sums of the books, newest first or by name, as [`UsageBy`] says. Without `by` there is one sum,
    /// and there always is.
    fn usage(&mut self, filter: &UsageFilter) -> Result<Vec<(UsageKey, Spending)>, StoreError>;
    /// What the tasks of a workflow used, by ordinal; those that called no model are not there.
    fn usage_of_tasks(&mut self, number: u64) -> Result<Vec<UsageOfTask>, StoreError>;
    /// The rows of tasks that wait for a person, oldest first.
    fn waiting_for_people(
        &mut self,
        limit: u32,
    ) -> Result<Vec<(WorkflowCard, TaskRow)>, StoreError>;
    /// Events after a position, of one stream or of all.
    fn events(
        &mut self,
        after: u64,
        stream: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError>;
    /// The events of a stream, oldest first.
    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError>;
    /// A blob by its hash.
    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError>;
    /// The actor of a number.
    fn actor(&mut self, number: u32) -> Result<Option<Actor>, StoreError>;
    /// The id of the workflow of a number.
    fn id_of(&mut self, number: u64) -> Result<Option<WorkflowId>, StoreError>;
    /// The number of the workflow a task belongs to.
    fn workflow_of(&mut self, task: TaskId) -> Result<Option<u64>, StoreError>;
    /// The definition of this name; the newest version where none is given.
    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError>;
    /// Every definition, by name and then by version.
    fn definitions(&mut self) -> Result<Vec<DefinitionRow>, StoreError>;
    /// The fact of this kind and key; one that has expired may still be there.
    fn fact(&mut self, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, StoreError>;
    /// Every fact of a kind, by key.
    fn facts(&mut self, kind: FactKind) -> Result<Vec<FactRow>, StoreError>;
}
