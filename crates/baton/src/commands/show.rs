//! `show`: one workflow with its tasks, what it brought, and what happened.

use anyhow::Context;
use baton_core::codes::Code;
use baton_core::ids::WorkflowId;
use baton_core::spoken::{cut, span};
use baton_core::time::Timestamp;
use baton_core::workflow::Event;
use baton_engine::view::{TaskView, WorkflowView};
use serde::Serialize;

use super::list::now;
use crate::cli::{Common, Show};
use crate::display::say_out;
use crate::exit::Exit;
use crate::reading::{Reading, ShownEvent, find_task};
use crate::session::read;
use crate::text::{ago, clean, output_text};

/// How many tasks are printed.
const TASKS_SHOWN_MAX: usize = 200;
/// How many events are read at a time.
const EVENTS_AT_ONCE: u32 = 1_000;

/// What is printed as JSON.
#[derive(Serialize)]
struct Shown<'s> {
    workflow: &'s WorkflowView,
    tasks: &'s [TaskView],
    events: &'s [ShownEvent],
}

/// Shows one workflow.
pub fn show(common: &Common, show: &Show) -> anyhow::Result<Exit> {
    let mut reading = read(common)?;
    let (brief, named) = find_task(reading.as_mut(), &show.id)?;
    if let Some(at) = brief.purged_at {
        say_out(&purged(common, &brief, at));
        return Ok(Exit::Done);
    }
    let id = brief.id;
    let workflow = reading.workflow(id)?.with_context(|| format!("the workflow {id} is gone"))?;
    let mut tasks = reading.tasks(id)?;
    let mut events = if show.events { all_events(id, reading.as_mut())? } else { Vec::new() };
    if let Some(named) = named {
        tasks.retain(|task| task.ordinal == named);
        events.retain(|event| event.is_about(id.task(named)));
    }
    if common.json {
        let shown = Shown { workflow: &workflow, tasks: &tasks, events: &events };
        say_out(&serde_json::to_string(&shown)?);
        return Ok(Exit::Done);
    }
    say_out(&head(&workflow));
    let failures = failures(id, &tasks, reading.as_mut())?;
    for task in tasks.iter().take(TASKS_SHOWN_MAX) {
        say_out(&task_line(task, failures.get(&task.ordinal)));
    }
    if tasks.len() > TASKS_SHOWN_MAX {
        say_out(&format!("  … and {} more (--json shows all)", tasks.len() - TASKS_SHOWN_MAX));
    }
    let output = match (named, tasks.first()) {
        (Some(_), Some(task)) => reading.output(task)?,
        (Some(_), None) | (None, _) => workflow.output.clone(),
    };
    if let Some(text) = output.and_then(|output| output_text(&output.value())) {
        say_out(&format!("\n{text}"));
    }
    if show.events {
        say_out("");
        events.iter().for_each(|event| say_out(&event_line(event)));
    }
    Ok(Exit::Done)
}

/// Everything that happened to a workflow.
pub(super) fn all_events(
    id: WorkflowId,
    reading: &mut dyn Reading,
) -> anyhow::Result<Vec<ShownEvent>> {
    let mut events = reading.events(id, 0, EVENTS_AT_ONCE)?;
    while let Some(last) = events.last().map(ShownEvent::position) {
        let more = reading.events(id, last, EVENTS_AT_ONCE)?;
        if more.is_empty() {
            break;
        }
        events.extend(more);
    }
    Ok(events)
}

/// What can be said of a purged workflow.
fn purged(common: &Common, workflow: &WorkflowView, at: Timestamp) -> String {
    if common.json {
        let nothing: [(); 0] = [];
        return serde_json::json!({ "workflow": workflow, "tasks": nothing, "events": nothing })
            .to_string();
    }
    format!("{}purged at {at}: its tasks, events and output are gone", head(workflow))
}

/// One sentence made from state, and the facts beneath it.
fn head(workflow: &WorkflowView) -> String {
    let now = now();
    let waiting = match workflow.tasks_waiting_for_people {
        0 => String::new(),
        1 => ", one waits for you".to_owned(),
        many => format!(", {many} wait for you"),
    };
    let stage = workflow.current_stage.as_ref().filter(|_| workflow.completed_at.is_none());
    let stage = stage.map_or_else(String::new, |stage| format!(" in `{}`", clean(stage)));
    let took = workflow.started_at.map(|started| {
        let until = workflow.completed_at.unwrap_or(now);
        format!(", {}", span(until.since(started)))
    });
    let run = if workflow.run > 1 { format!(" (run {})", workflow.run) } else { String::new() };
    let mut text = format!(
        "{}{run}: {}{stage}, {} of {} tasks completed{waiting}{}\n{}",
        clean(&workflow.name),
        workflow.status,
        workflow.agents_completed,
        workflow.agents_total,
        took.unwrap_or_default(),
        workflow.id,
    );
    if let Some(description) = &workflow.description {
        text.push_str(&format!(" · {}", clean(description)));
    }
    text.push_str(&format!(" · updated {}\n", ago(workflow.updated_at, now)));
    if let Some(used) = workflow.usage.spent.line() {
        text.push_str(&format!("used: {used}\n"));
    }
    if let Some(forecast) = &workflow.forecast {
        text.push_str(&format!("forecast: {}\n", clean(&forecast.line())));
    }
    if let Some(error) = &workflow.error {
        text.push_str(&format!("error: {}\n", clean(error)));
    }
    text
}

fn task_line(task: &TaskView, failure: Option<&String>) -> String {
    let waits = task.waits_for.map(|reason| format!(" ({})", reason.word())).unwrap_or_default();
    let took = match (task.started_at, task.ended_at) {
        (Some(started), Some(ended)) => span(ended.since(started)),
        (Some(_), None) | (None, _) => String::new(),
    };
    let attempts =
        if task.attempts > 1 { format!(" · {} attempts", task.attempts) } else { String::new() };
    let what = task.tool.clone().unwrap_or_else(|| task.kind.to_owned());
    let used = task.usage.and_then(|used| used.line()).map(|line| format!(" · {line}"));
    let used = used.unwrap_or_default();
    let failure = failure.map(|failure| format!("\n      {}", clean(failure))).unwrap_or_default();
    format!(
        "  {:<24} {:<20} {:<14} {took}{attempts}{used}{failure}",
        cut(&clean(&task.key), 24),
        format!("{}{waits}", task.status),
        clean(&what),
    )
}

type Failures = std::collections::BTreeMap<baton_core::ids::Ordinal, String>;

/// Why each failed task failed.
fn failures(
    id: WorkflowId,
    tasks: &[TaskView],
    reading: &mut dyn Reading,
) -> anyhow::Result<Failures> {
    let mut found = Failures::new();
    let failed = tasks.iter().filter(|task| task.status == baton_core::words::TaskStatus::Failed);
    for task in failed.take(TASKS_SHOWN_MAX) {
        let ended = reading.events(id, task.position.saturating_sub(1), 1)?;
        let ended = ended.iter().find(|event| !event.is_call());
        if let Some(Event::TaskFailed(failed)) = ended.map(ShownEvent::event).transpose()? {
            found.insert(task.ordinal, failed.failure.message);
        }
    }
    Ok(found)
}

fn event_line(event: &ShownEvent) -> String {
    let body = cut(&clean(event.data.get()), 100);
    format!(
        "{:>8}  {}  {:<22} {:<20} {:<16} {body}",
        event.id,
        event.time,
        clean(&event.kind),
        clean(event.task.as_deref().unwrap_or_default()),
        clean(event.actor.as_deref().unwrap_or_default())
    )
}
