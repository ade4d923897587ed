//! How a conversation is shown: one shape for the command line, the API and the pages.
//!
//! What it is doing follows from its row and from where its workflows stand; it is written nowhere.

use baton_core::body::{Body, Json};
use baton_core::conversation::rows::ConversationRow;
use baton_core::conversation::{Clarification, Closing, ClosingTask, Focus, Given, ReviewEnd};
use baton_core::ids::{ConversationId, ProjectId, TaskId, WorkflowId};
use baton_core::time::Timestamp;
use baton_core::words::{
    ClarificationStatus, ConversationStatus, Doing, PlanningEnd, Speaker, TaskStatus,
    WorkflowStatus,
};
use baton_core::workflow::{ConversationEvent, Event};
use serde::{Deserialize, Serialize};

use crate::live::read_event;
use crate::store::{ConversationFilter, Record, StoreError, Views};
use crate::usage::{Spent, spending_of_conversation};
use crate::view::{WorkflowView, text_of, workflow_briefs};

/// A conversation as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConversationView {
    /// Its id, under the contract's two names.
    pub conversation_id: ConversationId,
    /// The same.
    pub id: ConversationId,
    /// What it is called.
    pub title: String,
    /// Whether it goes on.
    pub status: ConversationStatus,
    /// What it is doing.
    pub doing: Doing,
    /// Who began it, such as `user:ada`.
    pub originator: String,
    /// Who has taken it over.
    pub claimed_by: Option<String>,
    /// Why a person is needed who can do more.
    pub escalated: Option<String>,
    /// What it is about.
    pub focus: Option<Focus>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// How many messages there are.
    pub messages: u32,
    /// The round of the questions, from 1; 0 where nothing was asked.
    pub round: u32,
    /// What is asked.
    pub questions: Vec<Clarification>,
    /// Whether something is being planned.
    pub planning: bool,
    /// How the last planning ended.
    pub planned: Option<PlanningEnd>,
    /// The plan that waits for a review.
    pub proposal: Option<WorkflowId>,
    /// Its workflows that have not ended.
    pub workflows: Vec<WorkflowView>,
    /// What all of its workflows used of models.
    pub usage: Spent,
    /// The version of its stream.
    pub revision: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// When anything last happened in it.
    pub updated_at: Timestamp,
}

/// One thing that was said or done in a conversation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EntryView {
    /// The position of its event.
    pub id: u64,
    /// Who speaks.
    pub role: Speaker,
    /// Who is behind it, such as `user:ada`.
    pub actor: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Entry,
}

/// What was said or done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// A text.
    Message {
        /// What it says.
        text: String,
    },
    /// A round of questions.
    Clarification {
        /// Which, from 1.
        round: u32,
        /// What was asked.
        questions: Vec<AskedView>,
    },
    /// A plan.
    Plan {
        /// The workflow it is.
        workflow_id: WorkflowId,
        /// What it takes for granted.
        assumptions: Vec<String>,
        /// What it will not do.
        will_not: Vec<String>,
        /// What came of its review; absent while it waits for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        review: Option<ReviewEnd>,
    },
    /// A workflow that started without a review.
    Started {
        /// Which.
        workflow_id: WorkflowId,
    },
    /// The end of a workflow.
    Closing {
        /// What it says in words.
        text: String,
        /// Which workflow.
        workflow_id: WorkflowId,
        /// How it ended.
        status: WorkflowStatus,
        /// The tasks behind it.
        tasks: Vec<ClosedTaskView>,
    },
    /// What it is about changed.
    Context {
        /// What it is about from then on.
        focus: Focus,
    },
    /// Anything else that people should know of.
    Notice {
        /// What it says.
        text: String,
    },
}

/// A question and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedView {
    /// The question.
    #[serde(flatten)]
    pub question: Clarification,
    /// What came of it.
    pub status: ClarificationStatus,
    /// The answer, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Json>,
}

/// A task in a closing message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClosedTaskView {
    /// Its id.
    pub id: TaskId,
    /// Its key.
    pub key: String,
    /// How it ended.
    pub status: TaskStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// Conversations, newest first.
pub fn conversation_views(
    filter: &ConversationFilter,
    views: &mut dyn Views,
) -> Result<Vec<(u64, ConversationView)>, StoreError> {
    let rows = views.conversations(filter)?;
    rows.into_iter().map(|row| Ok((row.number, view_of(row, views)?))).collect()
}

/// One conversation; `None` where nothing was ever said under that id.
pub fn conversation_view(
    id: ConversationId,
    views: &mut dyn Views,
) -> Result<Option<ConversationView>, StoreError> {
    let row = views.conversation(id)?;
    row.map(|row| view_of(row, views)).transpose()
}

fn view_of(row: ConversationRow, views: &mut dyn Views) -> Result<ConversationView, StoreError> {
    let mut found = Vec::new();
    for workflow in &row.face.open {
        found.extend(views.workflow(*workflow)?);
    }
    let workflows = workflow_briefs(&found, views)?;
    let doing = doing(&row, &workflows);
    let usage = Spent::from(spending_of_conversation(row.id, views)?);
    let face = row.face;
    Ok(ConversationView {
        conversation_id: row.id,
        id: row.id,
        title: face.title,
        status: row.status,
        doing,
        originator: face.originator.to_string(),
        claimed_by: face.claimant.map(|claimant| claimant.to_string()),
        escalated: face.escalated,
        focus: face.focus,
        project_id: face.project,
        messages: face.messages,
        round: face.round,
        questions: face.questions,
        planning: face.planning,
        planned: face.planned,
        proposal: face.proposal,
        workflows,
        usage,
        revision: row.revision,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

/// What it is doing: the first that holds.
fn doing(row: &ConversationRow, workflows: &[WorkflowView]) -> Doing {
    let waits = |workflow: &WorkflowView| {
        workflow.status == WorkflowStatus::PendingReview || workflow.tasks_waiting_for_people > 0
    };
    if row.face.escalated.is_some() {
        Doing::Escalated
    } else if !row.face.questions.is_empty() || workflows.iter().any(waits) {
        Doing::WaitingForUser
    } else if row.face.planning || !workflows.is_empty() {
        Doing::Working
    } else {
        Doing::Idle
    }
}

/// What was said and done, oldest first.
pub fn entries(number: u64, views: &mut dyn Views) -> Result<Vec<EntryView>, StoreError> {
    let mut told = Telling::default();
    for record in views.stream(number)? {
        if let Event::Conversation(event) = read_event(&record)? {
            told.take(&record, event, views)?;
        }
    }
    Ok(told.entries)
}

/// Folds events into entries.
#[derive(Default)]
struct Telling {
    entries: Vec<EntryView>,
    /// Whether the newest questions may still be answered.
    open: bool,
}

impl Telling {
    // Long because it has one arm for each event.
    fn take(
        &mut self,
        record: &Record,
        event: ConversationEvent,
        views: &mut dyn Views,
    ) -> Result<(), StoreError> {
        let notice = |text: &str| Entry::Notice { text: text.to_owned() };
        let mut role = Speaker::Assistant;
        let what = match event {
            ConversationEvent::MessageAdded(message) => {
                role = message.speaker;
                if role == Speaker::User {
                    self.supersede();
                }
                Entry::Message { text: string(&message.text, views)? }
            }
            ConversationEvent::ClarificationAsked(asked) => {
                let asked_view = |question| AskedView {
                    question,
                    status: ClarificationStatus::Asked,
                    answer: None,
                };
                self.open = true;
                let questions = asked.questions.into_iter().map(asked_view).collect();
                Entry::Clarification { round: asked.round, questions }
            }
            ConversationEvent::ClarificationAnswered(answered) => {
                for answer in answered.answers {
                    self.answered(&answer.key, answer.given);
                }
                return Ok(());
            }
            ConversationEvent::PlanProposed(proposed) => Entry::Plan {
                workflow_id: proposed.workflow,
                assumptions: proposed.assumptions,
                will_not: proposed.will_not,
                review: None,
            },
            ConversationEvent::PlanReviewed(reviewed) => {
                self.reviewed(reviewed.workflow, reviewed.end);
                return Ok(());
            }
            ConversationEvent::WorkflowLinked(linked) => {
                Entry::Started { workflow_id: linked.workflow }
            }
            ConversationEvent::WorkflowEnded(ended) => closing(&ended.closing, views)?,
            ConversationEvent::ContextShifted(shifted) => Entry::Context { focus: shifted.focus },
            ConversationEvent::Stopped(_) => {
                self.supersede();
                notice("Stopped.")
            }
            ConversationEvent::Escalated(escalated) => {
                notice(&format!("A person is needed: {}", escalated.reason))
            }
            ConversationEvent::Claimed(claimed) => {
                notice(&format!("{} has taken this conversation over.", claimed.by))
            }
            ConversationEvent::Released(_) => notice("Released: Baton goes on."),
            ConversationEvent::Closed(_) => {
                self.supersede();
                notice("Closed.")
            }
            ConversationEvent::Opened(_)
            | ConversationEvent::PlanningStarted(_)
            | ConversationEvent::PlannerAdmitted(_)
            | ConversationEvent::PlanningEnded(_) => return Ok(()),
        };
        let actor = views.actor(record.actor)?.map(|actor| actor.to_string());
        self.entries.push(EntryView { id: record.position, role, actor, at: record.at, what });
        Ok(())
    }

    fn questions(&mut self) -> Option<&mut Vec<AskedView>> {
        self.entries.iter_mut().rev().find_map(|entry| match &mut entry.what {
            Entry::Clarification { questions, .. } => Some(questions),
            Entry::Message { .. }
            | Entry::Plan { .. }
            | Entry::Started { .. }
            | Entry::Closing { .. }
            | Entry::Context { .. }
            | Entry::Notice { .. } => None,
        })
    }

    fn answered(&mut self, key: &str, given: Given) {
        let questions = self.questions();
        let asked = questions.and_then(|all| all.iter_mut().find(|one| one.question.key == key));
        if let Some(asked) = asked {
            asked.status = given.status();
            asked.answer = match given {
                Given::Value(value) => Some(value),
                Given::Skipped | Given::Delegated => None,
            };
        }
    }

    /// Something else was said, or done: what was asked before is asked no more.
    fn supersede(&mut self) {
        if std::mem::take(&mut self.open)
            && let Some(questions) = self.questions()
        {
            let open = |one: &&mut AskedView| one.status == ClarificationStatus::Asked;
            questions.iter_mut().filter(open).for_each(|one| {
                one.status = ClarificationStatus::Superseded;
            });
        }
    }

    fn reviewed(&mut self, workflow: WorkflowId, end: ReviewEnd) {
        let plan = self.entries.iter_mut().rev().find_map(|entry| match &mut entry.what {
            Entry::Plan { workflow_id, review, .. } if *workflow_id == workflow => Some(review),
            Entry::Plan { .. }
            | Entry::Message { .. }
            | Entry::Clarification { .. }
            | Entry::Started { .. }
            | Entry::Closing { .. }
            | Entry::Context { .. }
            | Entry::Notice { .. } => None,
        });
        if let Some(review) = plan {
            *review = Some(end);
        }
    }
}

fn closing(body: &Body, views: &mut dyn Views) -> Result<Entry, StoreError> {
    let text = text_of(body, views)?;
    let closing: Closing = serde_json::from_str(text.as_str())
        .map_err(|e| StoreError::Corrupt(format!("a closing message cannot be read: {e}")))?;
    let text = closing.text();
    let task =
        |ClosingTask { task, key, status, cause }| ClosedTaskView { id: task, key, status, cause };
    let tasks = closing.tasks.into_iter().map(task).collect();
    let (workflow_id, status) = (closing.workflow, closing.status);
    Ok(Entry::Closing { text, workflow_id, status, tasks })
}

fn string(body: &Body, views: &mut dyn Views) -> Result<String, StoreError> {
    let text = text_of(body, views)?;
    Ok(serde_json::from_str(text.as_str()).unwrap_or_default())
}
