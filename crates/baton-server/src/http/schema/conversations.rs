//! How conversations look, and what was said in them.

use utoipa::ToSchema;

use super::usage::SpentSchema;
use super::workflows::WorkflowSchema;
use super::{
    Any, ClarificationStatusWord, ConversationStatusWord, DoingWord, FocusKindWord,
    PlanningEndWord, SpeakerWord, TaskStatusWord, WorkflowStatusWord,
};

/// A conversation.
#[derive(ToSchema)]
#[schema(as = Conversation)]
pub(in crate::http) struct ConversationSchema {
    /// Its id.
    #[schema(format = "uuid")]
    conversation_id: String,
    /// The same.
    #[schema(format = "uuid")]
    id: String,
    /// What it is called.
    title: String,
    /// Whether it goes on.
    status: ConversationStatusWord,
    /// What it is doing.
    doing: DoingWord,
    /// Who began it, such as `user:ada`.
    originator: String,
    /// Who has taken it over.
    claimed_by: Option<String>,
    /// Why a person is needed who can do more.
    escalated: Option<String>,
    /// What it is about.
    focus: Option<FocusSchema>,
    /// The project it belongs to.
    #[schema(format = "uuid")]
    project_id: Option<String>,
    /// How many messages there are.
    messages: u32,
    /// The round of the questions, from 1; 0 where nothing was asked.
    round: u32,
    /// What is asked.
    questions: Vec<ClarificationSchema>,
    /// Whether something is being planned.
    planning: bool,
    /// How the last planning ended.
    planned: Option<PlanningEndWord>,
    /// The plan that waits for a review: a workflow.
    #[schema(format = "uuid")]
    proposal: Option<String>,
    /// Its workflows that have not ended.
    workflows: Vec<WorkflowSchema>,
    /// What all of its workflows used of models.
    usage: SpentSchema,
    /// How many events it has itself; it grows with each.
    revision: u64,
    /// When it began.
    #[schema(format = DateTime)]
    created_at: String,
    /// When anything last happened in it.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// What a conversation is about.
#[derive(ToSchema)]
#[schema(as = Focus)]
struct FocusSchema {
    /// What kind of thing.
    kind: FocusKindWord,
    /// Its id, name or path; empty for the workspace.
    id: String,
    /// What it is called.
    title: String,
    /// What is to be known about it.
    summary: String,
}

/// A question.
#[derive(ToSchema)]
#[schema(as = Clarification)]
struct ClarificationSchema {
    /// Unique within the request.
    key: String,
    /// What is asked.
    question: String,
    /// Why it must be known.
    reason: String,
    /// What an answer looks like.
    kind: AnswerKindSchema,
    /// What holds where nobody says otherwise; absent where nothing does.
    #[schema(required = false)]
    default: Option<Any>,
}

/// What an answer looks like.
#[derive(ToSchema)]
#[schema(as = AnswerKind)]
#[serde(tag = "type", rename_all = "snake_case")]
enum AnswerKindSchema {
    /// Any text.
    Text,
    /// One of these.
    Choice {
        /// What there is to choose from.
        choices: Vec<String>,
    },
    /// `true` or `false`.
    YesNo,
    /// The path of a file or folder.
    File,
    /// A number.
    Number {
        /// At least this.
        #[schema(nullable = false)]
        min: Option<f64>,
        /// At most this.
        #[schema(nullable = false)]
        max: Option<f64>,
        /// Whether it has no fraction.
        #[schema(nullable = false)]
        integer: Option<bool>,
    },
}

/// One thing that was said or done in a conversation.
#[derive(ToSchema)]
#[schema(as = Entry)]
pub(in crate::http) struct EntrySchema {
    /// The position of its event.
    id: u64,
    /// Who speaks.
    role: SpeakerWord,
    /// Who is behind it, such as `user:ada`.
    actor: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    #[serde(flatten)]
    what: SaidSchema,
}

/// What was said or done.
#[derive(ToSchema)]
#[schema(as = EntryContent)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum SaidSchema {
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
        questions: Vec<AskedSchema>,
    },
    /// A plan.
    Plan {
        /// The workflow it is.
        #[schema(format = "uuid")]
        workflow_id: String,
        /// What it takes for granted.
        assumptions: Vec<String>,
        /// What it will not do.
        will_not: Vec<String>,
        /// What came of its review: `approved`, `withdrawn` or `{"sent_back": {"comments": …}}`; absent
        /// while it waits for one.
        #[schema(required = false)]
        review: Option<Any>,
    },
    /// A workflow that started without a review.
    Started {
        /// Which.
        #[schema(format = "uuid")]
        workflow_id: String,
    },
    /// The end of a workflow.
    Closing {
        /// What it says in words.
        text: String,
        /// Which workflow.
        #[schema(format = "uuid")]
        workflow_id: String,
        /// How it ended.
        status: WorkflowStatusWord,
        /// The tasks behind it.
        tasks: Vec<ClosedTaskSchema>,
    },
    /// What it is about changed.
    Context {
        /// What it is about from then on.
        focus: FocusSchema,
    },
    /// Anything else that people should know of.
    Notice {
        /// What it says.
        text: String,
    },
}

/// A question and what came of it.
#[derive(ToSchema)]
#[schema(as = AskedQuestion)]
struct AskedSchema {
    #[serde(flatten)]
    question: ClarificationSchema,
    /// What came of it.
    status: ClarificationStatusWord,
    /// The answer, where there was one.
    #[schema(required = false)]
    answer: Option<Any>,
}

/// A task in a closing message.
#[derive(ToSchema)]
#[schema(as = ClosedTask)]
struct ClosedTaskSchema {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Its key.
    key: String,
    /// How it ended.
    status: TaskStatusWord,
    /// Why it failed.
    #[schema(nullable = false)]
    cause: Option<String>,
}
