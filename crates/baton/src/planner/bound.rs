//! Planning by a model that calls no tools: it answers once, bound to a schema, and what it says is checked
//! as the arguments of the tools are.
//!
//! Nothing goes back to the model here but what does not fit the schema: other faults end the planning.

use baton_core::conversation::ConversationState;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asking::{self, Questions};
use super::brought::{Brought, Named, Proposed};
use super::offers::{self, offers};

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

/// The schema of an answer, where these definitions can be started.
pub fn schema(definitions: &[&str]) -> Value {
    let ending = offers().into_iter().filter(|tool| tool.ends == baton_core::plan::Ends::Task);
    let steps =
        ending.filter(|tool| tool.name != offers::START_DEFINITION || !definitions.is_empty());
    let step = |tool: baton_core::plan::OfferedTool| {
        let name = tool.name.trim_start_matches("chat.").to_owned();
        let mut input = tool.input;
        if let Some(of) = input.pointer_mut("/properties/name") {
            *of = json!({ "enum": definitions });
        }
        let properties: Map<String, Value> = [(name.clone(), input)].into_iter().collect();
        json!({
            "type": "object",
            "required": [name],
            "additionalProperties": false,
            "properties": properties,
        })
    };
    let steps: Vec<Value> = steps.map(step).collect();
    json!({
        "type": "object",
        "required": ["step"],
        "additionalProperties": false,
        "properties": { "step": { "anyOf": steps } },
    })
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
        let schema = schema(&["tally"]);
        let fits = |step: Value| read_output(Some(&schema), &json!({ "step": step }).to_string());
        for step in [
            json!({ "answer": { "text": "x" } }),
            json!({ "start_definition": { "name": "tally", "inputs": {} } }),
        ] {
            let told = fits(step).expect("it fits").value();
            serde_json::from_value::<Bound>(told).expect("it is read");
        }
        for step in [
            json!({}),
            json!({ "start_definition": { "name": "other" } }),
            json!({ "list_capabilities": {} }),
            json!({ "answer": { "text": "x" }, "escalate": { "reason": "y" } }),
        ] {
            fits(step.clone()).expect_err(&step.to_string());
        }
    }
}
