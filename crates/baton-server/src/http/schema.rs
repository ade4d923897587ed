//! How the API's answers look, for its OpenAPI document.
//!
//! What is served are the views that every surface shares; these types say the same once more, for
//! the generator alone, and a test compares the two.
#![expect(dead_code, reason = "read by the generator, never built")]

use std::borrow::Cow;

use baton_core::codes::Code;
use baton_core::words::{Origin, ProgressMethod, WorkflowStatus};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::code::ProblemCode;

/// The schema of a string out of a vocabulary's words.
fn words<C: Code>() -> RefOr<Schema> {
    let words = C::ALL.iter().map(|member| member.word());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}

/// A type for each vocabulary that answers have words of.
macro_rules! vocabularies {
    ($($name:ident = $code:ty;)+) => { $(
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                words::<$code>()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(<$code>::VOCABULARY)
            }
        }
    )+ };
}

vocabularies! {
    OriginWord = Origin;
    ProblemWord = ProblemCode;
    ProgressMethodWord = ProgressMethod;
    WorkflowStatusWord = WorkflowStatus;
}

/// Any JSON value.
pub(super) struct Any;

impl PartialSchema for Any {
    fn schema() -> RefOr<Schema> {
        Schema::Object(
            ObjectBuilder::new().schema_type(utoipa::openapi::schema::SchemaType::AnyValue).build(),
        )
        .into()
    }
}

impl ToSchema for Any {}

/// A problem, by RFC 9457.
#[derive(ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemSchema {
    /// Where its code is explained.
    #[schema(example = "/docs/errors/no_such_workflow")]
    r#type: String,
    /// The same sentence for every problem of this code.
    title: String,
    /// The answer's status.
    status: u16,
    /// What happened, where, and what to do next.
    detail: String,
    /// A stable word.
    code: ProblemWord,
    /// Every fault of what was sent.
    errors: Option<Vec<FieldErrorSchema>>,
}

/// One fault of what was sent.
#[derive(ToSchema)]
#[schema(as = FieldError)]
pub(super) struct FieldErrorSchema {
    /// A JSON pointer into the body; empty for the whole.
    pointer: String,
    /// What is wrong, and what to do about it.
    detail: String,
    /// From 1, where the text that is at fault has lines.
    line: Option<u32>,
    /// From 1, in characters.
    column: Option<u32>,
}

/// A workflow.
#[derive(ToSchema)]
#[schema(as = Workflow)]
pub(super) struct WorkflowSchema {
    /// Its id.
    #[schema(format = "uuid")]
    workflow_id: String,
    /// The same.
    #[schema(format = "uuid")]
    id: String,
    /// The definition's name.
    name: String,
    /// What it is for; not in lists.
    description: Option<String>,
    /// What kind of plan it is.
    r#type: String,
    /// How it came to be.
    origin: OriginWord,
    /// The number of its run, from 1.
    run: u32,
    /// Where the run stands.
    status: WorkflowStatusWord,
    /// The earliest stage that is not done.
    current_stage: Option<String>,
    /// Higher starts sooner.
    #[schema(minimum = 0, maximum = 9)]
    priority: u8,
    /// How far it is.
    #[schema(minimum = 0, maximum = 100)]
    progress_percentage: u8,
    /// The same.
    #[schema(minimum = 0, maximum = 100)]
    progress: u8,
    /// Tasks that completed.
    agents_completed: u32,
    /// Tasks that count.
    agents_total: u32,
    /// How progress is counted.
    progress_calculation_method: ProgressMethodWord,
    /// When it was last computed.
    #[schema(format = DateTime)]
    progress_updated_at: String,
    /// Tasks that failed.
    tasks_failed: u32,
    /// Tasks that wait for a person.
    tasks_waiting_for_people: u32,
    /// The conversation it belongs to.
    #[schema(format = "uuid")]
    conversation_id: String,
    /// How many events it has; it grows with each.
    revision: u64,
    /// When it was admitted.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its first run started.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When anything last happened.
    #[schema(format = DateTime)]
    updated_at: String,
    /// When the run ended.
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// When its events, tasks and output were purged.
    #[schema(format = DateTime)]
    purged_at: Option<String>,
    /// What the run brought; not in lists.
    output: Option<Any>,
    /// Why it did not complete; not in lists.
    error: Option<String>,
}

/// A page of workflows, newest first.
#[derive(ToSchema)]
#[schema(as = WorkflowPage)]
pub(super) struct WorkflowPageSchema {
    items: Vec<WorkflowSchema>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}
