//! The edits of a workflow's plan as they are shown, and what an edit is written against.
//!
//! Read from the events; what an edit changes is found by comparing the plans before and after it.

use baton_core::body::{BlobHash, Body, Json};
use baton_core::codes::Code;
use baton_core::definition::{Changes, changes};
use baton_core::plan::Plan;
use baton_core::time::Timestamp;
use baton_core::words::WorkflowStatus;
use baton_core::workflow::edits::EditStatus;
use baton_core::workflow::rows::WorkflowCard;
use baton_core::workflow::{Event, EventKind, Refusal};
use serde::{Deserialize, Serialize};

use crate::live::read_event;
use crate::store::{Record, StoreError, Views};
use crate::view::{plan_at, text_of};

/// How many events are read at a time.
const BATCH: u32 = 500;

/// An edit as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EditView {
    /// Its number, from 1.
    pub edit: u32,
    /// Where it stands.
    pub status: EditStatus,
    /// Who made it.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The revision that it brought the workflow to.
    pub revision: u64,
    /// Who undid it.
    pub undone_by: Option<String>,
    /// When.
    pub undone_at: Option<Timestamp>,
    /// What it changes of the plan before it.
    pub changes: Changes,
}

/// An edit as the events tell it.
struct Told {
    view: EditView,
    plans: (BlobHash, BlobHash),
}

/// What an edit is written against.
#[derive(Debug)]
pub struct Editable {
    /// The plan.
    pub plan: Plan,
    /// The inputs, with the defaults that the plan has.
    pub inputs: Json,
}

/// The edits of a workflow, oldest first.
pub fn edits(card: &WorkflowCard, views: &mut dyn Views) -> Result<Vec<EditView>, StoreError> {
    let mut told: Vec<Told> = Vec::new();
    let mut found = Vec::new();
    before_start(card, views, &mut |record, event| {
        if matches!(event, Event::PlanEdited(_) | Event::EditUndone(_)) {
            found.push((record.clone(), event));
        }
        Going::On
    })?;
    for (record, event) in found {
        note(&record, &event, &mut told, views)?;
    }
    told.into_iter().map(|told| compared(told, views)).collect()
}

/// The plan and the inputs of a workflow as they were at a revision; `None` where there was none, or its
/// run had started by then.
pub fn editable(
    card: &WorkflowCard,
    revision: u64,
    views: &mut dyn Views,
) -> Result<Option<Editable>, StoreError> {
    let mut stands: Vec<(BlobHash, Body)> = Vec::new();
    let mut is_reached = false;
    before_start(card, views, &mut |record, event| {
        match (event, stands.last()) {
            (Event::Admitted(admitted), None) => stands.push((admitted.plan, admitted.inputs)),
            (Event::PlanEdited(edited), Some((_, inputs))) => {
                let inputs = edited.inputs.unwrap_or_else(|| inputs.clone());
                stands.push((edited.plan, inputs));
            }
            (Event::EditUndone(_), Some(_)) => drop(stands.pop()),
            (_, _) => {}
        }
        is_reached = record.version == revision;
        if is_reached { Going::Over } else { Going::On }
    })?;
    let Some((plan, inputs)) = stands.pop().filter(|_| is_reached) else {
        return Ok(None);
    };
    Ok(Some(Editable { plan: plan_at(plan, views)?, inputs: text_of(&inputs, views)? }))
}

/// Why a workflow of this status has no plan to edit at a revision.
pub fn out_of_reach(status: WorkflowStatus) -> Refusal {
    match status {
        WorkflowStatus::Draft | WorkflowStatus::PendingReview => Refusal::StaleRevision,
        WorkflowStatus::Queued
        | WorkflowStatus::Running
        | WorkflowStatus::Paused
        | WorkflowStatus::Cancelling => Refusal::NotInReview,
        WorkflowStatus::Completed
        | WorkflowStatus::CompletedWithErrors
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled => Refusal::AlreadyEnded,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Going {
    On,
    Over,
}

/// Goes over the events of a workflow until its first run starts, or `each` has enough: a plan is edited
/// before that alone.
fn before_start(
    card: &WorkflowCard,
    views: &mut dyn Views,
    each: &mut dyn FnMut(&Record, Event) -> Going,
) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let records = views.events(after, Some(card.number), BATCH)?;
        let Some(last) = records.last() else { return Ok(()) };
        after = last.position;
        for record in &records {
            let started = record.kind == EventKind::Started.code();
            if started || each(record, read_event(record)?) == Going::Over {
                return Ok(());
            }
        }
    }
}

fn note(
    record: &Record,
    event: &Event,
    told: &mut Vec<Told>,
    views: &mut dyn Views,
) -> Result<(), StoreError> {
    if let Event::PlanEdited(edited) = event {
        let view = EditView {
            edit: edited.edit,
            status: EditStatus::Applied,
            by: name_of(record.actor, views)?,
            at: record.at,
            revision: record.version,
            undone_by: None,
            undone_at: None,
            changes: Changes::default(),
        };
        told.push(Told { view, plans: (edited.before, edited.plan) });
    } else if let Event::EditUndone(undone) = event
        && let Some(told) = told.iter_mut().find(|told| told.view.edit == undone.edit)
    {
        told.view.status = EditStatus::Undone;
        told.view.undone_by = name_of(record.actor, views)?;
        told.view.undone_at = Some(record.at);
    }
    Ok(())
}

fn name_of(actor: u32, views: &mut dyn Views) -> Result<Option<String>, StoreError> {
    Ok(views.actor(actor)?.map(|actor| actor.to_string()))
}

fn compared(told: Told, views: &mut dyn Views) -> Result<EditView, StoreError> {
    let Told { view, plans: (before, after) } = told;
    let changes = changes(&plan_at(before, views)?, &plan_at(after, views)?);
    Ok(EditView { changes, ..view })
}
