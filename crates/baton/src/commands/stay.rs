//! Stays with a workflow until it rests, shows it meanwhile, and prints what it brought.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use baton_core::ids::WorkflowId;
use baton_core::plan::Plan;
use baton_core::spoken::span;
use baton_core::workflow::{Event, Outcome, Phase, Waiting, WorkflowState};
use baton_engine::usage::Spent;
use baton_engine::view;
use baton_engine::wording::Wording;
use baton_server::wire::Ask;

use super::answer::ask_person;
use crate::cli::Common;
use crate::config::Config;
use crate::display::{Display, say, say_out};
use crate::exit::Exit;
use crate::follow::{Follower, Going, Pages, Rest};
use crate::log::{Level, log};
use crate::outside::Outside;
use crate::reading::{Reading, ShownEvent};
use crate::runtime::Handle;
use crate::session::{LOOK_AGAIN, Purpose, Session, read};
use crate::signals::{self, Role};
use crate::text::{clean, output_text};

/// How many children's progress is asked for.
const CHILDREN_SHOWN_MAX: usize = 5;
/// How many of those that were cut off or interrupted are named.
const NAMED_MAX: usize = 10;

/// Stays with a workflow until it rests, then leaves the store. When the owner it was reached through
/// ends, this process takes its place.
pub(super) fn stay(common: &Common, mut session: Session, id: WorkflowId) -> anyhow::Result<Exit> {
    loop {
        heed_signals(&session, Some(id))?;
        let exit = follow(common, &mut session, id, Last::Told);
        let was_owner = session.is_owner();
        if was_owner && matches!(exit, Ok(Some(_))) {
            retire(common, &mut session)?;
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
                session = Session::open(common, Purpose::Work)?;
                session.change(Ask::TakeUp { workflow: id })?;
            }
        }
    }
}

/// Lets go of what has been finished for long, where that is configured.
fn retire(common: &Common, session: &mut Session) -> anyhow::Result<()> {
    if let Some(retention) = &Config::read(common.config.as_deref())?.retention {
        let mut views = session.views()?;
        let retired = retention.apply(views.as_mut(), session)?;
        log(Level::Info, retired.render().trim_end(), &[]);
    }
    Ok(())
}

/// Whether the last line of `--json` is told here, or by who follows several workflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Told,
    Left,
}

/// Has signals end this process as its part on the store asks for: on a workflow, or a conversation.
pub(super) fn heed_signals(session: &Session, id: Option<WorkflowId>) -> anyhow::Result<()> {
    let owner = session.owner().cloned();
    let other = id.map_or(Role::Talker, Role::Follower);
    signals::act_as(owner.map_or(other, Role::Owner))
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
    id: WorkflowId,
    last: Last,
) -> anyhow::Result<Option<Exit>> {
    let mut reading = session.reading()?;
    let plan = plan_of(reading.as_mut(), id)?;
    let feed = session.feed(id, &plan)?;
    if !common.json {
        say(&format!("{} · {id}", clean(&plan.name)));
    }
    let mut display = Display::choose(common.json);
    let mut show = |state: &WorkflowState, shown: &ShownEvent, event: &Event| {
        display.event(state, shown, event);
    };
    let mut follower = Follower::begin(plan, reading, feed, &mut show)?;
    let mut going = Going::On;
    let mut quiet = Quiet { since: Instant::now(), told_of_events: false, told_of_held: false };
    loop {
        let children = follower.children(CHILDREN_SHOWN_MAX)?;
        display.children(&follower.state, children);
        if let Some(live) = session.owner().map(Handle::live) {
            display.said(&follower.state, live.of(id));
        }
        let texts = [follower.texts(), session.texts(&follower.state)].concat();
        display.spoken(&follower.state, texts);
        match follower.rest()? {
            Some(Rest::Ended) => {
                display.end();
                return finish(common, &mut follower, last).map(Some);
            }
            Some(Rest::People) | None if going == Going::Over => return Ok(None),
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
        if let Some(outside) = quiet.awaited(session, &mut follower)? {
            display.end();
            return leave_to_others(common, &mut follower, &outside).map(Some);
        }
        going =
            follower.catch_up(session.patience(&follower.state), &mut |state, shown, event| {
                quiet.since = Instant::now();
                display.event(state, shown, event);
            })?;
    }
}

/// A workflow of which nothing is heard for a while.
struct Quiet {
    since: Instant,
    told_of_events: bool,
    told_of_held: bool,
}

impl Quiet {
    /// What is left, where that is only work for workers, whom this process lets in nowhere, and what
    /// agents would do who cannot ask any model here.
    fn awaited(
        &mut self,
        session: &mut Session,
        follower: &mut Follower,
    ) -> anyhow::Result<Option<Outside>> {
        if self.since.elapsed() < LOOK_AGAIN {
            return Ok(None);
        }
        if !session.is_owner() {
            self.tell_of_held(session, follower.state.id);
            return Ok(None);
        }
        let outside = follower.outside(&mut |workflow| session.said(workflow))?;
        let Outside { workers, events, missing } = &outside;
        if !events.is_empty() && !std::mem::replace(&mut self.told_of_events, true) {
            say(&waits_for_events(events));
        }
        let is_left = !workers.is_empty() || !missing.is_empty();
        Ok((is_left && events.is_empty()).then_some(outside))
    }

    /// Says once what another owner holds back.
    fn tell_of_held(&mut self, session: &mut Session, id: WorkflowId) {
        if self.told_of_held {
            return;
        }
        let missing: BTreeSet<String> =
            session.said(id).into_iter().filter_map(|said| said.held).collect();
        if !missing.is_empty() {
            self.told_of_held = true;
            say(&format!("held by the owner of the store: {}", reasons(&missing)));
        }
    }
}

/// What is missing, in a line.
fn reasons(missing: &BTreeSet<String>) -> String {
    clean(&named(missing.iter().cloned()))
}

/// Says that this process cannot have this work done, and lets go of the store for one that can.
fn leave_to_others(
    common: &Common,
    follower: &mut Follower,
    outside: &Outside,
) -> anyhow::Result<Exit> {
    let id = follower.state.id;
    let asks_people = !follower.asking()?.is_empty();
    let exit = if asks_people { wait_for_person(common, follower)? } else { Exit::WorkFailed };
    if common.json && !asks_people {
        print_workflow(follower.reading(), id)?;
    }
    if !outside.workers.is_empty() {
        let types = clean(&named(outside.workers.iter().cloned()));
        say(&format!(
            "interrupted: what is left is work for workers ({types}), which only a server hands out; \
             `baton serve` takes it up, and `baton watch {id}` follows it"
        ));
    }
    if !outside.missing.is_empty() {
        let missing = reasons(&outside.missing);
        say(&format!(
            "held: {missing}; nothing was asked, and `baton resume {id}` goes on when it is there"
        ));
    }
    Ok(exit)
}

fn waits_for_events(types: &BTreeSet<String>) -> String {
    let types = clean(&named(types.iter().cloned()));
    format!(
        "waiting for an event ({types}): another `baton run` on this store may emit it; events from \
         elsewhere are taken by `baton serve`, at POST /api/v1/events"
    )
}

/// The plan of a workflow that is followed.
fn plan_of(reading: &mut dyn Reading, id: WorkflowId) -> anyhow::Result<Plan> {
    let purged = reading.brief(id)?.is_some_and(|workflow| workflow.purged_at.is_some());
    anyhow::ensure!(
        !purged,
        "the events of this workflow were purged; `baton show {id}` says when"
    );
    reading.plan(id)
}

/// Shows what a workflow that has ended did and brought.
pub(super) fn show_end(common: &Common, id: WorkflowId) -> anyhow::Result<Exit> {
    let mut reading = read(common)?;
    let plan = plan_of(reading.as_mut(), id)?;
    let mut display = Display::choose(common.json);
    let mut show = |state: &WorkflowState, shown: &ShownEvent, event: &Event| {
        display.event(state, shown, event);
    };
    let feed = Box::new(Pages::new(read(common)?, id, None));
    let mut follower = Follower::begin(plan, reading, feed, &mut show)?;
    while follower.catch_up(LOOK_AGAIN, &mut show)? == Going::On {}
    display.end();
    finish(common, &mut follower, Last::Told)
}

/// Prints what the run brought.
fn finish(common: &Common, follower: &mut Follower, last: Last) -> anyhow::Result<Exit> {
    let state = &follower.state;
    let Phase::Ended(ended) = &state.phase else {
        return Ok(Exit::WorkFailed);
    };
    let outcome = ended.outcome.clone();
    let plan = Arc::clone(&state.plan);
    let counts = baton_core::progress::progress(state);
    let took = ended.at.since(state.started_at.unwrap_or(state.created_at));
    let (id, spent) = (state.id, state.spent());
    if common.json {
        if last == Last::Told {
            print_workflow(follower.reading(), id)?;
        }
    } else {
        if outcome.output().is_some() {
            let output = follower.reading().workflow(id)?.and_then(|workflow| workflow.output);
            let text = output.and_then(|output| output_text(&output.value()));
            text.iter().for_each(|text| say_out(text));
        }
        let status = outcome.status();
        let summary = format!(
            "{status} · {} of {} tasks · {}{} · baton show {id}",
            counts.completed,
            counts.total,
            span(took),
            Spent::from(spent).line().map(|line| format!(" · {line}")).unwrap_or_default()
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
fn print_workflow(reading: &mut dyn Reading, id: WorkflowId) -> anyhow::Result<()> {
    let workflow = reading.workflow(id)?.with_context(|| format!("the workflow {id} is gone"))?;
    say_out(&serde_json::json!({ "workflow": workflow }).to_string());
    Ok(())
}

fn asks_in_a_call(state: &WorkflowState) -> bool {
    state.waiting().any(|(_, on)| matches!(on, Waiting::Question { .. }))
}

fn wait_for_person(common: &Common, follower: &mut Follower) -> anyhow::Result<Exit> {
    let id = follower.state.id;
    if common.json {
        print_workflow(follower.reading(), id)?;
        return Ok(Exit::WaitingForPerson);
    }
    match &follower.state.phase {
        Phase::PendingReview => {
            let workflow = follower.reading().workflow(id)?;
            if let Some(forecast) = workflow.and_then(|workflow| workflow.forecast) {
                say(&format!("forecast: {}", clean(&forecast.line())));
            }
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
