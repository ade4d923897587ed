//! One sentence that says where a workflow stands, made from its view and those of its tasks.
//!
//! It invents nothing: every word follows from a status, a count or a moment of the views.

use baton_core::time::Timestamp;
use baton_core::words::{TaskStatus, WaitReason, WorkflowStatus};
use baton_engine::view::{TaskView, WorkflowView};

use super::times::{Age, coarse, cut, exact, many};

/// How many tasks are named before the rest is counted.
const NAMED_MAX: usize = 2;
/// The longest name in a sentence, in characters.
const NAME_CHARS_MAX: usize = 60;

/// Where a workflow stands, for a line of a list: nothing is known of its tasks.
pub fn brief(workflow: &WorkflowView, now: Timestamp) -> String {
    full(workflow, &[], now)
}

/// Where a workflow stands. Without tasks, counts take the place of names.
pub fn full(workflow: &WorkflowView, tasks: &[TaskView], now: Timestamp) -> String {
    let lead = lead(workflow, tasks, now);
    match workflow.status {
        WorkflowStatus::Draft | WorkflowStatus::PendingReview | WorkflowStatus::Queued => lead,
        WorkflowStatus::Running | WorkflowStatus::Paused | WorkflowStatus::Cancelling => {
            format!("{lead}; {}{}.", done(workflow), failed(workflow))
        }
        WorkflowStatus::Completed
        | WorkflowStatus::CompletedWithErrors
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled => format!("{lead}: {}{}.", done(workflow), failed(workflow)),
    }
}

/// `2 of 5 tasks complete`.
pub fn done(workflow: &WorkflowView) -> String {
    let total = many(u64::from(workflow.agents_total), "task");
    format!("{} of {total} complete", workflow.agents_completed)
}

fn failed(workflow: &WorkflowView) -> String {
    match workflow.tasks_failed {
        0 => String::new(),
        count => format!(", {count} failed"),
    }
}

fn lead(workflow: &WorkflowView, tasks: &[TaskView], now: Timestamp) -> String {
    let since = |at: Timestamp| match coarse(now.since(at)).as_str() {
        "now" => "just now".to_owned(),
        age => format!("for {age}"),
    };
    let took = workflow.started_at.map_or_else(String::new, |started| {
        let until = workflow.completed_at.unwrap_or(now);
        format!(" after {}", exact(until.since(started)))
    });
    match workflow.status {
        WorkflowStatus::Draft => "Sent back: nothing starts before it is changed.".to_owned(),
        WorkflowStatus::PendingReview => {
            let total = many(u64::from(workflow.agents_total), "task");
            format!("Its plan of {total} waits for your review, {}.", since(workflow.updated_at))
        }
        WorkflowStatus::Queued => {
            format!("Queued {}: nothing has started yet.", since(workflow.created_at))
        }
        WorkflowStatus::Running => running(workflow, tasks),
        WorkflowStatus::Paused => {
            format!("Paused, last change {}", Age::of(workflow.updated_at, now).ago())
        }
        WorkflowStatus::Cancelling if workflow.tasks_waiting_for_people > 0 => {
            "Stopping, and waits for your word on a call in doubt".to_owned()
        }
        WorkflowStatus::Cancelling => "Stopping: what runs was told to end".to_owned(),
        WorkflowStatus::Completed => format!("Completed{took}"),
        WorkflowStatus::CompletedWithErrors => format!("Completed with errors{took}"),
        WorkflowStatus::Failed => format!("Failed{took}"),
        WorkflowStatus::Cancelled => format!("Cancelled{took}"),
    }
}

/// Who or what a running workflow waits for: a person first, then what moves, then what holds it up.
fn running(workflow: &WorkflowView, tasks: &[TaskView]) -> String {
    let waits = |on: WaitReason| move |task: &&TaskView| task.waits_for == Some(on);
    let named = |on: WaitReason| names(tasks.iter().filter(waits(on)));
    if let Some(asked) = named(WaitReason::Person) {
        return format!("Waits for your answer to {asked}");
    }
    if let Some(doubt) = named(WaitReason::InDoubt) {
        return format!("Waits for your word whether {doubt} happened");
    }
    match workflow.tasks_waiting_for_people {
        0 => {}
        1 => return "Waits for your answer".to_owned(),
        count => return format!("Waits for {count} answers of yours"),
    }
    let moves = |task: &&TaskView| task.status == TaskStatus::Executing;
    if let Some(moving) = names(tasks.iter().filter(moves)) {
        return format!("Working on {moving}");
    }
    let held = [
        (WaitReason::Approval, "an approval"),
        (WaitReason::Budget, "room in its budget"),
        (WaitReason::Event, "an event"),
        (WaitReason::Child, "the workflow it started"),
        (WaitReason::Timer, "its time"),
    ];
    for (on, what) in held {
        if let Some(held) = named(on) {
            return format!("Held up: {held} waits for {what}");
        }
    }
    match &workflow.current_stage {
        Some(stage) => format!("Running in {}", name(stage)),
        None => "Running".to_owned(),
    }
}

fn names<'t>(tasks: impl Iterator<Item = &'t TaskView>) -> Option<String> {
    let (mut shown, mut more) = (Vec::new(), 0_u64);
    for task in tasks {
        if shown.len() < NAMED_MAX {
            shown.push(name(task.title.as_deref().unwrap_or(&task.key)));
        } else {
            more += 1;
        }
    }
    if shown.is_empty() {
        return None;
    }
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{}{more}", shown.join(", ")))
}

/// A foreign name, set apart from the sentence around it in both directions of writing.
fn name(text: &str) -> String {
    format!("“\u{2068}{}\u{2069}”", cut(text, NAME_CHARS_MAX))
}
