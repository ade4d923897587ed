//! What needs a person, and what they are asked: one query for the command line, the API and the
//! pages. How it is answered is each surface's own to say.

use baton_core::body::BlobHash;
use baton_core::definition::InputFault;
use baton_core::failure::CallFailure;
use baton_core::ids::{Ordinal, TaskId, WorkflowId};
use baton_core::plan::{Human, Plan, Work};
use baton_core::time::Timestamp;
use baton_core::words::{HumanKind, WaitReason, WorkflowStatus};
use baton_core::workflow::question::{self, Shape};
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::{AskedCall, Event, QuestionAsked, Waiting, WorkflowState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::live::read_event;
use crate::made::{Answers, Blocks};
use crate::store::{Filter, StoreError, Views};
use crate::view::{TaskView, Word, all_tasks, plan_of};

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
    /// The tool, with its server before it, where a running call asks.
    pub tool: Option<String>,
    /// The number of its question: what an answer may name, to be for no other.
    pub question: Option<u32>,
    /// An address it sends the person to; they approve once they were there.
    pub url: Option<String>,
    /// The agent's task, where a call that an agent asked for needs the person.
    #[serde(default)]
    pub call_of: Option<TaskId>,
    /// Of the very call that waits for an approval: what an answer may name, to be for no other.
    #[serde(default)]
    pub digest: Option<BlobHash>,
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
    let is_for_people = |row: &&TaskRow| row.waits_for.is_some_and(WaitReason::is_for_people);
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
    asked(row, views).map(|asked| asked.ask)
}

/// What is asked.
#[derive(Default)]
struct Asked {
    ask: String,
    /// Of the call that is to be approved.
    digest: Option<BlobHash>,
    /// What a running call asks, and since when.
    of_call: Option<(QuestionAsked, Timestamp)>,
}

fn asked(row: &TaskRow, views: &mut dyn Views) -> Result<Asked, StoreError> {
    let event = views.events(row.position.saturating_sub(1), Some(row.number), 1)?;
    let Some(record) = event.first() else { return Ok(Asked::default()) };
    let doubt = |failure: CallFailure| format!("did it happen? {}", failure.message);
    let ask = match read_event(record).ok() {
        Some(Event::AttemptFailed(failed)) => doubt(failed.failure),
        Some(Event::TaskWaited(waited)) => match waited.on {
            Waiting::Approval { ask, digest, .. } => {
                return Ok(Asked { ask, digest: Some(digest), of_call: None });
            }
            Waiting::Person { ask } | Waiting::Budget { ask, .. } => ask,
            Waiting::InDoubt { failure } => doubt(failure),
            Waiting::Timer { .. }
            | Waiting::Question { .. }
            | Waiting::Event { .. }
            | Waiting::Child { .. } => String::new(),
        },
        Some(Event::QuestionAsked(asked)) => {
            let ask = asked.question.message.clone();
            return Ok(Asked { ask, digest: None, of_call: Some((asked, record.at)) });
        }
        Some(_) | None => String::new(),
    };
    Ok(Asked { ask, digest: None, of_call: None })
}

/// How a value does not fit what a task asks; nothing where it does, or nothing is asked.
pub fn misfits(
    (workflow, task): (WorkflowId, Ordinal),
    value: &Value,
    views: &mut dyn Views,
) -> Result<Vec<InputFault>, StoreError> {
    let Some((card, _)) = views.workflow(workflow)? else { return Ok(Vec::new()) };
    let rows = views.tasks(card.number)?;
    let is_it = |row: &&TaskRow| row.ordinal == task && row.waits_for.is_some();
    let Some(row) = rows.iter().find(is_it) else { return Ok(Vec::new()) };
    if row.waits_for == Some(WaitReason::Approval) {
        return Ok(of_another_call(asked(row, views)?.digest, value).into_iter().collect());
    }
    if row.waits_for != Some(WaitReason::Person) {
        return Ok(Vec::new());
    }
    if let Some((asked, _)) = asked(row, views)?.of_call {
        return Ok(asked.question.answer(value).err().unwrap_or_default());
    }
    let plan = plan_of(&card, views)?;
    if let Some(human) = asked_call(&card, row, &plan, views)?.and_then(|call| call.asks) {
        let is_no = question::is_rejection(value);
        let faults = question::answered(&human, value).err().filter(|_| !is_no);
        return Ok(faults.unwrap_or_default());
    }
    let wanted = Wanted::of(plan.task(row.of).map(|task| &task.work), WaitReason::Person);
    let fits =
        |wanted: Wanted<'_>| question::misfits((wanted.kind, wanted.options, wanted.form), value);
    Ok(wanted.map_or_else(Vec::new, fits))
}

/// What an agent asked for, where the task is a call of one.
fn asked_call(
    card: &WorkflowCard,
    row: &TaskRow,
    plan: &Plan,
    views: &mut dyn Views,
) -> Result<Option<AskedCall>, StoreError> {
    let planned = plan.tasks.len();
    if row.ordinal.index() < planned {
        return Ok(None);
    }
    let blocks = Blocks::scan(card.number, views)?;
    match blocks.origin(row.ordinal, planned).and_then(|origin| origin.asked) {
        Some(asked) => Answers::default().call(card.number, asked, views),
        None => Ok(None),
    }
}

/// An approval that names what it was given for, where that is not the call that waits.
fn of_another_call(digest: Option<BlobHash>, value: &Value) -> Option<InputFault> {
    let named = value.get("digest")?.as_str().unwrap_or_default();
    let is_it = digest.is_some_and(|digest| digest.to_string() == named);
    (!is_it).then(|| InputFault {
        pointer: "/digest".to_owned(),
        message: "this was given for another call than the one that waits".to_owned(),
        help: Some("look at the inbox again; it has the call and its `digest`".to_owned()),
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
        tool: None,
        question: None,
        url: None,
        call_of: None,
        digest: None,
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
    let work = looked.plan.task(row.of).map(|task| &task.work);
    let call = asked_call(card, row, &looked.plan, views)?;
    let wanted = row.waits_for.and_then(|reason| Wanted::of_task(call.as_ref(), work, reason));
    let Asked { ask, digest, of_call } = asked(row, views)?;
    let item = InboxItem {
        task_id: Some(task.id),
        task: Some(task.key.clone()),
        needs: row.waits_for.map_or("", baton_core::codes::Code::word),
        ask,
        kind: wanted.map(|wanted| wanted.kind),
        options: wanted.map_or_else(Vec::new, |wanted| wanted.options.to_vec()),
        form: wanted.and_then(|wanted| wanted.form.cloned()),
        call_of: task.call_of,
        digest,
        revision: looked.revision,
        since: row.started_at.unwrap_or(card.created_at),
        ..of_workflow(card)
    };
    let Some((asked, since)) = of_call else { return Ok(Some(item)) };
    let (kind, form, url) = match asked.question.shape {
        Shape::Form(form) => (HumanKind::Form, Some(form), None),
        Shape::Url(url) => (HumanKind::Approval, None, Some(url)),
    };
    let (kind, question, tool) = (Some(kind), Some(asked.number), asked.tool);
    Ok(Some(InboxItem { kind, form, url, question, tool, since, ..item }))
}

fn look(card: &WorkflowCard, views: &mut dyn Views) -> Result<Option<Looked>, StoreError> {
    let Some((_, row)) = views.workflow(card.id)?.filter(|(_, row)| row.purged_at().is_none())
    else {
        return Ok(None);
    };
    let plan = plan_of(card, views)?;
    let rows = views.tasks(card.number)?;
    let tasks = all_tasks((card, &row), &plan, (&rows, &[]), views)?;
    Ok(Some(Looked { number: card.number, revision: row.revision, plan, tasks }))
}

/// What a person answers to a task that waits for them.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'p> {
    /// A yes or no, one of the options, or a value that fits the form.
    pub kind: HumanKind,
    /// What there is to choose from.
    pub options: &'p [String],
    /// A JSON Schema; any value does where there is none.
    pub form: Option<&'p Value>,
}

impl<'p> Wanted<'p> {
    /// Of a task that may be a call which an agent asked for, and asks a person itself then.
    pub fn of_task(
        call: Option<&'p AskedCall>,
        work: Option<&'p Work>,
        reason: WaitReason,
    ) -> Option<Self> {
        let asks = call.and_then(|call| call.asks.as_ref());
        match asks.filter(|_| reason == WaitReason::Person) {
            Some(human) => Some(Self::of_human(human)),
            None => Self::of(work, reason),
        }
    }

    /// Of what a task waits for in a state.
    pub fn in_state(state: &'p WorkflowState, task: Ordinal, on: &Waiting) -> Option<Self> {
        let work = state.task_plan(task).map(|plan| &plan.work);
        Self::of_task(state.asked_call(task), work, on.reason())
    }

    fn of_human(human: &'p Human) -> Self {
        Self { kind: human.kind, options: &human.options, form: human.form.as_ref() }
    }

    /// Of a task with this work that waits for this; `None` where a person has nothing to answer, or
    /// settles what is in doubt.
    pub fn of(work: Option<&'p Work>, reason: WaitReason) -> Option<Self> {
        let plain = |kind| Self { kind, options: &[], form: None };
        match (reason, work) {
            (WaitReason::Approval | WaitReason::Budget, _) => Some(plain(HumanKind::Approval)),
            (WaitReason::Person, Some(Work::Human(human))) => Some(Self::of_human(human)),
            (WaitReason::Person, Some(Work::Agent(agent))) => {
                Some(Self { form: agent.output.as_ref(), ..plain(HumanKind::Form) })
            }
            (
                WaitReason::Person
                | WaitReason::Event
                | WaitReason::Timer
                | WaitReason::InDoubt
                | WaitReason::Child,
                _,
            ) => None,
        }
    }
}
