//! `show`: one workflow with its tasks, what it brought, and what happened.

use baton_core::body::Json;
use baton_core::codes::Code;
use baton_core::time::Timestamp;
use baton_core::workflow::{Event, EventKind, Output};
use baton_engine::events::{EventView, Showing};
use baton_engine::live::read_event;
use baton_engine::store::{Record, Views};
use baton_engine::view::{
    TaskView, WorkflowView, plan_of, task_views, text_of, workflow_brief, workflow_view,
};
use baton_engine::wording::Wording;
use serde::Serialize;

use super::list::now;
use crate::cli::{Common, Show};
use crate::display::say_out;
use crate::exit::Exit;
use crate::session::{find_task, read};
use crate::text::{ago, clean, cut, output_text, span};

/// How many tasks are printed.
const TASKS_SHOWN_MAX: usize = 200;

/// What is printed as JSON.
#[derive(Serialize)]
struct Shown<'s> {
    workflow: &'s WorkflowView,
    tasks: &'s [TaskView],
    events: Vec<EventView<'s>>,
}

/// Shows one workflow.
pub fn show(common: &Common, show: &Show) -> anyhow::Result<Exit> {
    let mut views = read(common)?;
    let (card, row, named) = find_task(views.as_mut(), &show.id)?;
    if let Some(at) = row.purged_at() {
        say_out(&purged(common, &workflow_brief(&card, &row), at));
        return Ok(Exit::Done);
    }
    let plan = plan_of(&card, views.as_mut())?;
    let workflow = workflow_view(&card, &row, &Wording::of(&plan), views.as_mut())?;
    let rows = views.tasks(card.number)?;
    let mut tasks = task_views(&card, &row, &plan, &rows);
    let mut events = if show.events { views.stream(card.number)? } else { Vec::new() };
    if let Some(named) = named {
        tasks.retain(|task| task.ordinal == named);
        let is_about =
            |record: &Record| read_event(record).is_ok_and(|event| event.task() == Some(named));
        events.retain(is_about);
    }
    if common.json {
        let mut showing = Showing::default();
        let mut told = Vec::new();
        for record in &events {
            told.extend(showing.show(record, views.as_mut())?.messages().map(|(_, view)| view));
        }
        let shown = Shown { workflow: &workflow, tasks: &tasks, events: told };
        say_out(&serde_json::to_string(&shown)?);
        return Ok(Exit::Done);
    }
    say_out(&head(&workflow));
    let failures = failures(views.as_mut(), card.number, &tasks)?;
    for task in tasks.iter().take(TASKS_SHOWN_MAX) {
        say_out(&task_line(task, failures.get(&task.ordinal)));
    }
    if tasks.len() > TASKS_SHOWN_MAX {
        say_out(&format!("  … and {} more (--json shows all)", tasks.len() - TASKS_SHOWN_MAX));
    }
    let output = match (named, tasks.first()) {
        (Some(_), Some(task)) => output_of(task, card.number, views.as_mut())?,
        (Some(_), None) | (None, _) => workflow.output.clone(),
    };
    if let Some(text) = output.and_then(|output| output_text(&output.value())) {
        say_out(&format!("\n{text}"));
    }
    if show.events {
        say_out("");
        for record in &events {
            say_out(&event_line(record, &tasks, views.as_mut())?);
        }
    }
    Ok(Exit::Done)
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

/// What a task brought, if it is a value.
fn output_of(task: &TaskView, number: u64, views: &mut dyn Views) -> anyhow::Result<Option<Json>> {
    let record = views.events(task.position.saturating_sub(1), Some(number), 1)?;
    let Some(Event::TaskCompleted(done)) = record.first().map(read_event).transpose()? else {
        return Ok(None);
    };
    Ok(match &done.output {
        Output::Value(body) => Some(text_of(body, views)?),
        Output::Items { .. } => None,
    })
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
    let failure = failure.map(|failure| format!("\n      {}", clean(failure))).unwrap_or_default();
    format!(
        "  {:<24} {:<20} {:<14} {took}{attempts}{failure}",
        cut(&clean(&task.key), 24),
        format!("{}{waits}", task.status),
        clean(&what),
    )
}

type Failures = std::collections::BTreeMap<baton_core::ids::Ordinal, String>;

/// Why each failed task failed.
fn failures(views: &mut dyn Views, number: u64, tasks: &[TaskView]) -> anyhow::Result<Failures> {
    let mut found = Failures::new();
    let failed = tasks.iter().filter(|task| task.status == baton_core::words::TaskStatus::Failed);
    for task in failed.take(TASKS_SHOWN_MAX) {
        let record = views.events(task.position.saturating_sub(1), Some(number), 1)?;
        if let Some(Event::TaskFailed(failed)) = record.first().map(read_event).transpose()? {
            found.insert(task.ordinal, failed.failure.message);
        }
    }
    Ok(found)
}

fn kind_word(record: &Record) -> &'static str {
    EventKind::from_code(record.kind).map_or("unknown", |kind| kind.word())
}

fn task_key<'t>(record: &Record, tasks: &'t [TaskView]) -> Option<&'t str> {
    let ordinal = read_event(record).ok()?.task()?;
    tasks.iter().find(|task| task.ordinal == ordinal).map(|task| task.key.as_str())
}

fn event_line(
    record: &Record,
    tasks: &[TaskView],
    views: &mut dyn Views,
) -> anyhow::Result<String> {
    let actor = views.actor(record.actor)?.map(|actor| actor.to_string()).unwrap_or_default();
    let at: Timestamp = record.at;
    let key = task_key(record, tasks).unwrap_or_default();
    let body = cut(&clean(&record.body), 100);
    Ok(format!(
        "{:>8}  {at}  {:<22} {:<20} {:<16} {body}",
        record.position,
        kind_word(record),
        clean(key),
        clean(&actor)
    ))
}
