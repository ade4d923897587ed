//! Limits of a model, kept over all calls of a set.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use baton_core::words::{FailureKind, Happened};
use baton_engine::ports::{Control, Models};
use baton_models::{Limit, ModelSet, ModelsConfig, Protocol};
use serde_json::json;

use crate::server::{Act, Reply, Server, ask, fail, hello, sse, text};

fn limit(requests: Option<u32>, tokens: Option<u64>) -> Limit {
    Limit { requests_per_minute: requests, tokens_per_minute: tokens }
}

fn short() -> Reply {
    Reply::stream([
        json!({ "choices": [{ "delta": { "content": "a" }, "finish_reason": "stop" }] }),
        json!({ "choices": [], "usage": { "prompt_tokens": 5, "completion_tokens": 1 } }),
    ])
}

#[test]
fn who_may_not_wait_for_room_is_told_how_long_it_takes() {
    let server = Server::start([short(), short()]);
    let models = server.set_with(Protocol::Openai, |config| {
        config.limits.insert("p/m".to_owned(), limit(Some(1), None));
    });
    assert!(ask(&models, &hello()).0.is_ok());
    let started = Instant::now();
    let failure = fail(&models, &hello());
    assert_eq!((failure.kind, failure.happened), (FailureKind::RateLimited, Happened::No));
    let pause = failure.retry_after_ms.expect("a pause");
    assert!((50_000..=60_000).contains(&pause) && failure.retryable, "{failure:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "nobody waits for nothing");
    let mut other = hello();
    other.model = "p/other".to_owned();
    assert!(ask(&models, &other).0.is_ok(), "another model has its own limit");
}

/// Two calls of 500 tokens and a few: one fits at a time, until the first is settled.
fn narrow(server: &Server) -> ModelSet {
    server.set_with(Protocol::Openai, |config| {
        config.limits.insert("p/m".to_owned(), limit(None, Some(800)));
    })
}

#[test]
fn who_waits_goes_on_when_others_used_less_than_was_guessed() {
    let (go, going) = channel();
    let (told, speaks) = channel();
    let end = json!({
        "choices": [{ "delta": {}, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 5, "completion_tokens": 1 }
    });
    let held = vec![text("a"), Act::Until(going), Act::Send(sse(&end.to_string()))];
    let server = Server::start([Reply::acts(held), short()]);
    let models = narrow(&server);
    std::thread::scope(|scope| {
        let (models, patience) = (&models, Duration::from_secs(120));
        let first = scope.spawn(move || {
            models.call(&hello(), &Control::new(patience), &mut |_| {
                let _ = told.send(());
            })
        });
        speaks.recv().expect("the first speaks");
        let second =
            scope.spawn(move || models.call(&hello(), &Control::new(patience), &mut |_| {}));
        server.seen();
        go.send(()).expect("the server waits");
        assert!(first.join().expect("no panic").is_ok());
        assert!(second.join().expect("no panic").is_ok());
    });
}

#[test]
fn who_waits_can_be_cancelled_and_was_not_asked() {
    let server = Server::start([Reply::acts(vec![text("a"), Act::Cut])]);
    let models = narrow(&server);
    // What was cut off may have used all that was reserved.
    assert_eq!(fail(&models, &hello()).happened, Happened::Unknown);
    server.seen();
    let waiting = Control::new(Duration::from_secs(120));
    waiting.cancel();
    let failure = models.call(&hello(), &waiting, &mut |_| {}).expect_err("it was cancelled");
    assert_eq!((failure.kind, failure.happened), (FailureKind::Cancelled, Happened::No));
    assert!(server.is_idle());
}

#[test]
fn a_limit_that_lets_nothing_through_is_a_slip() {
    for (model, limit, said) in [
        ("m", limit(Some(1), None), "provider/name"),
        ("p/m", limit(Some(0), None), "nothing through"),
        ("p/m", limit(None, Some(0)), "nothing through"),
    ] {
        let mut config = ModelsConfig::default();
        config.limits.insert(model.to_owned(), limit);
        let fault = ModelSet::new(config).expect_err("a slip").to_string();
        assert!(fault.contains(said), "{fault}");
    }
}
