//! What a plan calls things: the little of it that showing a workflow or an event needs.
//!
//! A plan of 100,000 tasks takes a tenth of a second to read; whoever shows workflows again and again
//! keeps this of it: descriptions, keys, and what is called with which input. It says nothing of how
//! tasks hang together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use baton_core::body::{BlobHash, Json};
use baton_core::ids::Ordinal;
use baton_core::plan::{Budget, Plan, TaskPlan, ToolCall, Work};
use baton_core::time::Span;

use crate::store::{StoreError, Views};
use crate::view::plan_at;

/// How many bytes are kept, about, of the plans that were last asked for.
const BYTES_MAX: usize = 64 << 20;
/// What a task takes beside its texts.
const TASK_BYTES: usize = 64;

/// The words of one plan.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    description: Option<Arc<str>>,
    time_max: Option<Span>,
    budget: Budget,
    keys: Arc<[Box<str>]>,
    calls: Arc<[Rungs]>,
    agents: Arc<BTreeMap<Ordinal, Box<str>>>,
    bytes: usize,
}

/// What a task calls: its work, where that is a tool, and its fallbacks.
type Rungs = (Option<CallWords>, Box<[CallWords]>);

/// A call as the plan has it. What is written alike is kept once.
#[derive(Clone, Debug)]
pub struct CallWords {
    /// `server.tool`.
    pub tool: Arc<str>,
    /// Templates of its input.
    pub with: Json,
}

impl Wording {
    /// Of a plan, without what its tasks call.
    pub fn of(plan: &Plan) -> Self {
        let keys: Arc<[Box<str>]> =
            plan.tasks.iter().map(|task| Box::from(task.key.as_str())).collect();
        let agents = agents_of(plan);
        let bytes: usize = keys.iter().map(|key| key.len() + TASK_BYTES).sum();
        let bytes = bytes + agents.len() * TASK_BYTES;
        let description = plan.description.as_deref().map(Arc::from);
        let (calls, agents) = (Arc::default(), Arc::new(agents));
        let (time_max, budget) = (plan.time_max, plan.budget);
        Self { description, time_max, budget, keys, calls, agents, bytes }
    }

    fn with_calls(plan: &Plan) -> Self {
        let mut seen = Seen::default();
        let calls = plan.tasks.iter().map(|task| seen.rungs(task)).collect();
        let words = Self::of(plan);
        Self { calls, bytes: words.bytes + seen.bytes, ..words }
    }

    /// What the plan is for.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// How long a run may take, and what its agents may use.
    pub fn bounds(&self) -> (Option<Span>, &Budget) {
        (self.time_max, &self.budget)
    }

    /// How many tasks the plan has.
    pub(crate) fn tasks(&self) -> usize {
        self.keys.len()
    }

    /// The key of a task of the plan; items and agents' calls are none.
    pub fn key(&self, task: Ordinal) -> Option<&str> {
        self.keys.get(task.index()).map(|key| &**key)
    }

    /// What a task of the plan calls on a rung: 0 is the work itself, `n` its `n`th fallback.
    pub fn call(&self, task: Ordinal, rung: u32) -> Option<&CallWords> {
        let (work, fallback) = self.calls.get(task.index())?;
        match rung.checked_sub(1) {
            None => work.as_ref(),
            Some(at) => fallback.get(at as usize),
        }
    }

    /// The agent that does a task of the plan, where one does.
    pub fn agent(&self, task: Ordinal) -> Option<&str> {
        self.agents.get(&task).map(|agent| &**agent)
    }

    /// The keys of the tasks that agents do, in the order of the plan.
    pub fn agents(&self) -> Vec<&str> {
        self.agents.keys().filter_map(|task| self.key(*task)).collect()
    }
}

fn agents_of(plan: &Plan) -> BTreeMap<Ordinal, Box<str>> {
    let tasks = (0..).map(Ordinal).zip(&plan.tasks);
    let agent = |(at, task): (Ordinal, &TaskPlan)| match &task.work {
        Work::Agent(call) => Some((at, Box::from(call.agent.as_str()))),
        Work::Tool(_)
        | Work::Human(_)
        | Work::Wait(_)
        | Work::Emit(_)
        | Work::Workflow(_)
        | Work::Worker(_) => None,
    };
    tasks.filter_map(agent).collect()
}

/// What was met of a plan: most of its calls are written alike.
#[derive(Default)]
struct Seen {
    tools: BTreeMap<String, Arc<str>>,
    inputs: BTreeMap<String, Json>,
    bytes: usize,
}

impl Seen {
    fn rungs(&mut self, task: &TaskPlan) -> Rungs {
        let work = match &task.work {
            Work::Tool(call) => Some(self.words(call)),
            Work::Human(_)
            | Work::Wait(_)
            | Work::Emit(_)
            | Work::Workflow(_)
            | Work::Worker(_)
            | Work::Agent(_) => None,
        };
        (work, task.fallback.iter().map(|call| self.words(call)).collect())
    }

    fn words(&mut self, call: &ToolCall) -> CallWords {
        self.bytes += TASK_BYTES;
        let tool = match self.tools.get(&call.tool) {
            Some(tool) => Arc::clone(tool),
            None => {
                let tool: Arc<str> = Arc::from(call.tool.as_str());
                self.tools.insert(call.tool.clone(), Arc::clone(&tool));
                tool
            }
        };
        let with = Json::of(&call.with);
        if let Some(known) = self.inputs.get(with.as_str()) {
            return CallWords { tool, with: known.clone() };
        }
        self.bytes += with.as_str().len();
        self.inputs.insert(with.as_str().to_owned(), with.clone());
        CallWords { tool, with }
    }
}

/// The words of the plans that were last asked for, shared by all who show things of one store.
#[derive(Debug, Default)]
pub struct Wordings {
    newest_last: Mutex<Vec<(BlobHash, Wording)>>,
}

impl Wordings {
    /// Of the plan under this hash, with what its tasks call.
    pub fn of(&self, plan: BlobHash, views: &mut dyn Views) -> Result<Wording, StoreError> {
        let known = self.newest_last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, wording)) = known.iter().find(|(hash, _)| *hash == plan) {
            return Ok(wording.clone());
        }
        drop(known);
        let wording = Wording::with_calls(&plan_at(plan, views)?);
        let mut known = self.newest_last.lock().unwrap_or_else(PoisonError::into_inner);
        known.push((plan, wording.clone()));
        let mut bytes: usize = known.iter().map(|(_, wording)| wording.bytes).sum();
        while bytes > BYTES_MAX && known.len() > 1 {
            let (_, oldest) = known.remove(0);
            bytes -= oldest.bytes;
        }
        Ok(wording)
    }
}
