//! What is known of one workflow while its run goes on: where its tasks come from, and which of them
//! and of their attempts have begun.
//!
//! It takes events in their order and reads nothing itself. What becomes of something that ends is
//! `ending.rs`.

use std::collections::{BTreeMap, HashMap};

use baton_core::agent::Usage;
use baton_core::body::Body;
use baton_core::ids::{ConversationId, Ordinal, TaskId, WorkflowId};
use baton_core::time::Timestamp;
use baton_core::workflow::{Admitted, AskedCall, Event, TaskStarted};
use baton_engine::ports::span_id;
use baton_engine::wording::Wording;

/// What is known of a workflow.
#[derive(Debug)]
pub(crate) struct Story {
    pub id: WorkflowId,
    pub conversation: ConversationId,
    /// Its definition's name and version.
    pub definition: (String, u32),
    /// The task whose child it is.
    pub parent: Option<TaskId>,
    pub wording: Wording,
    /// The number of its run, from 1.
    pub run: u32,
    /// When that began: its admission, or the retry.
    pub began: Timestamp,
    /// Tasks that were made at run time, by the first of them.
    pub blocks: BTreeMap<Ordinal, Block>,
    /// Tasks that have begun and not ended.
    pub open: HashMap<Ordinal, Open>,
}

/// Tasks that were made at run time, one behind the other.
#[derive(Debug)]
pub(crate) enum Block {
    /// From the elements of a list.
    Items { of: Ordinal, count: u32 },
    /// From the calls that an agent asked for.
    Calls { agent: Ordinal, asked: Vec<AskedCall> },
}

/// A task that has begun.
#[derive(Debug)]
pub(crate) struct Open {
    pub began: Timestamp,
    /// The call it makes, while it makes one.
    pub attempt: Option<Attempt>,
    /// What an agent's turns have used, and which model was asked last.
    pub used: Usage,
    pub model: Option<String>,
    /// What it is told with its next turn; where it was asked something or has to ask again.
    told: Option<Body>,
}

/// An attempt that has begun and calls somebody.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub number: u32,
    pub began: Timestamp,
    pub what: What,
}

/// What an attempt does.
#[derive(Debug)]
pub(crate) enum What {
    /// A model is asked, `provider/name`, and told a message that is new.
    Model { model: String, told: Option<Body> },
    /// A tool is called; an agent's call has its provider's id.
    Tool { tool: String, id: Option<String>, arguments: Body },
    /// A worker outside does it.
    Work,
}

/// Where a task comes from.
pub(crate) enum Origin<'s> {
    Plan(Ordinal),
    Item { of: Ordinal, index: u32 },
    Call { agent: Ordinal, asked: &'s AskedCall },
}

impl Story {
    /// Of a workflow that was admitted.
    pub fn new(
        admitted: &Admitted,
        at: Timestamp,
        definition: (String, u32),
        wording: Wording,
    ) -> Self {
        Self {
            id: admitted.id,
            conversation: admitted.conversation,
            definition,
            parent: admitted.parent,
            wording,
            run: 1,
            began: at,
            blocks: BTreeMap::new(),
            open: HashMap::new(),
        }
    }

    /// Notes what an event begins.
    pub fn begin(&mut self, at: Timestamp, event: &Event) {
        if let Event::TaskStarted(started) = event {
            self.begin_attempt(at, started);
        } else if let Event::TaskExpanded(expanded) = event {
            self.open(expanded.task, at);
            let block = Block::Items { of: expanded.task, count: expanded.count };
            self.add(expanded.first, expanded.task, block);
        } else if let Event::TaskAnswered(answered) = event {
            let open = self.open(answered.task, at);
            open.used += answered.usage;
            open.told.clone_from(&answered.again);
            if let Some(first) = answered.first {
                let (agent, asked) = (answered.task, answered.calls.clone());
                self.add(first, agent, Block::Calls { agent, asked });
            }
        } else if let Event::TaskWaited(waited) = event {
            self.open(waited.task, at);
        } else if let Event::TaskEmitted(emitted) = event {
            self.open(emitted.task, at);
        } else if let Event::Retried(retried) = event {
            (self.run, self.began) = (retried.run, at);
        }
    }

    /// Notes tasks that were made at run time. They lie behind what made them: looking where one comes
    /// from ends, whatever a journal says.
    fn add(&mut self, first: Ordinal, of: Ordinal, block: Block) {
        if of < first {
            self.blocks.insert(first, block);
        }
    }

    fn begin_attempt(&mut self, at: Timestamp, started: &TaskStarted) {
        let tool = self.tool(started);
        let open = self.open(started.task, at);
        let what = match (&started.model, tool) {
            (Some(call), _) => {
                open.model = Some(call.model.clone());
                let told = started.input.clone().or_else(|| open.told.take());
                What::Model { model: call.model.clone(), told }
            }
            (None, Some(tool)) => tool,
            (None, None) if started.lease.is_some() => What::Work,
            // It waits, emits or asks: nobody is called, and the task's own span says it all.
            (None, None) => return,
        };
        open.attempt = Some(Attempt { number: started.attempt, began: at, what });
    }

    fn open(&mut self, task: Ordinal, at: Timestamp) -> &mut Open {
        let new =
            || Open { began: at, attempt: None, used: Usage::default(), model: None, told: None };
        self.open.entry(task).or_insert_with(new)
    }

    /// The tool that an attempt calls, if it calls one.
    fn tool(&self, started: &TaskStarted) -> Option<What> {
        let of = match self.origin(started.task) {
            Origin::Call { asked, .. } => {
                let (tool, id) = (asked.tool.clone(), Some(asked.id.clone()));
                return Some(What::Tool { tool, id, arguments: asked.input.clone() });
            }
            Origin::Plan(of) | Origin::Item { of, .. } => of,
        };
        let call = self.wording.call(of, started.rung)?;
        // Without an input, the plan's own text was it.
        let input = started.input.clone();
        let arguments = input.unwrap_or_else(|| Body::Inline(call.with.clone()));
        Some(What::Tool { tool: call.tool.to_string(), id: None, arguments })
    }

    /// Where a task comes from.
    pub fn origin(&self, task: Ordinal) -> Origin<'_> {
        let Some((first, block)) = self.blocks.range(..=task).next_back() else {
            return Origin::Plan(task);
        };
        let index = task.0.saturating_sub(first.0);
        match block {
            Block::Items { of, count } if index < *count => Origin::Item { of: *of, index },
            Block::Calls { agent, asked } => match asked.get(index as usize) {
                Some(asked) => Origin::Call { agent: *agent, asked },
                None => Origin::Plan(task),
            },
            Block::Items { .. } => Origin::Plan(task),
        }
    }

    /// The task of the plan that a task is, or is an item of, and the key under which people know it.
    pub fn named(&self, task: Ordinal) -> (Ordinal, String) {
        let (of, suffix) = match self.origin(task) {
            Origin::Plan(of) => (of, String::new()),
            Origin::Item { of, index } => (of, format!("[{index}]")),
            Origin::Call { agent, asked } => {
                let (of, key) = self.named(agent);
                return (of, format!("{key}({})", asked.id));
            }
        };
        (of, format!("{}{suffix}", self.wording.key(of).unwrap_or("task")))
    }

    /// The span of the run. The first one's is that which the whole trace begins with.
    pub fn run_span(&self) -> u64 {
        self.span_of(&self.id.to_string())
    }

    /// The span of a task in this run.
    pub fn task_span(&self, task: Ordinal) -> u64 {
        self.span_of(&self.id.task(task).to_string())
    }

    /// Attempts are counted over all runs; what holds them begins anew with each.
    fn span_of(&self, name: &str) -> u64 {
        match self.run {
            1 => span_id(name),
            run => span_id(&format!("{name}:run:{run}")),
        }
    }

    /// The span that an attempt's calls pass on, as [`CallContext`](baton_engine::ports::CallContext)
    /// has it.
    pub fn attempt_span(&self, task: Ordinal, attempt: u32) -> u64 {
        span_id(&format!("{}:{attempt}", self.id.task(task)))
    }
}
