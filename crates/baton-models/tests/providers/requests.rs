//! Requests as the four protocols document them, read by the server that got them.

use baton_core::agent::{Message, Part, Piece, ToolAnswer};
use baton_core::body::Json;
use baton_engine::ports::ModelRequest;
use baton_models::Protocol;
use serde_json::{Value, json};

use crate::server::{KEY, Reply, Seen, Server, ask, request, tool};

/// A transcript with everything in it.
fn full() -> ModelRequest {
    let reasoning =
        |of: &str, item: Value| Piece::Reasoning(Json::of(&json!({ "of": of, "item": item })));
    let call = |id: &str, tool: &str, arguments: Value| Piece::Call {
        id: id.to_owned(),
        tool: tool.to_owned(),
        arguments: Json::of(&arguments),
    };
    let answer = |id: &str, tool: &str, output: Option<Value>, error: Option<&str>| ToolAnswer {
        id: id.to_owned(),
        tool: tool.to_owned(),
        output: output.map(|output| Json::of(&output)),
        error: error.map(str::to_owned),
    };
    let mut full = request(vec![
        Message::User(vec![
            Part::Text("Look.".to_owned()),
            Part::Image { media_type: "image/png".to_owned(), data: "QUJD".to_owned() },
        ]),
        Message::Assistant(vec![
            reasoning("p/other", json!({ "foreign": true })),
            reasoning("p/m", json!({ "reasoning_content": "Hm." })),
            Piece::Text("I read.".to_owned()),
            call("c1", "fs.read", json!({ "path": "a" })),
            call("c 2", "git.log", json!("{\"cut")),
        ]),
        Message::Tool(vec![
            answer("c1", "fs.read", Some(json!({ "text": "x" })), None),
            answer("c 2", "git.log", None, Some("the arguments are no JSON object")),
        ]),
    ]);
    full.instructions = Some("Be brief.".to_owned());
    full.tools = vec![tool("fs.read"), tool("git.log")];
    full
}

fn sent(protocol: Protocol, request: &ModelRequest) -> Seen {
    let server = Server::start([Reply::status(500, &[], "")]);
    let models = server.set(protocol);
    let failure = ask(&models, request).0.expect_err("it answers 500");
    assert!(failure.message.contains("500"), "{}", failure.message);
    server.seen()
}

#[test]
fn a_chat_completion_is_asked_for() {
    let Seen { head, body, .. } = sent(Protocol::Openai, &full());
    assert!(head.starts_with("post /v1/chat/completions http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: bearer {KEY}")), "{head}");
    let messages = body["messages"].as_array().expect("messages");
    assert_eq!(messages[0], json!({ "role": "system", "content": "Be brief." }));
    assert_eq!(
        messages[1]["content"],
        json!([
            { "type": "text", "text": "Look." },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,QUJD" } }
        ])
    );
    let said = &messages[2];
    assert_eq!(said["reasoning_content"], "Hm.", "its own reasoning goes back");
    assert_eq!(said.get("foreign"), None, "another model's does not");
    assert_eq!(
        said["tool_calls"][0],
        json!({
            "type": "function", "id": "c1",
            "function": { "name": "fs__read", "arguments": "{\"path\":\"a\"}" }
        })
    );
    let strange = &said["tool_calls"][1];
    assert_eq!(strange["function"]["arguments"], "{\"cut", "as the model wrote it");
    assert_eq!(
        messages[3],
        json!({
            "role": "tool", "tool_call_id": "c1", "content": "{\"text\":\"x\"}"
        })
    );
    assert_eq!(messages[4]["tool_call_id"], strange["id"]);
    assert!(messages[4]["content"].as_str().is_some_and(|text| text.contains("no JSON object")));
    assert_eq!(body["tools"][0]["function"]["name"], "fs__read");
    assert_eq!(body["tools"][0]["function"]["parameters"]["type"], "object");
    assert_eq!((&body["max_tokens"], &body["stream"]), (&json!(500), &json!(true)));
    assert_eq!(body["stream_options"], json!({ "include_usage": true }));
}

#[test]
fn a_response_is_asked_for() {
    let mut asked = full();
    let item = json!({ "type": "reasoning", "id": "rs_1", "encrypted_content": "opaque" });
    if let Message::Assistant(pieces) = &mut asked.messages[1] {
        pieces[1] = Piece::Reasoning(Json::of(&json!({ "of": "p/m", "item": item })));
    }
    let Seen { head, body, .. } = sent(Protocol::OpenaiResponses, &asked);
    assert!(head.starts_with("post /v1/responses http/1.1\r\n"), "{head}");
    let input = body["input"].as_array().expect("input");
    let kinds: Vec<&str> = input.iter().filter_map(|item| item["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "message",
            "reasoning",
            "message",
            "function_call",
            "function_call",
            "function_call_output",
            "function_call_output"
        ]
    );
    assert_eq!(
        input[0]["content"][1],
        json!({
            "type": "input_image", "image_url": "data:image/png;base64,QUJD"
        })
    );
    assert_eq!(input[1], item);
    assert_eq!(input[3]["call_id"], input[5]["call_id"]);
    assert_eq!(body["instructions"], "Be brief.");
    assert_eq!((&body["store"], &body["max_output_tokens"]), (&json!(false), &json!(500)));
    assert_eq!(body["tools"][0]["strict"], json!(false), "strict is the default there");
}

#[test]
fn a_message_is_asked_for() {
    let mut asked = full();
    let block = json!({ "type": "thinking", "thinking": "Hm.", "signature": "signed" });
    if let Message::Assistant(pieces) = &mut asked.messages[1] {
        pieces[1] = Piece::Reasoning(Json::of(&json!({ "of": "p/m", "item": block })));
    }
    asked.messages.push(Message::Assistant(Vec::new()));
    asked.messages.push(Message::user("Again."));
    let Seen { head, body, .. } = sent(Protocol::Anthropic, &asked);
    assert!(head.starts_with("post /v1/messages http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("x-api-key: {KEY}\r\n")), "{head}");
    assert!(head.contains("anthropic-version: 2023-06-01\r\n"), "{head}");
    assert_eq!(body["system"][0]["text"], "Be brief.");
    let messages = body["messages"].as_array().expect("messages");
    assert_eq!(
        messages[0]["content"][1]["source"],
        json!({
            "type": "base64", "media_type": "image/png", "data": "QUJD"
        })
    );
    let said = messages[1]["content"].as_array().expect("blocks");
    assert_eq!(said[0], block, "its own thinking goes back, whole");
    assert_eq!(
        said[2],
        json!({
            "type": "tool_use", "id": "c1", "name": "fs__read", "input": { "path": "a" }
        })
    );
    assert_eq!(said[3]["input"], json!({ "arguments": "{\"cut" }), "always an object");
    let results = messages[2]["content"].as_array().expect("blocks");
    assert_eq!(
        results[0],
        json!({
            "type": "tool_result", "tool_use_id": "c1", "content": "{\"text\":\"x\"}"
        })
    );
    assert_eq!(
        (&results[1]["tool_use_id"], &results[1]["is_error"]),
        (&said[3]["id"], &json!(true))
    );
    assert_eq!(messages[3]["content"][0]["text"], "(nothing)", "an empty text is refused there");
    assert_eq!(body["max_tokens"], 500);
    assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
}

#[test]
fn a_content_is_asked_for() {
    let mut asked = full();
    if let Message::Assistant(pieces) = &mut asked.messages[1] {
        let signature = pieces.remove(1);
        assert!(matches!(signature, Piece::Reasoning(_)));
        let signature = Json::of(&json!({ "of": "p/m", "item": "signed" }));
        pieces.insert(2, Piece::Reasoning(signature));
    }
    let Seen { head, body, .. } = sent(Protocol::Gemini, &asked);
    let path = "post /v1/models/m:streamgeneratecontent?alt=sse http/1.1\r\n";
    assert!(head.starts_with(path), "{head}");
    assert!(head.contains(&format!("x-goog-api-key: {KEY}\r\n")), "{head}");
    assert_eq!(body["systemInstruction"], json!({ "parts": [{ "text": "Be brief." }] }));
    let contents = body["contents"].as_array().expect("contents");
    assert_eq!(
        contents[0]["parts"][1],
        json!({
            "inlineData": { "mimeType": "image/png", "data": "QUJD" }
        })
    );
    let said = contents[1]["parts"].as_array().expect("parts");
    assert_eq!(said[0], json!({ "text": "I read." }));
    assert_eq!(said[1]["thoughtSignature"], "signed", "at the part that it came with");
    assert_eq!(said[1]["functionCall"]["args"], json!({ "path": "a" }));
    assert_eq!(said[2].get("thoughtSignature"), None);
    let results = contents[2]["parts"].as_array().expect("parts");
    assert_eq!(results[0]["functionResponse"]["response"], json!({ "output": { "text": "x" } }));
    assert_eq!(results[1]["functionResponse"]["name"], "git__log");
    assert!(results[1]["functionResponse"]["response"]["error"].is_string());
    assert_eq!(body["generationConfig"]["maxOutputTokens"], 500);
    assert_eq!(body["tools"][0]["functionDeclarations"][0]["name"], "fs__read");
}

#[test]
fn a_schema_goes_to_other_servers_as_it_is() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let mut asked = request(vec![Message::user("hello")]);
    asked.output = Some(schema.clone());
    let body = sent(Protocol::Openai, &asked).body;
    assert_eq!(
        body["response_format"],
        json!({ "type": "json_schema", "json_schema": {
        "name": "answer", "strict": true, "schema": schema
    } })
    );
    let body = sent(Protocol::OpenaiResponses, &asked).body;
    assert_eq!(body["text"]["format"]["schema"], schema);
    let body = sent(Protocol::Gemini, &asked).body;
    assert_eq!(body["generationConfig"]["responseJsonSchema"], schema);
    // Where nobody enforces it, the model is told.
    let body = sent(Protocol::Anthropic, &asked).body;
    let system = body["system"][0]["text"].as_str().expect("a text");
    assert!(system.contains(&schema.to_string()), "{system}");
}

#[test]
fn an_agent_with_tools_is_not_kept_from_calling_them() {
    let mut asked = full();
    asked.output = Some(json!({ "type": "object", "properties": {} }));
    let body = sent(Protocol::Openai, &asked).body;
    assert_eq!(body.get("response_format"), None);
    let system = body["messages"][0]["content"].as_str().expect("a text");
    assert!(system.starts_with("Be brief.\n\n") && system.contains("JSON Schema"), "{system}");
}

#[test]
fn reasoning_that_led_to_nothing_is_not_sent_back() {
    let item = json!({ "type": "reasoning", "encrypted_content": "opaque" });
    let reasoning = Piece::Reasoning(Json::of(&json!({ "of": "p/m", "item": item })));
    let cut = Message::Assistant(vec![reasoning, Piece::Text(" ".to_owned())]);
    let asked = request(vec![Message::user("go"), cut, Message::user("again")]);
    let body = sent(Protocol::OpenaiResponses, &asked).body;
    assert_eq!(body["input"].as_array().map(Vec::len), Some(2), "{body}");
    let body = sent(Protocol::Anthropic, &asked).body;
    assert_eq!(body["messages"][1]["content"], json!([{ "type": "text", "text": "(nothing)" }]));
}
