//! From what a tool answered to one JSON value, or to a failure that says what is known of it.
//!
//! The value is `{text?, structured?, parts?}`: all text in one piece, the structured content, and
//! everything else (images, audio, resources, links) as the protocol writes it.

use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::words::{Effect, FailureKind, Happened};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value};

use crate::toolset::KnownTool;

/// How many faults of a result that is not what was promised are named.
const FAULTS_NAMED_MAX: usize = 3;

/// What a result means.
pub(crate) fn judge(tool: &KnownTool, result: CallToolResult) -> Result<Json, CallFailure> {
    let is_error = result.is_error == Some(true);
    let output = value_of(result)?;
    if is_error {
        return Err(said_no(tool, &output));
    }
    kept(tool, output.get("structured"))?;
    Ok(Json::of(&Value::Object(output)))
}

fn value_of(result: CallToolResult) -> Result<Map<String, Value>, CallFailure> {
    let mut texts = Vec::new();
    let mut parts = Vec::new();
    for block in result.content {
        if let ContentBlock::Text(text) = block {
            texts.push(text.text);
            continue;
        }
        parts.push(serde_json::to_value(block).map_err(|fault| {
            invalid(format!("the tool's answer cannot be written as JSON: {fault}"))
        })?);
    }
    let text = texts.join("\n");
    // Servers repeat their structured content as text, for older clients.
    let repeats = |structured: &Value| {
        texts.len() == 1
            && serde_json::from_str::<Value>(&text).is_ok_and(|value| value == *structured)
    };
    let repeated = result.structured_content.as_ref().is_some_and(repeats);
    let mut output = Map::new();
    if !texts.is_empty() && !repeated {
        output.insert("text".to_owned(), Value::String(text));
    }
    if let Some(structured) = result.structured_content {
        output.insert("structured".to_owned(), structured);
    }
    if !parts.is_empty() {
        output.insert("parts".to_owned(), Value::Array(parts));
    }
    Ok(output)
}

/// The tool answered that it failed. Whether it did something before that, only a tool that
/// changes nothing leaves no doubt about.
fn said_no(tool: &KnownTool, output: &Map<String, Value>) -> CallFailure {
    let text = output.get("text").and_then(Value::as_str).unwrap_or("it failed without a word");
    let happened = match tool.spec.effect {
        Effect::Read => Happened::No,
        Effect::Idempotent | Effect::Once => Happened::Unknown,
    };
    let message = format!("{} answered: {text}", tool.spec.name);
    CallFailure { happened, ..CallFailure::passing(FailureKind::Refused, message) }
}

/// Whether the server kept what its schema promises.
fn kept(tool: &KnownTool, structured: Option<&Value>) -> Result<(), CallFailure> {
    let Some(promise) = &tool.promise else { return Ok(()) };
    let name = &tool.spec.name;
    let Some(structured) = structured else {
        let message = format!("{name} promises structured content (outputSchema) and brought none");
        return Err(invalid(message));
    };
    let faults: Vec<String> = promise
        .iter_errors(structured)
        .take(FAULTS_NAMED_MAX)
        .map(|fault| format!("{} at `{}`", fault, fault.instance_path()))
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    let message =
        format!("{name} did not bring what its outputSchema promises: {}", faults.join("; "));
    Err(invalid(message))
}

/// The call happened, and what it brought is of no use.
fn invalid(message: String) -> CallFailure {
    CallFailure {
        happened: Happened::Yes,
        ..CallFailure::refused(FailureKind::InvalidOutput, message)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::config::ToolConfig;
    use crate::toolset::Toolset;

    fn judged(effect: Effect, promised: Value, result: Value) -> Result<Value, CallFailure> {
        let mut tool = json!({ "name": "t", "inputSchema": { "type": "object" } });
        if !promised.is_null() {
            tool["outputSchema"] = promised;
        }
        let told = vec![serde_json::from_value(tool).unwrap()];
        let declared = ToolConfig { effect: Some(effect), permission: None };
        let set = Toolset::of("s", told, &BTreeMap::from([("t".to_owned(), declared)]));
        let result = serde_json::from_value(result).unwrap();
        judge(set.get("t").unwrap(), result).map(|json| json.value())
    }

    #[test]
    fn every_kind_of_content_has_its_place() {
        let result = json!({ "content": [
            { "type": "text", "text": "a" },
            { "type": "image", "data": "AA==", "mimeType": "image/png" },
            { "type": "text", "text": "b" },
            { "type": "resource", "resource": { "uri": "file:///x", "text": "x" } },
        ] });
        let output = judged(Effect::Read, Value::Null, result).unwrap();
        assert_eq!(output["text"], "a\nb");
        assert_eq!(output["parts"][0]["mimeType"], "image/png");
        assert_eq!(output["parts"][1]["resource"]["uri"], "file:///x");
        assert!(output.get("structured").is_none());
    }

    #[test]
    fn structured_content_is_not_kept_twice() {
        let result = json!({
            "content": [{ "type": "text", "text": "{\"n\": 1}" }], "structuredContent": { "n": 1 },
        });
        let output = judged(Effect::Read, Value::Null, result).unwrap();
        assert_eq!(output, json!({ "structured": { "n": 1 } }));
    }

    #[test]
    fn a_result_that_breaks_its_promise_has_happened_and_is_named() {
        let promised = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
        let lie = json!({ "content": [], "structuredContent": { "n": "one" } });
        let failure = judged(Effect::Once, promised.clone(), lie).unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidOutput);
        assert_eq!(failure.happened, Happened::Yes);
        assert!(failure.message.contains("s.t") && failure.message.contains("/n"), "{failure:?}");
        let nothing = json!({ "content": [{ "type": "text", "text": "hm" }] });
        let failure = judged(Effect::Once, promised, nothing).unwrap_err();
        assert!(failure.message.contains("brought none"), "{failure:?}");
    }

    #[test]
    fn a_tool_that_says_no_leaves_doubt_where_it_may_have_changed_something() {
        let no = json!({ "content": [{ "type": "text", "text": "disk full" }], "isError": true });
        let cases = [
            (Effect::Read, Happened::No),
            (Effect::Idempotent, Happened::Unknown),
            (Effect::Once, Happened::Unknown),
        ];
        for (effect, happened) in cases {
            let failure = judged(effect, Value::Null, no.clone()).unwrap_err();
            assert_eq!((failure.kind, failure.happened), (FailureKind::Refused, happened));
            assert!(failure.message.contains("disk full"), "{failure:?}");
        }
    }
}
