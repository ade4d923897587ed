//! Google's `generateContent`.
//!
//! Source: Gemini API reference, "Generating content", "Function calling", "Thought signatures",
//! "Structured output". It does not send.

use baton_core::agent::{Message, Part, Piece, ToolAnswer};
use serde_json::{Value, json};

use crate::failure::Complaint;
use crate::gathering::{Broken, Gathering, as_object, own_reasoning};
use crate::names::{wire_id, wire_name};
use crate::openai::set;
use crate::protocol::{Asked, Reader, Step, Wire, count_at, list_at, text_at};
use crate::provider::Key;

/// Models that refuse a schema of the answer beside tools.
const EITHER_SCHEMA_OR_TOOLS: &[&str] = &["gemini-1", "gemini-2"];

/// What a request is in this protocol.
pub(crate) fn wire(asked: &Asked<'_>, key: Option<&Key>) -> Wire {
    let request = asked.request;
    let name = asked.name.strip_prefix("models/").unwrap_or(asked.name);
    let is_either = EITHER_SCHEMA_OR_TOOLS.iter().any(|start| name.starts_with(start));
    let schema = request.output.as_ref().filter(|_| request.tools.is_empty() || !is_either);
    let contents: Vec<Value> =
        request.messages.iter().map(|message| content(&request.model, message)).collect();
    let mut generation = json!({ "maxOutputTokens": request.output_tokens_max });
    set(&mut generation, "responseMimeType", schema.map(|_| json!("application/json")));
    set(&mut generation, "responseJsonSchema", schema.cloned());
    let mut body = json!({ "contents": contents, "generationConfig": generation });
    let instructions = asked.instructions(schema);
    set(
        &mut body,
        "systemInstruction",
        instructions.map(|text| json!({ "parts": [{ "text": text }] })),
    );
    set(&mut body, "tools", tools(asked));
    let headers = key.map(|key| ("x-goog-api-key", key.secret().to_owned()));
    Wire {
        path: vec!["models".to_owned(), format!("{name}:streamGenerateContent")],
        query: Some("alt=sse"),
        headers: headers.into_iter().collect(),
        body,
    }
}

fn tools(asked: &Asked<'_>) -> Option<Value> {
    let tools = asked.request.tools.iter().map(|tool| {
        let name = wire_name(&tool.name);
        json!({ "name": name, "description": tool.description, "parametersJsonSchema": tool.input })
    });
    let tools: Vec<Value> = tools.collect();
    (!tools.is_empty()).then(|| json!([{ "functionDeclarations": tools }]))
}

fn content(model: &str, message: &Message) -> Value {
    let (role, mut parts): (&str, Vec<Value>) = match message {
        Message::User(parts) => ("user", parts.iter().map(user_part).collect()),
        Message::Assistant(pieces) => ("model", said(model, pieces)),
        Message::Tool(answers) => ("user", answers.iter().map(result).collect()),
    };
    if parts.is_empty() {
        parts.push(json!({ "text": "" }));
    }
    json!({ "role": role, "parts": parts })
}

fn user_part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "text": text }),
        Part::Image { media_type, data } => {
            json!({ "inlineData": { "mimeType": media_type, "data": data } })
        }
    }
}

fn result(answer: &ToolAnswer) -> Value {
    let response = match (&answer.output, &answer.error) {
        (Some(output), _) => json!({ "output": output.value() }),
        (None, Some(error)) => json!({ "error": error }),
        (None, None) => json!({ "output": null }),
    };
    let (id, name) = (wire_id(&answer.id), wire_name(&answer.tool));
    json!({ "functionResponse": { "id": id, "name": name, "response": response } })
}

/// A signature goes back at the part that it came with: the piece behind it.
fn said(model: &str, pieces: &[Piece]) -> Vec<Value> {
    let (mut parts, mut signature) = (Vec::new(), None);
    for piece in pieces {
        let mut part = match piece {
            Piece::Reasoning(json) => {
                signature = own_reasoning(model, json).or(signature);
                continue;
            }
            Piece::Text(text) => json!({ "text": text }),
            Piece::Call { id, tool, arguments } => json!({ "functionCall": {
                "id": wire_id(id), "name": wire_name(tool), "args": as_object(arguments),
            } }),
        };
        set(&mut part, "thoughtSignature", signature.take());
        parts.push(part);
    }
    if let Some(signature) = signature {
        parts.push(json!({ "text": "", "thoughtSignature": signature }));
    }
    parts
}

/// Reads the chunks of a content.
#[derive(Default)]
pub(crate) struct ContentReader {
    is_finished: bool,
}

impl Reader for ContentReader {
    fn read(&mut self, event: &Value, answer: &mut Gathering<'_>) -> Result<Step, Broken> {
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Broken::Complaint(Complaint::of_json(event)));
        }
        let known = ["candidates", "promptFeedback", "usageMetadata"];
        if !known.iter().any(|field| event.get(*field).is_some()) {
            return Err(Broken::Shape("a chunk without `candidates`".to_owned()));
        }
        if let Some(usage) = event.get("usageMetadata") {
            read_usage(usage, answer);
        }
        if let Some(reason) = event.pointer("/promptFeedback/blockReason").and_then(Value::as_str) {
            answer.refuse(&format!("the request was blocked: {reason}"))?;
            self.is_finished = true;
        }
        for part in list_at(event, "/candidates/0/content/parts") {
            read_part(part, answer)?;
        }
        self.conclude(event, answer)?;
        Ok(Step::More)
    }

    fn end(&mut self, _answer: &mut Gathering<'_>) -> Result<Step, Broken> {
        Ok(if self.is_finished { Step::Whole } else { Step::More })
    }
}

impl ContentReader {
    fn conclude(&mut self, event: &Value, answer: &mut Gathering<'_>) -> Result<(), Broken> {
        let reason = text_at(event, "/candidates/0/finishReason");
        match reason {
            "" | "FINISH_REASON_UNSPECIFIED" => return Ok(()),
            "MAX_TOKENS" => answer.is_cut = true,
            "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE"
            | "IMAGE_SAFETY" => {
                let words = text_at(event, "/candidates/0/finishMessage");
                let words = if words.is_empty() { reason } else { words };
                answer.refuse(words)?;
            }
            "MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" | "UNEXPECTED_TOOL_CALL" | "OTHER" => {
                return Err(Broken::Shape(format!("it ended with {reason}")));
            }
            _ => {}
        }
        self.is_finished = true;
        Ok(())
    }
}

fn read_part(part: &Value, answer: &mut Gathering<'_>) -> Result<(), Broken> {
    let signature = part.get("thoughtSignature").filter(|signature| signature.is_string());
    if let Some(signature) = signature {
        answer.reasoning(signature.clone())?;
    }
    if let Some(call) = part.get("functionCall") {
        let slot = answer.free_slot();
        answer.call(slot, text_at(call, "/id"), text_at(call, "/name"))?;
        let arguments = call.get("args").map(Value::to_string).unwrap_or_default();
        return answer.whole_arguments(slot, &arguments);
    }
    // A summary of its thoughts is for people, and is not wanted back.
    if part.get("thought") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    answer.text(text_at(part, "/text"))
}

fn read_usage(usage: &Value, answer: &mut Gathering<'_>) {
    let all = &mut answer.usage;
    let of_tools = count_at(usage, "/toolUsePromptTokenCount");
    all.input_tokens = count_at(usage, "/promptTokenCount").saturating_add(of_tools);
    all.cached_tokens = count_at(usage, "/cachedContentTokenCount");
    all.reasoning_tokens = count_at(usage, "/thoughtsTokenCount");
    let told = count_at(usage, "/candidatesTokenCount");
    all.output_tokens = told.saturating_add(all.reasoning_tokens);
}
