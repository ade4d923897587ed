//! One task with what its attempts did, read from its events.

use baton_core::body::{Body, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::plan::{Plan, TaskPlan, Work};
use baton_core::time::Timestamp;
use baton_core::words::{AttemptStatus, FailureKind, HumanKind};
use baton_core::workflow::question::Shape;
use baton_core::workflow::rows::WorkflowCard;
use baton_core::workflow::{AskedCall, Event, Next, Output, TaskAnswered};
use baton_engine::inbox::{Wanted, question};
use baton_engine::live::read_event;
use baton_engine::store::{Record, StoreError, Views};
use baton_engine::transcript::{Transcript, agent_of};
use baton_engine::turn_view::{AgentView, agent_view};
use baton_engine::view::{TaskView, text_of};
use serde::Serialize;
use serde_json::Value;

/// How many events are read at a time.
const EVENTS_AT_ONCE: u32 = 1_000;

/// A task with what its attempts did.
#[derive(Clone, Debug, Serialize)]
pub struct TaskDetail {
    /// The task as lists show it.
    #[serde(flatten)]
    pub task: TaskView,
    /// Its workflow.
    pub workflow_id: WorkflowId,
    /// What a person is asked, while the task waits for one.
    pub ask: Option<String>,
    /// The shape of their answer.
    pub answer: Option<HumanKind>,
    /// `choice`: the options.
    pub options: Vec<String>,
    /// `form`: a JSON Schema object of the answer.
    pub form: Option<Value>,
    /// What the task brought; of an `each`, its items have it.
    pub output: Option<Json>,
    /// Why it failed.
    pub failure: Option<CallFailure>,
    /// What its agent did in sum, where it has one: `…/transcript` tells it turn by turn.
    pub agent: Option<AgentView>,
    /// Its attempts over all runs, oldest first.
    pub calls: Vec<CallView>,
    /// The task of the plan that it is, or is made for.
    #[serde(skip)]
    pub of: Ordinal,
}

/// A task that was looked at.
pub(crate) struct Looked {
    /// As it is shown.
    pub detail: TaskDetail,
    /// What its agent did, where it has one.
    pub transcript: Option<Transcript>,
}

/// One attempt.
#[derive(Clone, Debug, Serialize)]
pub struct CallView {
    /// Its number, from 1, over all runs.
    pub attempt: u32,
    /// The tool it called, if it called one.
    pub tool: Option<String>,
    /// The model it called, if it called one: `provider/name`.
    pub model: Option<String>,
    /// What the tool was given.
    pub input: Option<Json>,
    /// How it ended, or that it has not.
    pub status: AttemptStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    pub failure: Option<CallFailure>,
}

/// What is gathered from a task's events.
struct Gathered<'p> {
    task: Ordinal,
    planned: Option<&'p TaskPlan>,
    /// What an agent asked for, of a call that one asked for.
    call: Option<AskedCall>,
    transcript: Option<Transcript>,
    /// 0 is the work itself, `n` its `n`th fallback.
    rung: usize,
    calls: Vec<CallView>,
    output: Option<Body>,
    failure: Option<CallFailure>,
    /// What the running call asks.
    asked: Option<Shape>,
}

/// A task with its calls. Reads the workflow's events once through.
pub(crate) fn detail(
    card: &WorkflowCard,
    plan: &Plan,
    task: TaskView,
    views: &mut dyn Views,
) -> Result<Looked, StoreError> {
    let rows = views.tasks(card.number)?;
    let row = rows.into_iter().find(|row| row.ordinal == task.ordinal);
    let of = row.as_ref().map_or(task.ordinal, |row| row.of);
    // A call is its agent's, and none of the plan.
    let planned = plan.task(of).filter(|_| task.call_of.is_none());
    let agent = agent_of(plan, of).filter(|_| task.call_of.is_none());
    let gathered = Gathered {
        task: task.ordinal,
        planned,
        call: None,
        transcript: agent.map(|_| Transcript::new(task.ordinal)),
        rung: 0,
        calls: Vec::new(),
        output: None,
        failure: None,
        asked: None,
    };
    let gathered = gathered.gather(card.number, views)?;
    let waits = row.filter(|_| task.waits_for.is_some());
    let ask = waits.map(|row| question(&row, views)).transpose()?.filter(|ask| !ask.is_empty());
    let work = planned.map(|planned| &planned.work);
    let call = gathered.call.as_ref();
    let wanted = task.waits_for.and_then(|on| Wanted::of_task(call, work, on));
    let (answer, form) = match gathered.asked {
        Some(Shape::Form(form)) => (Some(HumanKind::Form), Some(form)),
        Some(Shape::Url(_)) => (Some(HumanKind::Approval), None),
        None => (wanted.map(|wanted| wanted.kind), wanted.and_then(|wanted| wanted.form.cloned())),
    };
    let output = gathered.output.map(|body| text_of(&body, views)).transpose()?;
    let transcript = gathered.transcript;
    let sum = transcript.as_ref().zip(agent).map(|(done, agent)| agent_view(done, agent));
    let detail = TaskDetail {
        workflow_id: card.id,
        ask,
        answer,
        options: wanted.map_or_else(Vec::new, |wanted| wanted.options.to_vec()),
        form,
        output,
        failure: gathered.failure,
        agent: sum,
        calls: gathered.calls,
        of,
        task,
    };
    Ok(Looked { detail, transcript })
}

impl Gathered<'_> {
    /// Reads the workflow's events once through.
    fn gather(mut self, number: u64, views: &mut dyn Views) -> Result<Self, StoreError> {
        let mut after = 0;
        loop {
            let records = views.events(after, Some(number), EVENTS_AT_ONCE)?;
            let Some(last) = records.last() else {
                return Ok(self);
            };
            after = last.position;
            for record in &records {
                let event = read_event(record)?;
                if let Some(transcript) = &mut self.transcript {
                    transcript.take(record, &event);
                }
                self.find_call(&event);
                let again =
                    matches!(&event, Event::Retried(retried) if retried.tasks.contains(&self.task));
                if again || event.task() == Some(self.task) {
                    self.take(record, event, views)?;
                }
            }
        }
    }

    /// Whether an agent asks for the task.
    fn find_call(&mut self, event: &Event) {
        let Event::TaskAnswered(TaskAnswered { first: Some(first), calls, .. }) = event else {
            return;
        };
        let index = self.task.index().checked_sub(first.index());
        if let Some(call) = index.and_then(|index| calls.get(index)) {
            let refused = call.refused.as_ref();
            self.failure = refused.map(|why| CallFailure::refused(FailureKind::Refused, why));
            self.call = Some(call.clone());
        }
    }

    /// The tool that is called, and what it is given where nothing was rendered.
    fn called(&self) -> Option<(String, Body)> {
        if let Some(call) = &self.call {
            return Some((call.tool.clone(), call.input.clone()));
        }
        let planned = self.planned?;
        let call = match (self.rung.checked_sub(1), &planned.work) {
            (Some(fallback), _) => planned.fallback.get(fallback)?,
            (None, Work::Tool(call)) => call,
            (
                None,
                Work::Human(_)
                | Work::Wait(_)
                | Work::Emit(_)
                | Work::Workflow(_)
                | Work::Worker(_)
                | Work::Agent(_),
            ) => return None,
        };
        Some((call.tool.clone(), Body::Inline(Json::of(&call.with))))
    }

    // Long because it names every event.
    fn take(
        &mut self,
        record: &Record,
        event: Event,
        views: &mut dyn Views,
    ) -> Result<(), StoreError> {
        match event {
            Event::TaskStarted(started) => {
                let called = self.called();
                let with = || called.as_ref().map(|(_, with)| with.clone());
                let input = started.input.or_else(with);
                self.calls.push(CallView {
                    attempt: started.attempt,
                    tool: called.map(|(tool, _)| tool),
                    model: started.model.map(|call| call.model),
                    input: input.map(|body| text_of(&body, views)).transpose()?,
                    status: AttemptStatus::Executing,
                    started_at: record.at,
                    ended_at: None,
                    failure: None,
                });
            }
            Event::TaskCompleted(done) => {
                self.end(record.at, AttemptStatus::Completed, None);
                self.failure = None;
                self.output = match done.output {
                    Output::Value(body) => Some(body),
                    Output::Items { .. } => None,
                };
            }
            Event::AttemptFailed(failed) => {
                self.end(record.at, failed.status, Some(failed.failure));
                self.rung += usize::from(failed.next == Next::Fallback);
            }
            Event::TaskFailed(failed) => {
                self.failure = Some(failed.failure.clone());
                self.end(
                    record.at,
                    failed.status.unwrap_or(AttemptStatus::Failed),
                    Some(failed.failure),
                );
            }
            Event::TaskCancelled(_) => self.end(record.at, AttemptStatus::Cancelled, None),
            Event::Retried(_) => {
                (self.rung, self.output, self.failure) = (0, None, None);
            }
            Event::TaskAnswered(_) => self.end(record.at, AttemptStatus::Completed, None),
            Event::TaskEmitted(emitted) => {
                self.end(record.at, AttemptStatus::Completed, None);
                self.output = Some(emitted.data);
            }
            Event::QuestionAsked(asked) => self.asked = Some(asked.question.shape),
            Event::QuestionAnswered(_) | Event::QuestionWithdrawn(_) => self.asked = None,
            Event::Admitted(_)
            | Event::Approved(_)
            | Event::SentBack(_)
            | Event::Started(_)
            | Event::Paused(_)
            | Event::Resumed(_)
            | Event::CancelRequested(_)
            | Event::Finished(_)
            | Event::ClockSet(_)
            | Event::PlanEdited(_)
            | Event::EditUndone(_)
            | Event::Conversation(_)
            | Event::TaskWaited(_)
            | Event::TaskExpanded(_)
            | Event::TaskSkipped(_)
            | Event::CallUndone(_)
            | Event::CallApproved(_)
            | Event::BudgetRaised(_)
            | Event::ModelChanged(_)
            | Event::TranscriptCompacted(_)
            | Event::DefinitionRegistered(_)
            | Event::Purged(_)
            | Event::BatchPurged(_)
            | Event::DefinitionRemoved(_)
            | Event::EventReceived(_)
            | Event::TriggerFired(_)
            | Event::TokenCreated(_)
            | Event::TokenRevoked(_)
            | Event::ServerReleased(_) => {}
        }
        Ok(())
    }

    /// Ends the newest attempt, unless it has ended.
    fn end(&mut self, at: Timestamp, status: AttemptStatus, failure: Option<CallFailure>) {
        let open = self.calls.last_mut().filter(|call| call.ended_at.is_none());
        if let Some(call) = open {
            (call.ended_at, call.status, call.failure) = (Some(at), status, failure);
        }
    }
}
