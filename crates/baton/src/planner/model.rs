//! Planning by a model: its agent is sent off with what is known, and what it brings back is checked once
//! more and becomes what comes next.
//!
//! What it brought is read from the journal, so that after a crash the same follows from it.

use baton_core::body::{Body, Json};
use baton_core::conversation::Focus;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::plan::ModelSpec;
use baton_core::spoken::cut;
use baton_core::words::WorkflowStatus;
use baton_core::workflow::CallEnd;
use baton_engine::conversing::{Decided, Heard, Next, PlanJob, Thought, spoken};
use baton_engine::loaded::Loaded;
use baton_engine::ports::Models;
use baton_engine::store::{StoreError, Views};
use baton_engine::transcript::Transcript;
use baton_engine::view::text_of;
use serde_json::Value;

use super::bound::{self, Bound};
use super::brought::{Brought, Named, Proposed};
use super::library::Library;
use super::policy::starts_unreviewed;
use super::proposing::{self, Checked};
use super::said::Said;
use super::tools::Shifted;
use super::{agent, answer, asked, capabilities, failed, offers};
use crate::config::Form;

/// The longest text of what went wrong that people are told, in characters.
const FAULTS_CHARS_MAX: usize = 1_500;

/// Sends the agent off.
pub fn begin(
    job: &PlanJob,
    (specs, models): (Vec<ModelSpec>, &dyn Models),
    library: &Library,
    views: &mut dyn Views,
) -> Result<Thought, StoreError> {
    let missing: Vec<String> = specs.iter().filter_map(|spec| models.missing(&spec.name)).collect();
    if missing.len() == specs.len() {
        return Ok(Thought::Decided(failed(&format!(
            "No model that plans can be asked: {}. `baton doctor` tells which can.",
            missing.join("; ")
        ))));
    }
    let today: String = job.state.updated_at.to_string().chars().take("2026-11-22".len()).collect();
    let bounds = &library.config().planning;
    let (capabilities, answer) = match bounds.form {
        Form::Tools => (None, None),
        Form::Schema => bound_to(&Said::read(job, views)?.all(), library),
    };
    let asked = asked::asked(job, (&today, capabilities), views)?;
    let plan = agent::planning(specs, bounds, answer);
    let inputs = Body::split(Json::of(&agent::inputs(&asked)));
    Ok(match Loaded::new(plan) {
        Ok(loaded) => Thought::Model { loaded: loaded.into(), inputs },
        Err(fault) => Thought::failed(&fault),
    })
}

/// What a model is told that there is, and the schema of its answer.
fn bound_to(request: &str, library: &Library) -> (Option<Value>, Option<Value>) {
    let capabilities = capabilities::listed(request, library);
    let listed = capabilities.get("definitions").and_then(Value::as_array).into_iter().flatten();
    let plans = library.shelf().plans;
    let named = listed.filter_map(|one| plans.get(one.get("name")?.as_str()?));
    let definitions: Vec<(&str, Option<&Value>)> =
        named.map(|plan| (plan.name.as_str(), plan.inputs.as_ref())).collect();
    let schema = bound::schema(&definitions);
    (Some(capabilities), Some(schema))
}

/// What follows from what the agent brought.
pub fn heard(
    job: &PlanJob,
    heard: &Heard,
    library: &Library,
    views: &mut dyn Views,
) -> Result<Decided, StoreError> {
    let told = Told::read(heard.workflow, views)?;
    let output = heard.output.as_ref().filter(|_| heard.status == WorkflowStatus::Completed);
    let Some(output) = output else {
        return Ok(nothing_came(heard, &told));
    };
    let decided = match text_of(output, views)?.value() {
        Value::String(text) if text.trim().is_empty() => {
            failed("The model that plans said nothing. Say it again to have me try once more.")
        }
        Value::String(text) => answer(&text),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => match read(other, job) {
            Ok(brought) => follow(brought, job, library),
            Err(faults) => unfit(&faults),
        },
    };
    Ok(Decided { focus: told.focus.map(Box::new), ..decided })
}

/// What was brought by a call, which was checked then, or by an answer that is bound to a schema.
fn read(output: Value, job: &PlanJob) -> Result<Brought, Vec<String>> {
    let unread = |fault: serde_json::Error| vec![fault.to_string()];
    if output.get("step").is_none() {
        return serde_json::from_value(output).map_err(unread);
    }
    let bound: Bound = serde_json::from_value(output).map_err(unread)?;
    bound.brought(&job.state)
}

fn follow(brought: Brought, job: &PlanJob, library: &Library) -> Decided {
    match brought {
        Brought::Ask(questions) => Decided { text: None, focus: None, next: Next::Ask(questions) },
        Brought::Answer(text) => answer(&text),
        Brought::Escalate(reason) => {
            Decided { text: None, focus: None, next: Next::Escalate { reason } }
        }
        Brought::ProposePlan(proposed) => {
            match proposing::proposed(&proposed, &job.state, library) {
                Ok(checked) => propose(*proposed, checked),
                Err(faults) => unfit(&faults),
            }
        }
        Brought::StartDefinition(named) => {
            match proposing::named_definition(&named, &library.shelf().plans) {
                Ok(checked) => start(&named, checked),
                Err(faults) => unfit(&faults),
            }
        }
    }
}

fn propose(proposed: Proposed, checked: Checked) -> Decided {
    let mut text = proposed.title.trim().to_owned();
    for (task, why) in &proposed.why {
        text.push_str(&format!("\n- {task}: {}", why.trim()));
    }
    match checked.proposal((proposed.assumptions, proposed.will_not)) {
        Ok(proposal) => {
            Decided { text: Some(spoken(&text)), focus: None, next: Next::Propose(proposal) }
        }
        Err(fault) => unfit(&[fault]),
    }
}

/// Starts a definition; one that changes something first shows what it does.
fn start(named: &Named, checked: Checked) -> Decided {
    let at_once = starts_unreviewed(&checked.plan);
    match checked.proposal((Vec::new(), Vec::new())) {
        Err(fault) => unfit(&[fault]),
        Ok(proposal) if at_once => {
            let text = Some(spoken(&format!("I start `{}`.", named.name)));
            Decided { text, focus: None, next: Next::Start(proposal) }
        }
        Ok(proposal) => {
            let text = format!("I would run `{}`, which may change something.", named.name);
            Decided { text: Some(spoken(&text)), focus: None, next: Next::Propose(proposal) }
        }
    }
}

/// What does not fit when it is followed: nobody checked it before, or tools and definitions have changed
/// since.
fn unfit(faults: &[String]) -> Decided {
    let faults = cut(&faults.join("\n- "), FAULTS_CHARS_MAX);
    failed(&format!(
        "The model brought a plan that cannot be used:\n- {faults}\nSay it in other words to have me try again."
    ))
}

/// What the planner's workflow told on its way.
#[derive(Default)]
struct Told {
    /// The last shift of the context.
    focus: Option<Focus>,
    /// What was wrong with the last call that was refused.
    refused: Option<String>,
    /// Why its last turn was its last.
    cause: Option<String>,
}

impl Told {
    fn read(workflow: WorkflowId, views: &mut dyn Views) -> Result<Self, StoreError> {
        let Some((card, _)) = views.workflow(workflow)? else { return Ok(Self::default()) };
        let transcript = Transcript::read(card.number, Ordinal(0), views)?;
        let failure = transcript.turns.last().and_then(|turn| turn.failure.as_ref());
        let mut told =
            Self { cause: failure.map(|failure| failure.message.clone()), ..Self::default() };
        let answers = transcript.turns.iter().filter_map(|turn| turn.answer.as_ref());
        for call in answers.flat_map(|answer| &answer.calls) {
            match &call.end {
                Some(CallEnd::Error(why)) => told.refused = Some(why.clone()),
                Some(CallEnd::Output(body)) if call.asked.tool == offers::SHIFT_CONTEXT => {
                    let shifted = text_of(body, views)?;
                    let shifted: Option<Shifted> = serde_json::from_str(shifted.as_str()).ok();
                    told.focus = shifted.map(|shifted| shifted.focus).or(told.focus);
                }
                Some(CallEnd::Output(_)) | None => {}
            }
        }
        Ok(told)
    }
}

/// The words for a planning that brought nothing.
fn nothing_came(heard: &Heard, told: &Told) -> Decided {
    let cause = match (&told.cause, heard.status) {
        (_, WorkflowStatus::Cancelled) => "the planning was cancelled",
        (Some(cause), _) => cause.as_str(),
        (None, _) => "the model that plans came to no end",
    };
    let mut text = format!(
        "I could not make a plan of it: {}.",
        cut(cause.trim_end_matches('.'), FAULTS_CHARS_MAX)
    );
    if let Some(refused) = &told.refused {
        text.push_str(&format!("\nWhat was wrong last: {}", cut(refused, FAULTS_CHARS_MAX)));
    }
    text.push_str(&format!(
        "\nSay it in other words, or name a definition with /run NAME; `baton show {}/{}` tells all of it.",
        heard.workflow,
        agent::TASK
    ));
    failed(&text)
}
