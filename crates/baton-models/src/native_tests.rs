//! What goes only to the inventors of the protocols: their own words for what others do otherwise.

use baton_core::agent::Message;
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::plan::{Ends, OfferedTool};
use baton_core::words::Effect;
use baton_engine::ports::{CallContext, ModelRequest};
use serde_json::{Value, json};

use crate::config::{ModelsConfig, Protocol, ProviderConfig};
use crate::protocol::Asked;
use crate::provider::providers;

fn sent(provider: &str, model: &str, change: impl FnOnce(&mut ModelRequest)) -> Value {
    let mut config = ModelsConfig::default();
    let responses =
        ProviderConfig { protocol: Protocol::OpenaiResponses, ..ProviderConfig::default() };
    if provider == "openai" && model != "chat" {
        config.providers.insert("openai".to_owned(), responses);
    }
    let all = providers(&config).expect("sound");
    let place = (Ordinal(0), 1);
    let mut request = ModelRequest {
        model: format!("{provider}/{model}"),
        agent: "reviewer".to_owned(),
        attempt: 1,
        instructions: Some("Be brief.".to_owned()),
        tools: Vec::new(),
        output: Some(strict()),
        output_tokens_max: 500,
        messages: vec![Message::user("hello")],
        turns_left_out: 0,
        context: CallContext::new(
            WorkflowId::from_bytes([1; 16]),
            place,
            ConversationId::from_bytes([2; 16]),
        ),
    };
    change(&mut request);
    let asked = Asked { provider: &all[provider], name: model, request: &request };
    asked.wire(None).body
}

fn strict() -> Value {
    json!({
        "type": "object", "required": ["a"],
        "properties": { "a": { "type": "integer", "minimum": 1 } }
    })
}

fn with_tool(request: &mut ModelRequest) {
    request.tools.push(OfferedTool {
        name: "fs.read".to_owned(),
        description: "Reads.".to_owned(),
        input: json!({ "type": "object" }),
        effect: Effect::Read,
        approval: None,
        ends: Ends::Call,
    });
}

#[test]
fn openai_is_asked_for_a_strict_schema_beside_tools() {
    let body = sent("openai", "chat", with_tool);
    let format = &body["response_format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["json_schema"]["strict"], true);
    let schema = &format["json_schema"]["schema"];
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["a"]["minimum"], 1);
    assert_eq!((&body["max_completion_tokens"], body.get("max_tokens")), (&json!(500), None));

    let body = sent("openai", "gpt-5", with_tool);
    assert_eq!(body["text"]["format"]["schema"], *schema);
    assert_eq!(body["text"]["format"]["strict"], true);
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    let body = sent("openai", "gpt-4.1-mini", |_| {});
    assert_eq!(body.get("include"), None, "models that do not reason refuse it");
}

#[test]
fn a_schema_that_the_strict_form_cannot_say_is_sent_unstrict_or_told() {
    let optional = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let body = sent("openai", "chat", |request| request.output = Some(optional.clone()));
    let format = &body["response_format"]["json_schema"];
    assert_eq!((&format["strict"], &format["schema"]), (&json!(false), &optional));
    let list = json!({ "type": "array", "items": { "type": "string" } });
    let body = sent("openai", "chat", |request| request.output = Some(list.clone()));
    assert_eq!(body.get("response_format"), None);
    let told = body["messages"][0]["content"].as_str().expect("a text");
    assert!(told.contains(&list.to_string()), "{told}");
}

#[test]
fn anthropic_is_asked_for_a_schema_and_for_its_cache() {
    let body = sent("anthropic", "claude", with_tool);
    let format = &body["output_config"]["format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["schema"]["additionalProperties"], false);
    assert_eq!(format["schema"]["properties"]["a"], json!({ "type": "integer" }));
    let ephemeral = json!({ "type": "ephemeral" });
    assert_eq!(body["system"][0]["cache_control"], ephemeral);
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], ephemeral);
    let body = sent("anthropic", "claude", |_| {});
    assert_eq!(body["system"][0].get("cache_control"), None, "who asks once needs no cache");
}

#[test]
fn gemini_is_asked_for_a_schema_where_its_model_takes_it() {
    let body = sent("gemini", "gemini-3-pro", with_tool);
    assert_eq!(body["generationConfig"]["responseJsonSchema"], strict());
    assert_eq!(body["generationConfig"]["responseMimeType"], "application/json");
    let body = sent("gemini", "gemini-2.5-flash", with_tool);
    assert_eq!(body["generationConfig"].get("responseJsonSchema"), None);
    let told = body["systemInstruction"]["parts"][0]["text"].as_str().expect("a text");
    assert!(told.contains("JSON Schema"), "{told}");
    let body = sent("gemini", "gemini-2.5-flash", |_| {});
    assert_eq!(body["generationConfig"]["responseJsonSchema"], strict());
}
