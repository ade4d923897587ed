//! How the API's answers look, for its OpenAPI document.
//!
//! What is served are the views that every surface shares; these types say the same once more, for
//! the generator alone, and a test compares the two.
#![expect(dead_code, reason = "read by the generator, never built")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use baton_core::codes::Code;
use baton_core::words::{
    AttemptStatus, Effect, HumanKind, Missed, Origin, Permission, ProgressMethod, StageStatus,
    TaskStatus, WaitReason, WorkflowStatus,
};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{Components, ComponentsBuilder, ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, PartialSchema, ToSchema};

use super::code::ProblemCode;
use super::problem::Problem;

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
    AttemptStatusWord = AttemptStatus;
    EffectWord = Effect;
    HumanKindWord = HumanKind;
    MissedWord = Missed;
    OriginWord = Origin;
    PermissionWord = Permission;
    ProblemWord = ProblemCode;
    ProgressMethodWord = ProgressMethod;
    StageStatusWord = StageStatus;
    TaskStatusWord = TaskStatus;
    WaitReasonWord = WaitReason;
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
    /// What its calls pass on as W3C trace id: its own id, 32 hexadecimal digits.
    trace_id: String,
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

/// A task's id in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TaskInPath {
    /// The task's id.
    #[param(format = "uuid")]
    id: String,
}

/// A task.
#[derive(ToSchema)]
#[schema(as = Task)]
pub(super) struct TaskSchema {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Its key; an item's has its index behind it.
    key: String,
    /// For people.
    title: Option<String>,
    /// The stage it belongs to.
    stage: String,
    /// What it does.
    kind: String,
    /// The tool, if it calls one.
    tool: Option<String>,
    /// Where it stands.
    status: TaskStatusWord,
    /// What it waits for.
    waits_for: Option<WaitReasonWord>,
    /// Attempts so far.
    attempts: u32,
    /// When its first attempt of the run started.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// The position of the event that last changed it; 0 where none has.
    position: u64,
}

/// A task with its attempts.
#[derive(ToSchema)]
#[schema(as = TaskDetail)]
pub(super) struct TaskDetailSchema {
    #[schema(inline)]
    #[serde(flatten)]
    task: TaskSchema,
    /// Its workflow.
    #[schema(format = "uuid")]
    workflow_id: String,
    /// What a person is asked, while the task waits for one.
    ask: Option<String>,
    /// The shape of their answer.
    answer: Option<HumanKindWord>,
    /// `choice`: the options.
    options: Vec<String>,
    /// `form`: a JSON Schema object of the answer.
    form: Option<Any>,
    /// What the task brought; of an `each`, its items have it.
    output: Option<Any>,
    /// Why it failed.
    failure: Option<FailureSchema>,
    /// Its attempts over all runs, oldest first.
    calls: Vec<CallSchema>,
}

/// One attempt.
#[derive(ToSchema)]
#[schema(as = Call)]
pub(super) struct CallSchema {
    /// Its number, from 1, over all runs.
    attempt: u32,
    /// The tool it called, if it called one.
    tool: Option<String>,
    /// What the tool was given.
    input: Option<Any>,
    /// How it ended, or that it has not.
    status: AttemptStatusWord,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Why it failed.
    failure: Option<FailureSchema>,
}

/// Why a call failed.
#[derive(ToSchema)]
#[schema(as = Failure)]
pub(super) struct FailureSchema {
    /// Why.
    kind: String,
    /// What happened, where, and what to do.
    message: String,
    /// Whether the call had its effect: `no`, `yes`, `unknown`.
    happened: String,
    /// Whether the same call may go well later.
    retryable: bool,
    /// How long the other side asked to wait.
    retry_after_ms: Option<u64>,
}

/// A stage.
#[derive(ToSchema)]
#[schema(as = Stage)]
pub(super) struct StageSchema {
    /// Its name.
    name: String,
    /// Where it stands.
    status: StageStatusWord,
    /// Its share of stage-weighted progress.
    weight: u32,
    /// Tasks of the plan in it.
    tasks_total: u32,
    /// Those that completed.
    tasks_completed: u32,
    /// Those that failed.
    tasks_failed: u32,
    /// When its first task started.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When its last task ended, if all have.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// What is reached on the way.
    milestones: Vec<MilestoneSchema>,
}

/// A milestone.
#[derive(ToSchema)]
#[schema(as = Milestone)]
pub(super) struct MilestoneSchema {
    /// Unique in the plan.
    id: String,
    /// For people.
    title: String,
    /// Whether its tasks have ended.
    reached: bool,
}

/// An event.
#[derive(ToSchema)]
#[schema(as = Event)]
pub(super) struct EventSchema {
    /// Its place in the journal.
    position: u64,
    /// Such as `task.completed`.
    r#type: String,
    /// When it happened.
    #[schema(format = DateTime)]
    at: String,
    /// The workflow it belongs to; none of an event of the store.
    #[schema(format = "uuid")]
    workflow_id: Option<String>,
    /// The key of the task it is about.
    task: Option<String>,
    /// The id of that task.
    #[schema(format = "uuid")]
    task_id: Option<String>,
    /// Its body, as it is stored.
    data: Any,
}

/// Something that needs a person.
#[derive(ToSchema)]
#[schema(as = InboxItem)]
pub(super) struct InboxItemSchema {
    /// The workflow.
    #[schema(format = "uuid")]
    workflow_id: String,
    /// The definition's name.
    name: String,
    /// The task; none where the plan itself is to be reviewed.
    #[schema(format = "uuid")]
    task_id: Option<String>,
    /// Its key.
    task: Option<String>,
    /// `review`, or what the task waits for.
    needs: String,
    /// What is asked.
    ask: String,
    /// The shape of the answer, where a task asks for one.
    kind: Option<HumanKindWord>,
    /// `choice`: the options.
    options: Vec<String>,
    /// `form`: a JSON Schema object of the answer.
    form: Option<Any>,
    /// The tool, with its server before it, where a running call asks.
    tool: Option<String>,
    /// The number of its question: what an answer may name, to be for no other.
    question: Option<u32>,
    /// An address it sends the person to; they approve once they were there.
    url: Option<String>,
    /// The workflow's revision: what an approval of its plan names.
    revision: u64,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
}

/// A tool.
#[derive(ToSchema)]
#[schema(as = Tool)]
pub(super) struct ToolSchema {
    /// `server.tool`.
    name: String,
    /// In one sentence.
    description: String,
    /// What repeating a call would do.
    effect: EffectWord,
    /// What a task needs to call it.
    permission: PermissionWord,
    /// A JSON Schema object of its input.
    input: Any,
    /// A JSON Schema of its output, where it promises one.
    output: Option<Any>,
    /// Bounded computation without I/O.
    quick: bool,
}

/// A task that a worker has from now on.
#[derive(ToSchema)]
#[schema(as = Lease)]
pub(super) struct LeaseSchema {
    /// The task.
    #[schema(format = "uuid")]
    task_id: String,
    /// Its workflow.
    #[schema(format = "uuid")]
    workflow_id: String,
    /// Its attempt: what the worker's answers carry.
    token: u32,
    /// The type of worker it is for.
    r#type: String,
    /// The rendered input.
    input: Any,
    /// The same for every attempt.
    idempotency_key: String,
    /// Until when it is the worker's without a heartbeat.
    #[schema(format = DateTime)]
    lease_until: String,
}

/// The answer to a heartbeat.
#[derive(ToSchema)]
#[schema(as = Alive)]
pub(super) struct AliveSchema {
    /// Until when the task is the worker's without another.
    #[schema(format = DateTime)]
    lease_until: String,
    /// Whether the worker should stop: the workflow is being cancelled.
    cancelled: bool,
}

/// Where a task stands by a worker's answer.
#[derive(ToSchema)]
#[schema(as = Answered)]
pub(super) struct AnsweredSchema {
    /// The task.
    #[schema(format = "uuid")]
    task_id: String,
    /// Where it stands.
    status: TaskStatusWord,
}

/// A lease that is held.
#[derive(ToSchema)]
#[schema(as = Holding)]
pub(super) struct HoldingSchema {
    /// The task.
    #[schema(format = "uuid")]
    task_id: String,
    /// Its attempt.
    token: u32,
    /// The worker's own name.
    worker: String,
    /// Until when it is the worker's without a heartbeat.
    #[schema(format = DateTime)]
    lease_until: String,
    /// What the worker last said of how far it is.
    progress: Option<Any>,
}

/// The leases that are held.
#[derive(ToSchema)]
#[schema(as = HoldingPage)]
pub(super) struct HoldingPageSchema {
    items: Vec<HoldingSchema>,
    /// Always null: they are all there.
    next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    /// Every name that a `$ref` of the document leads to, and every `operationId`.
    fn gather(value: &Value, refs: &mut BTreeSet<String>, operations: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    match (name.as_str(), field.as_str()) {
                        ("$ref", Some(to)) => {
                            refs.insert(to.trim_start_matches('#').to_owned());
                        }
                        ("operationId", Some(id)) => operations.push(id.to_owned()),
                        _ => gather(field, refs, operations),
                    }
                }
            }
            Value::Array(elements) => {
                elements.iter().for_each(|element| gather(element, refs, operations));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_operations_are_told_apart() {
        let document: Value = serde_json::to_value(super::super::openapi()).unwrap();
        let (mut refs, mut operations) = (BTreeSet::new(), Vec::new());
        gather(&document, &mut refs, &mut operations);
        assert!(refs.contains("/components/schemas/problem_code"));
        for to in refs {
            assert!(document.pointer(&to).is_some(), "{to}");
        }
        let count = operations.len();
        operations.sort();
        operations.dedup();
        assert_eq!(operations.len(), count, "{operations:?}");
    }

    /// The fields of a Rust struct as its source declares them, under their names in JSON.
    fn declared(source: &str, name: &str) -> BTreeSet<String> {
        let begin = source.find(&format!("pub struct {name}")).unwrap();
        let text = source[begin..].split("\n}").next().unwrap();
        let mut fields = BTreeSet::new();
        let (mut renamed, mut is_skipped) = (None, false);
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("#[serde(rename = \"") {
                renamed = rest.split('"').next();
            }
            is_skipped |= line.starts_with("#[serde(skip)]") || line.contains("flatten");
            if let Some((field, _)) =
                line.strip_prefix("pub ").and_then(|rest| rest.split_once(": "))
            {
                if !is_skipped {
                    fields.insert(renamed.unwrap_or(field).to_owned());
                }
                (renamed, is_skipped) = (None, false);
            }
        }
        fields
    }

    #[test]
    fn schemas_have_the_fields_of_the_views_that_are_served() {
        let document: Value = serde_json::to_value(super::super::openapi()).unwrap();
        let view = include_str!("../../../baton-engine/src/view.rs");
        let cases = [
            ("Workflow", view, "WorkflowView"),
            ("Task", view, "TaskView"),
            ("Call", include_str!("calls.rs"), "CallView"),
            ("Stage", include_str!("../../../baton-engine/src/stages.rs"), "StageView"),
            ("Milestone", include_str!("../../../baton-engine/src/stages.rs"), "MilestoneView"),
            ("Event", include_str!("../../../baton-engine/src/events.rs"), "EventView"),
            ("InboxItem", include_str!("../../../baton-engine/src/inbox.rs"), "InboxItem"),
            ("Tool", include_str!("../../../baton-core/src/plan.rs"), "ToolSpec"),
            ("Failure", include_str!("../../../baton-core/src/failure.rs"), "CallFailure"),
        ];
        for (schema, source, name) in cases {
            let shape = &document["components"]["schemas"][schema]["properties"];
            let shown = shape.as_object().unwrap_or_else(|| panic!("{schema}: {shape}"));
            let shown: BTreeSet<String> = shown.keys().cloned().collect();
            assert_eq!(shown, declared(source, name), "{schema}");
        }
    }
}
