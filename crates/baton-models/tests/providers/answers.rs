//! Answers as the four protocols document them: text while it is made, calls, reasoning, usage.

use baton_core::agent::{Message, Piece, Usage};
use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::words::{FailureKind, Happened};
use baton_engine::ports::ModelAnswer;
use baton_models::Protocol;
use serde_json::{Value, json};

use crate::server::{Reply, Server, ask, calls, hello, request, tool};

fn answered(
    protocol: Protocol,
    events: Vec<Value>,
) -> (Result<ModelAnswer, CallFailure>, Vec<String>) {
    let done = (protocol == Protocol::Openai).then(|| "[DONE]".to_owned());
    let events: Vec<String> = events.iter().map(Value::to_string).chain(done).collect();
    let server = Server::start([Reply::stream(events)]);
    let mut asked = hello();
    asked.tools = vec![tool("fs.read"), tool("git.log")];
    ask(&server.set(protocol), &asked)
}

fn delta(delta: Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta }] })
}

fn finish(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

#[test]
fn a_chat_completion_streams_its_text_and_its_calls() {
    let (answer, told) = answered(
        Protocol::Openai,
        vec![
            delta(json!({ "role": "assistant", "content": "" })),
            delta(json!({ "reasoning_content": "Let me " })),
            delta(json!({ "reasoning_content": "look." })),
            delta(json!({ "content": "I read " })),
            delta(json!({ "content": "it." })),
            delta(json!({ "tool_calls": [
                { "index": 0, "id": "c1", "function": { "name": "fs__read", "arguments": "" } }
            ] })),
            delta(json!({ "tool_calls": [
                { "index": 0, "function": { "arguments": "{\"path\":" } }
            ] })),
            delta(json!({ "tool_calls": [
                { "index": 1, "id": "c2", "function": { "name": "git__log", "arguments": "{}" } }
            ] })),
            delta(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "\"a\"}" } }] })),
            finish("tool_calls"),
            json!({ "choices": [], "usage": {
                "prompt_tokens": 100, "completion_tokens": 20,
                "prompt_tokens_details": { "cached_tokens": 60 },
                "completion_tokens_details": { "reasoning_tokens": 7 }
            } }),
        ],
    );
    let answer = answer.expect("it answers");
    assert_eq!(told, ["I read ", "it."]);
    assert!(matches!(&answer.content[0], Piece::Reasoning(_)), "{:?}", answer.content);
    assert_eq!(answer.content[1], Piece::Text("I read it.".to_owned()));
    assert_eq!(
        calls(&answer),
        [
            ("c1".to_owned(), "fs.read".to_owned(), json!({ "path": "a" })),
            ("c2".to_owned(), "git.log".to_owned(), json!({})),
        ]
    );
    let usage = Usage {
        input_tokens: 100,
        cached_tokens: 60,
        cache_write_tokens: 0,
        output_tokens: 20,
        reasoning_tokens: 7,
    };
    assert_eq!((answer.usage, answer.is_cut), (usage, false));
}

#[test]
fn a_response_streams_its_text_and_its_calls() {
    let reasoning = json!({
        "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "opaque",
        "status": "completed"
    });
    let call = |id: &str, name: &str, arguments: &str| json!({ "type": "function_call", "call_id": id, "name": name, "arguments": arguments });
    let (answer, told) = answered(
        Protocol::OpenaiResponses,
        vec![
            json!({ "type": "response.created", "response": {} }),
            json!({ "type": "response.output_item.done", "output_index": 0, "item": reasoning }),
            json!({ "type": "response.output_text.delta", "output_index": 1, "delta": "I " }),
            json!({ "type": "response.output_text.delta", "output_index": 1, "delta": "read." }),
            json!({ "type": "response.output_item.done", "output_index": 1, "item": {
                "type": "message", "content": [{ "type": "output_text", "text": "I read." }]
            } }),
            json!({ "type": "response.output_item.added", "output_index": 2,
                "item": call("c1", "fs__read", "") }),
            json!({ "type": "response.output_item.added", "output_index": 3,
                "item": call("c2", "git__log", "") }),
            json!({ "type": "response.function_call_arguments.delta", "output_index": 3,
                "delta": "{}" }),
            json!({ "type": "response.function_call_arguments.delta", "output_index": 2,
                "delta": "{\"path\"" }),
            json!({ "type": "response.output_item.done", "output_index": 2,
                "item": call("c1", "fs__read", "{\"path\":\"a\"}") }),
            json!({ "type": "response.completed", "response": { "status": "completed", "usage": {
                "input_tokens": 50, "input_tokens_details": { "cached_tokens": 5 },
                "output_tokens": 9, "output_tokens_details": { "reasoning_tokens": 3 }
            } } }),
        ],
    );
    let answer = answer.expect("it answers");
    assert_eq!(told, ["I ", "read."]);
    assert_eq!(answer.content[1], Piece::Text("I read.".to_owned()));
    assert_eq!(
        calls(&answer),
        [
            ("c1".to_owned(), "fs.read".to_owned(), json!({ "path": "a" })),
            ("c2".to_owned(), "git.log".to_owned(), json!({})),
        ]
    );
    let usage = answer.usage;
    assert_eq!((usage.input_tokens, usage.cached_tokens), (50, 5));
    assert_eq!((usage.output_tokens, usage.reasoning_tokens), (9, 3));
}

fn block(index: u64, block: Value) -> Value {
    json!({ "type": "content_block_start", "index": index, "content_block": block })
}

fn grow(index: u64, delta: Value) -> Value {
    json!({ "type": "content_block_delta", "index": index, "delta": delta })
}

fn stop(index: u64) -> Value {
    json!({ "type": "content_block_stop", "index": index })
}

#[test]
fn a_message_streams_its_text_and_its_calls_in_their_order() {
    let (answer, told) = answered(
        Protocol::Anthropic,
        vec![
            json!({ "type": "message_start", "message": { "usage": {
                "input_tokens": 10, "cache_read_input_tokens": 200,
                "cache_creation_input_tokens": 30, "output_tokens": 1
            } } }),
            block(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
            grow(0, json!({ "type": "thinking_delta", "thinking": "Hm." })),
            grow(0, json!({ "type": "signature_delta", "signature": "signed" })),
            stop(0),
            json!({ "type": "ping" }),
            block(1, json!({ "type": "text", "text": "" })),
            grow(1, json!({ "type": "text_delta", "text": "I read." })),
            stop(1),
            block(2, json!({ "type": "tool_use", "id": "t1", "name": "fs__read", "input": {} })),
            grow(2, json!({ "type": "input_json_delta", "partial_json": "" })),
            grow(2, json!({ "type": "input_json_delta", "partial_json": "{\"path\": \"a\"}" })),
            stop(2),
            block(3, json!({ "type": "redacted_thinking", "data": "opaque" })),
            block(4, json!({ "type": "tool_use", "id": "t2", "name": "git__log", "input": {} })),
            stop(4),
            json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" },
                "usage": { "output_tokens": 42 } }),
            json!({ "type": "message_stop" }),
        ],
    );
    let answer = answer.expect("it answers");
    assert_eq!(told, ["I read."]);
    let kinds: Vec<&str> = answer
        .content
        .iter()
        .map(|piece| match piece {
            Piece::Text(_) => "text",
            Piece::Reasoning(_) => "reasoning",
            Piece::Call { .. } => "call",
        })
        .collect();
    assert_eq!(kinds, ["reasoning", "text", "call", "reasoning", "call"]);
    assert_eq!(
        calls(&answer),
        [
            ("t1".to_owned(), "fs.read".to_owned(), json!({ "path": "a" })),
            ("t2".to_owned(), "git.log".to_owned(), json!({})),
        ]
    );
    let usage = answer.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (240, 42), "the cache's are among them");
    assert_eq!((usage.cached_tokens, usage.cache_write_tokens), (200, 30));
}

#[test]
fn a_content_streams_its_text_and_its_calls() {
    let chunk = |parts: Value| json!({ "candidates": [{ "content": { "parts": parts } }] });
    let (answer, told) = answered(
        Protocol::Gemini,
        vec![
            chunk(json!([{ "text": "Thinking.", "thought": true }])),
            chunk(json!([{ "text": "I read" }])),
            chunk(json!([{ "text": " it." }])),
            chunk(json!([
                { "functionCall": { "name": "fs__read", "args": { "path": "a" } },
                    "thoughtSignature": "signed" },
                { "functionCall": { "name": "git__log", "args": {} } }
            ])),
            json!({
                "candidates": [{ "content": { "parts": [{ "text": "" }] }, "finishReason": "STOP" }],
                "usageMetadata": {
                    "promptTokenCount": 70, "cachedContentTokenCount": 20,
                    "candidatesTokenCount": 11, "thoughtsTokenCount": 4
                }
            }),
        ],
    );
    let answer = answer.expect("it answers");
    assert_eq!(told, ["I read", " it."]);
    assert_eq!(
        calls(&answer),
        [
            ("call_1".to_owned(), "fs.read".to_owned(), json!({ "path": "a" })),
            ("call_2".to_owned(), "git.log".to_owned(), json!({})),
        ]
    );
    assert!(matches!(&answer.content[1], Piece::Reasoning(_)), "before the call it came with");
    let usage = answer.usage;
    assert_eq!((usage.input_tokens, usage.cached_tokens), (70, 20));
    assert_eq!((usage.output_tokens, usage.reasoning_tokens), (15, 4));
}

#[test]
fn an_answer_that_used_up_its_tokens_is_cut() {
    let gemini = json!({ "candidates": [
        { "content": { "parts": [{ "text": "a" }] }, "finishReason": "MAX_TOKENS" }
    ] });
    for (protocol, events) in [
        (Protocol::Openai, vec![delta(json!({ "content": "a" })), finish("length")]),
        (
            Protocol::OpenaiResponses,
            vec![
                json!({ "type": "response.output_text.delta", "delta": "a" }),
                json!({ "type": "response.incomplete", "response": {
                "status": "incomplete", "incomplete_details": { "reason": "max_output_tokens" }
            } }),
            ],
        ),
        (
            Protocol::Anthropic,
            vec![
                block(0, json!({ "type": "text", "text": "a" })),
                json!({ "type": "message_delta", "delta": { "stop_reason": "max_tokens" } }),
                json!({ "type": "message_stop" }),
            ],
        ),
        (Protocol::Gemini, vec![gemini]),
    ] {
        let answer = answered(protocol, events).0.expect("it answers");
        assert!(answer.is_cut, "{protocol:?}");
        assert_eq!(answer.content, [Piece::Text("a".to_owned())]);
    }
}

#[test]
fn a_call_cut_in_the_middle_of_its_json_is_a_text_for_the_engine_to_refuse() {
    let call = json!({ "tool_calls": [
        { "index": 0, "id": "c1", "function": { "name": "fs__read", "arguments": "{\"path\": \"a" } }
    ] });
    let (answer, _) = answered(Protocol::Openai, vec![delta(call), finish("length")]);
    let answer = answer.expect("it answers");
    assert!(answer.is_cut);
    assert_eq!(calls(&answer)[0].2, json!("{\"path\": \"a"));
}

#[test]
fn a_refusal_is_a_failure_with_its_words() {
    let refusal = json!({ "type": "message_delta", "delta": { "stop_reason": "refusal" } });
    for (protocol, events, said) in [
        (
            Protocol::Openai,
            vec![
                delta(json!({ "refusal": "I will " })),
                delta(json!({ "refusal": "not." })),
                finish("stop"),
            ],
            "I will not",
        ),
        (
            Protocol::Openai,
            vec![delta(json!({ "content": "Half a" })), finish("content_filter")],
            "Half a",
        ),
        (
            Protocol::OpenaiResponses,
            vec![
                json!({ "type": "response.refusal.delta", "delta": "I will not." }),
                json!({ "type": "response.completed", "response": { "status": "completed" } }),
            ],
            "I will not",
        ),
        (
            Protocol::Anthropic,
            vec![
                block(0, json!({ "type": "text", "text": "I will not." })),
                refusal,
                json!({ "type": "message_stop" }),
            ],
            "I will not",
        ),
        (
            Protocol::Gemini,
            vec![json!({ "promptFeedback": { "blockReason": "SAFETY" } })],
            "SAFETY",
        ),
        (
            Protocol::Gemini,
            vec![json!({ "candidates": [
                { "finishReason": "RECITATION", "finishMessage": "It recites." }
            ] })],
            "It recites",
        ),
    ] {
        let failure = answered(protocol, events).0.expect_err("it refuses");
        assert_eq!(failure.kind, FailureKind::Refused, "{protocol:?}: {}", failure.message);
        assert_eq!((failure.happened, failure.retryable), (Happened::Unknown, false));
        assert!(failure.message.contains(said), "{}", failure.message);
    }
}

#[test]
fn servers_that_mix_up_their_calls_are_understood() {
    let call = |index: Value, id: &str, name: &str| {
        delta(json!({ "tool_calls": [
            { "index": index, "id": id, "function": { "name": name, "arguments": "{}" } }
        ] }))
    };
    for events in [
        // Every call under the same index.
        vec![call(json!(0), "a", "fs__read"), call(json!(0), "b", "git__log")],
        // Without any.
        vec![call(json!(null), "a", "fs__read"), call(json!(null), "b", "git__log")],
        // Two of the same id.
        vec![call(json!(0), "a", "fs__read"), call(json!(1), "a", "git__log")],
        // Without ids.
        vec![call(json!(0), "", "fs__read"), call(json!(1), "", "git__log")],
        // A name with a dot, as it was never offered, and one that was not.
        vec![call(json!(0), "a", "fs.read"), call(json!(1), "b", "rm_rf")],
    ] {
        let said = json!(events).to_string();
        let all = [events, vec![finish("tool_calls")]].concat();
        let answer = answered(Protocol::Openai, all).0.expect("it answers");
        let calls = calls(&answer);
        assert_eq!(calls.len(), 2, "{said}");
        assert_ne!(calls[0].0, calls[1].0, "{said}");
        assert!(calls.iter().all(|call| !call.0.is_empty() && call.2 == json!({})), "{calls:?}");
    }
}

#[test]
fn ids_of_the_transcript_are_not_given_again() {
    let call = |id: &str| Piece::Call {
        id: id.to_owned(),
        tool: "fs.read".to_owned(),
        arguments: Json::of(&json!({})),
    };
    let events = [
        delta(json!({ "tool_calls": [
            { "index": 0, "id": "call_0", "function": { "name": "fs__read", "arguments": "{}" } }
        ] })),
        finish("tool_calls"),
    ];
    let server = Server::start([Reply::stream(events)]);
    let before = Message::Assistant(vec![call("call_0")]);
    let asked = request(vec![Message::user("go"), before]);
    let answer = ask(&server.set(Protocol::Openai), &asked).0.expect("it answers");
    assert_eq!(calls(&answer)[0].0, "call_0_2");
}
