//! `show`: one workflow with its tasks, what it brought, and what happened.

use anyhow::Context;
use baton_core::codes::Code;
use baton_core::ids::{TaskId, WorkflowId};
use baton_core::spoken::{cut, many, span};
use baton_core::time::Timestamp;
use baton_core::workflow::Event;
use baton_engine::turn_view::{AgentView, TurnView, models_asked};
use baton_engine::view::{TaskView, WorkflowView, add_live};
use serde::Serialize;

use super::list::now;
use super::turns;
use crate::cli::{Common, Show};
use crate::display::{say, say_out};
use crate::exit::{Exit, Failed};
use crate::reading::{Reading, ShownEvent, find_task};
use crate::remote::Remote;
use crate::session::{read, said_here};
use crate::text::{ago, clean, clean_lines, output_text};

/// How many tasks are printed.
const TASKS_SHOWN_MAX: usize = 200;
/// Of how many agents it is told what they did.
const AGENTS_SHOWN_MAX: usize = 50;
/// How many events are read at a time.
const EVENTS_AT_ONCE: u32 = 1_000;

/// What is printed as JSON.
#[derive(Serialize)]
struct Shown<'s> {
    workflow: &'s WorkflowView,
    tasks: &'s [TaskView],
    events: &'s [ShownEvent],
    /// What agents did in sum.
    agents: Vec<AgentShown<'s>>,
    /// The turns of the agent's task that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<&'s [TurnView]>,
}

/// What the agent of a task did.
#[derive(Serialize)]
struct AgentShown<'s> {
    task_id: TaskId,
    task: &'s str,
    #[serde(flatten)]
    done: AgentView,
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
    if let Some(call) = show.prompt {
        return prompt(common, named.map(|named| id.task(named)), call, reading.as_mut());
    }
    let workflow = reading.workflow(id)?.with_context(|| format!("the workflow {id} is gone"))?;
    let mut tasks = reading.tasks(id)?;
    if workflow.completed_at.is_none() && !Remote::is_named(common) {
        add_live(&mut tasks, said_here(common, id)?);
    }
    let mut events = if show.events { all_events(id, reading.as_mut())? } else { Vec::new() };
    if let Some(named) = named {
        tasks.retain(|task| task.ordinal == named);
        events.retain(|event| event.is_about(id.task(named)));
    }
    let agents = agents(&tasks, reading.as_mut())?;
    let agent = tasks.first().filter(|task| named.is_some() && task.kind == "agent");
    let transcript = agent.map(|task| reading.transcript(task)).transpose()?;
    if common.json {
        let transcript = transcript.as_deref();
        let (workflow, tasks, events) = (&workflow, &tasks, &events);
        let shown = Shown { workflow, tasks, events, agents, transcript };
        say_out(&serde_json::to_string(&shown)?);
        return Ok(Exit::Done);
    }
    say_out(&head(&workflow));
    if !agents.is_empty() {
        let plan = reading.plan(id)?;
        let models: Vec<String> = models_asked(&plan).into_iter().map(clean).collect();
        say_out(&format!("agents ask {}\n", models.join(", ")));
    }
    say_tasks((id, &tasks), &agents, reading.as_mut())?;
    if let Some(transcript) = &transcript {
        say_out(&format!("\n{}", turns::told(transcript)));
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

/// A line for each task, and what its agent did.
fn say_tasks(
    (id, tasks): (WorkflowId, &[TaskView]),
    agents: &[AgentShown<'_>],
    reading: &mut dyn Reading,
) -> anyhow::Result<()> {
    let failures = failures(id, tasks, reading)?;
    for task in tasks.iter().take(TASKS_SHOWN_MAX) {
        say_out(&task_line(task, failures.get(&task.ordinal)));
        let did = |agent: &&AgentShown<'_>| agent.task_id == task.id && agent.done.has_asked();
        if let Some(agent) = agents.iter().find(did) {
            say_out(&format!("      {}", turns::in_sum(&agent.done)));
        }
    }
    if tasks.len() > TASKS_SHOWN_MAX {
        say_out(&format!("  … and {} more (--json shows all)", tasks.len() - TASKS_SHOWN_MAX));
    }
    Ok(())
}

/// What the agents of these tasks did.
fn agents<'t>(
    tasks: &'t [TaskView],
    reading: &mut dyn Reading,
) -> anyhow::Result<Vec<AgentShown<'t>>> {
    let mut agents = Vec::new();
    for task in tasks.iter().filter(|task| task.kind == "agent").take(AGENTS_SHOWN_MAX) {
        let done = reading.agent(task)?;
        agents.extend(done.map(|done| AgentShown { task_id: task.id, task: &task.key, done }));
    }
    Ok(agents)
}

/// What a model was asked, and that it is what was journaled.
fn prompt(
    common: &Common,
    task: Option<TaskId>,
    call: u32,
    reading: &mut dyn Reading,
) -> anyhow::Result<Exit> {
    let task = task.ok_or_else(|| {
        Failed::usage("`--prompt` shows a call of one task; name it as `WORKFLOW/KEY`")
    })?;
    let prompt = reading.prompt(task, call)?;
    if common.json {
        say_out(&serde_json::to_string(&prompt)?);
        return Ok(Exit::Done);
    }
    say(&format!(
        "call {call} of {}: {}, {}; its digest is the one that was journaled before it: {}",
        clean(&prompt.model),
        many(prompt.messages.into(), "message"),
        many(prompt.request.as_str().len() as u64, "byte"),
        clean(&prompt.digest),
    ));
    say_out(&clean_lines(prompt.request.as_str()));
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
    if workflow.scripted {
        text.push_str("scripted: answers of a file stand in for those of a model\n");
    }
    if let Some(used) = workflow.usage.spent.line() {
        text.push_str(&format!("used: {used}\n"));
    }
    if let Some(budget) = &workflow.budget {
        text.push_str(&format!("budget: {}\n", budget.line()));
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
    // Each turn of an agent is an attempt: they are told by themselves.
    let is_told = task.attempts > 1 && task.kind != "agent";
    let attempts = if is_told { format!(" · {} attempts", task.attempts) } else { String::new() };
    let what = task.tool.clone().unwrap_or_else(|| task.kind.to_owned());
    let used = task.usage.and_then(|used| used.line()).map(|line| format!(" · {line}"));
    let used = used.unwrap_or_default();
    let said = task.live.as_ref().map(|said| format!("\n      {}", clean(&said.line())));
    let said = said.unwrap_or_default();
    let failure = failure.map(|failure| format!("\n      {}", clean(failure))).unwrap_or_default();
    format!(
        "  {:<24} {:<20} {:<14} {took}{attempts}{used}{said}{failure}",
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
