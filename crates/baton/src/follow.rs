//! Follows one workflow: reads its events as they are committed and folds them, so that what is
//! shown is the journal's truth and nothing else.

use std::sync::Arc;

use anyhow::anyhow;
use baton_core::body::BlobHash;
use baton_core::definition::NESTING_MAX;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::plan::{Plan, Work};
use baton_core::words::WorkflowStatus;
use baton_core::workflow::{Event, Phase, Task, TaskPhase, Waiting, WorkflowState};
use baton_engine::live::{fold, read_event};
use baton_engine::loaded::Loaded;
use baton_engine::store::{Record, StoreError, Views};

use crate::display::ChildProgress;

/// How many events are read at a time.
const BATCH: u32 = 2_000;

/// A workflow as its events tell it.
pub struct Follower {
    /// The state after the events read so far.
    pub state: WorkflowState,
    views: Box<dyn Views>,
    number: u64,
    cursor: u64,
}

/// Why nothing more will happen to a workflow for now.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// Its run has ended.
    Ended,
    /// Only people can make it go on.
    People,
}

impl Follower {
    /// Reads everything there is of the workflow of this number.
    pub fn new(
        mut views: Box<dyn Views>,
        number: u64,
    ) -> anyhow::Result<(Self, Vec<(Record, Event)>)> {
        let records = views.stream(number)?;
        let folded = fold(&records, u64::MAX, &mut |hash| load(hash, views.as_mut()))?;
        let (state, _, cursor) = folded.ok_or_else(|| {
            anyhow!("the events of this workflow were purged; `baton show` says when")
        })?;
        let events = records.into_iter().map(|record| Ok((read_event(&record)?, record)));
        let events =
            events.map(|read: Result<_, StoreError>| read.map(|(event, record)| (record, event)));
        let events = events.collect::<Result<Vec<_>, _>>()?;
        Ok((Self { state, views, number, cursor }, events))
    }

    /// Applies what was committed since, and hands each event on with the state after it.
    pub fn catch_up(
        &mut self,
        each: &mut dyn FnMut(&WorkflowState, &Record, &Event),
    ) -> anyhow::Result<()> {
        loop {
            let records = self.views.events(self.cursor, Some(self.number), BATCH)?;
            let read = records.len();
            for record in records {
                let event = read_event(&record)?;
                self.cursor = record.position;
                self.state.evolve(&event, record.at);
                each(&self.state, &record, &event);
            }
            if read < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// A reader of the same store.
    pub fn views(&mut self) -> &mut dyn Views {
        self.views.as_mut()
    }

    /// Whether nothing will happen by itself.
    pub fn rest(&mut self) -> anyhow::Result<Option<Rest>> {
        rest(&self.state, self.views.as_mut(), 0)
    }

    /// How far the children are that tasks wait for, at most so many.
    pub fn children(&mut self, most: usize) -> anyhow::Result<Vec<ChildProgress>> {
        let mut children = Vec::new();
        for (task, on) in self.state.waiting() {
            let Waiting::Child { child } = on else { continue };
            if children.len() == most {
                break;
            }
            let Some((_, row)) = self.views.workflow(*child)? else { continue };
            let completed = (row.progress.completed, row.progress.total);
            children.push(ChildProgress { key: self.state.key_of(task), completed });
        }
        Ok(children)
    }

    /// Whether commits of other workflows, its children, are news to whoever follows it.
    pub fn has_children(&self) -> bool {
        has_children(&self.state.plan)
    }

    /// The workflow and the children it waits for, those that ask people something.
    pub fn asking(&mut self) -> anyhow::Result<Vec<WorkflowState>> {
        let mut found = Vec::new();
        let mut look = vec![(self.state.clone(), 0)];
        while let Some((state, depth)) = look.pop() {
            for (_, on) in state.waiting() {
                let Waiting::Child { child } = on else { continue };
                let child = if depth < NESTING_MAX { self.child(*child)? } else { None };
                look.extend(child.map(|child| (child, depth + 1)));
            }
            if state.waiting().any(|(_, on)| on.is_for_people()) {
                found.push(state);
            }
        }
        Ok(found)
    }

    fn child(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowState>> {
        match self.views.workflow(id)? {
            Some((_, row)) => read_state(row.number, self.views.as_mut()),
            None => Ok(None),
        }
    }
}

/// A workflow as its events tell it; `None` where they were purged.
fn read_state(number: u64, views: &mut dyn Views) -> anyhow::Result<Option<WorkflowState>> {
    let records = views.stream(number)?;
    let folded = fold(&records, u64::MAX, &mut |hash| load(hash, views))?;
    Ok(folded.map(|(state, _, _)| state))
}

fn rest(
    state: &WorkflowState,
    views: &mut dyn Views,
    depth: usize,
) -> anyhow::Result<Option<Rest>> {
    let idle = state.executing().next().is_none();
    Ok(match &state.phase {
        Phase::Ended(_) => Some(Rest::Ended),
        Phase::Draft { .. } | Phase::PendingReview | Phase::Paused { .. } => {
            idle.then_some(Rest::People)
        }
        Phase::Queued => None,
        Phase::Running { .. } | Phase::Cancelling { .. } => {
            let held = idle
                && (state.ready() == 0 || is_held_by_question(state))
                && state.waiting().next().is_some()
                && all_held(state, views, depth)?;
            held.then_some(Rest::People)
        }
    })
}

/// Whether what is ready can only wait for calls that ask people: those keep their places.
fn is_held_by_question(state: &WorkflowState) -> bool {
    let asks = state.waiting().any(|(_, on)| matches!(on, Waiting::Question { .. }));
    let is_ready = |task: &Task| matches!(task.phase, TaskPhase::Ready);
    let mut ready = (0..).map(Ordinal).zip(state.tasks()).filter(|(_, task)| is_ready(task));
    let is_held = |task: Ordinal| {
        let keyed = state.task_plan(task).is_some_and(|plan| plan.concurrency_key.is_some());
        keyed || !state.item_may_start(task)
    };
    asks && ready.all(|(task, _)| is_held(task))
}

fn has_children(plan: &Plan) -> bool {
    plan.tasks.iter().any(|task| matches!(task.work, Work::Workflow(_)))
}

/// Whether every wait is for people, or for a child that itself waits for nothing else.
fn all_held(state: &WorkflowState, views: &mut dyn Views, depth: usize) -> anyhow::Result<bool> {
    for (task, on) in state.waiting() {
        let held = match on {
            Waiting::Person { .. } | Waiting::Question { .. } | Waiting::InDoubt { .. } => true,
            Waiting::Timer { .. } | Waiting::Event { .. } => false,
            Waiting::Child { child } => {
                let plan = match state.task_plan(task).map(|plan| &plan.work) {
                    Some(Work::Workflow(child)) => Some(child.plan.as_ref()),
                    Some(
                        Work::Tool(_)
                        | Work::Human(_)
                        | Work::Wait(_)
                        | Work::Emit(_)
                        | Work::Worker(_),
                    )
                    | None => None,
                };
                depth < NESTING_MAX && is_child_held(*child, plan, views, depth)?
            }
        };
        if !held {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_child_held(
    child: WorkflowId,
    plan: Option<&Plan>,
    views: &mut dyn Views,
    depth: usize,
) -> anyhow::Result<bool> {
    let Some((_, row)) = views.workflow(child)? else {
        return Ok(false);
    };
    // Its row tells most of what its events would; of its own children it says nothing.
    if row.waiting_people == 0
        && row.status != WorkflowStatus::Paused
        && !plan.is_some_and(has_children)
    {
        return Ok(false);
    }
    match read_state(row.number, views)? {
        Some(state) => Ok(rest(&state, views, depth + 1)? == Some(Rest::People)),
        None => Ok(false),
    }
}

fn load(hash: BlobHash, views: &mut dyn Views) -> Result<Arc<Loaded>, StoreError> {
    let blob = views
        .blob(hash)?
        .ok_or_else(|| StoreError::Corrupt(format!("the plan {hash} is missing")))?;
    Loaded::from_blob(blob).map(Arc::new).map_err(|e| StoreError::Corrupt(e.to_string()))
}
