//! One task with what its attempts did, read from its events.

use baton_core::body::{Body, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::plan::{Plan, TaskPlan, ToolCall, Work};
use baton_core::time::Timestamp;
use baton_core::words::{AttemptStatus, HumanKind};
use baton_core::workflow::question::Shape;
use baton_core::workflow::rows::WorkflowCard;
use baton_core::workflow::{Event, Next, Output};
use baton_engine::inbox::{Wanted, question};
use baton_engine::live::read_event;
use baton_engine::store::{Record, StoreError, Views};
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
    /// Its attempts over all runs, oldest first.
    pub calls: Vec<CallView>,
}

/// One attempt.
#[derive(Clone, Debug, Serialize)]
pub struct CallView {
    /// Its number, from 1, over all runs.
    pub attempt: u32,
    /// The tool it called, if it called one.
    pub tool: Option<String>,
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
    planned: Option<&'p TaskPlan>,
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
) -> Result<TaskDetail, StoreError> {
    let rows = views.tasks(card.number)?;
    let row = rows.into_iter().find(|row| row.ordinal == task.ordinal);
    let planned = plan.task(row.as_ref().map_or(task.ordinal, |row| row.of));
    let gathered = gather(card.number, task.ordinal, planned, views)?;
    let waits = row.filter(|_| task.waits_for.is_some());
    let ask = waits.map(|row| question(&row, views)).transpose()?.filter(|ask| !ask.is_empty());
    let wanted = task.waits_for.and_then(|on| Wanted::of(planned.map(|planned| &planned.work), on));
    let (answer, form) = match gathered.asked {
        Some(Shape::Form(form)) => (Some(HumanKind::Form), Some(form)),
        Some(Shape::Url(_)) => (Some(HumanKind::Approval), None),
        None => (wanted.map(|wanted| wanted.kind), wanted.and_then(|wanted| wanted.form.cloned())),
    };
    let output = gathered.output.map(|body| text_of(&body, views)).transpose()?;
    Ok(TaskDetail {
        workflow_id: card.id,
        ask,
        answer,
        options: wanted.map_or_else(Vec::new, |wanted| wanted.options.to_vec()),
        form,
        output,
        failure: gathered.failure,
        calls: gathered.calls,
        task,
    })
}

fn gather<'p>(
    number: u64,
    task: Ordinal,
    planned: Option<&'p TaskPlan>,
    views: &mut dyn Views,
) -> Result<Gathered<'p>, StoreError> {
    let mut gathered =
        Gathered { planned, rung: 0, calls: Vec::new(), output: None, failure: None, asked: None };
    let mut after = 0;
    loop {
        let records = views.events(after, Some(number), EVENTS_AT_ONCE)?;
        let Some(last) = records.last() else {
            return Ok(gathered);
        };
        after = last.position;
        for record in &records {
            let event = read_event(record)?;
            let again = matches!(&event, Event::Retried(retried) if retried.tasks.contains(&task));
            if again || event.task() == Some(task) {
                gathered.take(record, event, views)?;
            }
        }
    }
}

impl Gathered<'_> {
    fn call(&self) -> Option<&ToolCall> {
        let planned = self.planned?;
        match (self.rung.checked_sub(1), &planned.work) {
            (Some(fallback), _) => planned.fallback.get(fallback),
            (None, Work::Tool(call)) => Some(call),
            (
                None,
                Work::Human(_)
                | Work::Wait(_)
                | Work::Emit(_)
                | Work::Workflow(_)
                | Work::Worker(_)
                | Work::Agent(_),
            ) => None,
        }
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
                let call = self.call();
                let input = match &started.input {
                    Some(body) => Some(text_of(body, views)?),
                    None => call.map(|call| Json::of(&call.with)),
                };
                self.calls.push(CallView {
                    attempt: started.attempt,
                    tool: call.map(|call| call.tool.clone()),
                    input,
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
