//! Compares what is stored with what the journal says: every stream is folded anew.
//!
//! It writes nothing. A difference carries what would mend it, where the journal knows; carrying
//! that out is the store's. The journal itself is read in full, one stream in memory at a time.

mod blobs;
mod books;
mod conversations;
mod graves;
mod journal;
mod live;
mod snapshots;
mod workflows;

use baton_core::body::BlobHash;
use baton_core::conversation::rows::ConversationRow;
use baton_core::ids::Ordinal;
use baton_core::words::FactKind;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use serde::Serialize;

use crate::store::{Audit, DefinitionRow, FactRow, Head, StoreError};

pub use blobs::damaged_blobs;
pub use live::SelfCheck;

/// How many differences a report names; all are counted.
pub const DIFFERENCES_NAMED_MAX: usize = 100;
/// How many events are read at a time.
const EVENTS_AT_A_TIME: u32 = 4_096;

/// Something stored that is not what the journal says, or a fault of the journal itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What differs, and where.
    pub what: String,
    /// What is stored.
    pub stored: String,
    /// What it should be.
    pub recomputed: String,
    /// What would mend it; `None` where the journal does not know.
    #[serde(skip)]
    pub mend: Option<Mend>,
}

/// One change of a read model.
#[derive(Clone, Debug, PartialEq)]
pub enum Mend {
    /// Write the whole row of a workflow.
    Workflow(Box<(WorkflowCard, WorkflowRow)>),
    /// Remove the row of a workflow that never was.
    NoWorkflow(u64),
    /// Write the row of a task.
    Task(TaskRow),
    /// Remove the row of a task.
    NoTask(u64, Ordinal),
    /// Write the whole row of a conversation.
    Conversation(Box<ConversationRow>),
    /// Remove the row of a conversation that never was.
    NoConversation(u64),
    /// Write a row of the books.
    Usage(Box<UsageRow>),
    /// Remove the row of the books of this position.
    NoUsage(u64),
    /// Remove the snapshot of a workflow.
    NoSnapshot(u64),
    /// Say how many events name a blob; one that none names goes.
    BlobUses(BlobHash, u64),
    /// Write the row of a definition.
    Definition(DefinitionRow),
    /// Remove the row of a definition.
    NoDefinition(String, u32),
    /// Write the row of a fact.
    Fact(FactRow),
    /// Remove the row of a fact.
    NoFact(FactKind, Vec<u8>),
    /// Say where the journal ends; the epoch stays.
    Head(Head),
}

/// Mends read models in one transaction, while nobody else writes. Dropped without
/// [`Repair::commit`], it changes nothing.
pub trait Repair {
    /// Carries one mend out.
    fn mend(&mut self, mend: &Mend) -> Result<(), StoreError>;

    /// Makes all mends last. Where there are any, whoever owned the store before is fenced off.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Takes differences in as they are found.
pub type Found<'a> = &'a mut dyn FnMut(Difference) -> Result<(), StoreError>;

/// What was examined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// Events of the journal.
    pub events: u64,
    /// Workflows folded.
    pub workflows: u64,
    /// Conversations folded.
    pub conversations: u64,
    /// Workflows of which only a tombstone is left.
    pub purged: u64,
    /// Rows of tasks compared.
    pub tasks: u64,
    /// Blobs whose uses were counted.
    pub blobs: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CheckReport {
    /// What was examined.
    pub examined: Examined,
    /// How many differences there are.
    pub total: u64,
    /// The first of them, at most [`DIFFERENCES_NAMED_MAX`].
    pub differences: Vec<Difference>,
}

impl CheckReport {
    /// Takes a difference in.
    pub fn note(&mut self, difference: Difference) {
        self.total += 1;
        if self.differences.len() < DIFFERENCES_NAMED_MAX {
            self.differences.push(difference);
        }
    }
}

/// Compares everything and names what differs.
pub fn check(audit: &mut dyn Audit) -> Result<CheckReport, StoreError> {
    let mut report = CheckReport::default();
    let examined = compare(audit, &mut |difference| {
        report.note(difference);
        Ok(())
    })?;
    report.examined = examined;
    Ok(report)
}

/// Compares everything and hands each difference over when it is found.
///
/// An `Err` is a store that cannot be read at all, or comes from `found`.
pub fn compare(audit: &mut dyn Audit, found: Found<'_>) -> Result<Examined, StoreError> {
    let survey = journal::survey(audit, found)?;
    let mut examined = Examined {
        events: survey.events,
        purged: survey.purged.len() as u64,
        ..Examined::default()
    };
    journal::compare_definitions(&survey, audit, found)?;
    journal::compare_facts(&survey, audit, found)?;
    workflows::compare_all(&survey, audit, &mut examined, found)?;
    examined.conversations = conversations::compare_all(&survey, audit, found)?;
    examined.blobs = blobs::compare_uses(audit, found)?;
    Ok(examined)
}

impl Difference {
    /// A difference that the journal cannot mend.
    pub(crate) fn fault(
        what: impl Into<String>,
        stored: impl ToString,
        recomputed: impl ToString,
    ) -> Self {
        Self {
            what: what.into(),
            stored: stored.to_string(),
            recomputed: recomputed.to_string(),
            mend: None,
        }
    }

    pub(crate) fn mended_by(self, mend: Mend) -> Self {
        Self { mend: Some(mend), ..self }
    }

    /// The fields in which two values differ; `None` where they do not.
    pub(crate) fn of_fields<T: Serialize>(what: &str, stored: &T, recomputed: &T) -> Option<Self> {
        let object = |value: &T| match serde_json::to_value(value) {
            Ok(serde_json::Value::Object(fields)) => fields,
            Ok(_) | Err(_) => serde_json::Map::new(),
        };
        let (left, right) = (object(stored), object(recomputed));
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for (name, value) in &right {
            let other = left.get(name).unwrap_or(&serde_json::Value::Null);
            if other != value {
                theirs.push(format!("{name} {other}"));
                ours.push(format!("{name} {value}"));
            }
        }
        (!ours.is_empty()).then(|| Self::fault(what, theirs.join(", "), ours.join(", ")))
    }
}
