//! `watch`, `resume`, `retry`, `fork`: go on with a workflow that is there.

use std::collections::BTreeSet;

use anyhow::Context;
use baton_core::codes::Code;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::plan::{AgentCall, Work};
use baton_core::words::WorkflowStatus;
use baton_engine::ports::Models;
use baton_models::ModelSet;
use baton_server::wire::{Ask, Verb};

use super::run::tell_script;
use super::stay::{follow, heed_signals, leave, show_end, stay};
use crate::cli::Common;
use crate::config::Config;
use crate::display::say;
use crate::exit::{Exit, Failed};
use crate::reading::{find_task, find_workflow};
use crate::remote::Remote;
use crate::session::{Purpose, Session, read, require_store};
use crate::signals;

/// Follows a workflow until it rests.
pub fn watch(common: &Common, id: &str) -> anyhow::Result<Exit> {
    let workflow = find_workflow(read(common)?.as_mut(), id)?;
    if workflow.completed_at.is_some() {
        return show_end(common, workflow.id);
    }
    let session = Session::open(common, Purpose::Tell)?;
    if session.is_owner() {
        session.close()?;
        let id = workflow.id;
        let message = format!("nobody is working on {id}; `baton resume {id}` takes it up");
        return Err(Failed::usage(message).into());
    }
    stay(common, session, workflow.id)
}

/// Goes on with a paused or interrupted workflow, or with all that were interrupted.
pub fn resume(common: &Common, id: Option<&str>) -> anyhow::Result<Exit> {
    let Some(id) = id else {
        return resume_all(common);
    };
    let mut session = reopen(common)?;
    let workflow = find_workflow(session.reading()?.as_mut(), id)?;
    let id = workflow.id;
    if session.is_owner()
        && let Some(missing) = missing_model(common, id, &session)?
    {
        session.close()?;
        return Err(Failed::usage(format!("{missing}; nothing was started")).into());
    }
    let ask = match workflow.status {
        WorkflowStatus::Paused => Ask::Command { workflow: id, verb: Verb::Resume },
        WorkflowStatus::Draft
        | WorkflowStatus::PendingReview
        | WorkflowStatus::Queued
        | WorkflowStatus::Running
        | WorkflowStatus::Cancelling => Ask::TakeUp { workflow: id },
        WorkflowStatus::Completed
        | WorkflowStatus::CompletedWithErrors
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled => {
            session.close()?;
            let status = workflow.status;
            let message =
                format!("{id} has ended ({status}); `baton retry {id}` opens its next run");
            return Err(Failed::usage(message).into());
        }
    };
    session.change(ask)?;
    stay(common, session, id)
}

/// Why no model can be asked here for an agent that goes on; `None` where none is missing. Its task
/// would fail, and what it has paid for would be lost.
fn missing_model(
    common: &Common,
    id: WorkflowId,
    session: &Session,
) -> anyhow::Result<Option<String>> {
    let mut reading = session.reading()?;
    let is_over =
        |status: WorkflowStatus| status.is_terminal() || status == WorkflowStatus::Cancelling;
    if reading.workflow(id)?.is_none_or(|workflow| is_over(workflow.status)) {
        return Ok(None);
    }
    let open = reading.tasks(id)?.into_iter().filter(|task| !task.status.is_terminal());
    let open: BTreeSet<Ordinal> = open.map(|task| task.ordinal).collect();
    let plan = reading.plan(id)?;
    let agents = (0..).map(Ordinal).zip(&plan.tasks).filter(|(ordinal, _)| open.contains(ordinal));
    let mut agents = agents.filter_map(|(_, task)| agent_in(&task.work)).peekable();
    if agents.peek().is_none() {
        return Ok(None);
    }
    let models = ModelSet::new(Config::of(common)?.models);
    let models = models.map_err(|fault| Failed::usage(fault.to_string()))?;
    let first_missing = |agent: &AgentCall| {
        let missing: Option<Vec<String>> =
            agent.models.iter().map(|model| models.missing(&model.name)).collect();
        missing?.into_iter().next()
    };
    Ok(agents.find_map(first_missing))
}

fn agent_in(work: &Work) -> Option<&AgentCall> {
    match work {
        Work::Agent(agent) => Some(agent),
        Work::Tool(_)
        | Work::Human(_)
        | Work::Wait(_)
        | Work::Emit(_)
        | Work::Workflow(_)
        | Work::Worker(_) => None,
    }
}

fn resume_all(common: &Common) -> anyhow::Result<Exit> {
    let mut session = reopen(common)?;
    let filter = baton_engine::store::Filter {
        statuses: open_statuses(),
        limit: 10_000,
        ..Default::default()
    };
    let open = session.reading()?.list(&filter)?;
    if open.is_empty() {
        say("nothing was interrupted");
    }
    session.take_up_all()?;
    let mut worst = Exit::Done;
    for workflow in open.iter().rev() {
        heed_signals(&session, workflow.id)?;
        let exit = follow(common, &mut session, workflow.id)?.unwrap_or(Exit::WorkFailed);
        worst = if exit as u8 > worst as u8 { exit } else { worst };
        if signals::is_heard() {
            break;
        }
    }
    leave(session, None)?;
    Ok(worst)
}

/// Opens a store that is there, before anybody reads it: its last owner may have died while it
/// made or migrated it, and then a reader alone can do nothing with it.
fn reopen(common: &Common) -> anyhow::Result<Session> {
    if !Remote::is_named(common) {
        require_store(common)?;
        tell_script(common);
    }
    Session::open(common, Purpose::Work)
}

fn open_statuses() -> Vec<WorkflowStatus> {
    WorkflowStatus::ALL.iter().copied().filter(|status| !status.is_terminal()).collect()
}

/// Opens the next run of an ended workflow.
pub fn retry(common: &Common, id: &str, tasks: &[String]) -> anyhow::Result<Exit> {
    let mut reading = read(common)?;
    let workflow = find_workflow(reading.as_mut(), id)?.id;
    let ordinals = tasks.iter().map(|key| {
        let (_, task) = find_task(reading.as_mut(), &format!("{workflow}/{key}"))?;
        task.context("a task has a key")
    });
    let tasks = ordinals.collect::<anyhow::Result<Vec<Ordinal>>>()?;
    let mut session = reopen(common)?;
    session.change(Ask::Command { workflow, verb: Verb::Retry { tasks } })?;
    stay(common, session, workflow)
}

/// Starts a copy of a workflow as it stood at a position.
pub fn fork(common: &Common, id: &str, position: Option<u64>) -> anyhow::Result<Exit> {
    let workflow = find_workflow(read(common)?.as_mut(), id)?.id;
    let mut session = Session::open(common, Purpose::Work)?;
    let copy = session.change(Ask::Fork { workflow, position })?.id;
    stay(common, session, copy)
}
