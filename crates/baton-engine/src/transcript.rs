//! What an agent did, gathered from its workflow's events: every call of a model, what it was told and
//! said, what came of the calls it asked for, and what that used and cost.
//!
//! A function of the journal alone: bodies are named here, and read where they are shown.

use std::collections::HashMap;

use baton_core::agent::{Cost, Usage};
use baton_core::body::Body;
use baton_core::failure::CallFailure;
use baton_core::ids::Ordinal;
use baton_core::plan::{AgentCall, Plan, Work};
use baton_core::time::Timestamp;
use baton_core::words::{AttemptStatus, Happened, TaskStatus};
use baton_core::workflow::{
    AskedCall, CallEnd, Event, ModelCall, Next, Output, TaskAnswered, TaskStarted,
};

use crate::live::read_event;
use crate::react::LOST_WITH_OWNER;
use crate::store::{Record, StoreError, Views};

/// How many events are read at a time.
const EVENTS_AT_ONCE: u32 = 1_000;

/// One call of a model: an attempt of an agent's task.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Its number, over all runs.
    pub attempt: u32,
    /// The run it belongs to.
    pub run: u32,
    /// What was called.
    pub model: ModelCall,
    /// How it ended, or that it has not.
    pub status: AttemptStatus,
    /// Why it failed; of one that was answered, why the answer ended the task.
    pub failure: Option<CallFailure>,
    /// How often the process had died before, with attempts of this workflow under way.
    pub restarts: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What the model is told that it was not told before, beside results of calls.
    pub asked: Option<Body>,
    /// What it said.
    pub answer: Option<Answer>,
}

/// What a model said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// A message of the transcript.
    pub message: Body,
    /// As the provider counted it.
    pub usage: Usage,
    /// The calls it asks for.
    pub calls: Vec<CallMade>,
}

/// A call that an agent asked for, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct CallMade {
    /// Its task.
    pub task: Ordinal,
    /// Its number over all answers of the agent, from 1.
    pub number: u32,
    /// What was asked for.
    pub asked: AskedCall,
    /// Where it stands.
    pub status: TaskStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first tried.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub end: Option<CallEnd>,
}

/// Everything that a task's agent did, over all runs.
#[derive(Clone, Debug)]
pub struct Transcript {
    task: Ordinal,
    /// Every call of a model, oldest first.
    pub turns: Vec<Turn>,
    run: u32,
    /// Told the model with its next turn.
    pending: Option<Body>,
    /// The first task of each answer's calls, and the place of its turn.
    asked: Vec<(Ordinal, usize)>,
    calls: u32,
    /// Where the attempts of the workflow began that have not ended.
    open: HashMap<Ordinal, u64>,
    restarts: u32,
    restarted: u64,
}

/// What an agent's task did in sum, over all runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sum {
    /// Answers.
    pub turns: u32,
    /// Calls it asked for.
    pub calls: u32,
    /// What its answers used.
    pub usage: Usage,
    /// What they cost; `None` where the price of one is not known.
    pub cost: Option<Cost>,
    /// Calls of a model that were cut off: they may have been billed.
    pub cut_off: u32,
    /// How often the process died since it began.
    pub restarts: u32,
}

/// What a task of the plan has an agent do.
pub fn agent_of(plan: &Plan, of: Ordinal) -> Option<&AgentCall> {
    match &plan.task(of)?.work {
        Work::Agent(agent) => Some(agent),
        Work::Tool(_)
        | Work::Human(_)
        | Work::Wait(_)
        | Work::Emit(_)
        | Work::Workflow(_)
        | Work::Worker(_) => None,
    }
}

impl Turn {
    /// Whether it was called, and nobody knows what that used.
    pub fn is_possibly_billed(&self) -> bool {
        let happened = self.failure.as_ref().map(|failure| failure.happened);
        let cut_off = match happened {
            Some(Happened::No) => false,
            Some(Happened::Unknown | Happened::Yes) => true,
            None => self.status == AttemptStatus::Cancelled,
        };
        self.ended_at.is_some() && self.answer.is_none() && cut_off
    }

    /// What it cost, by the prices that the plan was admitted with; `None` where that is not known.
    pub fn cost(&self, agent: &AgentCall) -> Option<Cost> {
        let model = agent.models.iter().find(|model| model.name == self.model.model)?;
        Some(model.price?.of(&self.answer.as_ref()?.usage))
    }

    fn end(&mut self, at: Timestamp, status: AttemptStatus, failure: Option<CallFailure>) {
        // What it failed of stays, whatever its task fails of later.
        self.failure = self.failure.take().or(failure);
        if self.ended_at.is_none() {
            (self.ended_at, self.status) = (Some(at), status);
        }
    }
}

impl CallMade {
    fn new(task: Ordinal, number: u32, asked: AskedCall, at: Timestamp) -> Self {
        let refused = asked.refused.clone();
        Self {
            task,
            number,
            status: if refused.is_some() { TaskStatus::Failed } else { TaskStatus::Ready },
            attempts: 0,
            started_at: None,
            ended_at: refused.as_ref().map(|_| at),
            end: refused.map(CallEnd::Error),
            asked,
        }
    }

    fn ended(&mut self, at: Timestamp, status: TaskStatus, end: Option<CallEnd>) {
        (self.status, self.ended_at, self.end) = (status, Some(at), end);
    }

    fn take(&mut self, at: Timestamp, event: &Event) {
        if let Event::TaskStarted(started) = event {
            (self.status, self.attempts) = (TaskStatus::Executing, started.attempt);
            self.started_at.get_or_insert(at);
        } else if let Event::TaskCompleted(done) = event {
            let end = match &done.output {
                Output::Value(body) => Some(CallEnd::Output(body.clone())),
                Output::Items { .. } => None,
            };
            self.ended(at, TaskStatus::Completed, end);
        } else if let Event::TaskFailed(failed) = event {
            let error = failed.failure.message.clone();
            self.ended(at, TaskStatus::Failed, Some(CallEnd::Error(error)));
        } else if let Event::TaskSkipped(_) = event {
            self.ended(at, TaskStatus::Skipped, None);
        } else if let Event::TaskCancelled(_) = event {
            self.ended(at, TaskStatus::Cancelled, None);
        } else if let Event::AttemptFailed(failed) = event {
            self.status = match failed.next {
                Next::Repeat | Next::Fallback | Next::Model => TaskStatus::Ready,
                Next::Retry { .. } | Next::InDoubt => TaskStatus::Waiting,
            };
        } else if let Event::TaskWaited(_) | Event::QuestionAsked(_) = event {
            self.status = TaskStatus::Waiting;
        } else if let Event::QuestionAnswered(_) | Event::QuestionWithdrawn(_) = event {
            self.status = TaskStatus::Executing;
        } else if let Event::CallUndone(_) = event {
            self.status = TaskStatus::Ready;
        }
    }
}

impl Transcript {
    /// Of a task that has done nothing yet.
    pub fn new(task: Ordinal) -> Self {
        Self {
            task,
            turns: Vec::new(),
            run: 1,
            pending: None,
            asked: Vec::new(),
            calls: 0,
            open: HashMap::new(),
            restarts: 0,
            restarted: 0,
        }
    }

    /// Of a workflow's task. Reads the workflow's events once through.
    pub fn read(number: u64, task: Ordinal, views: &mut dyn Views) -> Result<Self, StoreError> {
        let mut transcript = Self::new(task);
        let mut after = 0;
        loop {
            let records = views.events(after, Some(number), EVENTS_AT_ONCE)?;
            let Some(last) = records.last() else { return Ok(transcript) };
            after = last.position;
            for record in &records {
                transcript.take(record, &read_event(record)?);
            }
        }
    }

    /// Takes in the next event of the workflow.
    pub fn take(&mut self, record: &Record, event: &Event) {
        self.watch(record, event);
        let task = event.task();
        if let Event::Retried(retried) = event {
            self.run = retried.run;
        } else if let Event::Finished(_) = event {
            self.finish(record.at);
        } else if task == Some(self.task) {
            self.take_own(record.at, event);
        } else if let Some(call) = task.and_then(|task| self.call_mut(task)) {
            call.take(record.at, event);
        }
    }

    /// What is known of restarts: attempts that began before one and were lost with their owner.
    fn watch(&mut self, record: &Record, event: &Event) {
        if let Event::TaskStarted(started) = event {
            self.open.insert(started.task, record.position);
        } else if let Some((task, (_, failure))) = event.task().zip(event.attempt_end())
            && let Some(began) = self.open.remove(&task)
            && failure.is_some_and(|failure| failure.message == LOST_WITH_OWNER)
            && began > self.restarted
        {
            (self.restarts, self.restarted) = (self.restarts + 1, record.position);
        }
    }

    fn take_own(&mut self, at: Timestamp, event: &Event) {
        if let Event::TaskStarted(TaskStarted { attempt, input, model, .. }) = event {
            let Some(model) = model.clone() else { return };
            self.turns.push(Turn {
                attempt: *attempt,
                run: self.run,
                model,
                status: AttemptStatus::Executing,
                failure: None,
                restarts: self.restarts,
                started_at: at,
                ended_at: None,
                asked: self.pending.take().or(input.clone()),
                answer: None,
            });
        } else if let Event::TaskAnswered(answered) = event {
            self.answer(at, answered);
        } else if let Some((status, failure)) = event.attempt_end()
            && let Some(turn) = self.turns.last_mut()
        {
            turn.end(at, status, failure.cloned());
        }
    }

    fn answer(&mut self, at: Timestamp, answered: &TaskAnswered) {
        let place = self.turns.len().saturating_sub(1);
        let Some(turn) = self.turns.last_mut() else { return };
        let mut calls = Vec::new();
        if let Some(first) = answered.first {
            self.asked.push((first, place));
            for (task, asked) in (first.0..).map(Ordinal).zip(&answered.calls) {
                self.calls = self.calls.saturating_add(1);
                calls.push(CallMade::new(task, self.calls, asked.clone(), at));
            }
        }
        let (message, usage) = (answered.message.clone(), answered.usage);
        turn.answer = Some(Answer { message, usage, calls });
        turn.end(at, AttemptStatus::Completed, None);
        self.pending.clone_from(&answered.again);
    }

    fn call_mut(&mut self, task: Ordinal) -> Option<&mut CallMade> {
        let at = self.asked.partition_point(|(first, _)| *first <= task).checked_sub(1)?;
        let (first, place) = *self.asked.get(at)?;
        let answer = self.turns.get_mut(place)?.answer.as_mut()?;
        answer.calls.get_mut(task.index().checked_sub(first.index())?)
    }

    /// The run is over: what was open ended with it.
    fn finish(&mut self, at: Timestamp) {
        self.pending = None;
        self.open.clear();
        let Some(turn) = self.turns.last_mut() else { return };
        if turn.ended_at.is_none() {
            turn.end(at, AttemptStatus::Cancelled, None);
        }
        for call in turn.answer.iter_mut().flat_map(|answer| &mut answer.calls) {
            if call.ended_at.is_none() {
                call.ended(at, TaskStatus::Cancelled, None);
            }
        }
    }

    /// In sum.
    pub fn sum(&self, agent: &AgentCall) -> Sum {
        let mut sum = Sum { cost: Some(Cost::default()), ..Sum::default() };
        for turn in &self.turns {
            sum.cut_off += u32::from(turn.is_possibly_billed());
            let Some(answer) = &turn.answer else { continue };
            sum.turns += 1;
            sum.calls = sum.calls.saturating_add(u32::try_from(answer.calls.len()).unwrap_or(0));
            sum.usage += answer.usage;
            sum.cost = sum.cost.zip(turn.cost(agent)).map(|(sum, cost)| sum.plus(cost));
        }
        // Nothing was bought, at whatever price.
        sum.cost = sum.cost.filter(|_| sum.turns > 0);
        let before = self.turns.first().map_or(self.restarts, |turn| turn.restarts);
        sum.restarts = self.restarts.saturating_sub(before);
        sum
    }
}
