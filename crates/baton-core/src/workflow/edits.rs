//! Edits of a plan that nobody has approved yet: what they may change, and what undoes them.
//!
//! An edit is applied with the event that tells of it, as a review is about the newest plan alone.
//! Whether a plan is valid, and whether the inputs fit it, its reader has said before.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::Refusal;
use super::event::Event;
use super::graph::Graph;
use super::state::{Phase, Task, WorkflowState};
use crate::body::{BlobHash, Body};
use crate::codes;
use crate::ids::Ordinal;
use crate::plan::Plan;

/// The most edits a workflow may have, those that were undone included: each keeps a whole plan.
pub const EDITS_MAX: u32 = 200;

codes! {
    /// Where an edit stands.
    pub enum EditStatus: "edit_status" {
        /// The plan is as it says, with the edits after it.
        Applied = 0 "applied",
        /// The plan before it is back.
        Undone = 1 "undone" terminal,
    }
}

/// The plan was replaced by an edited one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanEdited {
    /// The number of the edit, from 1.
    pub edit: u32,
    /// The blob of the plan from now on.
    pub plan: BlobHash,
    /// That of the plan before.
    pub before: BlobHash,
    /// The inputs from now on, where the plan has defaults for more of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Body>,
}

/// The newest edit was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditUndone {
    /// Its number.
    pub edit: u32,
    /// The blob of the plan that is back.
    pub plan: BlobHash,
}

/// An edited plan, read and found valid.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanEdit {
    /// The workflow's revision that it was written against.
    pub revision: u64,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Its blob.
    pub hash: BlobHash,
    /// The blob of the plan it takes the place of.
    pub before: BlobHash,
    /// The inputs as they fit it.
    pub inputs: Body,
}

/// The edits of a workflow that can be undone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Edits {
    made: u32,
    applied: Vec<Applied>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Applied {
    edit: u32,
    before: BlobHash,
    inputs_before: Body,
}

impl Edits {
    /// Whether there never was one.
    pub fn is_none(&self) -> bool {
        self.made == 0
    }

    /// How many there were.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// The edit that can be undone, and the blob of the plan that would be back.
    pub fn newest(&self) -> Option<(u32, BlobHash)> {
        self.applied.last().map(|applied| (applied.edit, applied.before))
    }
}

impl WorkflowState {
    /// What can be undone of its edits.
    pub fn edits(&self) -> &Edits {
        &self.edits
    }

    fn is_editable(&self) -> bool {
        match self.phase {
            Phase::Draft { .. } | Phase::PendingReview => true,
            Phase::Queued
            | Phase::Running { .. }
            | Phase::Paused { .. }
            | Phase::Cancelling { .. }
            | Phase::Ended(_) => false,
        }
    }

    pub(super) fn edit_plan(&self, edit: &PlanEdit) -> Result<Vec<Event>, Refusal> {
        if !self.is_editable() {
            return Err(Refusal::NotInReview);
        }
        if self.revision != edit.revision {
            return Err(Refusal::StaleRevision);
        }
        // Rows, books and forecasts of a workflow go by its definition's name.
        if (&edit.plan.name, edit.plan.version) != (&self.plan.name, self.plan.version) {
            return Err(Refusal::OtherDefinition);
        }
        if edit.plan == self.plan {
            return Err(Refusal::NothingChanged);
        }
        if self.edits.made >= EDITS_MAX {
            return Err(Refusal::TooManyEdits);
        }
        let inputs = (edit.inputs != self.inputs).then(|| edit.inputs.clone());
        let (number, plan, before) = (self.edits.made + 1, edit.hash, edit.before);
        Ok(vec![PlanEdited { edit: number, plan, before, inputs }.into()])
    }

    /// The edits stand on one another: only the newest that is applied can be undone.
    pub(super) fn undo_edit(&self, edit: u32) -> Result<Vec<Event>, Refusal> {
        if !self.is_editable() {
            return Err(Refusal::NotInReview);
        }
        if edit == 0 || edit > self.edits.made {
            return Err(Refusal::NoSuchEdit);
        }
        match self.edits.newest() {
            Some((newest, plan)) if newest == edit => Ok(vec![EditUndone { edit, plan }.into()]),
            Some(_) | None => Err(Refusal::NotNewestEdit),
        }
    }

    /// Takes the plan that an event names in the place of its own: to be called right before that
    /// event is applied. Nothing of the old plan has started, so its tasks begin anew.
    pub fn replan(&mut self, plan: Arc<Plan>, graph: Arc<Graph>) {
        let count = u32::try_from(plan.tasks.len()).unwrap_or(u32::MAX);
        self.tasks = (0..count).map(|n| Task::new(Ordinal(n))).collect();
        (self.plan, self.graph) = (plan, graph);
        self.reindex();
        // Tasks that only wait for their turn have no rows.
        self.changed.clear();
    }

    pub(super) fn note_edit(&mut self, edited: &PlanEdited) {
        let inputs_before = match &edited.inputs {
            Some(inputs) => std::mem::replace(&mut self.inputs, inputs.clone()),
            None => self.inputs.clone(),
        };
        let (edit, before) = (edited.edit, edited.before);
        self.edits.made = edit;
        self.edits.applied.push(Applied { edit, before, inputs_before });
        // What was sent back is offered again as it is now.
        self.phase = Phase::PendingReview;
    }

    pub(super) fn note_undo(&mut self) {
        if let Some(applied) = self.edits.applied.pop() {
            self.inputs = applied.inputs_before;
        }
    }
}

impl Event {
    /// The blob of the plan that a workflow has from this event on, where that is another than before.
    pub fn new_plan(&self) -> Option<BlobHash> {
        if let Self::PlanEdited(PlanEdited { plan, .. })
        | Self::EditUndone(EditUndone { plan, .. }) = self
        {
            return Some(*plan);
        }
        None
    }
}
