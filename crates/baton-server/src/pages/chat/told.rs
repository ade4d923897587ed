//! What was said and done in a conversation, as the page shows it, oldest first.

use baton_core::codes::Code;
use baton_core::conversation::{Clarification, ReviewEnd};
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::spoken::cut;
use baton_core::time::Timestamp;
use baton_core::words::{ClarificationStatus, Speaker};
use baton_engine::conversations::{ClosedTaskView, Entry, EntryView};
use baton_engine::ports::Live;
use baton_engine::store::{StoreError, Views};

use super::super::looks::Look;
use super::super::panel::Text;
use super::super::times::Age;
use super::asked::Round;
use super::plan::{Sheet, sheet};
use super::run::{Run, output, run};
use super::saying::called;

/// The longest message that is shown whole, in characters.
const MESSAGE_CHARS_MAX: usize = 20_000;
/// The longest line of what a plan takes for granted.
const LINE_CHARS_MAX: usize = 500;

/// One thing that was said or done.
#[derive(Debug)]
pub struct Item {
    /// The conversation that it is of: an item is never shown under another.
    pub of: ConversationId,
    /// The position of its event.
    pub id: u64,
    /// The class of the stylesheet: who speaks.
    pub side: &'static str,
    /// Who, in words.
    pub who: String,
    /// When.
    pub age: Age,
    /// What.
    pub what: What,
}

/// What was said or done.
#[derive(Debug)]
pub enum What {
    /// A text.
    Text(Text),
    /// A round of questions.
    Asked(Round),
    /// A plan.
    Plan(Box<Proposed>),
    /// A workflow that started without a review.
    Started(Option<Box<Run>>),
    /// The end of a workflow.
    Closing(Closing),
    /// What it is about changed: the kind of thing, its title and what is known of it.
    Context(String, String, String),
    /// Anything else.
    Note(String),
}

/// A plan that was proposed.
#[derive(Debug)]
pub struct Proposed {
    /// The workflow it is.
    pub workflow: WorkflowId,
    /// What it is to do; nothing once that was purged.
    pub sheet: Option<Sheet>,
    /// What it takes for granted.
    pub assumptions: Vec<String>,
    /// What it will not do.
    pub will_not: Vec<String>,
    /// Where its review stands.
    pub review: Review,
}

/// Where a review stands.
#[derive(Debug)]
pub enum Review {
    /// Somebody must look at the plan, as it stands at this revision.
    Open(u64),
    /// It was approved, and goes on or has ended.
    Approved(Option<Box<Run>>),
    /// It was sent back with these comments.
    SentBack(String),
    /// It was cancelled, or another plan took its place.
    Withdrawn,
}

/// How a workflow ended.
#[derive(Debug)]
pub struct Closing {
    /// Which.
    pub workflow: WorkflowId,
    /// How that looks.
    pub look: Look,
    /// In words.
    pub text: String,
    /// The tasks behind it.
    pub tasks: Vec<Behind>,
    /// What it brought.
    pub output: Option<Text>,
}

impl Closing {
    /// The tasks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Behind> {
        self.tasks.iter().filter(|task| task.cause.is_some())
    }
}

/// A task behind an end.
#[derive(Debug)]
pub struct Behind {
    /// Its ordinal.
    pub ordinal: u32,
    /// Its key.
    pub key: String,
    /// How it ended.
    pub look: Look,
    /// Why it failed.
    pub cause: Option<String>,
}

/// What items are made with.
pub struct Telling<'t> {
    /// The conversation.
    pub of: ConversationId,
    /// Who reads it, such as `user:ada`.
    pub me: String,
    /// What can be answered now.
    pub asked: &'t [Clarification],
    /// What running tasks say of themselves.
    pub live: &'t dyn Live,
    /// The moment at which it is shown.
    pub now: Timestamp,
}

impl Telling<'_> {
    /// Entries as the page shows them.
    pub fn items(
        &self,
        entries: Vec<EntryView>,
        views: &mut dyn Views,
    ) -> Result<Vec<Item>, StoreError> {
        entries.into_iter().map(|entry| self.item(entry, views)).collect()
    }

    fn item(&self, entry: EntryView, views: &mut dyn Views) -> Result<Item, StoreError> {
        let is_notice = matches!(entry.what, Entry::Notice { .. } | Entry::Context { .. });
        let (side, who) = match entry.role {
            Speaker::Assistant if !is_notice => ("assistant", "Baton".to_owned()),
            Speaker::Assistant => ("notice", self.name(entry.actor.as_deref())),
            Speaker::User => ("user", self.name(entry.actor.as_deref())),
        };
        let what = self.what((entry.id, entry.what), views)?;
        let age = Age::of(entry.at, self.now);
        Ok(Item { of: self.of, id: entry.id, side, who, age, what })
    }

    /// Who is behind an entry, as the reader calls them.
    fn name(&self, actor: Option<&str>) -> String {
        match actor {
            Some(actor) if actor == self.me => "You".to_owned(),
            Some(actor) => called(actor).to_owned(),
            None => String::new(),
        }
    }

    fn what(
        &self,
        (position, entry): (u64, Entry),
        views: &mut dyn Views,
    ) -> Result<What, StoreError> {
        Ok(match entry {
            Entry::Message { text } => What::Text(Text::bounded(&text, MESSAGE_CHARS_MAX)),
            Entry::Clarification { round, questions } => {
                What::Asked(Round::of((position, round), questions, self.asked))
            }
            Entry::Plan { workflow_id, assumptions, will_not, review } => {
                let short = |lines: Vec<String>| {
                    lines.iter().map(|line| cut(line, LINE_CHARS_MAX)).collect()
                };
                let (sheet, review) = self.plan(workflow_id, review, views)?;
                What::Plan(Box::new(Proposed {
                    workflow: workflow_id,
                    sheet,
                    assumptions: short(assumptions),
                    will_not: short(will_not),
                    review,
                }))
            }
            Entry::Started { workflow_id } => What::Started(self.run(workflow_id, views)?),
            Entry::Closing { text, workflow_id, status, tasks } => What::Closing(Closing {
                workflow: workflow_id,
                look: Look::of_workflow(status, 0),
                // The causes stand with their tasks.
                text: text.lines().next().unwrap_or_default().to_owned(),
                tasks: tasks.into_iter().filter_map(behind).collect(),
                output: output(workflow_id, views)?,
            }),
            Entry::Context { focus } => {
                let kind = focus.kind.word().to_owned();
                What::Context(kind, focus.title, cut(&focus.summary, LINE_CHARS_MAX))
            }
            Entry::Notice { text } => What::Note(cut(&text, MESSAGE_CHARS_MAX)),
        })
    }

    fn plan(
        &self,
        id: WorkflowId,
        end: Option<ReviewEnd>,
        views: &mut dyn Views,
    ) -> Result<(Option<Sheet>, Review), StoreError> {
        let found = views.workflow(id)?.filter(|(_, row)| row.purged_at().is_none());
        let sheet = found.as_ref().map(|(card, row)| sheet((card, row), views)).transpose()?;
        let review = match (end, found) {
            (None, Some((_, row))) => Review::Open(row.revision),
            (None, None) | (Some(ReviewEnd::Withdrawn), _) => Review::Withdrawn,
            (Some(ReviewEnd::SentBack { comments }), _) => Review::SentBack(comments),
            (Some(ReviewEnd::Approved), _) => Review::Approved(self.run(id, views)?),
        };
        Ok((sheet, review))
    }

    fn run(&self, id: WorkflowId, views: &mut dyn Views) -> Result<Option<Box<Run>>, StoreError> {
        let Some((card, row)) = views.workflow(id)? else { return Ok(None) };
        let said = self.live.of(id);
        Ok(Some(Box::new(run((&card, &row), said, self.now, views)?)))
    }
}

fn behind(task: ClosedTaskView) -> Option<Behind> {
    let (_, ordinal) = task.id.split()?;
    let cause = task.cause;
    Some(Behind {
        ordinal: ordinal.0,
        look: Look::of_task(task.status, None),
        key: task.key,
        cause,
    })
}

/// The newest round alone can be answered: an older one that asks the same is over.
pub fn keep_newest_round_open(entries: &mut [EntryView]) {
    let rounds = entries.iter_mut().rev().filter_map(|entry| match &mut entry.what {
        Entry::Clarification { questions, .. } => Some(questions),
        Entry::Message { .. }
        | Entry::Plan { .. }
        | Entry::Started { .. }
        | Entry::Closing { .. }
        | Entry::Context { .. }
        | Entry::Notice { .. } => None,
    });
    for question in rounds.skip(1).flatten() {
        if question.status == ClarificationStatus::Asked {
            question.status = ClarificationStatus::Superseded;
        }
    }
}
