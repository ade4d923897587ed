//! `watch`, `resume`, `retry`, `fork`: go on with a workflow that is there.

use anyhow::Context;
use baton_core::ids::Ordinal;
use baton_core::words::WorkflowStatus;
use baton_server::wire::{Answer, Ask, Verb};

use super::stay::{follow, heed_signals, leave, show_end, stay};
use crate::cli::Common;
use crate::config::Config;
use crate::display::say;
use crate::exit::{Exit, Failed};
use crate::session::{Purpose, Session, find_task, find_workflow, read, require_store};
use crate::signals;

/// Follows a workflow until it rests.
pub fn watch(common: &Common, id: &str) -> anyhow::Result<Exit> {
    let mut views = read(common)?;
    let (card, row) = find_workflow(views.as_mut(), id)?;
    let answer = Answer::Workflow {
        id: card.id,
        number: card.number,
        status: row.status,
        revision: row.revision,
        position: row.head,
    };
    if row.ended_at.is_some() {
        return show_end(common, views, card.number);
    }
    let config = Config::read(common.config.as_deref())?;
    let session = Session::open(common, &config, Purpose::Tell)?;
    if session.is_owner() {
        session.close()?;
        let message =
            format!("nobody is working on {}; `baton resume {}` takes it up", card.id, card.id);
        return Err(Failed::usage(message).into());
    }
    stay(common, session, answer)
}

/// Goes on with a paused or interrupted workflow, or with all that were interrupted.
pub fn resume(common: &Common, id: Option<&str>) -> anyhow::Result<Exit> {
    let config = Config::read(common.config.as_deref())?;
    let Some(id) = id else {
        return resume_all(common, &config);
    };
    let mut session = reopen(common, &config)?;
    let (card, row) = find_workflow(session.views()?.as_mut(), id)?;
    let ask = match row.status {
        WorkflowStatus::Paused => Ask::Command { workflow: card.id, verb: Verb::Resume },
        WorkflowStatus::Draft
        | WorkflowStatus::PendingReview
        | WorkflowStatus::Queued
        | WorkflowStatus::Running
        | WorkflowStatus::Cancelling => Ask::TakeUp { workflow: card.id },
        WorkflowStatus::Completed
        | WorkflowStatus::CompletedWithErrors
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled => {
            session.close()?;
            let message = format!(
                "{} has ended ({}); `baton retry {}` opens its next run",
                card.id, row.status, card.id
            );
            return Err(Failed::usage(message).into());
        }
    };
    let answer = session.ask(ask)?;
    stay(common, session, answer)
}

fn resume_all(common: &Common, config: &Config) -> anyhow::Result<Exit> {
    let mut session = reopen(common, config)?;
    let filter = baton_engine::store::Filter {
        statuses: open_statuses(),
        limit: 10_000,
        ..Default::default()
    };
    let open = session.views()?.list(&filter)?;
    if open.is_empty() {
        say("nothing was interrupted");
    }
    session.ask(Ask::TakeUpAll)?;
    let mut worst = Exit::Done;
    for (card, _) in open.iter().rev() {
        heed_signals(&session, card.id)?;
        let exit = follow(common, &mut session, card.number)?.unwrap_or(Exit::WorkFailed);
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
fn reopen(common: &Common, config: &Config) -> anyhow::Result<Session> {
    require_store(common)?;
    Session::open(common, config, Purpose::Work)
}

fn open_statuses() -> Vec<WorkflowStatus> {
    use baton_core::codes::Code;
    WorkflowStatus::ALL.iter().copied().filter(|status| !status.is_terminal()).collect()
}

/// Opens the next run of an ended workflow.
pub fn retry(common: &Common, id: &str, tasks: &[String]) -> anyhow::Result<Exit> {
    let config = Config::read(common.config.as_deref())?;
    let mut views = read(common)?;
    let (card, _) = find_workflow(views.as_mut(), id)?;
    let ordinals = tasks.iter().map(|key| {
        let (_, _, task) = find_task(views.as_mut(), &format!("{}/{key}", card.id))?;
        task.context("a task has a key")
    });
    let tasks = ordinals.collect::<anyhow::Result<Vec<Ordinal>>>()?;
    let mut session = Session::open(common, &config, Purpose::Work)?;
    let answer = session.ask(Ask::Command { workflow: card.id, verb: Verb::Retry { tasks } })?;
    stay(common, session, answer)
}

/// Starts a copy of a workflow as it stood at a position.
pub fn fork(common: &Common, id: &str, position: Option<u64>) -> anyhow::Result<Exit> {
    let config = Config::read(common.config.as_deref())?;
    let mut views = read(common)?;
    let (card, _) = find_workflow(views.as_mut(), id)?;
    let mut session = Session::open(common, &config, Purpose::Work)?;
    let answer = session.ask(Ask::Fork { workflow: card.id, position })?;
    stay(common, session, answer)
}
