//! `run`, `watch`, `resume`, `retry`, `fork`: commands that stay with a workflow until it rests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;

use anyhow::Context;
use baton_core::body::Json;
use baton_core::definition::{self, Fault, input_faults, input_from_text};
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::plan::Plan;
use baton_core::words::{Origin, WorkflowStatus};
use baton_core::workflow::rows::WorkflowCard;
use baton_core::workflow::{Outcome, Phase};
use baton_engine::view;
use baton_server::wire::{Answer, Ask, Submission, Verb};
use serde_json::{Map, Value};

use super::answer::ask_person;
use crate::catalog::LocalCatalog;
use crate::cli::{Common, Run};
use crate::config::Config;
use crate::display::{Display, say, say_out};
use crate::exit::{Exit, Failed};
use crate::follow::{Follower, Rest};
use crate::log::{Level, log};
use crate::runtime::SystemClock;
use crate::session::{
    LOOK_AGAIN, Purpose, Session, caller_folder, find_task, find_workflow, read, require_store,
    tools,
};
use crate::text::{clean, output_text, span};

/// How many faults of a definition are shown with their source.
const FAULTS_SHOWN_MAX: usize = 20;
/// How many leaving owners a workflow is offered to.
const SUBMIT_TRIES_MAX: u32 = 10;
/// How far back a workflow is looked for that a leaving owner may have taken.
const SUBMITTED_LOOKED_AT_MAX: u32 = 10_000;

/// Checks a definition, runs it, and shows it until it rests.
pub fn run(common: &Common, run: &Run) -> anyhow::Result<Exit> {
    let config = Config::read(common.config.as_deref())?;
    let plan = read_definition(common, &config, &run.definition)?;
    let inputs = read_inputs(&plan, &run.inputs)?;
    let submission = Submission {
        plan,
        inputs: Json::of(&inputs),
        origin: Origin::Cli,
        priority: run.priority,
        review: run.review,
        conversation: Some(ConversationId::new(&SystemClock::default().now().moment, 0)),
        folder: caller_folder(),
    };
    let (session, answer) = submit(common, &config, &submission)?;
    stay(common, session, answer)
}

/// Has a workflow admitted, once, also when the owner it goes to is just leaving: its conversation
/// tells whether that owner had taken it.
fn submit(
    common: &Common,
    config: &Config,
    submission: &Submission,
) -> anyhow::Result<(Session, Answer)> {
    for _ in 1..SUBMIT_TRIES_MAX {
        let mut session = Session::open(common, config, Purpose::Work)?;
        let asked = session.ask(Ask::Submit(Box::new(submission.clone())));
        let left = |fault: &anyhow::Error| {
            let failed = fault.downcast_ref::<Failed>();
            failed.is_some_and(Failed::is_owner_leaving)
        };
        match asked {
            Err(fault) if !session.is_owner() && left(&fault) => drop(session),
            asked => return asked.map(|answer| (session, answer)),
        }
        let mut session = Session::open(common, config, Purpose::Work)?;
        let newest = session.views()?.list(&baton_engine::store::Filter {
            limit: SUBMITTED_LOOKED_AT_MAX,
            ..Default::default()
        })?;
        let mine = |card: &WorkflowCard| Some(card.conversation) == submission.conversation;
        if let Some((card, _)) = newest.iter().find(|(card, _)| mine(card)) {
            let answer = session.ask(Ask::TakeUp { workflow: card.id })?;
            return Ok((session, answer));
        }
        if session.is_owner() {
            let answer = session.ask(Ask::Submit(Box::new(submission.clone())))?;
            return Ok((session, answer));
        }
    }
    let message = "every owner of the store left before it answered; try again";
    Err(Failed::unreachable(anyhow::anyhow!(message)).into())
}

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
    session.ask(Ask::TakeUpAll)?;
    let mut worst = Exit::Done;
    for (card, _) in open.iter().rev() {
        say(&format!("{} · {}", card.name, card.id));
        let exit = follow(common, &mut session, card.number)?.unwrap_or(Exit::WorkFailed);
        worst = if exit as u8 > worst as u8 { exit } else { worst };
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

/// The plan of a definition: a file, or a name.
pub(super) fn read_definition(
    common: &Common,
    config: &Config,
    named: &str,
) -> anyhow::Result<Plan> {
    let path = Path::new(named);
    let views = read(common).ok();
    // A bare file name has an empty parent, which no folder can be opened by.
    let parent = path.parent().map(|parent| Path::new(".").join(parent));
    let folder = parent.as_deref().filter(|_| path.is_file());
    let catalog = LocalCatalog::new(tools(config)?, config, folder, views);
    let (file, source) = if path.is_file() {
        let source =
            std::fs::read_to_string(path).with_context(|| format!("{named} cannot be read"))?;
        (named.to_owned(), source)
    } else if let Some((path, source)) = catalog.in_folders(named) {
        (path.display().to_string(), source)
    } else {
        use baton_core::plan::Catalog;
        let registered = catalog.definition(named).transpose().map_err(Failed::usage)?;
        let message =
            format!("there is no file {named}, and no definition of this name is registered");
        return registered.ok_or_else(|| Failed::usage(message).into());
    };
    definition::read(&source, &catalog)
        .map_err(|faults| Failed::usage(fault_text(&faults, &file, &source)).into())
}

fn fault_text(faults: &[Fault], file: &str, source: &str) -> String {
    let shown =
        faults.iter().take(FAULTS_SHOWN_MAX).map(|fault| definition::render(fault, file, source));
    let shown: Vec<String> = shown.map(|fault| fault.trim_end().to_owned()).collect();
    let mut text = shown.join("\n\n");
    let (count, more) = (faults.len(), faults.len().saturating_sub(FAULTS_SHOWN_MAX));
    if more > 0 {
        text.push_str(&format!("\n\n… and {more} more"));
    }
    let word = if count == 1 { "fault" } else { "faults" };
    format!("{text}\n\n{file} has {count} {word}; nothing was started")
}

/// The inputs as given on the command line, defaults filled in.
pub(super) fn read_inputs(plan: &Plan, given: &[String]) -> anyhow::Result<Value> {
    let mut inputs = Map::new();
    for pair in given {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(Failed::usage(format!("`--input {pair}` is not `name=value`")).into());
        };
        inputs.insert(name.to_owned(), input_from_text(plan, name, text));
    }
    input_faults(plan, &Value::Object(inputs)).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("error: {fault}")).collect();
        let message = format!(
            "{}\n\nthe inputs of `{}` do not fit; give them as `--input name=value`",
            lines.join("\n"),
            plan.name
        );
        Failed::usage(message).into()
    })
}

/// Stays with the workflow of an answer until it rests, then leaves the store. When the owner it
/// was reached through ends, this process takes its place.
fn stay(common: &Common, mut session: Session, answer: Answer) -> anyhow::Result<Exit> {
    let Answer::Workflow { id, number, .. } = answer else {
        return Err(Failed::unreachable(anyhow::anyhow!(
            "the owner answered with something else: {answer:?}"
        ))
        .into());
    };
    let config = Config::read(common.config.as_deref())?;
    let interrupted = Arc::new(AtomicBool::new(false));
    loop {
        if let Some(drain) = session.drainer() {
            let interrupted = Arc::clone(&interrupted);
            // A second handler cannot be set: then this process has not been the owner before.
            let _ = ctrlc::set_handler(move || {
                interrupted.store(true, Ordering::Release);
                drain();
            });
        }
        let exit = follow(common, &mut session, number);
        let was_owner = session.is_owner();
        if was_owner && let (Ok(Some(_)), Some(retention)) = (&exit, &config.retention) {
            let mut views = session.views()?;
            let retired = retention.apply(views.as_mut(), &mut session)?;
            log(Level::Info, retired.render().trim_end(), &[]);
        }
        let left = leave(session, Some(id));
        let exit = exit?;
        left?;
        match exit {
            Some(exit) => return Ok(exit),
            None if was_owner || interrupted.load(Ordering::Acquire) => {
                say(&format!("interrupted: nothing is lost; `baton resume {id}` goes on"));
                return Ok(Exit::WorkFailed);
            }
            None => {
                session = Session::open(common, &config, Purpose::Work)?;
                session.ask(Ask::TakeUp { workflow: id })?;
            }
        }
    }
}

fn leave(session: Session, own: Option<WorkflowId>) -> anyhow::Result<()> {
    let report = session.close()?;
    let others: Vec<String> =
        report.interrupted.iter().filter(|id| Some(**id) != own).map(ToString::to_string).collect();
    if !others.is_empty() {
        say(&format!("interrupted: {}; `baton resume --all` takes them up", others.join(", ")));
    }
    Ok(())
}

/// Shows a workflow until it rests; `None` when the owner ended before.
fn follow(common: &Common, session: &mut Session, number: u64) -> anyhow::Result<Option<Exit>> {
    let news = session.follow(number)?;
    let (mut follower, events) = Follower::new(session.views()?, number)?;
    if !common.json {
        let state = &follower.state;
        say(&format!("{} · {}", clean(&state.plan.name), state.id));
    }
    let display = Display::choose(common.json);
    for (record, event) in &events {
        display.event(&follower.state, record, event);
    }
    loop {
        match follower.rest()? {
            Some(Rest::Ended) => {
                display.end();
                return finish(common, &mut follower, number).map(Some);
            }
            Some(Rest::People)
                if !display.aside(|| ask_person(common, session, &follower)).unwrap_or(false) =>
            {
                display.end();
                return Ok(Some(wait_for_person(common, &mut follower, number)));
            }
            Some(Rest::People) | None => {}
        }
        match news.recv_timeout(LOOK_AGAIN) {
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                follower
                    .catch_up(&mut |state, record, event| display.event(state, record, event))?;
                display.end();
                let ended = follower.rest()? == Some(Rest::Ended);
                return if ended {
                    finish(common, &mut follower, number).map(Some)
                } else {
                    Ok(None)
                };
            }
        }
        follower.catch_up(&mut |state, record, event| display.event(state, record, event))?;
    }
}

fn show_end(
    common: &Common,
    views: Box<dyn baton_engine::store::Views>,
    number: u64,
) -> anyhow::Result<Exit> {
    let (mut follower, events) = Follower::new(views, number)?;
    let display = Display::choose(common.json);
    for (record, event) in &events {
        display.event(&follower.state, record, event);
    }
    display.end();
    finish(common, &mut follower, number)
}

/// Prints what the run brought.
fn finish(common: &Common, follower: &mut Follower, number: u64) -> anyhow::Result<Exit> {
    let state = &follower.state;
    let Phase::Ended(ended) = &state.phase else {
        return Ok(Exit::WorkFailed);
    };
    let outcome = ended.outcome.clone();
    let plan = Arc::clone(&state.plan);
    let counts = baton_core::progress::progress(state);
    let took = ended.at.since(state.started_at.unwrap_or(state.created_at));
    let id = state.id;
    if common.json {
        print_workflow(follower, number)?;
    } else {
        if let Some(output) = outcome.output() {
            let text = view::text_of(output, follower.views())?;
            output_text(&text.value()).iter().for_each(|text| say_out(text));
        }
        let status = outcome.status();
        let summary = format!(
            "{status} · {} of {} tasks · {} · baton show {id}",
            counts.completed,
            counts.total,
            span(took)
        );
        say(&summary);
        if let Some(error) = view::error_line(&outcome, &plan) {
            say(&format!("error: {}", clean(&error)));
        }
    }
    Ok(match outcome {
        Outcome::Completed { .. } => Exit::Done,
        Outcome::CompletedWithErrors { .. }
        | Outcome::Failed { .. }
        | Outcome::Cancelled { .. } => Exit::WorkFailed,
    })
}

fn print_workflow(follower: &mut Follower, number: u64) -> anyhow::Result<()> {
    let id = follower.state.id;
    let views = follower.views();
    let (card, row) =
        views.workflow(id)?.with_context(|| format!("the workflow {number} is gone"))?;
    let plan = view::plan_of(&card, views)?;
    let workflow = view::workflow_view(&card, &row, &plan, views)?;
    say_out(&serde_json::json!({ "workflow": workflow }).to_string());
    Ok(())
}

fn wait_for_person(common: &Common, follower: &mut Follower, number: u64) -> Exit {
    if common.json {
        // The exit code says the rest.
        let _ = print_workflow(follower, number);
        return Exit::WaitingForPerson;
    }
    let id = follower.state.id;
    match &follower.state.phase {
        Phase::PendingReview | Phase::Draft { .. } => {
            say(&format!("waiting for review: `baton approve {id}` or `baton reject {id}`"));
        }
        Phase::Paused { .. } => say(&format!("paused: `baton resume {id}` goes on")),
        Phase::Queued | Phase::Running { .. } | Phase::Cancelling { .. } | Phase::Ended(_) => {
            say("waiting for a person:");
            for line in super::list::questions(&follower.state) {
                say(&line);
            }
        }
    }
    Exit::WaitingForPerson
}
