//! What needs a person, as cards with the one thing each asks for.
//!
//! What an answer does is the machine's to decide; here it is only offered.

use baton_core::codes::Code;
use baton_core::ids::{TaskId, WorkflowId};
use baton_core::spoken::cut;
use baton_core::time::Timestamp;
use baton_core::words::{HumanKind, WaitReason};
use baton_engine::inbox::InboxItem;
use baton_engine::store::{StoreError, Views};

use super::forms::Form;
use super::times::Age;
use super::waits::{Exact, Looked, Raise, Stands};

/// The longest text of a question that a card shows, in characters.
const ASK_CHARS_MAX: usize = 4_000;

/// Something a person must say.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The workflow's.
    pub workflow: WorkflowId,
    /// The definition's name.
    pub name: String,
    /// The task; none where the plan itself is asked about.
    pub task: Option<Asker>,
    /// The question itself.
    pub ask: String,
    /// Since when it waits.
    pub age: Age,
    /// What can be answered.
    pub answer: Answer,
    /// What only a running call asks.
    pub call: Option<Call>,
}

/// The call that asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The tool, with its server before it.
    pub tool: String,
    /// The number of the question.
    pub number: u32,
    /// Where it sends the person: shown as text, never as a link.
    pub url: Option<String>,
}

/// The task that asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Asker {
    /// Its ordinal.
    pub ordinal: u32,
    /// Its key.
    pub key: String,
}

/// What kind of answer is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Whether the plan may start, as it stands at this revision.
    Review(u64),
    /// Yes or no.
    Approval,
    /// Yes or no to one call, as it stands here.
    Call(Exact),
    /// More of a budget that ran out, or none.
    Budget(Raise),
    /// One of these.
    Choice(Vec<String>),
    /// What this form has.
    Form(Form),
    /// Whether the call happened.
    Doubt,
    /// Nothing that can be given here.
    Elsewhere,
}

impl Question {
    /// Questions of the inbox, as cards show them, in their order.
    pub fn all(
        items: Vec<InboxItem>,
        now: Timestamp,
        views: &mut dyn Views,
    ) -> Result<Vec<Self>, StoreError> {
        let mut looked = Looked::default();
        let one = |item: InboxItem| {
            let stands = looked.stands(&item, views)?;
            Ok(Self::of(item, stands, now))
        };
        items.into_iter().map(one).collect()
    }

    /// What tells it apart on a page that shows many.
    pub fn id(&self) -> String {
        let task = self.task.as_ref().map_or_else(String::new, |task| task.ordinal.to_string());
        format!("{}-{task}", self.workflow)
    }

    fn of(item: InboxItem, stands: Option<Stands>, now: Timestamp) -> Self {
        let task = item.task_id.and_then(TaskId::split).zip(item.task.clone());
        let call = item.question.map(|number| Call {
            tool: item.tool.clone().unwrap_or_default(),
            number,
            url: item.url.clone(),
        });
        Self {
            answer: answer(&item, stands),
            call,
            workflow: item.workflow_id,
            name: item.name,
            task: task.map(|((_, ordinal), key)| Asker { ordinal: ordinal.0, key }),
            ask: cut(item.ask.trim(), ASK_CHARS_MAX),
            age: Age::of(item.since, now),
        }
    }
}

fn answer(item: &InboxItem, stands: Option<Stands>) -> Answer {
    if item.task_id.is_none() {
        return Answer::Review(item.revision);
    }
    if item.needs == WaitReason::InDoubt.word() {
        return Answer::Doubt;
    }
    match stands {
        Some(Stands::Call(exact)) => return Answer::Call(exact),
        Some(Stands::Budget(raise)) => return Answer::Budget(raise),
        None => {}
    }
    match item.kind {
        Some(HumanKind::Approval) => Answer::Approval,
        Some(HumanKind::Choice) => Answer::Choice(item.options.clone()),
        Some(HumanKind::Form) => Answer::Form(Form::of(item.form.as_ref())),
        None => Answer::Elsewhere,
    }
}
