//! How many tokens a request has, by those who would answer it: where they say it in their documented
//! shape, and nowhere else.

use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use baton_core::agent::{Message, Part};
use baton_engine::ports::{Control, ModelRequest, Models};
use baton_models::{Limit, ModelSet, ModelsConfig, Protocol, ProviderConfig};
use serde_json::{Value, json};

use crate::server::{Act, KEY, Reply, Seen, Server, ask, hello, request, set_of, tool};

/// What servers of any kind are asked in.
const COMPATIBLE: [Protocol; 3] =
    [Protocol::Openai, Protocol::OpenaiResponses, Protocol::Anthropic];

fn count(models: &ModelSet, request: &ModelRequest) -> Option<u64> {
    models.count(request, &Control::new(Duration::from_secs(20)))
}

fn answer(body: Value) -> Reply {
    Reply::status(200, &[("content-type", "application/json")], body)
}

/// As vLLM tells them.
fn tokens(count: u64) -> Reply {
    let tokens: Vec<u64> = (0..count).collect();
    answer(json!({ "count": count, "max_model_len": 4096, "tokens": tokens }))
}

/// As llama.cpp tells them.
fn plain_tokens(count: u64) -> Reply {
    answer(json!({ "tokens": (0..count).collect::<Vec<u64>>() }))
}

fn with_tool() -> ModelRequest {
    ModelRequest { tools: vec![tool("fs.read")], ..hello() }
}

fn path(seen: &Seen) -> &str {
    seen.head.split(' ').nth(1).expect("a path")
}

#[test]
fn vllm_counts_a_chat() {
    for protocol in COMPATIBLE {
        let server = Server::start([tokens(1_000)]);
        let counted = count(&server.set(protocol), &hello());
        assert_eq!(counted, Some(1_000 + 20 + 32), "{protocol:?}: never less than it is");
        let seen = server.seen();
        assert_eq!(path(&seen), "/tokenize");
        assert!(seen.head.contains(KEY), "as a call has it: {}", seen.head);
        assert_eq!(
            seen.body,
            json!({ "model": "m", "messages": [{ "role": "user", "content": "hello" }] })
        );
        assert!(server.is_idle());
    }
}

#[test]
fn llamacpp_counts_what_its_template_makes_of_a_chat() {
    let prompt = answer(json!({ "prompt": "<|user|>hello" }));
    let server = Server::start([plain_tokens(0), prompt, plain_tokens(100)]);
    assert_eq!(count(&server.set(Protocol::Openai), &hello()), Some(100 + 2 + 32));
    server.seen();
    let templated = server.seen();
    assert_eq!(path(&templated), "/apply-template");
    assert_eq!(templated.body["messages"][0]["content"], "hello");
    let tokenized = server.seen();
    assert_eq!(path(&tokenized), "/tokenize");
    let text = json!({ "content": "<|user|>hello", "add_special": true, "parse_special": true });
    assert_eq!(tokenized.body, text);
}

#[test]
fn tools_that_a_server_leaves_out_are_not_counted_as_nothing() {
    let server = Server::start([tokens(100), tokens(60), tokens(60), tokens(60)]);
    let models = server.set(Protocol::Openai);
    assert_eq!(count(&models, &with_tool()), Some(100 + 2 + 32));
    assert_eq!(server.seen().body["tools"][0]["function"]["name"], "fs__read");
    assert_eq!(server.seen().body.get("tools"), None);
    assert_eq!(count(&models, &with_tool()), None, "it does not look at tools");
}

#[test]
fn a_schema_counts_at_least_with_its_bytes() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let server = Server::start([tokens(100)]);
    let asked = ModelRequest { output: Some(schema.clone()), ..hello() };
    let counted = count(&server.set(Protocol::Openai), &asked).expect("it is counted");
    assert!(counted > 100 + schema.to_string().len() as u64, "{counted}");
}

#[test]
fn what_is_no_count_is_none() {
    let wrong = [
        json!({ "input_tokens": 5, "totalTokens": 5, "count": 5 }),
        json!({ "count": 7, "tokens": [1, 2] }),
        json!({ "count": "2", "tokens": [1, 2] }),
        json!({ "tokens": [1, 2] }),
        json!({ "tokens": ["a"] }),
        json!({ "tokens": 3 }),
        json!([]),
        json!(null),
    ];
    let statuses = [301, 401, 404, 405, 429, 500];
    let replies = wrong.into_iter().map(answer).chain(
        statuses.map(|status| Reply::status(status, &[("location", "http://127.0.0.1:1/")], "no")),
    );
    let replies: Vec<Reply> = replies.chain([Reply::status(200, &[], "<html>")]).collect();
    let number = replies.len();
    let server = Server::start(replies);
    let models = server.set(Protocol::Openai);
    for at in 0..number {
        assert_eq!(count(&models, &hello()), None, "{at}");
        server.seen();
        assert!(server.is_idle(), "{at}: asked once, and led nowhere else");
    }
}

#[test]
fn what_llamacpp_does_not_say_is_none() {
    for replies in [
        vec![plain_tokens(0), Reply::status(500, &[], "no")],
        vec![plain_tokens(0), answer(json!({ "text": "a" }))],
        vec![plain_tokens(0), answer(json!({ "prompt": "a" })), plain_tokens(0)],
        vec![plain_tokens(0), answer(json!({ "prompt": "a" })), Reply::status(404, &[], "")],
    ] {
        let server = Server::start(replies);
        assert_eq!(count(&server.set(Protocol::Openai), &hello()), None);
    }
}

#[test]
fn what_a_tokenizer_does_not_see_is_not_asked_for() {
    let server = Server::start([tokens(5)]);
    let image = Part::Image { media_type: "image/png".to_owned(), data: "QUJD".to_owned() };
    let seeing = request(vec![Message::User(vec![image])]);
    assert_eq!(count(&server.set(Protocol::Openai), &seeing), None);
    assert_eq!(count(&server.set(Protocol::Gemini), &hello()), None, "a gateway may bill it");
    let unknown = ModelRequest { model: "nobody/m".to_owned(), ..hello() };
    assert_eq!(count(&server.set(Protocol::Openai), &unknown), None);
    let without_key = server.set_with(Protocol::Openai, |config| {
        config.providers.values_mut().for_each(|p| p.key_env = Some("UNSET".to_owned()));
    });
    assert_eq!(count(&without_key, &hello()), None);
    assert!(server.is_idle());
}

#[test]
fn counting_takes_no_longer_than_it_may_and_ends_when_told() {
    let server = Server::start([Reply::silence(), Reply::silence()]);
    let models = server.set(Protocol::Openai);
    assert_eq!(models.count(&hello(), &Control::new(Duration::from_millis(100))), None);
    server.wait_until_gone();
    let begun = Instant::now();
    let control = Control::new(Duration::from_secs(120));
    std::thread::scope(|scope| {
        let counting = scope.spawn(|| models.count(&hello(), &control));
        server.seen();
        server.seen();
        control.cancel();
        assert_eq!(counting.join().expect("no panic"), None);
    });
    server.wait_until_gone();
    assert!(begun.elapsed() < Duration::from_secs(8), "not for its whole time");
}

#[test]
fn a_count_that_comes_slowly_is_waited_for() {
    let (go, going) = channel();
    let acts = vec![
        Act::Send("{\"count\":1,".to_owned()),
        Act::Until(going),
        Act::Send("\"tokens\":[7]}".to_owned()),
    ];
    let server = Server::start([Reply::acts(acts)]);
    let models = server.set(Protocol::Openai);
    std::thread::scope(|scope| {
        let counting = scope.spawn(|| count(&models, &hello()));
        server.seen();
        go.send(()).expect("the server waits");
        assert_eq!(counting.join().expect("no panic"), Some(1 + 32));
    });
}

#[test]
fn counting_uses_up_no_limit() {
    let end = json!({ "choices": [{ "delta": { "content": "a" }, "finish_reason": "stop" }] });
    let server = Server::start([tokens(5), tokens(5), Reply::stream([end])]);
    let models = server.set_with(Protocol::Openai, |config| {
        let one = Limit { requests_per_minute: Some(1), tokens_per_minute: None };
        config.limits.insert("p/m".to_owned(), one);
    });
    assert!(count(&models, &hello()).is_some() && count(&models, &hello()).is_some());
    assert!(ask(&models, &hello()).0.is_ok());
}

/// Says that this process is the child that asks through the proxy.
const CHILD: &str = "BATON_TEST_COUNTS_BY_PROXY";

/// The inventors' own addresses, without TLS so that a proxy can answer in their place.
fn inventors() -> ModelSet {
    let mut config = ModelsConfig::default();
    for (name, protocol, base_url) in [
        ("messages", Protocol::Anthropic, "http://api.anthropic.com/v1/"),
        ("contents", Protocol::Gemini, "http://generativelanguage.googleapis.com/v1beta/"),
        ("responses", Protocol::OpenaiResponses, "http://api.openai.com/v1/"),
        ("chat", Protocol::Openai, "http://api.openai.com/v1/"),
    ] {
        let (base_url, key_env) = (base_url.to_owned(), Some("P_KEY".to_owned()));
        let provider = ProviderConfig { protocol, base_url, key_env, ..Default::default() };
        config.providers.insert(name.to_owned(), provider);
    }
    set_of(config)
}

fn to(provider: &str) -> ModelRequest {
    let schema = json!({ "type": "object", "properties": {}, "required": [] });
    let instructions = Some("Be brief.".to_owned());
    let model = format!("{provider}/m");
    ModelRequest { model, instructions, output: Some(schema), ..with_tool() }
}

/// In the child: each is asked three times.
fn ask_the_inventors() {
    let models = inventors();
    for (provider, counted) in [
        ("messages", 1_000 + 20 + 32..=1_052),
        ("contents", 1_000 + 20 + 32 + 50..=1_052 + 300),
        ("responses", 1_000..=1_000),
        ("chat", 1_000 + 20 + 32..=1_052),
    ] {
        let right = count(&models, &to(provider));
        assert!(right.is_some_and(|right| counted.contains(&right)), "{provider}: {right:?}");
        assert_eq!(count(&models, &to(provider)), None, "{provider}: another shape");
        assert_eq!(count(&models, &to(provider)), None, "{provider}: 404");
        let brief = Control::new(Duration::from_millis(300));
        assert_eq!(models.count(&to(provider), &brief), None, "{provider}: silence");
    }
}

#[test]
fn the_inventors_of_the_protocols_count_themselves() {
    if std::env::var(CHILD).is_ok() {
        return ask_the_inventors();
    }
    let fields = ["input_tokens", "totalTokens", "input_tokens", "input_tokens"];
    let replies = fields.into_iter().flat_map(|field| {
        let missing = Reply::status(404, &[], "{\"error\":{}}");
        let other = answer(json!({ "count": 5, field: "1000" }));
        [answer(json!({ field: 1_000 })), other, missing, Reply::silence()]
    });
    let server = Server::start(replies);
    let own = std::env::current_exe().expect("this test");
    let child = Command::new(own)
        .args(["--exact", "counts::the_inventors_of_the_protocols_count_themselves"])
        .env(CHILD, "1")
        .env("HTTP_PROXY", format!("http://127.0.0.1:{}", server.port))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .expect("it runs");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    let mut asked = (0..4).map(|_| {
        let first = server.seen();
        (0..3).for_each(|_| drop(server.seen()));
        first
    });
    let mut next = || asked.next().expect("four were asked");
    sent_for_a_count_of_messages(&next());
    sent_for_a_count_of_contents(&next());
    for _ in ["responses", "chat"] {
        sent_for_a_count_of_responses(&next());
    }
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Sorted: their order depends on what else is built.
fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn sent_for_a_count_of_messages(seen: &Seen) {
    assert_eq!(path(seen), "http://api.anthropic.com/v1/messages/count_tokens");
    assert!(seen.head.contains(&format!("x-api-key: {KEY}\r\n")), "{}", seen.head);
    assert!(seen.head.contains("anthropic-version: 2023-06-01\r\n"), "{}", seen.head);
    assert_eq!(names(&seen.body), ["messages", "model", "output_config", "system", "tools"]);
}

fn sent_for_a_count_of_contents(seen: &Seen) {
    let base = "http://generativelanguage.googleapis.com/v1beta/";
    assert_eq!(path(seen), format!("{base}models/m:counttokens"));
    assert!(seen.head.contains(&format!("x-goog-api-key: {KEY}\r\n")), "{}", seen.head);
    assert_eq!(names(&seen.body), ["generateContentRequest"]);
    let asked = seen.body.get("generateContentRequest").expect("it is there");
    assert_eq!(
        names(asked),
        ["contents", "generationConfig", "model", "systemInstruction", "tools"]
    );
    assert_eq!(text_at(asked, "/model"), "models/m");
    assert_eq!(text_at(asked, "/contents/0/parts/0/text"), "hello");
}

fn sent_for_a_count_of_responses(seen: &Seen) {
    assert_eq!(path(seen), "http://api.openai.com/v1/responses/input_tokens");
    assert!(seen.head.contains(&format!("authorization: bearer {KEY}\r\n")), "{}", seen.head);
    assert_eq!(names(&seen.body), ["input", "instructions", "model", "text", "tools"]);
    assert_eq!(text_at(&seen.body, "/input/0/content/0/text"), "hello");
}
