//! Planning without a model: the request is matched to a definition by its words, its inputs are filled
//! from what was said, and what is missing is asked for. It never guesses: under the threshold it says
//! what it can do.

use std::sync::Arc;

use baton_core::body::{Body, Json};
use baton_core::conversation::{AnswerKind, Clarification, Given};
use baton_core::definition::input_faults;
use baton_core::plan::{Plan, Work};
use baton_core::playbook::{
    self, Choice, Day, Match, Playbook, Slot, SlotKind, fill, read_answer, slots,
};
use baton_core::words::Effect;
use baton_engine::conversing::{Decided, Next, PlanJob, Proposal, spoken};
use baton_engine::loaded::Loaded;
use serde_json::{Map, Value};

use super::library::Shelf;
use super::said::Said;
use super::{answer, failed};

/// The key of the question which definition is meant.
const WHICH: &str = "definition";
/// So many definitions are offered where none fits.
const OFFERED_MAX: usize = 12;

/// What is said or asked where no plan can be made.
type Instead = Box<Decided>;

/// What comes next in a conversation.
pub fn think(job: &PlanJob, said: &Said, at_hand: &Shelf) -> Decided {
    if let Some(comments) = &job.state.request.comments {
        return sent_back(comments, at_hand);
    }
    let plan = match chosen(job, said, at_hand) {
        Ok(plan) => plan,
        Err(instead) => return *instead,
    };
    match inputs_of(job, &plan, &said.all()) {
        Err(instead) => *instead,
        Ok(filled) => propose(&plan, filled),
    }
}

/// A definition that was named, to be started at once.
pub fn start(job: &PlanJob, plan: &Arc<Plan>, rest: &str, said: &Said) -> Decided {
    let text = if said.first() == said.last() { rest.to_owned() } else { said.all() };
    match inputs_of(job, plan, &text) {
        Err(instead) => *instead,
        Ok(filled) => proposal(plan, filled).map_or_else(
            |instead| *instead,
            |proposal| Decided { text: None, focus: None, next: Next::Start(proposal) },
        ),
    }
}

/// What can be done, for people.
pub fn offer(at_hand: &Shelf) -> String {
    let line = |plan: &Arc<Plan>| {
        let what = plan.description.as_deref().unwrap_or("no description");
        let example = plan.examples.first().map(|example| format!(" Say: \"{example}\"."));
        format!("- {}: {what}{}", plan.name, example.unwrap_or_default())
    };
    let playbooks = at_hand.plans.values().filter(|plan| !plan.examples.is_empty());
    let mut lines: Vec<String> = playbooks.take(OFFERED_MAX).map(line).collect();
    lines.extend(
        at_hand.faulty.iter().take(OFFERED_MAX).map(|file| {
            format!("Left out, as it has faults: {file}; `baton run {file}` shows them.")
        }),
    );
    if lines.is_empty() {
        return "No definition with `playbook: examples` is at hand; put one into a folder that \
                `[definitions] folders` names."
            .to_owned();
    }
    format!("This is what I can do:\n{}", lines.join("\n"))
}

fn sent_back(comments: &str, at_hand: &Shelf) -> Decided {
    let said =
        if comments.trim().is_empty() { String::new() } else { format!(" (\"{comments}\")") };
    answer(&format!(
        "The plan was sent back{said} and will not run. Without a model I cannot change it by myself: \
         edit it, or ask for something else. To have plans made by a model, name one in \
         `[models] planner`.\n{}",
        offer(at_hand)
    ))
}

/// The definition that is meant; or what to say or ask instead.
fn chosen(job: &PlanJob, said: &Said, at_hand: &Shelf) -> Result<Arc<Plan>, Instead> {
    if let Some(known) = job.state.request.known.get(WHICH)
        && let Given::Value(name) = &known.given
        && let Some(plan) = name.value().as_str().and_then(|name| at_hand.plans.get(name))
    {
        return Ok(Arc::clone(plan));
    }
    let shelf =
        playbook::Shelf::of(at_hand.plans.values().map(|plan| Playbook::from(plan.as_ref())));
    // What was said last is what is meant, if it says anything; it may only answer a question.
    let choice = match shelf.choose(said.last()) {
        Choice::Nothing(_) => shelf.choose(said.first()),
        found @ (Choice::Certain(_) | Choice::Unsure(_)) => found,
    };
    match choice {
        Choice::Certain(found) => {
            at_hand.plans.get(&found.name).cloned().ok_or_else(|| nothing(at_hand))
        }
        Choice::Unsure(rivals) => Err(which(&rivals)),
        Choice::Nothing(_) => Err(nothing(at_hand)),
    }
}

fn nothing(at_hand: &Shelf) -> Instead {
    refused(&format!(
        "I have no playbook for that, and no model to plan it with: name one in `[models] planner`, or \
         set a key such as OPENAI_API_KEY and start with `--model`.\n{}",
        offer(at_hand)
    ))
}

fn refused(text: &str) -> Instead {
    Box::new(failed(text))
}

fn which(rivals: &[Match]) -> Instead {
    let choices = rivals.iter().map(|rival| rival.name.clone()).collect();
    let question = Clarification {
        key: WHICH.to_owned(),
        question: "Which of these do you mean?".to_owned(),
        reason: "Several playbooks fit what you said about equally well.".to_owned(),
        kind: AnswerKind::Choice { choices },
        default: None,
    };
    Box::new(Decided { text: None, focus: None, next: Next::Ask(vec![question]) })
}

/// Inputs, and what was taken for granted about them.
struct Filled {
    inputs: Value,
    assumptions: Vec<String>,
}

/// The inputs as far as they were said; or what must be asked.
fn inputs_of(job: &PlanJob, plan: &Plan, text: &str) -> Result<Filled, Instead> {
    let none = Value::Object(Map::new());
    let schema = plan.inputs.as_ref().unwrap_or(&none);
    let (mut given, mut assumptions) = answered(job, schema)?;
    let filled = fill(schema, text, Day::of(job.state.updated_at), &given);
    let missing: Vec<Clarification> = filled.missing.iter().map(question).collect();
    if !missing.is_empty() {
        return Err(Box::new(Decided { text: None, focus: None, next: Next::Ask(missing) }));
    }
    given.extend(filled.values);
    let defaults = slots(schema).into_iter().filter(|slot| !given.contains_key(&slot.name));
    assumptions.extend(defaults.filter_map(|slot| {
        let default = slot.default.as_ref()?;
        Some(format!("{}: {default}, as nothing else was said", slot.shown()))
    }));
    let inputs = input_faults(plan, &Value::Object(given)).map_err(|faults| {
        let lines: Vec<String> =
            faults.iter().map(|fault| format!("- {}", fault.message)).collect();
        refused(&format!("What I know does not fit `{}`:\n{}", plan.name, lines.join("\n")))
    })?;
    Ok(Filled { inputs, assumptions })
}

/// What people answered, as values of the inputs.
fn answered(job: &PlanJob, schema: &Value) -> Result<(Map<String, Value>, Vec<String>), Instead> {
    let (mut given, mut assumptions) = (Map::new(), Vec::new());
    for slot in slots(schema) {
        let Some(known) = job.state.request.known.get(&slot.name) else { continue };
        match &known.given {
            Given::Value(json) => {
                let value = match json.value() {
                    Value::String(text) => read_answer(&slot, &text).map_err(|why| {
                        refused(&format!("`{}`: {why}. Please say it again.", slot.shown()))
                    })?,
                    other @ (Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::Array(_)
                    | Value::Object(_)) => other,
                };
                given.insert(slot.name, value);
            }
            Given::Skipped | Given::Delegated => match decided(&slot) {
                Some(value) => {
                    assumptions.push(format!("{}: {value}, as you left it to me", slot.shown()));
                    given.insert(slot.name, value);
                }
                None => {
                    return Err(refused(&format!(
                        "I cannot choose `{}` for you without a model, and the plan needs it.",
                        slot.shown()
                    )));
                }
            },
        }
    }
    Ok((given, assumptions))
}

/// What is taken where a person leaves it open: the default, or the first that fits.
fn decided(slot: &Slot) -> Option<Value> {
    let first = || match &slot.kind {
        SlotKind::Choice(choices) => read_answer(slot, choices.first()?).ok(),
        SlotKind::YesNo => Some(Value::Bool(false)),
        SlotKind::File => read_answer(slot, ".").ok(),
        SlotKind::Number { min, .. } => read_answer(slot, &(*min)?.to_string()).ok(),
        SlotKind::Text => None,
    };
    slot.default.clone().or_else(first)
}

fn question(slot: &Slot) -> Clarification {
    let kind = match &slot.kind {
        SlotKind::Text => AnswerKind::Text,
        SlotKind::Choice(choices) => AnswerKind::Choice { choices: choices.clone() },
        SlotKind::YesNo => AnswerKind::YesNo,
        SlotKind::File => AnswerKind::File,
        SlotKind::Number { min, max, integer } => {
            AnswerKind::Number { min: *min, max: *max, integer: *integer }
        }
    };
    let reason = slot.description.clone();
    Clarification {
        key: slot.name.clone(),
        question: format!("{}?", slot.shown().trim_end_matches(['?', '.'])),
        reason: reason.unwrap_or_else(|| "The plan needs it, and you did not say it.".to_owned()),
        kind,
        default: slot.default.clone(),
    }
}

fn propose(plan: &Arc<Plan>, filled: Filled) -> Decided {
    let what = plan.description.as_deref().unwrap_or_default();
    let text = format!("I would run `{}`. {what}", plan.name);
    match proposal(plan, filled) {
        Err(instead) => *instead,
        Ok(proposal) => {
            Decided { text: Some(spoken(text.trim())), focus: None, next: Next::Propose(proposal) }
        }
    }
}

fn proposal(plan: &Arc<Plan>, filled: Filled) -> Result<Proposal, Instead> {
    let loaded = Loaded::new(Plan::clone(plan))
        .map_err(|fault| refused(&format!("`{}` cannot be run: {fault}", plan.name)))?;
    let inputs = Body::split(Json::of(&filled.inputs));
    let will_not = will_not(plan);
    let assumptions = filled.assumptions;
    Ok(Proposal { loaded: Arc::new(loaded), inputs, assumptions, will_not })
}

/// What a plan surely does not do, from the effects of its tools.
fn will_not(plan: &Plan) -> Vec<String> {
    let effect = |task: &baton_core::plan::TaskPlan| match &task.work {
        Work::Tool(call) => call.effect,
        Work::Human(_) | Work::Wait(_) => Effect::Read,
        Work::Emit(_) | Work::Workflow(_) | Work::Worker(_) | Work::Agent(_) => Effect::Once,
    };
    let reads = plan.tasks.iter().all(|task| effect(task) == Effect::Read);
    let mut lines = Vec::new();
    if reads {
        lines.push("Change anything: every task only reads.".to_owned());
    }
    let asks_models =
        plan.tasks.iter().any(|task| matches!(task.work, Work::Agent(_) | Work::Workflow(_)));
    if !asks_models {
        lines.push("Ask a model.".to_owned());
    }
    lines
}
