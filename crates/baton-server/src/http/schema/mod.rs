//! How the API's answers look, for its OpenAPI document.
//!
//! What is served are the views that every surface shares; these types say the same once more, for
//! the generator alone, and a test compares the two.
#![expect(dead_code, reason = "read by the generator, never built")]

mod conversations;
mod edits;
mod tasks;
mod turns;
mod usage;
mod workers;
mod workflows;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use baton_core::codes::Code;
use baton_core::words::{
    AtLimit, AttemptStatus, ClarificationStatus, Compaction, ConversationStatus, Doing, Effect,
    FocusKind, Happened, HumanKind, Missed, Origin, Permission, PlanningEnd, ProgressMethod, Role,
    Speaker, StageStatus, TaskStatus, UsageBy, WaitReason, WorkflowStatus,
};
use baton_core::workflow::edits::EditStatus;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{Components, ComponentsBuilder, ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, PartialSchema, ToSchema};

use super::code::ProblemCode;
use super::problem::Problem;

pub(super) use conversations::{ConversationSchema, EntrySchema};
pub(super) use edits::EditSchema;
pub(super) use tasks::{TaskDetailSchema, TaskSchema, ToolSchema};
pub(super) use turns::{PromptSchema, TurnSchema};
pub(super) use usage::{ForecastSchema, UsageReportSchema};
pub(super) use workers::{AliveSchema, AnsweredSchema, HoldingPageSchema, LeaseSchema};
pub(super) use workflows::{EventSchema, InboxItemSchema, SpanSchema, StageSchema, WorkflowSchema};

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
    AtLimitWord = AtLimit;
    AttemptStatusWord = AttemptStatus;
    ClarificationStatusWord = ClarificationStatus;
    CompactionWord = Compaction;
    ConversationStatusWord = ConversationStatus;
    DoingWord = Doing;
    EditStatusWord = EditStatus;
    EffectWord = Effect;
    FocusKindWord = FocusKind;
    HappenedWord = Happened;
    HumanKindWord = HumanKind;
    MissedWord = Missed;
    OriginWord = Origin;
    PermissionWord = Permission;
    ProblemWord = ProblemCode;
    PlanningEndWord = PlanningEnd;
    ProgressMethodWord = ProgressMethod;
    RoleWord = Role;
    SpeakerWord = Speaker;
    StageStatusWord = StageStatus;
    TaskStatusWord = TaskStatus;
    UsageByWord = UsageBy;
    WaitReasonWord = WaitReason;
    WorkflowStatusWord = WorkflowStatus;
}

/// A type for each kind of text, by the expression that it fits.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $pattern:expr;)+) => { $(
        $(#[$doc])*
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).pattern(Some($pattern)).into()
            }
        }

        impl ToSchema for $name {}
    )+ };
}

texts! {
    /// A span of time.
    SpanText = "^[0-9]{1,5}(ms|s|m|h|d)([0-9]{1,5}(ms|s|m|h|d)){0,4}$";
    /// A name of 1 to 200 bytes: so many characters are never more.
    NameText = "^.{1,50}$";
    /// Statuses of workflows, divided by commas.
    StatusList = statuses();
}

fn statuses() -> String {
    let words: Vec<&str> = WorkflowStatus::ALL.iter().map(|status| status.word()).collect();
    let one = words.join("|");
    format!("^({one})(,({one}))*$")
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

/// What every path may answer instead.
pub(super) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = Ref::from_schema_name(Problem::name());
        let content = ContentBuilder::new().schema(Some(problem)).build();
        let response = ResponseBuilder::new()
            .description("What went wrong")
            .content("application/problem+json", content)
            .build();
        BTreeMap::from([("default".to_owned(), response.into())])
    }
}

/// The schemas that [`Problems`] names.
pub(super) fn components() -> Components {
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    ComponentsBuilder::new().schemas_from_iter(schemas).build()
}

/// A workflow's id in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct WorkflowInPath {
    /// The workflow's id.
    #[param(format = "uuid")]
    id: String,
}

/// A conversation's id in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ConversationInPath {
    /// The conversation's id.
    #[param(format = "uuid")]
    id: String,
}

/// An edit in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct EditInPath {
    /// The workflow's id.
    #[param(format = "uuid")]
    id: String,
    /// The edit's number, from 1.
    n: u32,
}

/// A task's id in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TaskInPath {
    /// The task's id.
    #[param(format = "uuid")]
    id: String,
}
