//! What goes wrong between Baton and a provider, each in its class: what may have been billed is in
//! doubt, what certainly was not is refused or passing.

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;

use baton_core::failure::CallFailure;
use baton_core::words::{FailureKind, Happened};
use baton_models::{ModelSet, ModelsConfig, Protocol, ProviderConfig};
use serde_json::{Value, json};

use crate::server::{Act, KEY, Reply, Server, ask, fail, hello, in_doubt, set_of, sse, text};

/// A status, what is in its body, and what it means.
type Case = (u16, &'static str, FailureKind);

const CASES: &[Case] = &[
    (
        429,
        r#"{"error":{"type":"rate_limit_error","message":"slow down"}}"#,
        FailureKind::RateLimited,
    ),
    (429, r#"{"error":{"code":"insufficient_quota","message":"x"}}"#, FailureKind::UsageLimit),
    (429, r#"{"error":{"message":"You exceeded your current quota"}}"#, FailureKind::UsageLimit),
    (402, "pay", FailureKind::UsageLimit),
    (400, r#"{"error":{"message":"Your credit balance is too low"}}"#, FailureKind::UsageLimit),
    (529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, FailureKind::RateLimited),
    (503, "", FailureKind::RateLimited),
    (500, "<html>oops</html>", FailureKind::Unavailable),
    (502, "bad gateway", FailureKind::Unavailable),
    (400, r#"{"error":{"code":"context_length_exceeded"}}"#, FailureKind::ContextTooLong),
    (400, r#"{"error":{"message":"prompt is too long: 9 tokens"}}"#, FailureKind::ContextTooLong),
    (400, r#"{"error":{"type":"exceed_context_size_error"}}"#, FailureKind::ContextTooLong),
    (413, r#"{"error":{"type":"request_too_large"}}"#, FailureKind::ContextTooLong),
    (401, r#"{"error":{"code":"invalid_api_key","message":"no"}}"#, FailureKind::Denied),
    (403, "forbidden", FailureKind::Denied),
    (
        400,
        r#"[{"error":{"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}]"#,
        FailureKind::Denied,
    ),
    (404, r#"{"error":{"message":"model `m` not found"}}"#, FailureKind::NotFound),
    (404, r#"{"error":"no such model"}"#, FailureKind::NotFound),
    (400, r#"{"error":{"code":"content_filter","message":"filtered"}}"#, FailureKind::Refused),
    (400, r#"{"error":{"message":"tools.0: unknown field"}}"#, FailureKind::InvalidInput),
    (422, r#"{"detail":[{"msg":"field required"}]}"#, FailureKind::InvalidInput),
    (301, "", FailureKind::NotFound),
];

#[test]
fn mp3_failures_are_classified_by_what_may_be_done_about_them() {
    let replies = CASES.iter().map(|(status, body, _)| {
        Reply::status(*status, &[("location", "http://elsewhere.test/")], body)
    });
    let server = Server::start(replies);
    let models = server.set(Protocol::Openai);
    for (status, body, kind) in CASES {
        let failure = fail(&models, &hello());
        let said = format!("{status} {body}: {failure:?}");
        assert_eq!((failure.kind, failure.happened), (*kind, Happened::No), "{said}");
        let is_passing = matches!(kind, FailureKind::RateLimited | FailureKind::Unavailable);
        assert_eq!(failure.retryable, is_passing, "{said}");
        assert!(failure.message.contains("`p/m` (http://127.0.0.1:"), "{said}");
        if *kind == FailureKind::Denied {
            assert!(failure.message.contains("`P_KEY`"), "{said}");
        }
    }
}

#[test]
fn a_pause_that_a_provider_asks_for_is_passed_on() {
    let google = json!([{ "error": {
        "code": 429, "status": "RESOURCE_EXHAUSTED",
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "details": [
            { "violations": [{ "quotaId": "GenerateRequestsPerMinutePerProjectPerModel" }] },
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s" }
        ]
    } }]);
    let by_day = google.to_string().replace("PerMinute", "PerDay");
    let ago = "Wed, 21 Oct 2015 07:28:00 GMT";
    let server = Server::start([
        Reply::status(429, &[("retry-after", "7")], ""),
        Reply::status(429, &[("retry-after", "7"), ("retry-after-ms", "1500")], ""),
        Reply::status(503, &[("retry-after", ago)], ""),
        Reply::status(429, &[("retry-after", "99999999999999999999")], ""),
        Reply::status(429, &[("retry-after", "-3; soon")], ""),
        Reply::status(429, &[], google),
        Reply::status(429, &[], by_day),
    ]);
    let models = server.set(Protocol::Gemini);
    let day = 24 * 60 * 60 * 1_000;
    for pause in [Some(7_000), Some(1_500), Some(0), Some(day), None, Some(34_500)] {
        let failure = fail(&models, &hello());
        assert_eq!((failure.kind, failure.retry_after_ms), (FailureKind::RateLimited, pause));
    }
    let failure = fail(&models, &hello());
    assert_eq!((failure.kind, failure.retry_after_ms), (FailureKind::UsageLimit, None));
}

#[test]
fn what_is_cut_off_in_the_middle_is_in_doubt() {
    let call = json!({ "choices": [{ "delta": { "tool_calls": [
        { "index": 0, "id": "c", "function": { "name": "t", "arguments": "{\"path\": \"a" } }
    ] } }] });
    for acts in [
        vec![Act::Cut],
        vec![text("a"), Act::Cut],
        vec![Act::Send(sse(&call.to_string())), Act::Cut],
        vec![Act::Send("data: {\"choices\": [{\"del".to_owned()), Act::Cut],
        // The body ends as it should; the answer does not.
        vec![text("a")],
        vec![],
    ] {
        let server = Server::start([Reply::acts(acts)]);
        in_doubt(FailureKind::Lost, &fail(&server.set(Protocol::Openai), &hello()));
    }
}

#[test]
fn every_protocol_notices_that_its_answer_has_no_end() {
    let events = [
        (Protocol::Openai, json!({ "choices": [{ "delta": { "content": "a" } }] })),
        (Protocol::OpenaiResponses, json!({ "type": "response.output_text.delta", "delta": "a" })),
        (
            Protocol::Anthropic,
            json!({ "type": "content_block_start", "index": 0,
            "content_block": { "type": "text", "text": "a" } }),
        ),
        (
            Protocol::Gemini,
            json!({ "candidates": [{ "content": { "parts": [{ "text": "a" }] } }] }),
        ),
    ];
    for (protocol, event) in events {
        let server = Server::start([Reply::stream([event])]);
        let (answer, told) = ask(&server.set(protocol), &hello());
        assert_eq!(told, ["a"]);
        in_doubt(FailureKind::Lost, &answer.expect_err("it has no end"));
    }
}

#[test]
fn what_no_protocol_says_is_in_doubt() {
    for protocol in
        [Protocol::Openai, Protocol::OpenaiResponses, Protocol::Anthropic, Protocol::Gemini]
    {
        let events = ["no json", "[1, 2]", "7", "{}", "{\"choices\": 3}", "null"];
        let server = Server::start(events.map(|event| Reply::stream([event])));
        let models = server.set(protocol);
        for _ in events {
            in_doubt(FailureKind::InvalidOutput, &fail(&models, &hello()));
        }
    }
    let page = Reply::status(200, &[("content-type", "text/html")], "<html>login</html>");
    let server = Server::start([page]);
    let failure = fail(&server.set(Protocol::Openai), &hello());
    in_doubt(FailureKind::InvalidOutput, &failure);
    assert!(failure.message.contains("text/html"), "{}", failure.message);
    assert!(failure.message.contains("login"), "{}", failure.message);
    let error = json!({ "error": { "code": "rate_limit_exceeded", "message": "slow down" } });
    let error = Reply::status(200, &[("content-type", "application/json")], error);
    let server = Server::start([error]);
    let failure = fail(&server.set(Protocol::Openai), &hello());
    in_doubt(FailureKind::RateLimited, &failure);
}

#[test]
fn an_error_in_a_stream_is_classified_like_another() {
    let overloaded =
        json!({ "type": "error", "error": { "type": "overloaded_error", "message": "x" } });
    let begun = json!({ "type": "content_block_start", "index": 0,
        "content_block": { "type": "text", "text": "a" } });
    let server =
        Server::start([Reply::stream([overloaded.clone()]), Reply::stream([begun, overloaded])]);
    let models = server.set(Protocol::Anthropic);
    let failure = fail(&models, &hello());
    assert_eq!((failure.kind, failure.happened), (FailureKind::RateLimited, Happened::No));
    in_doubt(FailureKind::RateLimited, &fail(&models, &hello()));

    let failed = json!({ "type": "response.failed", "response": {
        "error": { "code": "rate_limit_exceeded", "message": "x" }
    } });
    let error = json!({ "type": "error", "code": "server_error", "message": "x" });
    let server = Server::start([Reply::stream([failed]), Reply::stream([error])]);
    let models = server.set(Protocol::OpenaiResponses);
    assert_eq!(fail(&models, &hello()).kind, FailureKind::RateLimited);
    assert_eq!(fail(&models, &hello()).kind, FailureKind::Unavailable);

    let error =
        json!({ "error": { "code": 503, "status": "UNAVAILABLE", "message": "overloaded" } });
    let server = Server::start([Reply::stream([error.clone()]), Reply::stream([error])]);
    assert_eq!(fail(&server.set(Protocol::Gemini), &hello()).kind, FailureKind::RateLimited);
    assert_eq!(fail(&server.set(Protocol::Openai), &hello()).kind, FailureKind::RateLimited);
}

#[test]
fn an_answer_without_bounds_is_stopped() {
    let flood = || (0..).map(|_| text(&"x".repeat(512 * 1024))).take(64).collect::<Vec<_>>();
    let line = || (0..40).map(|_| Act::Send("y".repeat(1024 * 1024))).collect::<Vec<_>>();
    let server = Server::start([Reply::acts(flood()), Reply::acts(line())]);
    let models = server.set(Protocol::Openai);
    for _ in 0..2 {
        let failure = fail(&models, &hello());
        let is = (failure.kind, failure.happened, failure.retryable);
        assert_eq!(is, (FailureKind::TooLarge, Happened::Unknown, false), "{failure:?}");
    }
    let error = Reply::status(500, &[], "z".repeat(4 * 1024 * 1024));
    let server = Server::start([error]);
    let failure = fail(&server.set(Protocol::Openai), &hello());
    assert!(failure.message.len() < 2_000, "{}", failure.message.len());
}

#[test]
fn what_a_provider_says_is_quoted_with_care() {
    let hostile = format!(
        "Incorrect key {KEY}, \u{1b}[31msk-proj-abcdefghijklmn\r\nX-Injected: 1\u{0} AIzaSyABCDEFGHIJ {}",
        "long ".repeat(1_000)
    );
    let error = json!({ "error": { "message": hostile } });
    let server = Server::start([
        Reply::status(401, &[], error),
        Reply::status(500, &[], &hostile),
        Reply::stream([&hostile.replace(['\r', '\n'], " ")]),
    ]);
    let models = server.set(Protocol::Openai);
    for _ in 0..3 {
        let failure: CallFailure = fail(&models, &hello());
        let message = failure.message;
        for hidden in ["secret", "abcdefghijklmn", "SyABCDEFGHIJ"] {
            assert!(!message.contains(hidden), "{message}");
        }
        assert!(!message.chars().any(char::is_control), "{message:?}");
        assert!(message.chars().count() < 1_000, "{message}");
    }
}

#[test]
fn who_is_not_there_was_not_asked() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").port()
    };
    for base_url in [
        format!("http://127.0.0.1:{port}/v1/"),
        "http://no-such-host.invalid/v1/".to_owned(),
        format!("https://{}", plain_server()),
    ] {
        let mut config = ModelsConfig::default();
        let provider = ProviderConfig { base_url: base_url.clone(), ..ProviderConfig::default() };
        config.providers.insert("p".to_owned(), provider);
        let failure = fail(&set_of(config), &hello());
        let is = (failure.kind, failure.happened, failure.retryable);
        assert_eq!(is, (FailureKind::Unavailable, Happened::No, true), "{base_url}: {failure:?}");
        assert!(failure.message.contains("cannot be reached"), "{}", failure.message);
    }
}

/// The address of a server that speaks no TLS.
fn plain_server() -> String {
    let server = Server::start([Reply::status(500, &[], "")]);
    format!("127.0.0.1:{}", server.port)
}

#[test]
fn what_cannot_be_asked_is_told_before_it_is() {
    let mut config = ModelsConfig::default();
    let provider = ProviderConfig {
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        key_env: Some("NOT_SET".to_owned()),
        ..ProviderConfig::default()
    };
    config.providers.insert("p".to_owned(), provider);
    let models = set_of(config);
    let failure = fail(&models, &hello());
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.message.contains("`NOT_SET`"), "{}", failure.message);
    for (model, said) in
        [("nobody/m", "[models.providers.nobody]"), ("m", "provider/name"), ("p/", "provider/name")]
    {
        let mut asked = hello();
        asked.model = model.to_owned();
        let failure = fail(&models, &asked);
        assert_eq!((failure.kind, failure.happened), (FailureKind::NotFound, Happened::No));
        assert!(failure.message.contains(said), "{}", failure.message);
    }
}

#[test]
fn a_key_that_no_header_takes_is_not_shown() {
    let mut config = ModelsConfig::default();
    let provider = ProviderConfig {
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        key_env: Some("P_KEY".to_owned()),
        ..ProviderConfig::default()
    };
    config.providers.insert("p".to_owned(), provider);
    let environment = |_: &str| Some("0123456789\nsecret".to_owned());
    let models = ModelSet::with_environment(config, Arc::new(environment)).expect("sound");
    let failure = fail(&models, &hello());
    assert_eq!((failure.kind, failure.happened), (FailureKind::InvalidInput, Happened::No));
    assert!(!failure.message.contains("secret"), "{}", failure.message);
    assert!(failure.message.contains("key"), "{}", failure.message);
}

/// The variable by which the test below knows that it is the child.
const CHILD: &str = "BATON_TEST_ASKS_BY_PROXY";

#[test]
fn a_proxy_of_the_environment_is_used() {
    if std::env::var_os(CHILD).is_some() {
        let mut config = ModelsConfig::default();
        let base_url = "http://models.test/v1/".to_owned();
        let provider = ProviderConfig { base_url, ..ProviderConfig::default() };
        config.providers.insert("p".to_owned(), provider);
        assert_eq!(ask(&set_of(config), &hello()).1, ["by proxy"]);
        return;
    }
    let said: [Value; 2] = [
        json!({ "choices": [{ "delta": { "content": "by proxy" } }] }),
        json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }),
    ];
    let server = Server::start([Reply::stream(said)]);
    let own = std::env::current_exe().expect("this test");
    let child = Command::new(own)
        .args(["--exact", "failures::a_proxy_of_the_environment_is_used"])
        .env(CHILD, "1")
        .env("HTTP_PROXY", format!("http://127.0.0.1:{}", server.port))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .expect("it runs");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(server.seen().head.starts_with("post http://models.test/v1/chat/completions"));
}
