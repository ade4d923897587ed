//! What needs a person, and what they are asked: one query for the command line, the API and the
//! pages. How it is answered is each surface's own to say.

use baton_core::ids::{Ordinal, TaskId, WorkflowId};
use baton_core::plan::{Plan, Work};
use baton_core::time::Timestamp;
use baton_core::words::{HumanKind, WaitReason, WorkflowStatus};
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::{Event, Waiting};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::live::read_event;
use crate::store::{Filter, StoreError, Views};
use crate::view::{TaskView, Word, plan_of, task_views};

/// Something that needs a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InboxItem {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The definition's name.
    pub name: String,
    /// The task; none where the plan itself is to be reviewed.
    pub task_id: Option<TaskId>,
    /// Its key.
    pub task: Option<String>,
    /// `review`, or the word of what the task waits for.
    #[serde(deserialize_with = "crate::view::word")]
    pub needs: Word,
    /// What is asked.
    pub ask: String,
    /// The shape of the answer, where a task asks for one.
    pub kind: Option<HumanKind>,
    /// `choice`: the options.
    pub options: Vec<String>,
    /// `form`: a JSON Schema object of the answer.
    pub form: Option<Value>,
    /// The workflow's revision: what an approval of its plan names.
    pub revision: u64,
    /// Since when.
    pub since: Timestamp,
}

/// The plan and the tasks of the workflow that was last looked at: what waits in one often waits
/// together.
struct Looked {
    number: u64,
    revision: u64,
    plan: Plan,
    tasks: Vec<TaskView>,
}

/// Plans to review, then tasks that wait, oldest first; at most `limit` of each.
pub fn inbox(views: &mut dyn Views, limit: u32) -> Result<Vec<InboxItem>, StoreError> {
    let in_review =
        Filter { statuses: vec![WorkflowStatus::PendingReview], limit, ..Filter::default() };
    let reviews = views.list(&in_review)?;
    let mut items: Vec<InboxItem> =
        reviews.iter().rev().map(|(card, row)| review(card, row)).collect();
    let mut looked = None;
    for (card, row) in views.waiting_for_people(limit)? {
        items.extend(of_task(&card, &row, &mut looked, views)?);
    }
    Ok(items)
}

/// What one workflow asks people: its plan's review, or its tasks in their order; at most `limit`.
pub fn inbox_of(
    (card, row): (&WorkflowCard, &WorkflowRow),
    rows: &[TaskRow],
    limit: usize,
    views: &mut dyn Views,
) -> Result<Vec<InboxItem>, StoreError> {
    if row.status == WorkflowStatus::PendingReview {
        return Ok(vec![review(card, row)]);
    }
    let is_for_people =
        |row: &&TaskRow| matches!(row.waits_for, Some(WaitReason::Person | WaitReason::InDoubt));
    let mut items = Vec::new();
    let mut looked = None;
    for row in rows.iter().filter(is_for_people).take(limit) {
        items.extend(of_task(card, row, &mut looked, views)?);
    }
    Ok(items)
}

fn review(card: &WorkflowCard, row: &WorkflowRow) -> InboxItem {
    InboxItem { revision: row.revision, since: row.updated_at, ..of_workflow(card) }
}

/// What a waiting task asks for, from the event that made it wait.
pub fn question(row: &TaskRow, views: &mut dyn Views) -> Result<String, StoreError> {
    let event = views.events(row.position.saturating_sub(1), Some(row.number), 1)?;
    Ok(match event.first().and_then(|record| read_event(record).ok()) {
        Some(Event::AttemptFailed(failed)) => format!("did it happen? {}", failed.failure.message),
        Some(Event::TaskWaited(waited)) => match waited.on {
            Waiting::Person { ask } => ask,
            Waiting::InDoubt { failure } => format!("did it happen? {}", failure.message),
            Waiting::Timer { .. } | Waiting::Event { .. } | Waiting::Child { .. } => String::new(),
        },
        Some(_) | None => String::new(),
    })
}

fn of_workflow(card: &WorkflowCard) -> InboxItem {
    InboxItem {
        workflow_id: card.id,
        name: card.name.clone(),
        task_id: None,
        task: None,
        needs: "review",
        ask: "approve the plan?".to_owned(),
        kind: None,
        options: Vec::new(),
        form: None,
        revision: 0,
        since: card.created_at,
    }
}

/// A task that waits; `None` where its workflow has gone on or was purged meanwhile.
fn of_task(
    card: &WorkflowCard,
    row: &TaskRow,
    looked: &mut Option<Looked>,
    views: &mut dyn Views,
) -> Result<Option<InboxItem>, StoreError> {
    if looked.as_ref().is_none_or(|looked| looked.number != card.number) {
        *looked = look(card, views)?;
    }
    let Some(looked) = looked.as_ref() else {
        return Ok(None);
    };
    let is_it = |task: &&TaskView| task.ordinal == row.ordinal;
    let Some(task) = looked.tasks.iter().find(is_it) else {
        return Ok(None);
    };
    let asked = match row.waits_for {
        Some(WaitReason::Person) => human(&looked.plan, row.of),
        Some(_) | None => None,
    };
    Ok(Some(InboxItem {
        task_id: Some(task.id),
        task: Some(task.key.clone()),
        needs: row.waits_for.map_or("", baton_core::codes::Code::word),
        ask: question(row, views)?,
        kind: asked.map(|human| human.kind),
        options: asked.map_or_else(Vec::new, |human| human.options.clone()),
        form: asked.and_then(|human| human.form.clone()),
        revision: looked.revision,
        since: row.started_at.unwrap_or(card.created_at),
        ..of_workflow(card)
    }))
}

fn look(card: &WorkflowCard, views: &mut dyn Views) -> Result<Option<Looked>, StoreError> {
    let Some((_, row)) = views.workflow(card.id)?.filter(|(_, row)| row.purged_at().is_none())
    else {
        return Ok(None);
    };
    let plan = plan_of(card, views)?;
    let rows = views.tasks(card.number)?;
    let tasks = task_views(card, &row, &plan, &rows);
    Ok(Some(Looked { number: card.number, revision: row.revision, plan, tasks }))
}

fn human(plan: &Plan, of: Ordinal) -> Option<&baton_core::plan::Human> {
    match &plan.task(of)?.work {
        Work::Human(human) => Some(human),
        Work::Tool(_) | Work::Wait(_) | Work::Emit(_) | Work::Workflow(_) | Work::Worker(_) => None,
    }
}
