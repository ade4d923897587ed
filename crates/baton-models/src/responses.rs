//! OpenAI's responses. Nothing is kept at the provider: the whole transcript goes with each request.
//!
//! Source: OpenAI API reference, "Responses", "Streaming events", and the guide on reasoning items.
//! It does not send.

use std::collections::BTreeSet;

use baton_core::agent::{Message, Part, Piece};
use serde_json::{Value, json};

use crate::failure::Complaint;
use crate::gathering::{Broken, Gathering, own_reasoning};
use crate::names::{wire_id, wire_name};
use crate::openai::set;
use crate::protocol::{
    Asked, Reader, Step, Wire, bearer, count_at, list_at, result_text, text_at, text_of,
    up_to_words,
};
use crate::provider::Key;

/// Models of OpenAI's that do not reason refuse a request that asks for their reasoning.
const NOT_REASONING: &[&str] = &["gpt-3", "gpt-4", "chatgpt-4"];

/// What a request is in this protocol.
pub(crate) fn wire(asked: &Asked<'_>, key: Option<&Key>) -> Wire {
    let request = asked.request;
    let format = asked.openai_format();
    let input: Vec<Value> =
        request.messages.iter().flat_map(|message| items(&request.model, message)).collect();
    let mut body = json!({
        "model": asked.name,
        "input": input,
        "max_output_tokens": request.output_tokens_max,
        "store": false,
        "stream": true,
    });
    let instructions = asked.instructions(format.as_ref()).map(Value::String);
    set(&mut body, "instructions", instructions);
    set(&mut body, "tools", tools(asked));
    let format = format.map(|mut format| {
        set(&mut format, "type", Some(json!("json_schema")));
        json!({ "format": format })
    });
    set(&mut body, "text", format);
    if asked.is_native() && !NOT_REASONING.iter().any(|start| asked.name.starts_with(start)) {
        set(&mut body, "include", Some(json!(["reasoning.encrypted_content"])));
    }
    Wire { path: vec!["responses".to_owned()], query: None, headers: bearer(key), body }
}

fn tools(asked: &Asked<'_>) -> Option<Value> {
    let tools = asked.request.tools.iter().map(|tool| {
        json!({
            "type": "function",
            "name": wire_name(&tool.name),
            "description": tool.description,
            "parameters": tool.input,
            // Strict is the default here, and refuses most schemas of tools.
            "strict": false,
        })
    });
    let tools: Vec<Value> = tools.collect();
    (!tools.is_empty()).then_some(Value::Array(tools))
}

fn items(model: &str, message: &Message) -> Vec<Value> {
    match message {
        Message::User(parts) => {
            let content: Vec<Value> = parts.iter().map(user_part).collect();
            vec![json!({ "type": "message", "role": "user", "content": content })]
        }
        Message::Assistant(pieces) => {
            up_to_words(pieces).iter().filter_map(|piece| said(model, piece)).collect()
        }
        Message::Tool(answers) => {
            let outputs = answers.iter().map(|answer| {
                json!({
                    "type": "function_call_output",
                    "call_id": wire_id(&answer.id),
                    "output": result_text(answer),
                })
            });
            outputs.collect()
        }
    }
}

fn user_part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "input_text", "text": text }),
        Part::Image { media_type, data } => {
            let url = format!("data:{media_type};base64,{data}");
            json!({ "type": "input_image", "image_url": url })
        }
    }
}

fn said(model: &str, piece: &Piece) -> Option<Value> {
    match piece {
        Piece::Text(text) if text.is_empty() => None,
        Piece::Text(text) => Some(json!({
            "type": "message", "role": "assistant",
            "content": [{ "type": "output_text", "text": text }],
        })),
        Piece::Reasoning(json) => own_reasoning(model, json),
        Piece::Call { id, tool, arguments } => Some(json!({
            "type": "function_call",
            "call_id": wire_id(id),
            "name": wire_name(tool),
            "arguments": text_of(arguments),
        })),
    }
}

/// Reads the events of a response.
#[derive(Default)]
pub(crate) struct ResponseReader {
    /// The outputs whose text came piece by piece.
    told: BTreeSet<u64>,
}

impl Reader for ResponseReader {
    fn read(&mut self, event: &Value, answer: &mut Gathering<'_>) -> Result<Step, Broken> {
        let Some(kind) = event.get("type").and_then(Value::as_str) else {
            let is_error = event.get("error").is_some_and(|error| !error.is_null());
            return Err(if is_error {
                Broken::Complaint(Complaint::of_json(event))
            } else {
                Broken::Shape("an event without a `type`".to_owned())
            });
        };
        let at = count_at(event, "/output_index");
        let item = event.get("item").unwrap_or(&Value::Null);
        match kind {
            "response.output_text.delta" => {
                self.told.insert(at);
                answer.text(text_at(event, "/delta"))?;
            }
            "response.refusal.delta" => answer.refuse(text_at(event, "/delta"))?,
            "response.output_item.added" if text_at(item, "/type") == "function_call" => {
                answer.call(at, text_at(item, "/call_id"), text_at(item, "/name"))?;
            }
            "response.function_call_arguments.delta" => {
                answer.arguments(at, text_at(event, "/delta"))?;
            }
            "response.output_item.done" => self.read_item(at, item, answer)?,
            "response.completed" | "response.incomplete" => {
                self.conclude(event.get("response").unwrap_or(&Value::Null), answer)?;
                return Ok(Step::Whole);
            }
            "response.failed" => {
                let response = event.get("response").unwrap_or(event);
                return Err(Broken::Complaint(Complaint::of_json(response)));
            }
            "error" => return Err(Broken::Complaint(complaint(event))),
            _ => {}
        }
        Ok(Step::More)
    }

    /// Only an event of its own ends a response.
    fn end(&mut self, _answer: &mut Gathering<'_>) -> Result<Step, Broken> {
        Ok(Step::More)
    }
}

/// The event carries the error in itself, or below; its own `type` says nothing.
fn complaint(event: &Value) -> Complaint {
    if event.get("error").is_some_and(|error| !error.is_null()) {
        return Complaint::of_json(event);
    }
    Complaint::of_json(&json!({ "code": event.get("code"), "message": event.get("message") }))
}

impl ResponseReader {
    /// An output as a whole: it counts where its pieces did not come, or came otherwise.
    fn read_item(
        &mut self,
        at: u64,
        item: &Value,
        answer: &mut Gathering<'_>,
    ) -> Result<(), Broken> {
        match text_at(item, "/type") {
            "function_call" => {
                answer.call(at, text_at(item, "/call_id"), text_at(item, "/name"))?;
                let whole = text_at(item, "/arguments");
                if !whole.is_empty() {
                    answer.whole_arguments(at, whole)?;
                }
            }
            // Without its encrypted content, it would be looked up at the provider, which keeps nothing.
            "reasoning" if !text_at(item, "/encrypted_content").is_empty() => {
                let mut item = item.clone();
                // The provider refuses the field that it has set itself.
                item.as_object_mut().map(|item| item.remove("status"));
                answer.reasoning(item)?;
            }
            "message" if !self.told.contains(&at) => {
                for part in list_at(item, "/content") {
                    answer.text(text_at(part, "/text"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, response: &Value, answer: &mut Gathering<'_>) -> Result<(), Broken> {
        if answer.is_empty() {
            for (at, item) in (0_u64..).zip(list_at(response, "/output")) {
                self.read_item(at, item, answer)?;
            }
        }
        if let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) {
            let all = &mut answer.usage;
            all.input_tokens = count_at(usage, "/input_tokens");
            all.cached_tokens = count_at(usage, "/input_tokens_details/cached_tokens");
            all.output_tokens = count_at(usage, "/output_tokens");
            all.reasoning_tokens = count_at(usage, "/output_tokens_details/reasoning_tokens");
        }
        match text_at(response, "/incomplete_details/reason") {
            "content_filter" => answer.refuse("")?,
            "" => answer.is_cut = text_at(response, "/status") == "incomplete",
            _ => answer.is_cut = true,
        }
        Ok(())
    }
}
