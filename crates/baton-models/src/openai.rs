//! OpenAI's chat completions, which most servers speak.
//!
//! Source: OpenAI API reference, "Chat completions", "Streaming"; DeepSeek's and OpenRouter's for the
//! reasoning that they want back. It does not send.

use baton_core::agent::{Message, Part, Piece};
use serde_json::{Map, Value, json};

use crate::failure::Complaint;
use crate::gathering::{Broken, Gathering, own_reasoning};
use crate::names::{wire_id, wire_name};
use crate::protocol::{
    Asked, Reader, Step, Wire, bearer, count_at, list_at, result_text, text_at, text_of,
};
use crate::provider::Key;

/// What a request is in this protocol.
pub(crate) fn wire(asked: &Asked<'_>, key: Option<&Key>) -> Wire {
    let request = asked.request;
    let format = asked.openai_format();
    let messages = messages(asked, format.as_ref());
    let mut body = json!({
        "model": asked.name,
        "messages": messages,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    // The inventor has renamed it; others know the old name.
    let most = if asked.is_native() { "max_completion_tokens" } else { "max_tokens" };
    set(&mut body, most, Some(json!(request.output_tokens_max)));
    set(&mut body, "tools", tools(asked));
    let format = format.map(|format| json!({ "type": "json_schema", "json_schema": format }));
    set(&mut body, "response_format", format);
    let path = vec!["chat".to_owned(), "completions".to_owned()];
    Wire { path, query: None, headers: bearer(key), body }
}

fn messages(asked: &Asked<'_>, format: Option<&Value>) -> Vec<Value> {
    let mut messages = Vec::new();
    if let Some(instructions) = asked.instructions(format) {
        messages.push(json!({ "role": "system", "content": instructions }));
    }
    for message in &asked.request.messages {
        match message {
            Message::User(parts) => {
                messages.push(json!({ "role": "user", "content": user_content(parts) }));
            }
            Message::Assistant(pieces) => messages.push(assistant(&asked.request.model, pieces)),
            Message::Tool(answers) => messages.extend(answers.iter().map(|answer| {
                let id = wire_id(&answer.id);
                json!({ "role": "tool", "tool_call_id": id, "content": result_text(answer) })
            })),
        }
    }
    messages
}

/// Puts a field into an object, where it has a value.
pub(crate) fn set(body: &mut Value, field: &str, value: Option<Value>) {
    if let (Some(body), Some(value)) = (body.as_object_mut(), value) {
        body.insert(field.to_owned(), value);
    }
}

fn tools(asked: &Asked<'_>) -> Option<Value> {
    let tools = asked.request.tools.iter().map(|tool| {
        json!({ "type": "function", "function": {
            "name": wire_name(&tool.name),
            "description": tool.description,
            "parameters": tool.input,
        } })
    });
    let tools: Vec<Value> = tools.collect();
    (!tools.is_empty()).then_some(Value::Array(tools))
}

fn user_content(parts: &[Part]) -> Value {
    if let [Part::Text(text)] = parts {
        return json!(text);
    }
    let parts = parts.iter().map(|part| match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image { media_type, data } => {
            let url = format!("data:{media_type};base64,{data}");
            json!({ "type": "image_url", "image_url": { "url": url } })
        }
    });
    Value::Array(parts.collect())
}

fn assistant(model: &str, pieces: &[Piece]) -> Value {
    let (mut text, mut calls, mut reasoning) = (String::new(), Vec::new(), Map::new());
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(more),
            Piece::Reasoning(json) => {
                if let Some(Value::Object(item)) = own_reasoning(model, json) {
                    reasoning.extend(item);
                }
            }
            Piece::Call { id, tool, arguments } => calls.push(json!({
                "type": "function",
                "id": wire_id(id),
                "function": { "name": wire_name(tool), "arguments": text_of(arguments) },
            })),
        }
    }
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { json!(text) };
    let mut message = json!({ "role": "assistant", "content": content });
    // Servers that give reasoning want it back while the calls it led to are answered, and some of
    // them refuse it at any other time.
    if !calls.is_empty() {
        reasoning.into_iter().for_each(|(field, value)| set(&mut message, &field, Some(value)));
        set(&mut message, "tool_calls", Some(Value::Array(calls)));
    }
    message
}

/// Reads the chunks of a completion.
#[derive(Default)]
pub(crate) struct ChatReader {
    calls: Vec<OpenCall>,
    reasoning: Map<String, Value>,
    is_finished: bool,
}

/// A call as the stream names it.
struct OpenCall {
    index: Option<u64>,
    id: String,
    slot: u64,
}

impl Reader for ChatReader {
    fn read(&mut self, event: &Value, answer: &mut Gathering<'_>) -> Result<Step, Broken> {
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Broken::Complaint(Complaint::of_json(event)));
        }
        if !event.get("choices").is_some_and(Value::is_array) {
            return Err(Broken::Shape("a chunk without `choices`".to_owned()));
        }
        if let Some(usage) = event.get("usage").filter(|usage| usage.is_object()) {
            read_usage(usage, answer);
        }
        let delta = event.pointer("/choices/0/delta").unwrap_or(&Value::Null);
        self.keep_reasoning(delta, answer)?;
        answer.text(text_at(delta, "/content"))?;
        // Some servers give the text as a list of parts.
        for part in list_at(delta, "/content") {
            answer.text(text_at(part, "/text"))?;
        }
        let refusal = text_at(delta, "/refusal");
        if !refusal.is_empty() {
            answer.refuse(refusal)?;
        }
        for call in list_at(delta, "/tool_calls") {
            self.read_call(call, answer)?;
        }
        match text_at(event, "/choices/0/finish_reason") {
            "" => return Ok(Step::More),
            "length" => answer.is_cut = true,
            "content_filter" => answer.refuse("")?,
            _ => {}
        }
        self.is_finished = true;
        Ok(Step::More)
    }

    fn end(&mut self, answer: &mut Gathering<'_>) -> Result<Step, Broken> {
        if !self.is_finished {
            return Ok(Step::More);
        }
        let reasoning = std::mem::take(&mut self.reasoning);
        if !reasoning.is_empty() {
            answer.reasoning_first(Value::Object(reasoning))?;
        }
        Ok(Step::Whole)
    }
}

impl ChatReader {
    fn read_call(&mut self, call: &Value, answer: &mut Gathering<'_>) -> Result<(), Broken> {
        let (id, name) = (text_at(call, "/id"), text_at(call, "/function/name"));
        let index = call.get("index").and_then(Value::as_u64);
        let slot = self.slot(index, id, answer.free_slot());
        answer.call(slot, id, name)?;
        match call.pointer("/function/arguments") {
            Some(Value::String(more)) => answer.arguments(slot, more),
            Some(whole @ Value::Object(_)) => answer.whole_arguments(slot, &whole.to_string()),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => {
                Ok(())
            }
        }
    }

    /// The call that a delta belongs to. Some servers give all calls the same index, or none: another
    /// id is another call.
    fn slot(&mut self, index: Option<u64>, id: &str, free: u64) -> u64 {
        let known = self.calls.iter_mut().rev().find(|call| {
            call.index == index && (id.is_empty() || call.id.is_empty() || call.id == id)
        });
        if let Some(call) = known {
            if call.id.is_empty() {
                id.clone_into(&mut call.id);
            }
            return call.slot;
        }
        self.calls.push(OpenCall { index, id: id.to_owned(), slot: free });
        free
    }

    fn keep_reasoning(&mut self, delta: &Value, answer: &mut Gathering<'_>) -> Result<(), Broken> {
        for field in ["reasoning_content", "reasoning"] {
            let more = delta.get(field).and_then(Value::as_str).unwrap_or_default();
            if more.is_empty() {
                continue;
            }
            answer.kept_aside(more.len())?;
            let kept = self.reasoning.entry(field).or_insert_with(|| json!(""));
            if let Value::String(kept) = kept {
                kept.push_str(more);
            }
        }
        for detail in list_at(delta, "/reasoning_details") {
            answer.kept_aside(detail.to_string().len())?;
            let kept = self.reasoning.entry("reasoning_details").or_insert_with(|| json!([]));
            if let Value::Array(kept) = kept {
                kept.push(detail.clone());
            }
        }
        Ok(())
    }
}

fn read_usage(usage: &Value, answer: &mut Gathering<'_>) {
    let cached = count_at(usage, "/prompt_tokens_details/cached_tokens");
    let all = &mut answer.usage;
    all.input_tokens = count_at(usage, "/prompt_tokens");
    all.cached_tokens = cached.max(count_at(usage, "/prompt_cache_hit_tokens"));
    all.cache_write_tokens = count_at(usage, "/prompt_tokens_details/cache_write_tokens");
    all.output_tokens = count_at(usage, "/completion_tokens");
    all.reasoning_tokens = count_at(usage, "/completion_tokens_details/reasoning_tokens");
}
