//! A state as it is kept beside the journal, so that taking a workflow up reads only what came after.
//!
//! A cache: a snapshot of another shape, or one that does not fit its plan, is worth nothing and the
//! stream is folded instead. What follows from the tasks' phases is not in it but counted anew.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounts::{Account, Amount, BudgetScope};
use super::edits::Edits;
use super::graph::Graph;
use super::question::Asked;
use super::state::{
    AgentRun, AskedCall, BlockOf, Items, Lease, Output, Phase, Tally, Task, TaskPhase, Waiting,
    WorkflowState,
};
use crate::actor::Actor;
use crate::agent::Spending;
use crate::body::{BlobHash, Body, Json};
use crate::failure::CallFailure;
use crate::ids::{ConversationId, Ordinal, ProjectId, TaskId, WorkflowId};
use crate::plan::Plan;
use crate::time::Timestamp;
use crate::words::{Origin, SkipCause};

/// The shape snapshots are written in. It is raised with every change of what a state holds or of
/// what an event does to it: unlike events, snapshots of another shape are not read.
pub const SNAPSHOT_SHAPE: u8 = 3;

/// A state at one version of its stream. Made in time of the number of tasks; bodies are shared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The workflow.
    pub id: WorkflowId,
    /// The version of its stream.
    pub revision: u64,
    /// The plan's blob.
    pub plan: BlobHash,
    conversation: ConversationId,
    origin: Origin,
    priority: u8,
    parent: Option<TaskId>,
    // Absent in what was kept before projects existed, and then none: such a state is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<ProjectId>,
    // Absent in what was kept before triggers existed, and then 0: such a state is whole.
    #[serde(default, skip_serializing_if = "is_zero")]
    hops: u8,
    // Absent in what was kept before conversations existed, and then none: such a state is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reports_to: Option<u64>,
    folder: Option<Arc<str>>,
    // Absent in what was kept before models were called, and then none: such a state is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Actor>,
    #[serde(default, skip_serializing_if = "Spending::is_none")]
    spent: Spending,
    inputs: Body,
    run: u32,
    phase: Phase,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    updated_at: Timestamp,
    // Absent in what was kept before plans could be edited, and then none: such a state is whole.
    #[serde(default, skip_serializing_if = "Edits::is_none")]
    edits: Edits,
    used_ms: u64,
    account: Account,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    granted_above: Vec<(BudgetScope, Amount)>,
    items: Vec<Block>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    agents: Vec<(Ordinal, Box<AgentRun>)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approved: Vec<(Ordinal, BlobHash)>,
    tasks: Vec<Kept>,
    /// The tasks whose tool is being called, by ordinal, each with the position of the event with
    /// which its call began. A state knows no positions: its owner adds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<(Ordinal, u64)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(hops: &u8) -> bool {
    *hops == 0
}

/// The items of one `each`, or the calls of one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Block {
    parent: Ordinal,
    first: Ordinal,
    count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<Body>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calls: Option<Arc<[AskedCall]>>,
    superseded: bool,
}

/// A task: attempts, tries, lost ones, rung, when it started, where it stands, what it asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept(
    u32,
    u32,
    u32,
    u32,
    Option<Millis>,
    Stand,
    // Absent in what was kept before calls could ask, and where none has: such a state is whole.
    #[serde(default, skip_serializing_if = "Asked::is_none")] Asked,
);

/// A time as a number: there are two of them for each task, and texts would be most of the work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Millis(i64);

/// Where a task stands, in short words for the same reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Stand {
    #[serde(rename = "p")]
    Pending,
    #[serde(rename = "r")]
    Ready,
    #[serde(rename = "x")]
    Executing(Millis),
    #[serde(rename = "l")]
    Leased(Millis, Lease),
    #[serde(rename = "e")]
    Expanded(Millis),
    #[serde(rename = "w")]
    Waiting(Millis, Waiting),
    #[serde(rename = "v")]
    Value(Millis, Json),
    #[serde(rename = "o")]
    Other(Millis, Output),
    #[serde(rename = "f")]
    Failed(Millis, Arc<CallFailure>),
    #[serde(rename = "s")]
    Skipped(Millis, SkipCause),
    #[serde(rename = "c")]
    Cancelled(Millis),
}

impl From<Timestamp> for Millis {
    fn from(time: Timestamp) -> Self {
        Self(time.as_millis())
    }
}

impl From<Millis> for Timestamp {
    fn from(Millis(millis): Millis) -> Self {
        Self::from_millis(millis)
    }
}

impl WorkflowState {
    /// The state as it is now, of a workflow whose plan has this hash.
    pub fn snapshot(&self, plan: BlobHash) -> Snapshot {
        let agents = (0..).map(Ordinal).zip(&self.tasks);
        let agents = agents.filter_map(|(task, facts)| Some((task, facts.agent.clone()?)));
        let approved = (0..).map(Ordinal).zip(&self.tasks);
        let approved = approved.filter_map(|(task, facts)| Some((task, facts.approved?)));
        Snapshot {
            id: self.id,
            revision: self.revision,
            plan,
            conversation: self.conversation,
            origin: self.origin,
            priority: self.priority,
            parent: self.parent,
            project: self.project,
            hops: self.hops,
            reports_to: self.reports_to,
            folder: self.folder.clone(),
            user: self.user.clone(),
            spent: self.spent,
            inputs: self.inputs.clone(),
            run: self.run,
            phase: self.phase.clone(),
            created_at: self.created_at,
            started_at: self.started_at,
            updated_at: self.updated_at,
            edits: self.edits.clone(),
            used_ms: u64::try_from(self.used.as_millis()).unwrap_or(u64::MAX),
            account: self.account,
            granted_above: self.granted_above.iter().map(|(scope, by)| (*scope, *by)).collect(),
            approved: approved.collect(),
            items: self.items.iter().map(Block::of).collect(),
            agents: agents.collect(),
            tasks: self.tasks.iter().map(Kept::of).collect(),
            calls: Vec::new(),
        }
    }

    /// The state a snapshot was made of; `None` where it does not fit the plan.
    pub fn restored(snapshot: Snapshot, plan: Arc<Plan>, graph: Arc<Graph>) -> Option<Self> {
        let of = snapshot.ordinals(&plan)?;
        let mut tasks: Vec<Task> =
            snapshot.tasks.into_iter().zip(of).map(|(kept, of)| kept.task(of)).collect();
        let items: Vec<Items> =
            snapshot.items.into_iter().map(Block::items).collect::<Option<_>>()?;
        for call in items.iter().filter(|items| !items.is_each()).flat_map(Items::range) {
            tasks.get_mut(call.index())?.is_call = true;
        }
        for (task, run) in snapshot.agents {
            tasks.get_mut(task.index())?.agent = Some(run);
        }
        for (task, digest) in snapshot.approved {
            tasks.get_mut(task.index())?.approved = Some(digest);
        }
        let mut state = Self {
            id: snapshot.id,
            conversation: snapshot.conversation,
            origin: snapshot.origin,
            priority: snapshot.priority,
            parent: snapshot.parent,
            project: snapshot.project,
            hops: snapshot.hops,
            reports_to: snapshot.reports_to,
            folder: snapshot.folder,
            user: snapshot.user,
            plan,
            graph,
            inputs: snapshot.inputs,
            run: snapshot.run,
            revision: snapshot.revision,
            phase: snapshot.phase,
            created_at: snapshot.created_at,
            started_at: snapshot.started_at,
            updated_at: snapshot.updated_at,
            edits: snapshot.edits,
            used: Duration::from_millis(snapshot.used_ms),
            account: snapshot.account,
            granted_above: snapshot.granted_above.into_iter().collect(),
            spent: snapshot.spent,
            tally: Tally::default(),
            tasks,
            items,
            stage_open: Vec::new(),
            stage_counts: Vec::new(),
            barrier: 0,
            broken: None,
            executing: BTreeSet::new(),
            waiting: BTreeSet::new(),
            waiting_people: 0,
            ready: 0,
            changed: Vec::new(),
            newly_ready: Vec::new(),
            doomed: BTreeSet::new(),
            gathered: BTreeSet::new(),
        };
        state.reindex();
        state.take_changed();
        Some(state)
    }
}

impl Snapshot {
    /// With the tool calls that are under way.
    pub fn with_calls(self, calls: Vec<(Ordinal, u64)>) -> Self {
        Self { calls, ..self }
    }

    /// As bytes: a checksum, and what it is of, compressed.
    pub fn pack(&self) -> Result<Vec<u8>, serde_json::Error> {
        let packed = lz4_flex::compress_prepend_size(&serde_json::to_vec(self)?);
        Ok([&BlobHash::of(&packed).0, packed.as_slice()].concat())
    }

    /// What was packed; `None` where the bytes are not what they were, or of another shape.
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let (checksum, packed) = bytes.split_first_chunk::<32>()?;
        if BlobHash::of(packed).0 != *checksum {
            return None;
        }
        let text = lz4_flex::decompress_size_prepended(packed).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Of each task, the task of the plan that it is or is an item of; `None` where the tasks are
    /// not those of the plan with the items behind them.
    fn ordinals(&self, plan: &Plan) -> Option<Vec<Ordinal>> {
        let planned = u32::try_from(plan.tasks.len()).ok()?;
        let mut of: Vec<Ordinal> = (0..planned).map(Ordinal).collect();
        for block in &self.items {
            let fits = block.first.index() == of.len()
                && (block.parent.0 < planned || block.calls.is_some())
                && block.count as usize <= self.tasks.len();
            let parent = of.get(block.parent.index()).copied().filter(|_| fits)?;
            of.extend(std::iter::repeat_n(parent, block.count as usize));
        }
        (of.len() == self.tasks.len()).then_some(of)
    }
}

impl Block {
    fn of(items: &Items) -> Self {
        let (list, calls) = match &items.of {
            BlockOf::Each { list } => (Some(list.clone()), None),
            BlockOf::Calls(calls) => (None, Some(Arc::clone(calls))),
        };
        let Items { parent, first, count, superseded, .. } = *items;
        Self { parent, first, count, list, calls, superseded }
    }

    fn items(self) -> Option<Items> {
        let Self { parent, first, count, list, calls, superseded } = self;
        let of = match (list, calls) {
            (Some(list), None) => BlockOf::Each { list },
            (None, Some(calls)) => BlockOf::Calls(calls),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        Some(Items { parent, first, count, open: 0, failed: 0, running: 0, of, superseded })
    }
}

impl Kept {
    fn of(task: &Task) -> Self {
        let stand = match &task.phase {
            TaskPhase::Pending => Stand::Pending,
            TaskPhase::Ready => Stand::Ready,
            TaskPhase::Executing { since, lease: None } => Stand::Executing((*since).into()),
            TaskPhase::Executing { since, lease: Some(lease) } => {
                Stand::Leased((*since).into(), lease.clone())
            }
            TaskPhase::Expanded { since } => Stand::Expanded((*since).into()),
            TaskPhase::Waiting { since, on } => Stand::Waiting((*since).into(), on.clone()),
            TaskPhase::Completed { at, output: Output::Value(Body::Inline(json)) } => {
                Stand::Value((*at).into(), json.clone())
            }
            TaskPhase::Completed { at, output } => Stand::Other((*at).into(), output.clone()),
            TaskPhase::Failed { at, failure } => Stand::Failed((*at).into(), Arc::clone(failure)),
            TaskPhase::Skipped { at, cause } => Stand::Skipped((*at).into(), *cause),
            TaskPhase::Cancelled { at } => Stand::Cancelled((*at).into()),
        };
        let started = task.started_at.map(Millis::from);
        Self(task.attempts, task.tries, task.lost, task.rung, started, stand, task.asked)
    }

    fn task(self, of: Ordinal) -> Task {
        let Self(attempts, tries, lost, rung, started, stand, asked) = self;
        let phase = match stand {
            Stand::Pending => TaskPhase::Pending,
            Stand::Ready => TaskPhase::Ready,
            Stand::Executing(since) => TaskPhase::Executing { since: since.into(), lease: None },
            Stand::Leased(since, lease) => {
                TaskPhase::Executing { since: since.into(), lease: Some(lease) }
            }
            Stand::Expanded(since) => TaskPhase::Expanded { since: since.into() },
            Stand::Waiting(since, on) => TaskPhase::Waiting { since: since.into(), on },
            Stand::Value(at, json) => {
                TaskPhase::Completed { at: at.into(), output: Output::Value(Body::Inline(json)) }
            }
            Stand::Other(at, output) => TaskPhase::Completed { at: at.into(), output },
            Stand::Failed(at, failure) => TaskPhase::Failed { at: at.into(), failure },
            Stand::Skipped(at, cause) => TaskPhase::Skipped { at: at.into(), cause },
            Stand::Cancelled(at) => TaskPhase::Cancelled { at: at.into() },
        };
        let started_at = started.map(Timestamp::from);
        Task { attempts, tries, lost, rung, asked, started_at, phase, ..Task::new(of) }
    }
}
