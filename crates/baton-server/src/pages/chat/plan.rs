//! A plan as a conversation shows it for review: who does what in which order, what that may change,
//! what it will cost, and what is taken for granted.
//!
//! The full review, with every template and schema, is the workflow's own page.

use baton_core::body::Json;
use baton_core::plan::{Plan, TaskPlan, Work};
use baton_core::spoken::cut;
use baton_core::words::{Effect, Permission};
use baton_core::workflow::Event;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_engine::live::read_event;
use baton_engine::store::{StoreError, Views};
use baton_engine::view::{plan_of, text_of, workflow_view};
use baton_engine::wording::Wording;
use serde_json::Value;

/// The longest input that is shown, in characters.
const INPUT_CHARS_MAX: usize = 300;
/// The most inputs that are shown.
const INPUTS_MAX: usize = 30;
/// The most tasks that are shown.
const TASKS_MAX: usize = 200;

/// A plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// The definition's name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it runs on: each input and its value.
    pub inputs: Vec<(String, String)>,
    /// Its stages.
    pub stages: Vec<Step>,
    /// How many tasks more there are.
    pub more: usize,
    /// What it will use, as far as earlier runs tell; while it can still be sent back.
    pub forecast: Option<String>,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its tasks.
    pub tasks: Vec<Planned>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its title, or its key.
    pub title: String,
    /// Who does it.
    pub who: String,
    /// Whether that is a tool's name.
    pub is_tool: bool,
    /// What that may change.
    pub effect: &'static str,
    /// Whether it may change anything.
    pub changes: bool,
    /// Which tasks must have ended before.
    pub after: Option<String>,
    /// Whether it is done for each of a list, or only under a condition.
    pub when: Option<&'static str>,
}

/// Reads the plan of a workflow.
pub fn sheet(
    (card, row): (&WorkflowCard, &WorkflowRow),
    views: &mut dyn Views,
) -> Result<Sheet, StoreError> {
    let plan = plan_of(card, views)?;
    let view = workflow_view(card, row, &Wording::of(&plan), views)?;
    Ok(Sheet {
        inputs: inputs(card.number, views)?,
        stages: steps(&plan),
        more: plan.tasks.len().saturating_sub(TASKS_MAX),
        forecast: view.forecast.map(|forecast| forecast.line()),
        name: plan.name,
        description: plan.description,
    })
}

fn inputs(number: u64, views: &mut dyn Views) -> Result<Vec<(String, String)>, StoreError> {
    let first = views.events(0, Some(number), 1)?.into_iter().next();
    let Some(Event::Admitted(admitted)) = first.as_ref().map(read_event).transpose()? else {
        return Ok(Vec::new());
    };
    let inputs: Json = text_of(&admitted.inputs, views)?;
    let Value::Object(fields) = inputs.value() else {
        return Ok(Vec::new());
    };
    let shown = |(name, value): (String, Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name, cut(&text, INPUT_CHARS_MAX))
    };
    Ok(fields.into_iter().take(INPUTS_MAX).map(shown).collect())
}

fn steps(plan: &Plan) -> Vec<Step> {
    let mut tasks = plan.tasks.iter().take(TASKS_MAX).peekable();
    let step = |(stage, at): (&baton_core::plan::Stage, u32)| {
        let mut all = Vec::new();
        while let Some(task) = tasks.next_if(|task| task.stage == at) {
            all.push(planned(task, plan));
        }
        Step { name: stage.name.clone(), tasks: all }
    };
    plan.stages.iter().zip(0_u32..).map(step).collect()
}

fn planned(task: &TaskPlan, plan: &Plan) -> Planned {
    let needs = task.needs.iter().flatten().filter_map(|need| plan.task(*need));
    let needs: Vec<&str> = needs.map(|need| need.title.as_deref().unwrap_or(&need.key)).collect();
    let (effect, changes) = effect(task);
    Planned {
        title: task.title.clone().unwrap_or_else(|| task.key.clone()),
        who: who(&task.work),
        is_tool: matches!(task.work, Work::Tool(_)),
        effect,
        changes,
        after: (!needs.is_empty()).then(|| needs.join(", ")),
        when: match (&task.each, &task.when) {
            (Some(_), _) => Some("for each of a list"),
            (None, Some(_)) => Some("only under a condition"),
            (None, None) => None,
        },
    }
}

fn who(work: &Work) -> String {
    match work {
        Work::Tool(call) => call.tool.clone(),
        Work::Agent(agent) => format!("agent {}", agent.agent),
        Work::Human(_) => "a person".to_owned(),
        Work::Wait(_) => "waits".to_owned(),
        Work::Emit(_) => "emits an event".to_owned(),
        Work::Workflow(child) => format!("workflow {}", child.plan.name),
        Work::Worker(worker) => format!("worker {}", worker.worker_type),
    }
}

/// What a task may change, in words.
fn effect(task: &TaskPlan) -> (&'static str, bool) {
    match (&task.work, task.permission) {
        (Work::Tool(call), _) => match call.effect {
            Effect::Read => ("only reads", false),
            Effect::Idempotent => ("changes something; doing it twice does no harm", true),
            Effect::Once => ("changes something, once", true),
        },
        (Work::Agent(_), Permission::ReadOnly) => ("may only read", false),
        (Work::Agent(_), Permission::ReadWrite) => ("may change things with its tools", true),
        (Work::Worker(_), Permission::ReadOnly) => ("may only read", false),
        (Work::Worker(_), Permission::ReadWrite) => ("may change things", true),
        (Work::Workflow(_), _) => ("by its own plan", true),
        (Work::Emit(_), _) => ("tells whoever listens", true),
        (Work::Human(_) | Work::Wait(_), _) => ("changes nothing", false),
    }
}
