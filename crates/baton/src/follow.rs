//! Follows one workflow: takes its events as they are committed and folds them, so that what is
//! shown is the journal's truth and nothing else. Where they come from is not known here.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use baton_core::definition::NESTING_MAX;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::plan::{Plan, Work};
use baton_core::time::Timestamp;
use baton_core::words::WorkflowStatus;
use baton_core::workflow::{Event, Graph, Phase, Task, TaskPhase, Waiting, WorkflowState};
use baton_engine::chunks::Chunk;
use baton_engine::said::Said;

use crate::display::ChildProgress;
use crate::exit::Failed;
use crate::outside::Outside;
use crate::reading::{Reading, ShownEvent};

/// How many events are read at a time.
const BATCH: u32 = 1_000;
/// How long the first event may take. It is committed before anybody can name its workflow, but a
/// server may go away before it tells it.
const FIRST_MAX: Duration = Duration::from_secs(10 * 60);

/// A workflow's events, in order, each once.
pub trait Feed {
    /// What was committed behind what came before; waits for it at most so long.
    fn next(&mut self, wait: Duration) -> anyhow::Result<News>;
}

/// What a feed brings.
#[derive(Debug)]
pub enum News {
    /// Events; there may be more at once.
    Events(Vec<ShownEvent>),
    /// Pieces of what models say, behind the events that came before.
    Texts(Vec<Chunk>),
    /// None, in the time it had.
    Nothing,
    /// None, and no more by this way: the owner has ended.
    OwnerEnded,
}

/// Events as they are read, page by page, and again at each piece of news.
pub struct Pages {
    reading: Box<dyn Reading>,
    id: WorkflowId,
    cursor: u64,
    /// Whether the last page was the end; then nothing is read before there is news.
    at_end: bool,
    news: Option<Receiver<u64>>,
}

impl Pages {
    /// Of a workflow from its first event on; without news, what there is and no more.
    pub fn new(reading: Box<dyn Reading>, id: WorkflowId, news: Option<Receiver<u64>>) -> Self {
        Self { reading, id, cursor: 0, at_end: false, news }
    }

    fn read(&mut self) -> anyhow::Result<Option<News>> {
        let events = self.reading.events(self.id, self.cursor, BATCH)?;
        self.at_end = events.len() < BATCH as usize;
        let Some(last) = events.last() else { return Ok(None) };
        self.cursor = last.position();
        Ok(Some(News::Events(events)))
    }
}

impl Feed for Pages {
    fn next(&mut self, wait: Duration) -> anyhow::Result<News> {
        if !self.at_end
            && let Some(news) = self.read()?
        {
            return Ok(news);
        }
        let Some(news) = &self.news else { return Ok(News::OwnerEnded) };
        let nothing = match news.recv_timeout(wait) {
            Ok(_) | Err(RecvTimeoutError::Timeout) => News::Nothing,
            // Its last commit may have come after what was read.
            Err(RecvTimeoutError::Disconnected) => News::OwnerEnded,
        };
        Ok(self.read()?.unwrap_or(nothing))
    }
}

/// A workflow as its events tell it.
pub struct Follower {
    /// The state after the events that came so far.
    pub state: WorkflowState,
    reading: Box<dyn Reading>,
    feed: Box<dyn Feed>,
    /// What models said, where that came with the events.
    texts: Vec<Chunk>,
}

/// Why nothing more will happen to a workflow for now.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// Its run has ended.
    Ended,
    /// Only people can make it go on.
    People,
}

/// What is handed on of each event: the state after it, and the event.
pub type Each<'e> = dyn FnMut(&WorkflowState, &ShownEvent, &Event) + 'e;

impl Follower {
    /// Follows the workflow of this plan from its first event on.
    pub fn begin(
        plan: Plan,
        reading: Box<dyn Reading>,
        mut feed: Box<dyn Feed>,
        each: &mut Each<'_>,
    ) -> anyhow::Result<Self> {
        let began = Instant::now();
        let first = loop {
            match feed.next(FIRST_MAX)? {
                News::Events(events) if !events.is_empty() => break events,
                News::Events(_) | News::Texts(_) | News::Nothing if began.elapsed() < FIRST_MAX => {
                }
                News::Events(_) | News::Texts(_) | News::Nothing | News::OwnerEnded => {
                    let message =
                        "the first event of the workflow did not come; `baton watch` follows it";
                    return Err(Failed::unreachable(anyhow!(message)).into());
                }
            }
        };
        let state = begun(plan, &first)?;
        let mut follower = Self { state, reading, feed, texts: Vec::new() };
        if let Some((first, others)) = first.split_first() {
            each(&follower.state, first, &first.event()?);
            follower.take(others, each)?;
        }
        Ok(follower)
    }

    /// Applies what comes within `wait`, and hands each event on. Whether the feed goes on.
    pub fn catch_up(&mut self, wait: Duration, each: &mut Each<'_>) -> anyhow::Result<Going> {
        match self.feed.next(wait)? {
            News::Events(events) => self.take(&events, each).map(|()| Going::On),
            News::Texts(texts) => {
                self.texts.extend(texts);
                Ok(Going::On)
            }
            News::Nothing => Ok(Going::On),
            News::OwnerEnded => Ok(Going::Over),
        }
    }

    fn take(&mut self, events: &[ShownEvent], each: &mut Each<'_>) -> anyhow::Result<()> {
        for shown in events.iter().filter(|shown| !shown.is_call()) {
            let event = shown.event()?;
            apply(&mut self.state, &event, shown.time, self.reading.as_mut())?;
            each(&self.state, shown, &event);
        }
        Ok(())
    }

    /// What models said since this was last asked, where that comes with the events.
    pub fn texts(&mut self) -> Vec<Chunk> {
        std::mem::take(&mut self.texts)
    }

    /// A reader of where the workflow is.
    pub fn reading(&mut self) -> &mut dyn Reading {
        self.reading.as_mut()
    }

    /// Whether nothing will happen by itself; `None` also where more has happened than has come.
    pub fn rest(&mut self) -> anyhow::Result<Option<Rest>> {
        let Some(rest) = rest(&self.state, self.reading.as_mut(), 0)? else { return Ok(None) };
        let newest = self.reading.brief(self.state.id)?;
        let is_newest = newest.is_none_or(|newest| newest.revision <= self.state.revision);
        Ok(is_newest.then_some(rest))
    }

    /// How far the children are that tasks wait for, at most so many.
    pub fn children(&mut self, most: usize) -> anyhow::Result<Vec<ChildProgress>> {
        let mut children = Vec::new();
        for (task, on) in self.state.waiting() {
            let Waiting::Child { child } = on else { continue };
            if children.len() == most {
                break;
            }
            let Some(child) = self.reading.brief(*child)? else { continue };
            let completed = (child.agents_completed, child.agents_total);
            children.push(ChildProgress { key: self.state.key_of(task), completed });
        }
        Ok(children)
    }

    /// The workflow and the children it waits for, those that ask people something.
    pub fn asking(&mut self) -> anyhow::Result<Vec<WorkflowState>> {
        let mut found = Vec::new();
        let mut look = vec![(self.state.clone(), 0)];
        while let Some((state, depth)) = look.pop() {
            for (_, on) in state.waiting() {
                let Waiting::Child { child } = on else { continue };
                let child = if depth < NESTING_MAX { self.state_of(*child)? } else { None };
                look.extend(child.map(|child| (child, depth + 1)));
            }
            if state.waiting().any(|(_, on)| on.is_for_people()) {
                found.push(state);
            }
        }
        Ok(found)
    }

    /// What the workflow waits for that its owner cannot bring.
    /// `told` is what is said of a workflow's tasks just now.
    pub fn outside(
        &mut self,
        told: &mut dyn FnMut(WorkflowId) -> Vec<Said>,
    ) -> anyhow::Result<Outside> {
        Outside::of(&self.state, &mut |child| read_state(child, self.reading.as_mut()), told)
    }

    fn state_of(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowState>> {
        read_state(id, self.reading.as_mut())
    }
}

/// Whether more can come by a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// It can.
    On,
    /// The owner has ended.
    Over,
}

/// Whether commits of other workflows, its children, are news to whoever follows it.
pub fn has_children(plan: &Plan) -> bool {
    plan.tasks.iter().any(|task| matches!(task.work, Work::Workflow(_)))
}

/// The state that the first event of a workflow makes.
fn begun(plan: Plan, events: &[ShownEvent]) -> anyhow::Result<WorkflowState> {
    let first = events.first().map(|first| Ok::<_, anyhow::Error>((first.event()?, first.time)));
    let Some((Event::Admitted(admitted), at)) = first.transpose()? else {
        let message = "the events of the workflow do not begin with its admission";
        return Err(Failed::unreachable(anyhow!(message)).into());
    };
    let graph = Arc::new(Graph::of(&plan));
    Ok(WorkflowState::admitted(&admitted, Arc::new(plan), graph, at))
}

/// Applies an event. A plan that was edited is read as it is by now: edits that came after are told by
/// events of their own, and before the first run nothing depends on the ones between.
fn apply(
    state: &mut WorkflowState,
    event: &Event,
    at: Timestamp,
    reading: &mut dyn Reading,
) -> anyhow::Result<()> {
    if event.new_plan().is_some() {
        let plan = reading.plan(state.id)?;
        let graph = Arc::new(Graph::of(&plan));
        state.replan(Arc::new(plan), graph);
    }
    state.evolve(event, at);
    Ok(())
}

/// A workflow as all its events tell it; `None` where they were purged.
fn read_state(id: WorkflowId, reading: &mut dyn Reading) -> anyhow::Result<Option<WorkflowState>> {
    if reading.brief(id)?.is_none_or(|workflow| workflow.purged_at.is_some()) {
        return Ok(None);
    }
    let mut events = reading.events(id, 0, BATCH)?;
    let mut state = begun(reading.plan(id)?, &events)?;
    events.drain(..1);
    loop {
        for shown in events.iter().filter(|shown| !shown.is_call()) {
            apply(&mut state, &shown.event()?, shown.time, reading)?;
        }
        let Some(last) = events.last() else { return Ok(Some(state)) };
        events = reading.events(id, last.position(), BATCH)?;
    }
}

fn rest(
    state: &WorkflowState,
    reading: &mut dyn Reading,
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
                && all_held(state, reading, depth)?;
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

/// Whether every wait is for people, or for a child that itself waits for nothing else.
fn all_held(
    state: &WorkflowState,
    reading: &mut dyn Reading,
    depth: usize,
) -> anyhow::Result<bool> {
    for (task, on) in state.waiting() {
        let held = match on {
            Waiting::Person { .. }
            | Waiting::Question { .. }
            | Waiting::InDoubt { .. }
            | Waiting::Approval { .. }
            | Waiting::Budget { .. } => true,
            Waiting::Timer { .. } | Waiting::Event { .. } => false,
            Waiting::Child { child } => {
                let plan = match state.task_plan(task).map(|plan| &plan.work) {
                    Some(Work::Workflow(child)) => Some(child.plan.as_ref()),
                    Some(
                        Work::Tool(_)
                        | Work::Human(_)
                        | Work::Wait(_)
                        | Work::Emit(_)
                        | Work::Worker(_)
                        | Work::Agent(_),
                    )
                    | None => None,
                };
                depth < NESTING_MAX && is_child_held(*child, plan, reading, depth)?
            }
        };
        if !held {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_child_held(
    id: WorkflowId,
    plan: Option<&Plan>,
    reading: &mut dyn Reading,
    depth: usize,
) -> anyhow::Result<bool> {
    let Some(child) = reading.brief(id)? else {
        return Ok(false);
    };
    // Its row tells most of what its events would; of its own children it says nothing.
    if child.tasks_waiting_for_people == 0
        && child.status != WorkflowStatus::Paused
        && !plan.is_some_and(has_children)
    {
        return Ok(false);
    }
    match read_state(id, reading)? {
        Some(state) => Ok(rest(&state, reading, depth + 1)? == Some(Rest::People)),
        None => Ok(false),
    }
}
