//! Looking at what a model says before anything is done with it: it is data, and never trusted.

use serde_json::Value;

use crate::body::Json;
use crate::plan::{AgentCall, OfferedTool};

/// How many faults of an answer its model is told.
const FAULTS_TOLD_MAX: usize = 5;

/// Why a call that a model asks for must not be made, for the model; `None` where it may.
pub fn call_fault(agent: &AgentCall, tool: &str, arguments: &Value) -> Option<String> {
    let Some(offered) = agent.tools.iter().find(|offered| offered.name == tool) else {
        let names: Vec<&str> = agent.tools.iter().map(|offered| offered.name.as_str()).collect();
        return Some(match names.as_slice() {
            [] => "there are no tools; answer without a call".to_owned(),
            names => format!("there is no tool `{tool}`; there are {}", names.join(", ")),
        });
    };
    let faults = faults_of(&offered.input, arguments);
    (!faults.is_empty()).then(|| format!("the arguments do not fit: {faults}"))
}

/// The tool of this name that an agent is offered.
pub fn offered<'a>(agent: &'a AgentCall, tool: &str) -> Option<&'a OfferedTool> {
    agent.tools.iter().find(|offered| offered.name == tool)
}

/// A model's last text as the task's output: any text where no schema is declared, else JSON that
/// fits it. `Err` says for the model what is wrong.
pub fn read_output(schema: Option<&Value>, text: &str) -> Result<Json, String> {
    let Some(schema) = schema else {
        return Ok(Json::of(&Value::from(text)));
    };
    let value: Value =
        serde_json::from_str(json_of(text)).map_err(|fault| format!("it is no JSON: {fault}"))?;
    let faults = faults_of(schema, &value);
    if faults.is_empty() { Ok(Json::of(&value)) } else { Err(faults) }
}

/// The JSON of a text: models like to put it into a code block, or a sentence before it.
fn json_of(text: &str) -> &str {
    let text = text.trim();
    let fenced = text.split_once("```").and_then(|(_, rest)| {
        let (_, rest) = rest.split_once('\n')?;
        rest.split_once("```").map(|(inside, _)| inside.trim())
    });
    fenced.unwrap_or(text)
}

fn faults_of(schema: &Value, value: &Value) -> String {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(fault) => return format!("the schema itself is not valid: {fault}"),
    };
    let faults: Vec<String> = validator
        .iter_errors(value)
        .take(FAULTS_TOLD_MAX)
        .map(|fault| {
            let at = fault.instance_path().to_string();
            if at.is_empty() { fault.to_string() } else { format!("{at}: {fault}") }
        })
        .collect();
    faults.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_output_is_found_in_a_code_block_and_checked() {
        let schema = json!({
            "type": "object", "required": ["score"], "properties": { "score": { "type": "integer" } }
        });
        for text in [
            "{\"score\": 7}",
            " \n```json\n{\"score\": 7}\n```\nDone.",
            "Here:\n```\n{\"score\":7}\n```",
        ] {
            assert_eq!(
                read_output(Some(&schema), text).map(|json| json.value()),
                Ok(json!({ "score": 7 }))
            );
        }
        for (text, said) in [("no", "no JSON"), ("{\"score\": \"7\"}", "/score"), ("{}", "score")] {
            let fault = read_output(Some(&schema), text).expect_err("it does not fit");
            assert!(fault.contains(said), "{fault}");
        }
        assert_eq!(read_output(None, "any").map(|json| json.value()), Ok(json!("any")));
    }
}
