//! Planning by a model that calls no tools: it answers once, bound to a schema, and what it says is checked
//! as the arguments of the tools are.
//!
//! Nothing goes back to the model here but what does not fit the schema: other faults end the planning.

use baton_core::conversation::ConversationState;
use baton_core::plan::Ends;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asking::{self, Questions};
use super::brought::{Brought, Named, Proposed};
use super::offers::{self, object, offers};

/// What the model is told beforehand.
pub const INSTRUCTIONS: &str = include_str!("bound.md");

/// A whole answer.
#[derive(Debug, Deserialize)]
pub struct Bound {
    step: Step,
}

/// What is to come next: the arguments of one of the tools, under its name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Ask(Questions),
    ProposePlan(Box<Proposed>),
    StartDefinition(Named),
    Answer { text: String },
    Escalate { reason: String },
}

/// The schema of an answer, where these definitions, each with the schema of its inputs, can be started.
pub fn schema(definitions: &[(&str, Option<&Value>)]) -> Value {
    let ending = offers().into_iter().filter(|tool| tool.ends == Ends::Task);
    let others = ending.filter(|tool| tool.name != offers::START_DEFINITION);
    let others = others.map(|tool| step(tool.name.trim_start_matches("chat."), tool.input));
    let starts = definitions.iter().map(|(name, inputs)| {
        let properties = json!({ "name": { "enum": [name] }, "inputs": inputs_of(*inputs) });
        step("start_definition", object(&["name", "inputs"], properties))
    });
    let steps: Vec<Value> = starts.chain(others).collect();
    object(&["step"], json!({ "step": { "anyOf": steps } }))
}

/// An answer of one kind.
fn step(name: &str, input: Value) -> Value {
    let properties: Map<String, Value> = [(name.to_owned(), input)].into_iter().collect();
    object(&[name], Value::Object(properties))
}

/// The inputs of a definition, and no other. A schema that points into itself would point elsewhere here.
fn inputs_of(schema: Option<&Value>) -> Value {
    let Some(schema) = schema else { return object(&[], json!({})) };
    let properties = schema.get("properties").filter(|_| !schema.to_string().contains("\"$ref\""));
    let Some(properties) = properties else { return json!({ "type": "object" }) };
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    object(&required, properties.clone())
}

impl Bound {
    /// It as the tools would have brought it; `Err` lists every fault. Plans and definitions are checked
    /// where they are followed.
    pub fn brought(self, state: &ConversationState) -> Result<Brought, Vec<String>> {
        Ok(match self.step {
            Step::Ask(Questions { questions }) => Brought::Ask(asking::checked(questions, state)?),
            Step::ProposePlan(proposed) => Brought::ProposePlan(proposed),
            Step::StartDefinition(named) => Brought::StartDefinition(named),
            Step::Answer { text } => Brought::Answer(text),
            Step::Escalate { reason } => Brought::Escalate(reason),
        })
    }
}

#[cfg(test)]
mod tests {
    use baton_core::agent::read_output;

    use super::*;

    #[test]
    fn an_answer_is_one_step_and_names_what_there_is() {
        let inputs = json!({ "properties": { "by": { "type": "string" } } });
        let schema = schema(&[("tally", None), ("sum", Some(&inputs))]);
        let fits = |step: Value| read_output(Some(&schema), &json!({ "step": step }).to_string());
        for step in [
            json!({ "answer": { "text": "x" } }),
            json!({ "start_definition": { "name": "tally", "inputs": {} } }),
            json!({ "start_definition": { "name": "sum", "inputs": { "by": "day" } } }),
        ] {
            let told = fits(step).expect("it fits").value();
            serde_json::from_value::<Bound>(told).expect("it is read");
        }
        for step in [
            json!({}),
            json!({ "start_definition": { "name": "other", "inputs": {} } }),
            json!({ "start_definition": { "name": "tally", "inputs": { "by": "day" } } }),
            json!({ "list_capabilities": {} }),
            json!({ "answer": { "text": "x" }, "escalate": { "reason": "y" } }),
        ] {
            fits(step.clone()).expect_err(&step.to_string());
        }
    }
}
