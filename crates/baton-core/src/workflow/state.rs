//! The state of a workflow: the fold of its events, and what can be asked of it.
//!
//! It changes in [`evolve`](super::evolve) alone; where runs and tasks stand is in
//! [`phase`].

mod agent;
mod phase;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use agent::{AgentRun, AskedCall, CallEnd, Entry};
pub use phase::{
    Ended, Lease, Next, Outcome, Output, PauseCause, Phase, Resume, Task, TaskPhase, Waiting,
};

use super::accounts::{Account, Amount, BudgetScope};
use super::edits::Edits;
use super::graph::Graph;
use crate::actor::Actor;
use crate::agent::Spending;
use crate::body::{Body, Json};
use crate::ids::{ConversationId, Ordinal, ProjectId, TaskId, WorkflowId};
use crate::plan::{AgentCall, Plan, TaskPlan, ToolCall, Work, WorkerCall};
use crate::time::Timestamp;
use crate::words::{Effect, Origin, WorkflowStatus};

/// Everything known of a workflow: the fold of its events.
#[derive(Clone, Debug)]
pub struct WorkflowState {
    /// Its id.
    pub id: WorkflowId,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// How it came to be.
    pub origin: Origin,
    /// 0 to 9.
    pub priority: u8,
    /// The task whose child it is.
    pub parent: Option<TaskId>,
    /// The project it belongs to.
    pub project: Option<ProjectId>,
    /// How many firings of triggers in a row led to it.
    pub hops: u8,
    /// The stream of the conversation that is told of its end.
    pub reports_to: Option<u64>,
    /// The caller's folder, where relative paths of its tools start.
    pub folder: Option<Arc<str>>,
    /// Who started it, or the workflow whose child it is; noted where models may be called.
    pub user: Option<Actor>,
    /// What it runs.
    pub plan: Arc<Plan>,
    /// The plan's edges, turned round.
    pub graph: Arc<Graph>,
    /// The validated inputs.
    pub inputs: Body,
    /// The number of the present run, from 1.
    pub run: u32,
    /// How many events it has: the version of its stream, its revision to readers.
    pub revision: u64,
    /// Where the run stands.
    pub phase: Phase,
    /// When it was admitted.
    pub created_at: Timestamp,
    /// When its first run started.
    pub started_at: Option<Timestamp>,
    /// When the last event happened.
    pub updated_at: Timestamp,
    /// What can be undone of the edits of its plan.
    pub(super) edits: Edits,
    /// Time the present run has used, without what it spent waiting for people.
    pub(super) used: Duration,
    /// What its agents use in the present run, against its budget.
    pub(super) account: Account,
    /// What people granted it of budgets above it.
    pub(super) granted_above: BTreeMap<BudgetScope, Amount>,
    /// What its calls of models used, over all runs.
    pub(super) spent: Spending,
    /// Counts over its tasks.
    pub(super) tally: Tally,
    pub(super) tasks: Vec<Task>,
    pub(super) items: Vec<Items>,
    pub(super) stage_open: Vec<u32>,
    pub(super) stage_counts: Vec<StageCount>,
    /// Stages before this one are done.
    pub(super) barrier: u32,
    /// The first stage in which a task broke what comes after it.
    pub(super) broken: Option<u32>,
    pub(super) executing: BTreeSet<Ordinal>,
    pub(super) waiting: BTreeSet<Ordinal>,
    /// How many of them wait for people.
    pub(super) waiting_people: u32,
    /// How many tasks may start.
    pub(super) ready: u32,
    /// Whose rows changed since the engine last took them.
    pub(super) changed: Vec<Ordinal>,
    /// Became ready since the engine last took them.
    pub(super) newly_ready: Vec<Ordinal>,
    /// Can no longer be done; to be skipped by the next `Advance`.
    pub(super) doomed: BTreeSet<Ordinal>,
    /// `each` tasks whose last item has ended, to be closed by the next `Advance`.
    pub(super) gathered: BTreeSet<Ordinal>,
}

/// Tasks that were made while the workflow runs: the items of an `each`, or the calls that an agent
/// asked for in one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Items {
    /// The task they were made for.
    pub parent: Ordinal,
    /// The first of them.
    pub first: Ordinal,
    /// How many.
    pub count: u32,
    /// How many have not ended.
    pub open: u32,
    /// How many failed.
    pub failed: u32,
    /// How many execute or wait.
    pub running: u32,
    /// What they are.
    pub of: BlockOf,
    /// Made anew by a later run; these count no more.
    pub superseded: bool,
}

/// What tasks are that were made while the workflow runs.
#[derive(Clone, Debug, PartialEq)]
pub enum BlockOf {
    /// One for each element.
    Each {
        /// The list.
        list: Body,
    },
    /// One for each call of one answer.
    Calls(Arc<[AskedCall]>),
}

impl Items {
    /// Whether they are the items of an `each`.
    pub fn is_each(&self) -> bool {
        match self.of {
            BlockOf::Each { .. } => true,
            BlockOf::Calls(_) => false,
        }
    }

    /// Their ordinals.
    pub fn range(&self) -> impl Iterator<Item = Ordinal> + use<> {
        (self.first.0..self.first.0.saturating_add(self.count)).map(Ordinal)
    }
}

/// Counts over the tasks of a workflow. `each` counts its items instead of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that count.
    pub total: u32,
    /// Ended with their output.
    pub completed: u32,
    /// Ended without.
    pub failed: u32,
    /// Counted and not ended.
    pub open: u32,
}

/// The same for one stage, for stage-weighted progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCount {
    /// All that count.
    pub total: u32,
    /// Ended with their output.
    pub completed: u32,
}

impl WorkflowState {
    /// Every task, in the order of ordinals.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The task at `ordinal`.
    pub fn task(&self, ordinal: Ordinal) -> Option<&Task> {
        self.tasks.get(ordinal.index())
    }

    /// What the plan says of the task at `ordinal`, which may be an item.
    pub fn task_plan(&self, ordinal: Ordinal) -> Option<&TaskPlan> {
        self.plan.task(self.task(ordinal)?.of)
    }

    /// The tool that the task's present rung calls, if it calls one, and what repeating that would do.
    pub fn called_tool(&self, ordinal: Ordinal) -> Option<(&str, Effect)> {
        match self.asked_call(ordinal) {
            Some(asked) => Some((&asked.tool, asked.effect)),
            None => self.planned_call(ordinal).map(|call| (call.tool.as_str(), call.effect)),
        }
    }

    /// What the tool is given where no input was rendered: the arguments that an agent wrote, or the
    /// plan's own text.
    pub fn given_input(&self, ordinal: Ordinal) -> Option<Body> {
        match self.asked_call(ordinal) {
            Some(asked) => Some(asked.input.clone()),
            None => self.planned_call(ordinal).map(|call| Body::Inline(Json::of(&call.with))),
        }
    }

    /// The call that the plan names for the task's present rung.
    fn planned_call(&self, ordinal: Ordinal) -> Option<&ToolCall> {
        let plan = self.task_plan(ordinal)?;
        match self.task(ordinal)?.rung.checked_sub(1) {
            Some(fallback) => plan.fallback.get(fallback as usize),
            None => match &plan.work {
                Work::Tool(call) => Some(call),
                Work::Human(_)
                | Work::Wait(_)
                | Work::Emit(_)
                | Work::Workflow(_)
                | Work::Worker(_)
                | Work::Agent(_) => None,
            },
        }
    }

    /// The call that an agent asked for, of which this is the task.
    pub fn asked_call(&self, ordinal: Ordinal) -> Option<&AskedCall> {
        let (block, index) = self.item(ordinal)?;
        match &block.of {
            BlockOf::Each { .. } => None,
            BlockOf::Calls(calls) => calls.get(index as usize),
        }
    }

    /// What the task's present rung has an agent do.
    pub fn agent_call(&self, ordinal: Ordinal) -> Option<&AgentCall> {
        let task = self.task(ordinal).filter(|task| task.rung == 0 && !task.is_call)?;
        match &self.plan.task(task.of)?.work {
            Work::Agent(call) => Some(call),
            Work::Tool(_)
            | Work::Human(_)
            | Work::Wait(_)
            | Work::Emit(_)
            | Work::Workflow(_)
            | Work::Worker(_) => None,
        }
    }

    /// What workers may take of the task's present rung, if it is work for them.
    pub fn worker_call(&self, ordinal: Ordinal) -> Option<&WorkerCall> {
        match &self.task_plan(ordinal)?.work {
            Work::Worker(call) if self.task(ordinal)?.rung == 0 => Some(call),
            Work::Worker(_)
            | Work::Tool(_)
            | Work::Human(_)
            | Work::Wait(_)
            | Work::Emit(_)
            | Work::Workflow(_)
            | Work::Agent(_) => None,
        }
    }

    /// What doing the task's present rung again would do.
    pub fn effect(&self, ordinal: Ordinal) -> Effect {
        let called = self.called_tool(ordinal).map(|(_, effect)| effect);
        let leased = || self.worker_call(ordinal).map(|call| call.effect);
        called.or_else(leased).unwrap_or(Effect::Idempotent)
    }

    /// The lease under which the task's present attempt is outside.
    pub fn lease(&self, ordinal: Ordinal) -> Option<&Lease> {
        match &self.task(ordinal)?.phase {
            TaskPhase::Executing { lease, .. } => lease.as_ref(),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Expanded { .. }
            | TaskPhase::Waiting { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => None,
        }
    }

    /// The items block an ordinal belongs to, and its index there.
    pub fn item(&self, ordinal: Ordinal) -> Option<(&Items, u32)> {
        let at = self.items.partition_point(|items| items.first <= ordinal).checked_sub(1)?;
        let items = self.items.get(at)?;
        let index = ordinal.0.checked_sub(items.first.0)?;
        (index < items.count).then_some((items, index))
    }

    /// The items of an `each` task that was expanded.
    pub fn items_of(&self, parent: Ordinal) -> Option<&Items> {
        let present = |items: &&Items| items.parent == parent && !items.superseded;
        self.items.iter().rev().find(|items| present(items) && items.is_each())
    }

    /// Counts over its tasks.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What executes now.
    pub fn executing(&self) -> impl Iterator<Item = Ordinal> + '_ {
        self.executing.iter().copied()
    }

    /// What waits now.
    pub fn waiting(&self) -> impl Iterator<Item = (Ordinal, &Waiting)> + '_ {
        self.waiting.iter().filter_map(|ordinal| match &self.task(*ordinal)?.phase {
            TaskPhase::Waiting { on, .. } => Some((*ordinal, on)),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => None,
        })
    }

    /// Takes the tasks that became ready since the last call.
    pub fn take_ready(&mut self) -> Vec<Ordinal> {
        std::mem::take(&mut self.newly_ready)
    }

    /// Takes the tasks whose rows changed since the last call.
    pub fn take_changed(&mut self) -> Vec<Ordinal> {
        std::mem::take(&mut self.changed)
    }

    /// Whether tasks may start now.
    pub fn may_start(&self) -> bool {
        matches!(self.phase, Phase::Running { failing: None })
    }

    /// Whether the run is over but for its output: nothing runs or waits, and nothing can start.
    pub fn is_settled(&self) -> bool {
        if !self.executing.is_empty() || !self.waiting.is_empty() || !self.gathered.is_empty() {
            return false;
        }
        match &self.phase {
            Phase::Running { failing } | Phase::Paused { failing, .. } => {
                failing.is_some() || self.tally.open == 0
            }
            Phase::Cancelling { .. } => true,
            Phase::Draft { .. } | Phase::PendingReview | Phase::Queued | Phase::Ended(_) => false,
        }
    }

    /// Whether the run ended.
    pub fn ended(&self) -> Option<&Ended> {
        match &self.phase {
            Phase::Ended(ended) => Some(ended),
            Phase::Draft { .. }
            | Phase::PendingReview
            | Phase::Queued
            | Phase::Running { .. }
            | Phase::Paused { .. }
            | Phase::Cancelling { .. } => None,
        }
    }

    /// The public word of where the run stands.
    pub fn status(&self) -> WorkflowStatus {
        match &self.phase {
            Phase::Draft { .. } => WorkflowStatus::Draft,
            Phase::PendingReview => WorkflowStatus::PendingReview,
            Phase::Queued => WorkflowStatus::Queued,
            Phase::Running { .. } => WorkflowStatus::Running,
            Phase::Paused { .. } => WorkflowStatus::Paused,
            Phase::Cancelling { .. } => WorkflowStatus::Cancelling,
            Phase::Ended(ended) => ended.outcome.status(),
        }
    }

    /// Time the present run has used up to `now`, without what it spent waiting for people.
    pub fn time_used(&self, now: Timestamp) -> Duration {
        if self.is_busy() { self.used + now.since(self.updated_at) } else { self.used }
    }

    /// How many tasks may start and have not.
    pub fn ready(&self) -> u32 {
        self.ready
    }

    /// How many tasks wait for a person.
    pub fn waiting_people(&self) -> u32 {
        self.waiting_people
    }

    /// Counts over the tasks of each stage.
    pub fn stage_counts(&self) -> &[StageCount] {
        &self.stage_counts
    }

    /// The earliest stage that is not done.
    pub fn current_stage(&self) -> Option<String> {
        Some(self.plan.stages.get(self.barrier as usize)?.name.clone())
    }

    /// A task's key; an item's has its index behind it, `scan[3]`, a call its agent's and its number,
    /// `review(7)`.
    pub fn key_of(&self, ordinal: Ordinal) -> String {
        let Some((block, index)) = self.item(ordinal) else {
            return self.task_plan(ordinal).map_or("?", |plan| plan.key.as_str()).to_owned();
        };
        let parent = self.key_of(block.parent);
        if block.is_each() {
            return format!("{parent}[{index}]");
        }
        let of_agent = |other: &&Items| other.parent == block.parent && !other.is_each();
        let earlier =
            self.items.iter().filter(of_agent).take_while(|other| other.first < block.first);
        let before: u32 = earlier.map(|other| other.count).sum();
        format!("{parent}({})", before + index + 1)
    }

    /// Whether time counts against the budget: something runs, or could.
    pub fn is_busy(&self) -> bool {
        match self.phase {
            Phase::Running { .. } | Phase::Cancelling { .. } => {
                let waiting_people = self.waiting_people as usize;
                !self.executing.is_empty() || self.ready > 0 || self.waiting.len() > waiting_people
            }
            Phase::Draft { .. }
            | Phase::PendingReview
            | Phase::Queued
            | Phase::Paused { .. }
            | Phase::Ended(_) => false,
        }
    }
}
