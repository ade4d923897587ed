//! What must hold after every commit, judged from the store alone and from the owner's memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use baton_core::codes::Code;
use baton_core::ids::Ordinal;
use baton_core::plan::{TaskPlan, Work};
use baton_core::progress::progress;
use baton_core::words::{SkipCause, TaskStatus};
use baton_core::workflow::rows::{TaskRow, task_row, workflow_row};
use baton_core::workflow::{Event, Output, TaskPhase, Waiting, WorkflowState};
use baton_engine::engine::Engine;
use baton_engine::live::{fold, read_event};
use baton_engine::loaded::Loaded;
use baton_engine::queue::Limits;
use baton_engine::store::{Commit, Head, Record, Store, StoreError};
use baton_store::memory::MemoryStore;

use crate::books::books_are_kept;
use crate::ledger::{Violation, violation};
use crate::plans::END;
use crate::reading;

/// A commit extends the journal without a hole, and in order of time.
pub fn commit_is_dense(commit: &Commit, before: Head) -> Result<(), Violation> {
    let mut position = before.position;
    let mut at = before.at;
    for record in &commit.records {
        position += 1;
        if record.position != position || record.at < at {
            return violation(format!("{record:?} does not follow position {position} at {at}"));
        }
        at = record.at;
    }
    if commit.head.position == position {
        Ok(())
    } else {
        violation(format!("the head {:?} is not at {position}", commit.head))
    }
}

/// A store in memory that cannot be read has lost something.
pub fn unread(fault: StoreError) -> Violation {
    Violation(format!("the store cannot be read: {fault}"))
}

/// The state that the journal says a workflow has, and the position of its newest event.
pub fn folded(store: &mut MemoryStore, number: u64) -> Result<(WorkflowState, u64), Violation> {
    let records = store.stream(number).map_err(unread)?;
    let actors = store.actors().map_err(unread)?;
    let mut previous = 0;
    for (record, version) in records.iter().zip(1..) {
        if record.version != version || record.previous != previous {
            return violation(format!("{record:?} is not version {version} after {previous}"));
        }
        previous = record.position;
        if !actors.iter().any(|(number, _)| *number == record.actor) {
            return violation(format!("mp2: {record:?} has no actor"));
        }
    }
    let mut load = |hash| {
        let blob = store.blob(hash)?;
        let blob = blob.ok_or_else(|| StoreError::Corrupt("no plan".to_owned()))?;
        let loaded = Loaded::from_blob(blob).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        Ok(Arc::new(loaded))
    };
    let folded = fold(&records, u64::MAX, &mut load).map_err(unread)?;
    let Some((state, _, head)) = folded else {
        return violation(format!("workflow {number} is empty"));
    };
    calls_end_once(&records, &state)?;
    agents_ask_and_end_once(&records, &state)?;
    books_are_kept(store, number, (&records, &state))?;
    Ok((state, head))
}

/// OR9: each attempt that calls a tool ends by exactly one event, which names its beginning, unless it
/// still runs.
fn calls_end_once(records: &[Record], state: &WorkflowState) -> Result<(), Violation> {
    let mut begun: BTreeMap<u64, Ordinal> = BTreeMap::new();
    for record in records {
        let event = read_event(record).map_err(unread)?;
        if let Event::TaskStarted(started) = &event {
            let plan = state.task_plan(started.task);
            let is_call = |plan: &TaskPlan| started.rung > 0 || matches!(plan.work, Work::Tool(_));
            if plan.is_some_and(is_call) || state.asked_call(started.task).is_some() {
                begun.insert(record.position, started.task);
            }
        } else if begun.get(&record.cause).is_some_and(|task| event.task() == Some(*task)) {
            begun.remove(&record.cause);
        }
    }
    let mut unended: Vec<Ordinal> = begun.into_values().collect();
    unended.sort_unstable();
    let calls = |task: &Ordinal| state.called_tool(*task).is_some();
    // A call that asks people runs on while it waits for them.
    let asks = |(task, on): &(Ordinal, &Waiting)| match on {
        Waiting::Question { .. } => true,
        Waiting::Person { .. } => state.asked_call(*task).is_some(),
        Waiting::Timer { .. }
        | Waiting::Event { .. }
        | Waiting::InDoubt { .. }
        | Waiting::Approval { .. }
        | Waiting::Budget { .. }
        | Waiting::Child { .. } => false,
    };
    let asking = state.waiting().filter(asks).map(|(task, _)| task);
    let mut running: Vec<Ordinal> = state.executing().filter(calls).chain(asking).collect();
    running.sort_unstable();
    if unended == running {
        return Ok(());
    }
    violation(format!("or9: calls of {unended:?} have no end, and {running:?} run"))
}

/// Nobody is asked by an agent twice what they were asked once, and no turn follows a call that ended
/// the task of its agent.
fn agents_ask_and_end_once(records: &[Record], state: &WorkflowState) -> Result<(), Violation> {
    let (mut asked, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for record in records {
        let event = read_event(record).map_err(unread)?;
        if let Event::TaskStarted(started) = &event {
            let task = started.task;
            let asks = state.asked_call(task).is_some_and(|call| call.asks.is_some());
            if asks && !asked.insert(task) {
                return violation(format!("a person was asked {task:?} twice"));
            }
            if started.model.is_some() && ended.contains(&task) {
                return violation(format!("{task:?} was ended by a call, and has a turn more"));
            }
        } else if let Event::TaskCompleted(done) = &event {
            let ends = state.asked_call(done.task).is_some_and(|call| call.tool == END);
            ended.extend(state.item(done.task).filter(|_| ends).map(|(block, _)| block.parent));
        } else if let Event::Retried(retried) = &event {
            ended.retain(|task| !retried.tasks.contains(task));
        }
    }
    Ok(())
}

/// A workflow's rows are what its journal makes of them. Of a purged one only the row is left.
pub fn rows_are_derived(
    store: &mut MemoryStore,
    number: u64,
) -> Result<Option<WorkflowState>, Violation> {
    let is_purged = reading::row(store, number).is_some_and(|(_, row)| row.head == 0);
    if is_purged {
        let (records, tasks) = (store.stream(number), reading::tasks(store, number));
        return match (records.map_err(unread)?.as_slice(), tasks.as_slice()) {
            ([], []) => Ok(None),
            left => violation(format!("workflow {number} is purged, and {left:?} is left")),
        };
    }
    let (state, head) = folded(store, number)?;
    let Some((_, row)) = reading::row(store, number) else {
        return violation(format!("workflow {number} has no row"));
    };
    let expected = workflow_row(&state, number, head);
    if row != expected {
        return violation(format!("the row is {row:?}, the journal says {expected:?}"));
    }
    let rows = reading::tasks(store, number);
    let tasks: BTreeMap<Ordinal, &TaskRow> = rows.iter().map(|row| (row.ordinal, row)).collect();
    for (task, ordinal) in state.tasks().iter().zip((0..).map(Ordinal)) {
        let derived = match (&task.phase, state.ended()) {
            (TaskPhase::Pending | TaskPhase::Ready, None) => true,
            (TaskPhase::Cancelled { at }, Some(ended)) => *at == ended.at,
            _ => false,
        };
        match tasks.get(&ordinal) {
            None if derived => {}
            None => return violation(format!("task {ordinal:?} of {number} has no row: {task:?}")),
            Some(row) => task_row_is_derived(&state, row)?,
        }
    }
    progress_is_a_recount(&state)?;
    is_whole(&state)?;
    Ok(Some(state))
}

/// A task that is ready may stand as pending: readers know it from its needs.
fn task_row_is_derived(state: &WorkflowState, row: &TaskRow) -> Result<(), Violation> {
    let Some(mut expected) = task_row(state, row.number, row.ordinal, row.position) else {
        return violation(format!("{row:?} is of no task"));
    };
    if row.status == TaskStatus::Pending && expected.status == TaskStatus::Ready {
        expected.status = TaskStatus::Pending;
    }
    if *row == expected {
        Ok(())
    } else {
        violation(format!("the row is {row:?}, the journal says {expected:?}"))
    }
}

/// WF1: progress counted anew from the tasks' phases.
fn progress_is_a_recount(state: &WorkflowState) -> Result<(), Violation> {
    let mut counts = (0, 0);
    for (task, ordinal) in state.tasks().iter().zip((0..).map(Ordinal)) {
        let gone =
            state.item(ordinal).is_some_and(|(items, _)| items.superseded || !items.is_each());
        let left_out = matches!(task.phase, TaskPhase::Skipped { cause: SkipCause::When, .. });
        if !gone && !left_out && state.items_of(ordinal).is_none() {
            counts.0 += u32::from(task.phase.status() == TaskStatus::Completed);
            counts.1 += 1;
        }
    }
    let shown = progress(state);
    let whole = state.ended().is_some() || state.tally().open == 0 || shown.percentage <= 99;
    if (shown.completed, shown.total) == counts && whole {
        Ok(())
    } else {
        violation(format!("wf1: progress is {shown:?}, a recount finds {counts:?}"))
    }
}

/// An ended workflow has no open task, and a completed join no item that was not done.
fn is_whole(state: &WorkflowState) -> Result<(), Violation> {
    let is_open = |phase: &TaskPhase| !phase.status().is_terminal();
    for task in state.tasks() {
        if state.ended().is_some() && is_open(&task.phase) {
            return violation(format!("it ended, and {task:?} has not"));
        }
        let Some(Output::Items { first, count }) = task.output() else {
            continue;
        };
        let items = (first.0..first.0 + count).map(Ordinal);
        let is_done = |item: &TaskPhase| match item {
            TaskPhase::Completed { .. } => true,
            TaskPhase::Skipped { cause, .. } => *cause == SkipCause::When,
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Waiting { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Cancelled { .. } => false,
        };
        let mut items = items.filter_map(|item| state.task(item));
        if let Some(item) = items.find(|item| !is_done(&item.phase)) {
            return violation(format!("{task:?} is joined, and {item:?} is not done"));
        }
    }
    Ok(())
}

/// The owner's memory is the fold of the journal.
pub fn memory_is_the_fold(
    engine: &Engine,
    number: u64,
    folded: &WorkflowState,
) -> Result<(), Violation> {
    let Some((_, state)) = engine.states().find(|(n, _)| *n == number) else {
        return Ok(());
    };
    let text = |state: &WorkflowState| {
        let mut state = state.clone();
        state.take_changed();
        state.take_ready();
        format!("{state:?}")
    };
    let (memory, journal) = (text(state), text(folded));
    if memory == journal {
        Ok(())
    } else {
        violation(format!("in memory {memory}\nin the journal {journal}"))
    }
}

/// What executes stays within the limits: of the workspace, a workflow, an `each`, a key.
pub fn limits_hold(engine: &Engine, limits: Limits) -> Result<(), Violation> {
    let (mut all, mut keyed) = (0, 0);
    for (number, state) in engine.states() {
        let executing: Vec<Ordinal> = state.executing().collect();
        all += executing.len();
        if executing.len() > limits.executing_per_workflow_max as usize {
            return violation(format!("workflow {number} executes {executing:?}"));
        }
        let has_key = |task: &&Ordinal| {
            let plan = state.task_plan(**task);
            let is_call = state.asked_call(**task).is_some();
            !is_call && plan.is_some_and(|plan| plan.concurrency_key.is_some())
        };
        keyed += executing.iter().filter(has_key).count();
        for task in &executing {
            let (Some((items, _)), Some(plan)) = (state.item(*task), state.task_plan(*task)) else {
                continue;
            };
            let each = plan.each.as_ref().filter(|_| items.is_each());
            let most = each.and_then(|each| each.concurrency);
            if most.is_some_and(|most| items.running > most) {
                return violation(format!("{} of {items:?} run", items.running));
            }
        }
    }
    if all > limits.executing_max as usize {
        return violation(format!("{all} tasks execute"));
    }
    if keyed > 1 {
        return violation(format!("{keyed} tasks of one key execute"));
    }
    Ok(())
}
