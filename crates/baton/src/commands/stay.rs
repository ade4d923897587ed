//! Stays with a workflow until it rests, shows it meanwhile, and prints what it brought.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;

use anyhow::Context;
use baton_core::ids::WorkflowId;
use baton_core::workflow::{Outcome, Phase, Waiting, WorkflowState};
use baton_engine::store::Views;
use baton_engine::view;
use baton_engine::wording::Wording;
use baton_server::wire::{Answer, Ask};

use super::answer::ask_person;
use crate::cli::Common;
use crate::config::Config;
use crate::display::{Display, say, say_out};
use crate::exit::{Exit, Failed};
use crate::follow::{Follower, Rest};
use crate::log::{Level, log};
use crate::session::{LOOK_AGAIN, Purpose, Session, read};
use crate::signals::{self, Role};
use crate::text::{clean, output_text, span};

/// How many children's progress is asked for.
const CHILDREN_SHOWN_MAX: usize = 5;
/// How many of those that were cut off or interrupted are named.
const NAMED_MAX: usize = 10;

/// Stays with the workflow of an answer until it rests, then leaves the store. When the owner it
/// was reached through ends, this process takes its place.
pub(super) fn stay(common: &Common, mut session: Session, answer: Answer) -> anyhow::Result<Exit> {
    let Answer::Workflow { id, number, .. } = answer else {
        return Err(Failed::unreachable(anyhow::anyhow!(
            "the owner answered with something else: {answer:?}"
        ))
        .into());
    };
    let config = Config::read(common.config.as_deref())?;
    loop {
        heed_signals(&session, id)?;
        let exit = follow(common, &mut session, number);
        let was_owner = session.is_owner();
        if was_owner && let (Ok(Some(_)), Some(retention)) = (&exit, &config.retention) {
            let mut views = session.views()?;
            let retired = retention.apply(views.as_mut(), &mut session)?;
            log(Level::Info, retired.render().trim_end(), &[]);
        }
        let left = leave(session, Some(id));
        if was_owner && left.is_err() {
            say(&format!(
                "interrupted: what was shown is on disk; when the store is well again, \
                 `baton resume {id}` goes on"
            ));
        }
        let exit = exit?;
        left?;
        match exit {
            Some(exit) => return Ok(exit),
            None if was_owner => {
                say(&format!("interrupted: nothing is lost; `baton resume {id}` goes on"));
                if common.json {
                    print_workflow(read(common)?.as_mut(), id)?;
                }
                return Ok(Exit::WorkFailed);
            }
            None => {
                session = Session::open(common, &config, Purpose::Work)?;
                session.ask(Ask::TakeUp { workflow: id })?;
            }
        }
    }
}

/// Has signals end this process as its part on the store asks for.
pub(super) fn heed_signals(session: &Session, id: WorkflowId) -> anyhow::Result<()> {
    let owner = session.owner().cloned();
    signals::act_as(owner.map_or(Role::Follower(id), Role::Owner))
}

/// Leaves the store, and names what is left unfinished but for one workflow.
pub(super) fn leave(session: Session, own: Option<WorkflowId>) -> anyhow::Result<()> {
    let views = session.views();
    let report = session.close()?;
    if !report.cut_off.is_empty() {
        say(&cut_off_text(&report.cut_off));
    }
    let mut others = report.interrupted;
    others.retain(|id| Some(*id) != own);
    if let Ok(mut views) = views {
        // Children go on with their parents.
        others.retain(|id| {
            let found = views.workflow(*id).ok().flatten();
            found.is_none_or(|(card, _)| card.parent.is_none())
        });
    }
    if !others.is_empty() {
        let others = named(others.iter().map(ToString::to_string));
        say(&format!("interrupted: {others}; `baton resume --all` takes them up"));
    }
    Ok(())
}

/// The first of many names.
fn named(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = match names.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let first: Vec<String> = names.take(NAMED_MAX).collect();
    format!("{}{more}", first.join(", "))
}

fn cut_off_text(tasks: &[(WorkflowId, String)]) -> String {
    format!(
        "cut off: {}; when the work goes on, what may be repeated is, and you are asked about the rest",
        named(tasks.iter().map(|(_, key)| clean(key)))
    )
}

/// Shows a workflow until it rests; `None` when the owner ended before.
pub(super) fn follow(
    common: &Common,
    session: &mut Session,
    number: u64,
) -> anyhow::Result<Option<Exit>> {
    let (mut follower, events) = Follower::new(session.views()?, number)?;
    let news = session.follow((!follower.has_children()).then_some(number))?;
    if !common.json {
        let state = &follower.state;
        say(&format!("{} · {}", clean(&state.plan.name), state.id));
    }
    let mut display = Display::choose(common.json);
    for (record, event) in &events {
        display.event(&follower.state, record, event);
    }
    let mut heard = Ok(0);
    loop {
        follower.catch_up(&mut |state, record, event| display.event(state, record, event))?;
        let children = follower.children(CHILDREN_SHOWN_MAX)?;
        display.children(&follower.state, children);
        match follower.rest()? {
            Some(Rest::Ended) => {
                display.end();
                return finish(common, &mut follower).map(Some);
            }
            Some(Rest::People) | None if heard == Err(RecvTimeoutError::Disconnected) => {
                return Ok(None);
            }
            Some(Rest::People)
                if !display
                    .aside(|| ask_person(common, session, &mut follower))
                    .unwrap_or(false) =>
            {
                display.end();
                let exit = wait_for_person(common, &mut follower)?;
                if session.is_owner() && asks_in_a_call(&follower.state) {
                    say(
                        "a running call asks, and ends with this process: answer at a terminal, or let \
                         `baton serve` own the store",
                    );
                }
                return Ok(Some(exit));
            }
            Some(Rest::People) | None => {}
        }
        heard = news.recv_timeout(LOOK_AGAIN);
    }
}

/// Shows what a workflow that has ended did and brought.
pub(super) fn show_end(
    common: &Common,
    views: Box<dyn Views>,
    number: u64,
) -> anyhow::Result<Exit> {
    let (mut follower, events) = Follower::new(views, number)?;
    let mut display = Display::choose(common.json);
    for (record, event) in &events {
        display.event(&follower.state, record, event);
    }
    display.end();
    finish(common, &mut follower)
}

/// Prints what the run brought.
fn finish(common: &Common, follower: &mut Follower) -> anyhow::Result<Exit> {
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
        print_workflow(follower.views(), id)?;
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
        if let Some(error) = view::error_line(&outcome, &Wording::of(&plan)) {
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

/// The last line of `--json`.
fn print_workflow(views: &mut dyn Views, id: WorkflowId) -> anyhow::Result<()> {
    let (card, row) = views.workflow(id)?.with_context(|| format!("the workflow {id} is gone"))?;
    let plan = view::plan_of(&card, views)?;
    let workflow = view::workflow_view(&card, &row, &Wording::of(&plan), views)?;
    say_out(&serde_json::json!({ "workflow": workflow }).to_string());
    Ok(())
}

fn asks_in_a_call(state: &WorkflowState) -> bool {
    state.waiting().any(|(_, on)| matches!(on, Waiting::Question { .. }))
}

fn wait_for_person(common: &Common, follower: &mut Follower) -> anyhow::Result<Exit> {
    let id = follower.state.id;
    if common.json {
        print_workflow(follower.views(), id)?;
        return Ok(Exit::WaitingForPerson);
    }
    match &follower.state.phase {
        Phase::PendingReview => {
            say(&format!("waiting for review: `baton approve {id}` or `baton reject {id}`"));
        }
        Phase::Draft { .. } => say(&format!(
            "its plan was rejected: `baton cancel {id}` drops it, another `baton run` starts anew"
        )),
        Phase::Paused { .. } => say(&format!("paused: `baton resume {id}` goes on")),
        Phase::Queued | Phase::Running { .. } | Phase::Cancelling { .. } | Phase::Ended(_) => {
            say("waiting for a person:");
            for state in follower.asking()? {
                super::list::questions(&state).iter().for_each(|line| say(line));
            }
        }
    }
    Ok(Exit::WaitingForPerson)
}
