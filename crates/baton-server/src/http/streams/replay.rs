//! What a subscriber has missed, read from the journal.
//!
//! A conversation's events are those of several streams: they are merged by their positions. How live
//! events join is the subscription's business.

use std::ops::RangeInclusive;

use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::words::Doing;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_engine::chunks::Chunk;
use baton_engine::conversations::conversation_view;
use baton_engine::cursor::removed_after;
use baton_engine::store::{self, Record, StoreError, Views};
use baton_engine::usage::{Usage, spending_of};

use super::batch::{Batch, End};
use super::broadcaster::Broadcaster;
use super::scope::Scope;
use crate::http::code::ProblemCode;
use crate::http::conversations;
use crate::http::problem::Problem;
use crate::http::workflows::found;

/// How many events are read from the journal at a time.
const REPLAY_MAX: usize = 1_000;

/// The rows of a workflow that was not purged.
pub(super) fn kept(
    id: WorkflowId,
    views: &mut dyn Views,
) -> Result<(WorkflowCard, WorkflowRow), Problem> {
    let (card, row) = found(id, views)?;
    match row.purged_at() {
        None => Ok((card, row)),
        Some(at) => {
            let detail = format!("the events of the workflow {id} were purged at {at}");
            Err(Problem::new(ProblemCode::Purged, detail))
        }
    }
}

/// Refuses a conversation that is none, and a place in it behind which events were purged.
pub(super) fn kept_behind(
    id: ConversationId,
    after: Option<u64>,
    views: &mut dyn Views,
) -> Result<(), Problem> {
    conversations::found(id, views)?;
    let Some(after) = after else { return Ok(()) };
    let told = views.events(after.saturating_sub(1), None, 1)?;
    let told = told.first().filter(|record| record.position == after).map(|record| record.at);
    // A purged workflow's row knows when it ended, and no position. Where the event that was told last
    // is gone itself, what came behind it is not known either.
    let is_behind = |row: &WorkflowRow| match told {
        Some(at) => row.ended_at.is_some_and(|ended| ended > at),
        None => after > 0,
    };
    let workflows = workflows_of(id, views)?;
    let purged = workflows.iter().find(|(_, row)| row.purged_at().is_some() && is_behind(row));
    let Some((card, _)) = purged else { return Ok(()) };
    let detail = format!(
        "events of the workflow {} behind {after} were purged; read the conversation anew and follow \
         it without `after` and `Last-Event-ID`",
        card.id
    );
    Err(Problem::new(ProblemCode::EventsPurged, detail))
}

/// How the run of a workflow had ended at a position.
pub(super) fn ended_by(
    id: WorkflowId,
    until: u64,
    views: &mut dyn Views,
) -> Result<Option<End>, Problem> {
    let (card, row) = kept(id, views)?;
    let Some(ended_at) = row.ended_at.filter(|_| row.head <= until) else { return Ok(None) };
    let spent = spending_of(card.number, Some(row.head), views)?;
    Ok(Some(End::Run { status: row.status, usage: Usage::until(ended_at, &row, spent) }))
}

/// How a conversation rests whose events were told up to a position; `None` where it does not, or
/// where there is more to tell.
pub(super) fn rest_at(
    id: ConversationId,
    told: u64,
    views: &mut dyn Views,
) -> Result<Option<End>, Problem> {
    let Some(view) = conversation_view(id, views)? else { return Ok(None) };
    // While an earlier plan waits for its review, the next may be under way.
    match view.doing {
        Doing::Working => return Ok(None),
        Doing::Idle | Doing::WaitingForUser | Doing::Escalated if view.planning => return Ok(None),
        Doing::Idle | Doing::WaitingForUser | Doing::Escalated => {}
    }
    // Read behind the view: it knows of nothing that stands behind these.
    let mut head = conversations::found(id, views)?.head;
    for workflow in &view.workflows {
        let rows = views.workflow(workflow.id)?;
        head = rows.map_or(head, |(_, row)| head.max(row.head));
    }
    Ok((head <= told).then_some(End::Rest { status: view.doing, usage: view.usage }))
}

/// Events of the journal behind the first position and up to the second; behind the last, texts.
pub(super) fn replay(
    broadcaster: &Broadcaster,
    (scope, span): (Scope, RangeInclusive<u64>),
    texts: &dyn Fn() -> Vec<Chunk>,
    views: &mut dyn Views,
) -> Result<Batch, Problem> {
    let (after, until) = span.into_inner();
    let mut records = if after < until { read(scope, after, views)? } else { Vec::new() };
    let is_all = records.len() < REPLAY_MAX;
    records.retain(|record| record.position <= until);
    let read = records.last().map_or(after, |record| record.position);
    let hole = removed_after(after, &records)
        .or((is_all && read < until).then(|| read + 1..=until))
        .filter(|_| scope == Scope::All);
    if let Some(hole) = hole {
        let (from, to) = hole.into_inner();
        let detail = format!(
            "the events from {from} to {to} were purged, and perhaps later ones; read the lists \
             anew and follow from now on, without `after` and `Last-Event-ID`"
        );
        return Err(Problem::new(ProblemCode::EventsPurged, detail));
    }
    let through = if is_all { until } else { read };
    let mut showing = broadcaster.showing();
    let mut behind = Vec::new();
    for chunk in if is_all { texts() } else { Vec::new() } {
        let is_its = match scope {
            Scope::All | Scope::Stream(_) => true,
            Scope::Conversation(id) => showing.conversation_of(chunk.stream, views)? == Some(id),
        };
        behind.extend(is_its.then_some((until, chunk)));
    }
    let batch = Batch::of(&records, &behind, through.max(after), &|_| true, &mut showing, views)?;
    Ok(batch.without_ends())
}

/// The oldest events behind a position, at most [`REPLAY_MAX`]; fewer only where there are no more.
fn read(scope: Scope, after: u64, views: &mut dyn Views) -> Result<Vec<Record>, StoreError> {
    match scope {
        Scope::All => events(after, None, views),
        Scope::Stream(stream) => events(after, Some(stream), views),
        Scope::Conversation(id) => {
            let own = views.conversation(id)?.into_iter().map(|row| (row.number, row.head));
            let mut streams: Vec<(u64, u64)> = own.collect();
            let workflows = workflows_of(id, views)?;
            streams.extend(workflows.iter().map(|(card, row)| (card.number, row.head)));
            streams.retain(|(_, head)| *head > after);
            streams.sort_unstable();
            merged(streams.into_iter().map(|(number, _)| number), after, views)
        }
    }
}

/// Of these streams, in the order in which they began.
fn merged(
    streams: impl Iterator<Item = u64>,
    after: u64,
    views: &mut dyn Views,
) -> Result<Vec<Record>, StoreError> {
    let mut found: Vec<Record> = Vec::new();
    for stream in streams {
        let more = events(after, Some(stream), views)?;
        let newest = found.last().map_or(0, |record| record.position);
        let begins_behind =
            more.first().is_some_and(|first| first.version == 1 && first.position > newest);
        if begins_behind && found.len() == REPLAY_MAX {
            // And so do all that began later.
            break;
        }
        found.extend(more);
        found.sort_unstable_by_key(|record| record.position);
        found.truncate(REPLAY_MAX);
    }
    Ok(found)
}

fn events(
    after: u64,
    stream: Option<u64>,
    views: &mut dyn Views,
) -> Result<Vec<Record>, StoreError> {
    views.events(after, stream, u32::try_from(REPLAY_MAX).unwrap_or(u32::MAX))
}

fn workflows_of(
    id: ConversationId,
    views: &mut dyn Views,
) -> Result<Vec<(WorkflowCard, WorkflowRow)>, StoreError> {
    let filter =
        store::Filter { conversation: Some(id), limit: u32::MAX, ..store::Filter::default() };
    views.list(&filter)
}
