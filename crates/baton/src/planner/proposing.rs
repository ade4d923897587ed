//! What a model wants to run is read and checked whole: every fault is told at once, so that all of them
//! can be mended, and nothing of a refused plan is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_core::body::{Body, Json};
use baton_core::conversation::{ConversationState, Given};
use baton_core::definition::{self, Fault, InputFault, input_faults};
use baton_core::plan::Plan;
use baton_engine::conversing::Proposal;
use baton_engine::loaded::Loaded;
use serde_json::{Map, Value};

use super::brought::{Named, Proposed};
use super::library::Library;
use super::policy::missing_steps;

/// The longest name that is made of a title, in characters.
const NAME_CHARS_MAX: usize = 60;

/// A plan that may run, with what it runs on.
#[derive(Debug)]
pub struct Checked {
    /// The plan.
    pub plan: Plan,
    /// Its inputs, defaults filled in.
    pub inputs: Value,
}

/// Checks a plan that is proposed; `Err` lists every fault.
pub fn proposed(
    proposed: &Proposed,
    state: &ConversationState,
    library: &Library,
) -> Result<Checked, Vec<String>> {
    let mut faults = open_ends(proposed, state);
    if proposed.plan.contains_key("triggers") {
        faults.push(
            "plan.triggers: a plan runs once, when it is approved; leave them out".to_owned(),
        );
    }
    let source = Json::of(&Value::Object(named(proposed)));
    let plan = match definition::read(source.as_str(), &library.catalog()) {
        Ok(plan) => plan,
        Err(found) => {
            faults.extend(found.iter().map(fault_line));
            return Err(faults);
        }
    };
    faults.extend(missing_steps(&plan, library.config().planning.required));
    let keys = plan.keys();
    let strangers = proposed.why.keys().filter(|key| !keys.contains_key(key.as_str()));
    faults.extend(strangers.map(|key| format!("why.{key}: the plan has no such task")));
    let inputs = of_inputs(&plan, &proposed.inputs, &mut faults);
    match inputs {
        Some(inputs) if faults.is_empty() => Ok(Checked { plan, inputs }),
        Some(_) | None => Err(faults),
    }
}

/// Checks a definition that is to be started; `Err` lists every fault.
pub fn named_definition(
    named: &Named,
    plans: &BTreeMap<String, Arc<Plan>>,
) -> Result<Checked, Vec<String>> {
    let Some(plan) = plans.get(&named.name) else {
        return Err(vec![format!(
            "name: there is no definition `{}`; chat.list_capabilities tells which there are",
            named.name
        )]);
    };
    let mut faults = Vec::new();
    match of_inputs(plan, &named.inputs, &mut faults) {
        Some(inputs) => Ok(Checked { plan: Plan::clone(plan), inputs }),
        None => Err(faults),
    }
}

impl Checked {
    /// It as a proposal; `Err` says why it cannot run.
    pub fn proposal(
        self,
        (assumptions, will_not): (Vec<String>, Vec<String>),
    ) -> Result<Proposal, String> {
        let loaded = Loaded::new(self.plan).map_err(|fault| fault.to_string())?;
        let inputs = Body::split(Json::of(&self.inputs));
        Ok(Proposal { loaded: Arc::new(loaded), inputs, assumptions, will_not })
    }
}

fn of_inputs(plan: &Plan, inputs: &Map<String, Value>, faults: &mut Vec<String>) -> Option<Value> {
    match input_faults(plan, &Value::Object(inputs.clone())) {
        Ok(inputs) => Some(inputs),
        Err(found) => {
            faults.extend(found.iter().map(input_line));
            None
        }
    }
}

/// What was left to the planner must be said.
fn open_ends(proposed: &Proposed, state: &ConversationState) -> Vec<String> {
    let left = state.request.known.iter().filter(|(_, known)| match known.given {
        Given::Skipped | Given::Delegated => true,
        Given::Value(_) => false,
    });
    let keys: Vec<&str> = left.map(|(key, _)| key.as_str()).collect();
    if keys.is_empty() || !proposed.assumptions.is_empty() {
        return Vec::new();
    }
    vec![format!("assumptions: {} was left to you; say what you take for it", keys.join(", "))]
}

/// The definition, with a name and a description where it has none.
fn named(proposed: &Proposed) -> Map<String, Value> {
    let mut plan = proposed.plan.clone();
    let mut given = |field: &str, value: Value| {
        plan.entry(field).or_insert(value);
    };
    given("name", Value::String(name_of(&proposed.title)));
    given("version", Value::from(1));
    given("description", Value::String(proposed.title.clone()));
    plan
}

/// A name made of a title: `Count the TODOs!` becomes `count-the-todos`.
fn name_of(title: &str) -> String {
    let mut name = String::new();
    for letter in title.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_alphanumeric() {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if name.len() >= NAME_CHARS_MAX {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "plan".to_owned() } else { name.to_owned() }
}

fn fault_line(fault: &Fault) -> String {
    let at = if fault.path.is_empty() { "plan".to_owned() } else { format!("plan.{}", fault.path) };
    line(&at, &fault.message, fault.help.as_deref())
}

fn input_line(fault: &InputFault) -> String {
    line(&format!("inputs{}", fault.pointer), &fault.message, fault.help.as_deref())
}

fn line(at: &str, message: &str, help: Option<&str>) -> String {
    let help = help.map(|help| format!("; {help}")).unwrap_or_default();
    format!("{at}: {message}{help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_makes_a_name() {
        for (title, name) in [
            ("Count the TODOs!", "count-the-todos"),
            ("  1st: look  ", "1st-look"),
            ("日本", "plan"),
            ("", "plan"),
        ] {
            assert_eq!(name_of(title), name, "{title}");
        }
        assert!(name_of(&"long ".repeat(100)).len() <= NAME_CHARS_MAX);
    }
}
