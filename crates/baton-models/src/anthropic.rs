//! Anthropic's messages.
//!
//! Source: Anthropic API reference, "Messages", "Streaming messages", "Extended thinking", "Prompt
//! caching", "Structured outputs". It does not send.

use std::collections::BTreeMap;

use baton_core::agent::{Message, Part, Piece};
use serde_json::{Value, json};

use crate::failure::Complaint;
use crate::gathering::{Broken, Gathering, as_object, own_reasoning};
use crate::names::{wire_id, wire_name};
use crate::openai::set;
use crate::protocol::{Asked, Reader, Step, Wire, count_at, result_text, text_at, up_to_words};
use crate::provider::Key;
use crate::schema::{Strict, strict};

/// Stands where a message has nothing to say: the API takes no empty text.
const NOTHING: &str = "(nothing)";

/// What a request is in this protocol.
pub(crate) fn wire(asked: &Asked<'_>, key: Option<&Key>) -> Wire {
    let request = asked.request;
    let schema = request.output.as_ref().and_then(|wanted| strict(wanted, Strict::Anthropic));
    let schema = schema.filter(|_| asked.is_native());
    let mut messages: Vec<Value> =
        request.messages.iter().map(|message| content(&request.model, message)).collect();
    let mut system =
        asked.instructions(schema.as_ref()).map(|text| json!([{ "type": "text", "text": text }]));
    // An agent with tools asks again with all of this and more: what was read once is cheaper then.
    if asked.is_native() && !request.tools.is_empty() {
        system.as_mut().and_then(|system| system.get_mut(0)).map(remember);
        let last = messages.last_mut().and_then(|message| message.get_mut("content"));
        last.and_then(Value::as_array_mut).and_then(|blocks| blocks.last_mut()).map(remember);
    }
    let mut body = json!({
        "model": asked.name,
        "max_tokens": request.output_tokens_max,
        "messages": messages,
        "stream": true,
    });
    set(&mut body, "system", system);
    set(&mut body, "tools", tools(asked));
    let format = schema.map(|schema| json!({ "type": "json_schema", "schema": schema }));
    set(&mut body, "output_config", format.map(|format| json!({ "format": format })));
    let mut headers = vec![("anthropic-version", "2023-06-01".to_owned())];
    headers.extend(key.map(|key| ("x-api-key", key.secret().to_owned())));
    Wire { path: vec!["messages".to_owned()], query: None, headers, body }
}

fn tools(asked: &Asked<'_>) -> Option<Value> {
    let tools = asked.request.tools.iter().map(|tool| {
        let name = wire_name(&tool.name);
        json!({ "name": name, "description": tool.description, "input_schema": tool.input })
    });
    let tools: Vec<Value> = tools.collect();
    (!tools.is_empty()).then_some(Value::Array(tools))
}

fn remember(block: &mut Value) {
    set(block, "cache_control", Some(json!({ "type": "ephemeral" })));
}

fn content(model: &str, message: &Message) -> Value {
    let (role, mut blocks): (&str, Vec<Value>) = match message {
        Message::User(parts) => ("user", parts.iter().filter_map(user_block).collect()),
        Message::Assistant(pieces) => (
            "assistant",
            up_to_words(pieces).iter().filter_map(|piece| said(model, piece)).collect(),
        ),
        Message::Tool(answers) => {
            let results = answers.iter().map(|answer| {
                let mut block = json!({
                    "type": "tool_result",
                    "tool_use_id": wire_id(&answer.id),
                    "content": result_text(answer),
                });
                let is_error = answer.error.is_some().then_some(Value::Bool(true));
                set(&mut block, "is_error", is_error);
                block
            });
            ("user", results.collect())
        }
    };
    if blocks.is_empty() {
        blocks.push(json!({ "type": "text", "text": NOTHING }));
    }
    json!({ "role": role, "content": blocks })
}

fn text_block(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text }))
}

fn user_block(part: &Part) -> Option<Value> {
    match part {
        Part::Text(text) => text_block(text),
        Part::Image { media_type, data } => Some(json!({
            "type": "image",
            "source": { "type": "base64", "media_type": media_type, "data": data },
        })),
    }
}

fn said(model: &str, piece: &Piece) -> Option<Value> {
    match piece {
        Piece::Text(text) => text_block(text),
        Piece::Reasoning(json) => own_reasoning(model, json),
        Piece::Call { id, tool, arguments } => Some(json!({
            "type": "tool_use",
            "id": wire_id(id),
            "name": wire_name(tool),
            "input": as_object(arguments),
        })),
    }
}

/// Reads the events of a message.
#[derive(Default)]
pub(crate) struct MessageReader {
    /// Blocks of thinking that have not ended.
    thinking: BTreeMap<u64, Thinking>,
}

#[derive(Default)]
struct Thinking {
    text: String,
    signature: String,
}

impl Reader for MessageReader {
    fn read(&mut self, event: &Value, answer: &mut Gathering<'_>) -> Result<Step, Broken> {
        match event.get("type").and_then(Value::as_str) {
            Some("message_start") => read_usage(event.pointer("/message/usage"), answer),
            Some("content_block_start") => self.begin(event, answer)?,
            Some("content_block_delta") => self.grow(event, answer)?,
            Some("content_block_stop") => {
                if let Some(block) = self.thinking.remove(&count_at(event, "/index"))
                    && !block.signature.is_empty()
                {
                    let Thinking { text, signature } = block;
                    let block = json!({
                        "type": "thinking", "thinking": text, "signature": signature,
                    });
                    answer.reasoning(block)?;
                }
            }
            Some("message_delta") => {
                read_usage(event.get("usage"), answer);
                match text_at(event, "/delta/stop_reason") {
                    "max_tokens" | "model_context_window_exceeded" | "pause_turn" => {
                        answer.is_cut = true;
                    }
                    "refusal" => {
                        answer.refuse(text_at(event, "/delta/stop_details/explanation"))?
                    }
                    _ => {}
                }
            }
            Some("message_stop") => return Ok(Step::Whole),
            Some("error") => return Err(Broken::Complaint(Complaint::of_json(event))),
            Some(_) => {}
            None => return Err(Broken::Shape("an event without a `type`".to_owned())),
        }
        Ok(Step::More)
    }

    /// Only `message_stop` ends a message.
    fn end(&mut self, _answer: &mut Gathering<'_>) -> Result<Step, Broken> {
        Ok(Step::More)
    }
}

impl MessageReader {
    fn begin(&mut self, event: &Value, answer: &mut Gathering<'_>) -> Result<(), Broken> {
        let index = count_at(event, "/index");
        let block = event.get("content_block").unwrap_or(&Value::Null);
        match text_at(block, "/type") {
            "text" => answer.text(text_at(block, "/text")),
            "tool_use" => answer.call(index, text_at(block, "/id"), text_at(block, "/name")),
            "thinking" => {
                let (text, signature) = (text_at(block, "/thinking"), text_at(block, "/signature"));
                answer.kept_aside(text.len().saturating_add(signature.len()).saturating_add(1))?;
                let block = Thinking { text: text.to_owned(), signature: signature.to_owned() };
                self.thinking.insert(index, block);
                Ok(())
            }
            "redacted_thinking" => answer.reasoning(block.clone()),
            _ => Ok(()),
        }
    }

    fn grow(&mut self, event: &Value, answer: &mut Gathering<'_>) -> Result<(), Broken> {
        let index = count_at(event, "/index");
        let delta = event.get("delta").unwrap_or(&Value::Null);
        match text_at(delta, "/type") {
            "text_delta" => answer.text(text_at(delta, "/text")),
            "input_json_delta" => answer.arguments(index, text_at(delta, "/partial_json")),
            "thinking_delta" | "signature_delta" => {
                let (text, signature) = (text_at(delta, "/thinking"), text_at(delta, "/signature"));
                answer.kept_aside(text.len().saturating_add(signature.len()))?;
                if let Some(block) = self.thinking.get_mut(&index) {
                    block.text.push_str(text);
                    block.signature.push_str(signature);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What was said of the tokens last holds; the sum of the input leaves out what the cache had.
fn read_usage(usage: Option<&Value>, answer: &mut Gathering<'_>) {
    let Some(usage) = usage else {
        return;
    };
    let all = &mut answer.usage;
    let count = |field: &str| usage.get(field).and_then(Value::as_u64);
    if let Some(uncached) = count("input_tokens") {
        all.cached_tokens = count("cache_read_input_tokens").unwrap_or(all.cached_tokens);
        let written = count("cache_creation_input_tokens");
        all.cache_write_tokens = written.unwrap_or(all.cache_write_tokens);
        let cache = all.cached_tokens.saturating_add(all.cache_write_tokens);
        all.input_tokens = uncached.saturating_add(cache);
    }
    if let Some(written) = count("output_tokens") {
        all.output_tokens = written;
    }
    let thought = count_at(usage, "/output_tokens_details/thinking_tokens");
    all.reasoning_tokens = all.reasoning_tokens.max(thought);
}
