//! What a task's templates may see: gathered from state as bodies, resolved to values where they
//! are rendered. Nothing is read here; the caller brings the blobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_core::agent::Message;
use baton_core::body::{BlobHash, Body, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::Ordinal;
use baton_core::program::{Prepared, Program, Rendered, Scope, TaskFacts, WorkflowFacts};
use baton_core::words::{FailureKind, TaskStatus};
use baton_core::workflow::{Output, TaskPhase, WorkflowState};
use serde_json::Value;

use crate::exchange::{Parts, Prepare, Split};
use crate::store::StoreError;

/// Everything a task's templates name, as bodies.
#[derive(Clone, Debug)]
pub struct Ingredients {
    inputs: Body,
    tasks: Vec<(Ordinal, TaskStatus, Material)>,
    item: Option<(u32, Json)>,
    event: Option<Body>,
    workflow: WorkflowFacts,
}

#[derive(Clone, Debug)]
enum Material {
    Value(Body),
    List(Vec<Body>),
}

impl Ingredients {
    /// What `references` and the inputs are at present.
    pub fn gather(state: &WorkflowState, references: &[Ordinal]) -> Self {
        let tasks = references.iter().filter_map(|task| {
            let facts = state.task(*task)?;
            Some((*task, facts.phase.status(), material(state, *task)))
        });
        Self {
            inputs: state.inputs.clone(),
            tasks: tasks.collect(),
            item: None,
            event: None,
            workflow: WorkflowFacts { id: state.id, name: state.plan.name.clone(), run: state.run },
        }
    }

    /// The same for one item of an `each`.
    pub fn with_item(self, item: Option<(u32, Json)>) -> Self {
        Self { item, ..self }
    }

    /// The same with the event a `when` is asked about.
    pub fn with_event(self, event: Body) -> Self {
        Self { event: Some(event), ..self }
    }

    /// Whether everything stands inline, so that no blob must be read.
    pub fn is_small(&self) -> bool {
        let inline = |body: &Body| matches!(body, Body::Inline(_));
        let small = |material: &Material| match material {
            Material::Value(body) => inline(body),
            Material::List(_) => false,
        };
        inline(&self.inputs) && self.tasks.iter().all(|(_, _, material)| small(material))
    }

    /// The values behind the bodies; `blob` brings the large ones.
    pub fn resolve(&self, blob: BlobReader<'_>) -> Result<Scope, StoreError> {
        let mut value = |body: &Body| match body {
            Body::Inline(json) => Ok(json.value()),
            Body::Blob { hash, .. } => blob(*hash).map(|json| json.value()),
        };
        let mut tasks = BTreeMap::new();
        for (task, status, material) in &self.tasks {
            let output = match material {
                Material::Value(body) => value(body)?,
                Material::List(bodies) => {
                    bodies.iter().map(&mut value).collect::<Result<Vec<Value>, _>>()?.into()
                }
            };
            tasks.insert(*task, TaskFacts { status: *status, output: Arc::new(output) });
        }
        Ok(Scope {
            inputs: Arc::new(value(&self.inputs)?),
            tasks,
            item: self.item.as_ref().map(|(index, item)| (*index, Arc::new(item.value()))),
            workflow: self.workflow.clone(),
            event: self.event.as_ref().map(&mut value).transpose()?.map(Arc::new),
            output: None,
        })
    }
}

/// A task's output as templates see it: what is not completed has none, but the items of an
/// expanded task are always a list.
fn material(state: &WorkflowState, task: Ordinal) -> Material {
    let output_of = |ordinal: Ordinal| match state.task(ordinal).and_then(|task| task.output()) {
        Some(Output::Value(body)) => body.clone(),
        Some(Output::Items { .. }) | None => Body::null(),
    };
    let list = |first: Ordinal, count: u32| {
        Material::List(
            (first.0..first.0.saturating_add(count)).map(|item| output_of(Ordinal(item))).collect(),
        )
    };
    let Some(facts) = state.task(task) else {
        return Material::Value(Body::null());
    };
    match (&facts.phase, state.items_of(task)) {
        (TaskPhase::Completed { output: Output::Items { first, count }, .. }, _) => {
            list(*first, *count)
        }
        (TaskPhase::Failed { .. }, Some(items)) => list(items.first, items.count),
        _ => Material::Value(output_of(task)),
    }
}

/// Splits what was rendered into what events carry and what the store keeps.
pub fn parts(prepared: Prepared) -> Parts {
    match prepared {
        Prepared::Skip => Parts::Skip,
        Prepared::Expand(values) => {
            let list = Json::from_serialize(&values).unwrap_or_else(|_| Json::null());
            Parts::Expand { list: Body::split(list), values: values.into() }
        }
        Prepared::Work(Rendered::Tool(call)) => Parts::Tool(Body::split(call.input)),
        Prepared::Work(Rendered::Human { ask, .. }) => Parts::Ask(ask.unwrap_or_default()),
        Prepared::Work(Rendered::WaitUntil(at)) => Parts::WaitUntil(at),
        Prepared::Work(Rendered::WaitFor(span)) => Parts::WaitFor(span),
        Prepared::Work(Rendered::WaitEvent { event, timeout }) => {
            Parts::WaitEvent { pattern: event, timeout }
        }
        Prepared::Work(Rendered::Emit { event_type, data }) => {
            Parts::Emit { event_type, data: Body::split(data) }
        }
        Prepared::Work(Rendered::Child { inputs }) => Parts::Child(inputs),
        Prepared::Work(Rendered::Worker { input }) => Parts::Worker(Body::split(input)),
        Prepared::Work(Rendered::Agent { prompt }) => {
            let message = Json::from_serialize(&Message::asked(&prompt));
            Parts::Agent(Body::split(message.unwrap_or_else(|_| Json::null())))
        }
    }
}

/// A task whose templates are rendered.
#[derive(Debug)]
pub struct Ready {
    /// What it turned out to be.
    pub parts: Parts,
    /// The key at most one task of which executes at a time.
    pub key: Option<String>,
    /// The name of the rate at which it may start.
    pub rate: Option<String>,
}

/// Brings a blob's text.
pub type BlobReader<'a> = &'a mut dyn FnMut(BlobHash) -> Result<Json, StoreError>;

/// Why templates were not rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrendered {
    /// They fail on the data: the task's own failure.
    Failed(CallFailure),
    /// The store does not answer: nothing is known about the task, and it is tried again.
    Unread(StoreError),
}

impl From<CallFailure> for Unrendered {
    fn from(failure: CallFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StoreError> for Unrendered {
    /// What is damaged stays so: a task that needs it has failed, and others have not.
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::Corrupt(_) => {
                Self::Failed(CallFailure::refused(FailureKind::Unavailable, fault.to_string()))
            }
            StoreError::Unavailable(_) | StoreError::Conflict(_) => Self::Unread(fault),
        }
    }
}

/// Renders a task: the work itself or the fallback its rung names.
pub fn render(job: &Prepare, blob: BlobReader<'_>) -> Result<Ready, Unrendered> {
    let scope = job.ingredients.resolve(blob)?;
    let program = &job.loaded.program;
    let parts = match job.rung.checked_sub(1) {
        None => parts(program.prepare(job.of, &scope)?),
        Some(fallback) => {
            let call = program.fallback(job.of, fallback as usize, &scope)?;
            let missing =
                || CallFailure::refused(FailureKind::Template, "the plan has no such fallback");
            Parts::Tool(Body::split(call.ok_or_else(missing)?.input))
        }
    };
    if matches!(parts, Parts::Skip | Parts::Expand { .. }) {
        // Nothing starts: keys are for what does, and may name its item.
        return Ok(Ready { parts, key: None, rate: None });
    }
    let key = program.concurrency_key(job.of, &scope)?;
    let rate = program.rate_key(job.of, &scope)?;
    Ok(Ready { parts, key, rate })
}

/// Renders a workflow's output.
pub fn render_output(
    program: &Program,
    ingredients: &Ingredients,
    blob: BlobReader<'_>,
) -> Result<Split, Unrendered> {
    Ok(Body::split(program.output(&ingredients.resolve(blob)?)?))
}
