//! How a workflow is shown: one shape for the command line, the API and the pages, made of rows.

use std::collections::BTreeMap;

use baton_core::agent::Spending;
use baton_core::body::{BlobHash, Body, Json};
use baton_core::codes::Code;
use baton_core::ids::{ConversationId, Ordinal, ProjectId, TaskId, WorkflowId};
use baton_core::plan::{Plan, Work};
use baton_core::time::Timestamp;
use baton_core::words::{Origin, ProgressMethod, TaskStatus, WaitReason, WorkflowStatus};
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::{Event, Outcome};
use serde::{Deserialize, Deserializer, Serialize};

use crate::budget::Budget;
use crate::forecast::{Forecast, forecast};
use crate::live::read_event;
use crate::made::{CallTask, call_tasks};
use crate::said::Said;
use crate::store::{StoreError, UsageOfTask, Views};
use crate::usage::{Spent, spending_of, spending_of_each};
use crate::wording::Wording;

pub use crate::usage::Usage;

/// A word of a closed set, as views are written with it. (An alias, because a derived reader takes a
/// `&str` that it sees for one that is borrowed from what is read.)
pub type Word = &'static str;

/// The `type` of every workflow; plans and master plans come with later kinds.
pub const KIND: &str = "workflow";

/// A workflow as the contract shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkflowView {
    /// Its id, under the contract's two names.
    pub workflow_id: WorkflowId,
    /// The same.
    pub id: WorkflowId,
    /// The definition's name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// `workflow`; plans and master plans come with later kinds.
    #[serde(rename = "type", deserialize_with = "word")]
    pub kind: Word,
    /// How it came to be.
    pub origin: Origin,
    /// The number of its run.
    pub run: u32,
    /// Where the run stands.
    pub status: WorkflowStatus,
    /// The earliest stage that is not done.
    pub current_stage: Option<String>,
    /// 0 to 9.
    pub priority: u8,
    /// 0 to 100.
    pub progress_percentage: u8,
    /// The same.
    pub progress: u8,
    /// Tasks that completed.
    pub agents_completed: u32,
    /// Tasks that count.
    pub agents_total: u32,
    /// How progress is counted.
    pub progress_calculation_method: ProgressMethod,
    /// When it was last computed: with the newest event.
    pub progress_updated_at: Timestamp,
    /// Tasks that failed.
    pub tasks_failed: u32,
    /// Tasks that wait for a person.
    pub tasks_waiting_for_people: u32,
    /// The conversation it belongs to.
    pub conversation_id: ConversationId,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// Whether some agent may ask a model that answers from a file: such answers are no model's.
    #[serde(default)]
    pub scripted: bool,
    /// What its calls pass on as W3C trace id: its own id, 32 hexadecimal digits.
    pub trace_id: String,
    /// What it has used so far.
    pub usage: Usage,
    /// What it may use in a run, and what is gone of that; where it is shown alone and the plan has a
    /// bound.
    pub budget: Option<Budget>,
    /// What it will probably use; of a plan in review, where it is shown alone.
    #[serde(default)]
    pub forecast: Option<Forecast>,
    /// The version of its stream.
    pub revision: u64,
    /// When it was admitted.
    pub created_at: Timestamp,
    /// When its first run started.
    pub started_at: Option<Timestamp>,
    /// When anything last happened.
    pub updated_at: Timestamp,
    /// When the run ended.
    pub completed_at: Option<Timestamp>,
    /// When its events, tasks and output were purged.
    pub purged_at: Option<Timestamp>,
    /// What the run brought.
    pub output: Option<Json>,
    /// Why it did not complete.
    pub error: Option<String>,
}

/// A task as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// Its key; an item's has its index behind it, a call's its number.
    pub key: String,
    /// For people.
    pub title: Option<String>,
    /// The stage it belongs to.
    pub stage: String,
    /// `tool`, `human`, `wait`, `emit`, `workflow`, `worker` or `agent`.
    #[serde(deserialize_with = "word")]
    pub kind: Word,
    /// The tool, if it calls one; the type of worker, if it is for one; the name of its agent.
    pub tool: Option<String>,
    /// The agent's task that asked for it, of a call that an agent asked for. Such a task counts
    /// neither in progress nor in its stage.
    #[serde(default)]
    pub call_of: Option<TaskId>,
    /// Where it stands.
    pub status: TaskStatus,
    /// What it waits for.
    pub waits_for: Option<WaitReason>,
    /// Attempts so far.
    pub attempts: u32,
    /// When its first attempt of the run started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The position of the event that last changed it; 0 where none has.
    pub position: u64,
    /// What it used of models, with its items and over all runs; absent where it called none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Spent>,
    /// How far its running attempt says it is, or why it is held back; absent where nothing was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Said>,
    /// Its ordinal, which its id tells: whoever reads a view takes it from there.
    #[serde(skip, default = "no_ordinal")]
    pub ordinal: Ordinal,
}

fn no_ordinal() -> Ordinal {
    Ordinal(u32::MAX)
}

/// The words that views use for kinds of things, beside those of vocabularies.
const WORDS: [&str; 8] = ["workflow", "tool", "human", "wait", "emit", "worker", "agent", "review"];

/// Reads one of the words that views are written with; another version may write others.
pub(crate) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    let written = String::deserialize(deserializer)?;
    let reasons = WaitReason::ALL.iter().map(|reason| reason.word());
    let known = WORDS.into_iter().chain(reasons).find(|word| *word == written);
    known.ok_or_else(|| serde::de::Error::custom(format!("`{written}` is not known here")))
}

/// The text of a body.
pub fn text_of(body: &Body, views: &mut dyn Views) -> Result<Json, StoreError> {
    match body {
        Body::Inline(json) => Ok(json.clone()),
        Body::Blob { hash, .. } => {
            let missing = || StoreError::Corrupt(format!("the blob {hash} is missing"));
            let blob = views.blob(*hash)?.ok_or_else(missing)?;
            blob.unpack().map_err(|e| StoreError::Corrupt(e.to_string()))
        }
    }
}

/// The plan of a workflow.
pub fn plan_of(card: &WorkflowCard, views: &mut dyn Views) -> Result<Plan, StoreError> {
    plan_at(card.plan, views)
}

/// The plan that is kept under a hash.
pub fn plan_at(hash: BlobHash, views: &mut dyn Views) -> Result<Plan, StoreError> {
    let missing = || StoreError::Corrupt(format!("the plan {hash} is missing"));
    let text = views
        .blob(hash)?
        .ok_or_else(missing)?
        .unpack()
        .map_err(|e| StoreError::Corrupt(e.to_string()))?;
    serde_json::from_str(text.as_str())
        .map_err(|e| StoreError::Corrupt(format!("the plan {hash}: {e}")))
}

/// How the run of a workflow ended, if it has.
pub fn outcome_of(row: &WorkflowRow, views: &mut dyn Views) -> Result<Option<Outcome>, StoreError> {
    if row.ended_at.is_none() {
        return Ok(None);
    }
    let newest = views.events(row.head.saturating_sub(1), Some(row.number), 1)?;
    let event = newest.first().map(read_event).transpose()?;
    Ok(match event {
        Some(Event::Finished(finished)) => Some(finished.outcome),
        Some(_) | None => None,
    })
}

/// Workflows as a list shows them: their rows, and what they used.
pub fn workflow_briefs(
    found: &[(WorkflowCard, WorkflowRow)],
    views: &mut dyn Views,
) -> Result<Vec<WorkflowView>, StoreError> {
    let numbers: Vec<u64> = found.iter().map(|(card, _)| card.number).collect();
    let spent = spending_of_each(&numbers, views)?;
    let of = |number: &u64| spent.get(number).copied().unwrap_or_default();
    Ok(found.iter().map(|(card, row)| brief(card, row, of(&card.number))).collect())
}

/// One workflow as a list shows it.
pub fn workflow_brief(
    card: &WorkflowCard,
    row: &WorkflowRow,
    views: &mut dyn Views,
) -> Result<WorkflowView, StoreError> {
    Ok(brief(card, row, spending_of(card.number, None, views)?))
}

fn brief(card: &WorkflowCard, row: &WorkflowRow, spent: Spending) -> WorkflowView {
    let worked_until = row.ended_at.unwrap_or(row.updated_at);
    WorkflowView {
        workflow_id: card.id,
        id: card.id,
        name: card.name.clone(),
        description: None,
        kind: KIND,
        origin: card.origin,
        run: row.run,
        status: row.status,
        current_stage: row.current_stage.clone(),
        priority: card.priority,
        progress_percentage: row.progress.percentage,
        progress: row.progress.percentage,
        agents_completed: row.progress.completed,
        agents_total: row.progress.total,
        progress_calculation_method: row.progress.method,
        progress_updated_at: row.purged_at().and(row.ended_at).unwrap_or(row.updated_at),
        tasks_failed: row.failed,
        tasks_waiting_for_people: row.waiting_people,
        conversation_id: card.conversation,
        project_id: card.project,
        scripted: card.scripted,
        trace_id: format!("{:032x}", u128::from_be_bytes(*card.id.as_bytes())),
        usage: Usage::until(worked_until, row, spent),
        budget: None,
        forecast: None,
        revision: row.revision,
        created_at: card.created_at,
        started_at: row.started_at,
        updated_at: row.updated_at,
        completed_at: row.ended_at,
        purged_at: row.purged_at(),
        output: None,
        error: None,
    }
}

/// A workflow with its description, output and error.
pub fn workflow_view(
    card: &WorkflowCard,
    row: &WorkflowRow,
    wording: &Wording,
    views: &mut dyn Views,
) -> Result<WorkflowView, StoreError> {
    let outcome = outcome_of(row, views)?;
    let output = outcome.as_ref().and_then(Outcome::output).cloned();
    let output = output.map(|body| text_of(&body, views)).transpose()?;
    let error = outcome.as_ref().and_then(|outcome| error_line(outcome, wording));
    let forecast = match row.status {
        WorkflowStatus::PendingReview | WorkflowStatus::Draft => {
            Some(forecast((&card.name, Some(card.number)), &wording.agents(), views)?)
        }
        WorkflowStatus::Queued
        | WorkflowStatus::Running
        | WorkflowStatus::Paused
        | WorkflowStatus::Cancelling
        | WorkflowStatus::Completed
        | WorkflowStatus::CompletedWithErrors
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled => None,
    };
    Ok(WorkflowView {
        description: wording.description().map(str::to_owned),
        budget: Budget::of(wording.bounds(), row.budget.as_ref()),
        forecast,
        output,
        error,
        ..workflow_brief(card, row, views)?
    })
}

/// Why a run did not complete, in a line.
pub fn error_line(outcome: &Outcome, wording: &Wording) -> Option<String> {
    match outcome {
        Outcome::Completed { .. } => None,
        Outcome::CompletedWithErrors { failed: 1, .. } => Some("1 task failed".to_owned()),
        Outcome::CompletedWithErrors { failed, .. } => Some(format!("{failed} tasks failed")),
        Outcome::Failed { task, failure } => {
            let key = task.and_then(|task| wording.key(task)).map(|key| format!("task `{key}`: "));
            Some(format!("{}{}", key.unwrap_or_default(), failure.message))
        }
        Outcome::Cancelled { reason: None } => Some("cancelled".to_owned()),
        Outcome::Cancelled { reason: Some(reason) } => Some(format!("cancelled: {reason}")),
    }
}

/// Adds to tasks what the attempts that run say of themselves.
pub fn add_live(tasks: &mut [TaskView], said: Vec<Said>) {
    for said in said {
        let at = tasks.binary_search_by_key(&said.task, |task| task.id).ok();
        let Some(task) = at.and_then(|at| tasks.get_mut(at)) else { continue };
        let speaks = if said.held.is_some() { TaskStatus::Ready } else { TaskStatus::Executing };
        if task.status == speaks && task.attempts == said.attempt {
            task.live = Some(said);
        }
    }
}

/// The tasks of a workflow in the order of ordinals: behind the tasks of the plan the items, and the
/// calls that agents asked for; `usage` is what they used of models.
pub fn all_tasks(
    (card, row): (&WorkflowCard, &WorkflowRow),
    plan: &Plan,
    (rows, usage): (&[TaskRow], &[UsageOfTask]),
    views: &mut dyn Views,
) -> Result<Vec<TaskView>, StoreError> {
    let calls = call_tasks(card.number, plan, views)?;
    Ok(task_views((card, row), plan, (rows, usage), calls))
}

/// A task without a row has not started: it is ready when its needs are met, and was ended with its
/// run when that is over.
// Long because it names every field of a task's view.
fn task_views(
    (card, row): (&WorkflowCard, &WorkflowRow),
    plan: &Plan,
    (rows, usage): (&[TaskRow], &[UsageOfTask]),
    calls: Vec<CallTask>,
) -> Vec<TaskView> {
    let row_of = |ordinal: Ordinal| {
        rows.binary_search_by_key(&ordinal, |row| row.ordinal).ok().and_then(|at| rows.get(at))
    };
    let status_of =
        |ordinal: Ordinal| row_of(ordinal).map_or(TaskStatus::Pending, |row| row.status);
    let over = row.ended_at.is_some();
    let first_open = first_open_stage(plan, &status_of);
    let of_items = used_by(usage, |used| Some(used.ordinal));
    let of_plan = used_by(usage, |used| Some(used.of));
    let view = |ordinal: Ordinal, of: Ordinal, key: String| {
        let task = plan.task(of)?;
        let stored = row_of(ordinal);
        let is_item = ordinal != of;
        let met = match &task.needs {
            Some(needs) => needs.iter().all(|need| status_of(*need).is_terminal()),
            None => task.stage <= first_open,
        };
        let stored_status = status_of(ordinal);
        let not_begun = matches!(stored_status, TaskStatus::Pending | TaskStatus::Ready);
        let status = if not_begun && over {
            TaskStatus::Cancelled
        } else if not_begun && (is_item || met) {
            TaskStatus::Ready
        } else {
            stored_status
        };
        let (kind, tool) = kind_of(&task.work);
        Some(TaskView {
            id: card.id.task(ordinal),
            key,
            title: task.title.clone(),
            stage: plan
                .stages
                .get(task.stage as usize)
                .map_or_else(String::new, |stage| stage.name.clone()),
            kind,
            tool,
            call_of: None,
            status,
            waits_for: stored.and_then(|row| row.waits_for),
            attempts: stored.map_or(0, |row| row.attempts),
            started_at: stored.and_then(|row| row.started_at),
            ended_at: stored.and_then(|row| row.ended_at),
            position: stored.map_or(0, |row| row.position),
            usage: if is_item { &of_items } else { &of_plan }
                .get(&ordinal)
                .map(|sum| (*sum).into()),
            live: None,
            ordinal,
        })
    };
    let planned = (0..)
        .map(Ordinal)
        .zip(&plan.tasks)
        .filter_map(|(ordinal, task)| view(ordinal, ordinal, task.key.clone()));
    let expanded =
        rows.iter().filter_map(|row| row.items.map(|(first, count)| (row.of, first, count)));
    let items = expanded
        .flat_map(|(of, first, count)| (0..count).map(move |n| (of, Ordinal(first.0 + n), n)));
    let items = items
        .filter_map(|(of, ordinal, n)| view(ordinal, of, format!("{}[{n}]", plan.task(of)?.key)));
    let calls = calls.into_iter().filter_map(|call| {
        let of = call.origin.of;
        let made = view(call.ordinal, of, call.origin.key(&plan.task(of)?.key))?;
        let call_of = Some(card.id.task(call.agent));
        Some(TaskView { kind: "tool", tool: Some(call.tool), title: None, call_of, ..made })
    });
    let mut all: Vec<TaskView> = planned.chain(items).chain(calls).collect();
    all.sort_by_key(|task| task.ordinal);
    all
}

/// Sums of what tasks used, by one of their ordinals.
pub(crate) fn used_by<K: Ord>(
    usage: &[UsageOfTask],
    key: impl Fn(&UsageOfTask) -> Option<K>,
) -> BTreeMap<K, Spending> {
    let mut sums: BTreeMap<K, Spending> = BTreeMap::new();
    for used in usage {
        if let Some(key) = key(used) {
            *sums.entry(key).or_default() += used.spending;
        }
    }
    sums
}

fn first_open_stage(plan: &Plan, status_of: &dyn Fn(Ordinal) -> TaskStatus) -> u32 {
    let open = (0..)
        .map(Ordinal)
        .zip(&plan.tasks)
        .filter(|(ordinal, _)| !status_of(*ordinal).is_terminal());
    open.map(|(_, task)| task.stage).min().unwrap_or(u32::MAX)
}

fn kind_of(work: &Work) -> (&'static str, Option<String>) {
    match work {
        Work::Tool(call) => ("tool", Some(call.tool.clone())),
        Work::Human(_) => ("human", None),
        Work::Wait(_) => ("wait", None),
        Work::Emit(_) => ("emit", None),
        Work::Workflow(_) => ("workflow", None),
        Work::Worker(call) => ("worker", Some(call.worker_type.clone())),
        Work::Agent(call) => ("agent", Some(call.agent.clone())),
    }
}
