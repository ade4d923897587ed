//! Tasks that are made while a workflow runs, as its journal tells of them: the items of an `each`, and
//! the calls that an agent asks for. Which event made a task, and what it is called.
//!
//! What an agent asked for stays in the journal: it is looked up when it is told of, and only the
//! answers that were seen last are kept.

use std::collections::HashMap;
use std::sync::Arc;

use baton_core::codes::Code;
use baton_core::ids::Ordinal;
use baton_core::plan::{Plan, Work};
use baton_core::workflow::{AskedCall, Event, EventKind, TaskAnswered};

use crate::live::read_event;
use crate::store::{Record, StoreError, Views};

/// How many events are read at a time.
const EVENTS_AT_ONCE: u32 = 1_000;
/// How many bytes of answers are kept.
const ANSWERS_BYTES_MAX: usize = 8 << 20;

/// Tasks that one event made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The task they were made for.
    pub parent: Ordinal,
    /// The first of them.
    pub first: Ordinal,
    /// How many.
    pub count: u32,
    /// What they are.
    pub made: Made,
}

/// What tasks are that were made while a workflow runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// The items of an `each`.
    Items,
    /// Calls that an agent asked for.
    Calls {
        /// The position of its answer.
        answer: u64,
        /// How many calls it had asked for before.
        before: u32,
    },
}

/// A call among those that an agent asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The position of the answer that asked for it.
    pub answer: u64,
    /// Its place there.
    pub index: u32,
    /// Its number over all answers of the agent, from 1.
    pub number: u32,
}

/// Where a task comes from: the plan, an expansion, or an agent's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provenance {
    /// The task of the plan.
    pub of: Ordinal,
    /// An item's place in its list; of a call, that of the agent which asked for it.
    pub index: Option<u32>,
    /// The call that it is.
    pub asked: Option<Asked>,
}

/// All tasks that a workflow has made, up to some position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    /// In the order of their ordinals, which is that of the journal.
    all: Vec<Block>,
    /// How many calls each agent has asked for.
    asked: HashMap<Ordinal, u32>,
    /// What was made up to this position is known.
    known: u64,
}

impl Provenance {
    /// Of a task of the plan itself.
    pub fn planned(of: Ordinal) -> Self {
        Self { of, index: None, asked: None }
    }

    /// The key of a task whose plan calls it `planned`: an item has its index behind it, `scan[3]`, a
    /// call its agent's key and its number, `review(7)`.
    pub fn key(self, planned: &str) -> String {
        let mut key = planned.to_owned();
        if let Some(index) = self.index {
            key.push_str(&format!("[{index}]"));
        }
        if let Some(asked) = self.asked {
            key.push_str(&format!("({})", asked.number));
        }
        key
    }
}

impl Blocks {
    /// Of a workflow, up to its newest event.
    pub fn scan(number: u64, views: &mut dyn Views) -> Result<Self, StoreError> {
        Self::scan_with(number, views, &mut |_| {})
    }

    /// The same; each event that makes tasks is seen.
    fn scan_with(
        number: u64,
        views: &mut dyn Views,
        see: &mut dyn FnMut(Event),
    ) -> Result<Self, StoreError> {
        let mut blocks = Self::default();
        loop {
            let records = views.events(blocks.known, Some(number), EVENTS_AT_ONCE)?;
            let Some(last) = records.last() else { return Ok(blocks) };
            for record in &records {
                // What cannot be read made nothing that could be shown.
                let Some(event) = makes(record).then(|| read_event(record).ok()).flatten() else {
                    continue;
                };
                blocks.add(record.position, Some(&event));
                see(event);
            }
            blocks.known = last.position;
        }
    }

    /// Up to which position what was made is known.
    pub fn known(&self) -> u64 {
        self.known
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Takes in the event of a record, if nothing is missing before it.
    pub fn learn(&mut self, record: &Record, event: Option<&Event>) {
        if record.previous <= self.known && self.known < record.position {
            self.add(record.position, event);
            self.known = record.position;
        }
    }

    fn add(&mut self, position: u64, event: Option<&Event>) {
        let block = match event {
            Some(Event::TaskExpanded(made)) => {
                let (parent, first, count) = (made.task, made.first, made.count);
                Block { parent, first, count, made: Made::Items }
            }
            Some(Event::TaskAnswered(answered)) => {
                let Some(first) = answered.first else { return };
                let count = u32::try_from(answered.calls.len()).unwrap_or(u32::MAX);
                let asked = self.asked.entry(answered.task).or_default();
                let made = Made::Calls { answer: position, before: *asked };
                *asked = asked.saturating_add(count);
                Block { parent: answered.task, first, count, made }
            }
            Some(_) | None => return,
        };
        self.all.push(block);
    }

    /// Where a task comes from that is none of the plan, whose tasks are `planned` many.
    pub fn origin(&self, task: Ordinal, planned: usize) -> Option<Provenance> {
        if task.index() < planned {
            return Some(Provenance::planned(task));
        }
        let at = self.all.partition_point(|block| block.first <= task).checked_sub(1)?;
        let block = self.all.get(at)?;
        let index = task.0.checked_sub(block.first.0).filter(|index| *index < block.count)?;
        // A block is made for a task that was there before it.
        let parent = Some(block.parent).filter(|parent| *parent < block.first)?;
        let parent = self.origin(parent, planned)?;
        Some(match block.made {
            Made::Items => Provenance { index: Some(index), ..parent },
            Made::Calls { answer, before } => {
                let number = before.saturating_add(index).saturating_add(1);
                Provenance { asked: Some(Asked { answer, index, number }), ..parent }
            }
        })
    }
}

fn makes(record: &Record) -> bool {
    [EventKind::TaskExpanded, EventKind::TaskAnswered].map(Code::code).contains(&record.kind)
}

/// A call that an agent asked for, as a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallTask {
    /// Its ordinal.
    pub ordinal: Ordinal,
    /// The task of the agent.
    pub agent: Ordinal,
    /// Where it comes from.
    pub origin: Provenance,
    /// The tool's name, as the model wrote it.
    pub tool: String,
}

/// Every call that agents of a workflow asked for, in the order of ordinals. Reads its events once
/// through, if its plan has agents.
pub(crate) fn call_tasks(
    number: u64,
    plan: &Plan,
    views: &mut dyn Views,
) -> Result<Vec<CallTask>, StoreError> {
    if !plan.tasks.iter().any(|task| matches!(task.work, Work::Agent(_))) {
        return Ok(Vec::new());
    }
    let mut asked = Vec::new();
    let blocks = Blocks::scan_with(number, views, &mut |event| {
        if let Event::TaskAnswered(TaskAnswered { task, first: Some(first), calls, .. }) = event {
            let tools = calls.into_iter().map(|call| call.tool);
            asked.extend((first.0..).map(Ordinal).zip(tools).map(|made| (task, made)));
        }
    })?;
    let planned = plan.tasks.len();
    let task = |(agent, (ordinal, tool))| {
        let origin = blocks.origin(ordinal, planned)?;
        Some(CallTask { ordinal, agent, origin, tool })
    };
    Ok(asked.into_iter().filter_map(task).collect())
}

/// What agents asked for, in the answers that were seen last.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    seen: HashMap<u64, Arc<[AskedCall]>>,
    bytes: usize,
}

impl Answers {
    /// Sees an answer go by.
    pub fn see(&mut self, record: &Record, event: &Event) {
        if let Event::TaskAnswered(answered) = event
            && answered.first.is_some()
        {
            self.keep(record, answered.calls.as_slice().into());
        }
    }

    /// A call that an agent asked for in an answer of this stream.
    pub fn call(
        &mut self,
        stream: u64,
        asked: Asked,
        views: &mut dyn Views,
    ) -> Result<Option<AskedCall>, StoreError> {
        let of = |calls: &Arc<[AskedCall]>| calls.get(asked.index as usize).cloned();
        if let Some(calls) = self.seen.get(&asked.answer) {
            return Ok(of(calls));
        }
        let found = views.events(asked.answer.saturating_sub(1), Some(stream), 1)?;
        let Some(record) = found.first().filter(|record| record.position == asked.answer) else {
            return Ok(None);
        };
        let Event::TaskAnswered(answered) = read_event(record)? else { return Ok(None) };
        Ok(of(&self.keep(record, answered.calls.into())))
    }

    fn keep(&mut self, record: &Record, calls: Arc<[AskedCall]>) -> Arc<[AskedCall]> {
        if self.bytes > ANSWERS_BYTES_MAX {
            (self.seen, self.bytes) = (HashMap::new(), 0);
        }
        if self.seen.insert(record.position, Arc::clone(&calls)).is_none() {
            self.bytes += record.body.len();
        }
        calls
    }
}
