//! The HTTP tools against a real server on this machine, with its faults.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy knows tests, not what they share"
)]

mod common;

use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use baton_adapters::Permit;
use baton_core::words::{FailureKind, Happened};
use baton_engine::ports::Control;
use common::web::{Web, answer};
use common::{Workshop, context};
use serde_json::{Value, json};

fn shop() -> Workshop {
    Workshop::with(|config| {
        config.http.hosts = vec!["127.0.0.1".to_owned()];
        config.http.allow_private = Permit::Granted;
    })
}

fn post(url: &str) -> Value {
    json!({ "method": "POST", "url": url, "body": { "a": 1 } })
}

#[test]
fn an_answer_comes_with_its_body_as_what_it_is() {
    let shop = shop();
    let json_type = "Content-Type: application/problem+json; charset=utf-8\r\n";
    let web = Web::saying(answer("200 OK", json_type, r#"{"b":[1]}"#));
    let output = shop.ok("http.get", json!({ "url": web.url("/x"), "headers": { "X-A": "b" } }));
    assert_eq!((&output["body"], &output["encoding"]), (&json!({ "b": [1] }), &json!("json")));
    assert_eq!((&output["status"], &output["truncated"]), (&json!(200), &json!(false)));
    let asked = web.asked.lock().unwrap().concat().to_ascii_lowercase();
    assert!(asked.starts_with("get /x http/1.1") && asked.contains("x-a: b"), "{asked}");
    assert!(!asked.contains("idempotency-key"));
    assert!(asked.contains(&format!("traceparent: {}\r\n", context().traceparent)), "{asked}");
    let web = Web::saying(answer("200 OK", "Content-Type: text/plain\r\n", "hällo"));
    assert_eq!(shop.ok("http.get", json!({ "url": web.url("/") }))["body"], "hällo");
    let web = Web::saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe".to_vec());
    let output = shop.ok("http.get", json!({ "url": web.url("/") }));
    assert_eq!((&output["body"], &output["encoding"]), (&json!("//4="), &json!("base64")));
}

#[test]
fn a_request_carries_the_calls_key_and_its_body_as_json() {
    let shop = shop();
    let web = Web::saying(answer("201 Created", "", ""));
    assert_eq!(shop.ok("http.request", post(&web.url("/")))["status"], 201);
    let asked = web.asked.lock().unwrap().concat();
    let head = asked.to_ascii_lowercase();
    assert!(head.contains("idempotency-key: key-1"), "{asked}");
    assert!(head.contains("content-type: application/json"), "{asked}");
    assert!(asked.ends_with(r#"{"a":1}"#), "{asked}");
    assert!(head.contains(&format!("traceparent: {}\r\n", context().traceparent)), "{asked}");
    for ours in ["Idempotency-Key", "Traceparent"] {
        let mut input = post(&web.url("/"));
        input["headers"] = json!({ ours: "mine" });
        assert_eq!(shop.err("http.request", input).kind, FailureKind::InvalidInput);
    }
}

#[test]
fn hosts_and_addresses_that_are_not_declared_are_denied_before_anything_is_sent() {
    let web = Web::saying(answer("200 OK", "", ""));
    let failure = Workshop::new().err("http.get", json!({ "url": web.url("/") }));
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.message.contains("[tools.http] hosts"), "{}", failure.message);
    let shop = Workshop::with(|config| config.http.hosts = vec!["*".to_owned()]);
    let port = web.port;
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0",
    ];
    for host in hosts {
        let failure = shop.err("http.get", json!({ "url": format!("http://{host}:{port}/") }));
        let denied =
            failure.kind == FailureKind::Denied && failure.message.contains("allow_private");
        assert!(denied, "{host}: {failure:?}");
    }
    assert!(web.asked.lock().unwrap().is_empty());
}

#[test]
fn a_redirect_is_followed_only_to_declared_hosts_and_without_the_callers_secrets() {
    let shop = shop();
    let last = Web::saying(answer("200 OK", "", "there"));
    let location = format!("Location: {}\r\n", last.url("/b"));
    let first = Web::saying(answer("302 Found", &location, ""));
    let headers = json!({ "Authorization": "secret", "Accept": "text/x" });
    let output = shop.ok("http.get", json!({ "url": first.url("/a"), "headers": headers }));
    assert_eq!((&output["body"], &output["url"]), (&json!("there"), &json!(last.url("/b"))));
    let asked = last.asked.lock().unwrap().concat();
    assert!(!asked.contains("secret") && asked.contains("text/x"), "{asked}");
    assert!(!asked.to_ascii_lowercase().contains("traceparent"), "{asked}");
    let elsewhere =
        ["http://localhost:1/", "http://[::1]/", "//169.254.169.254/", "file:///etc/passwd"];
    for target in elsewhere {
        let location = format!("Location: {target}\r\n");
        let web = Web::saying(answer("301 Moved", &location, ""));
        let failure = shop.err("http.get", json!({ "url": web.url("/") }));
        let refused = [FailureKind::Denied, FailureKind::InvalidInput];
        assert!(refused.contains(&failure.kind), "{target}: {failure:?}");
    }
    let circle = Web::saying(answer("302 Found", "Location: /again\r\n", ""));
    let failure = shop.err("http.get", json!({ "url": circle.url("/") }));
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(circle.asked.lock().unwrap().len(), 6);
    let failure = shop.err("http.request", post(&first.url("/")));
    assert!(failure.message.contains(&last.url("/b")), "{failure:?}");
}

#[test]
// Long because it is one table of cases.
fn a_status_says_whether_to_try_again_and_what_is_known_of_the_effect() {
    let shop = shop();
    for (status, tool, kind, happened, retryable) in [
        ("404 Not Found", "http.get", FailureKind::NotFound, Happened::No, false),
        ("400 Bad", "http.request", FailureKind::Refused, Happened::No, false),
        ("429 Slow Down", "http.request", FailureKind::Unavailable, Happened::No, true),
        ("503 Busy", "http.request", FailureKind::Unavailable, Happened::No, true),
        ("503 Busy", "http.get", FailureKind::Unavailable, Happened::No, true),
        ("500 Oops", "http.get", FailureKind::Unavailable, Happened::No, true),
        ("500 Oops", "http.request", FailureKind::Unavailable, Happened::Unknown, true),
    ] {
        let web = Web::saying(answer(status, "Retry-After: 7\r\n", "why"));
        let input = match tool {
            "http.get" => json!({ "url": web.url("/") }),
            _ => post(&web.url("/")),
        };
        let failure = shop.err(tool, input);
        assert_eq!((failure.kind, failure.happened), (kind, happened), "{tool} {status}");
        assert_eq!(failure.retryable, retryable, "{tool} {status}");
        let pause = retryable.then_some(7_000);
        assert_eq!(failure.retry_after_ms, pause, "{tool} {status}");
        assert!(failure.message.contains("why"), "{}", failure.message);
    }
    let past = "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let web = Web::saying(answer("503 Busy", past, ""));
    assert_eq!(shop.err("http.get", json!({ "url": web.url("/") })).retry_after_ms, Some(0));
}

#[test]
fn what_was_not_sent_did_not_happen_and_what_was_sent_may_have() {
    let shop = shop();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failure = shop.err("http.request", post(&format!("http://{closed}/")));
    assert_eq!((failure.kind, failure.happened), (FailureKind::Unavailable, Happened::No));
    assert!(failure.retryable);
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    for said in ["", "HTTP/1.1 200", half] {
        let web = Web::saying(said);
        let failure = shop.err("http.request", post(&web.url("/")));
        assert_eq!(
            (failure.kind, failure.happened),
            (FailureKind::Lost, Happened::Unknown),
            "{said}"
        );
        let failure = shop.err("http.get", json!({ "url": web.url("/") }));
        assert_eq!((failure.kind, failure.happened), (FailureKind::Lost, Happened::No), "{said}");
    }
}

#[test]
fn a_huge_body_is_cut_and_an_endless_head_refused() {
    let shop = shop();
    let web = Web::start(Box::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    }));
    let output = shop.ok("http.get", json!({ "url": web.url("/"), "max_bytes": 10_000 }));
    assert_eq!(output["body"].as_str().unwrap().len(), 10_000);
    assert_eq!(output["truncated"], true);
    let web = Web::start(Box::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X-A: b\r\n").is_ok() {}
    }));
    shop.err("http.get", json!({ "url": web.url("/") }));
}

#[test]
fn a_slow_server_is_left_in_time_and_on_cancel() {
    let shop = shop();
    let (leave, left) = std::sync::mpsc::channel();
    let web = Web::start(Box::new(move |_, stream| {
        // Holds the connection until the other side leaves.
        let _ = std::io::copy(stream, &mut std::io::sink());
        let _ = leave.send(());
    }));
    let started = Instant::now();
    let control = Control::new(Duration::from_millis(300));
    let failure = shop.call_within("http.request", post(&web.url("/")), &control).unwrap_err();
    assert_eq!((failure.kind, failure.happened), (FailureKind::TimedOut, Happened::Unknown));
    let control = Control::new(Duration::from_secs(60));
    let failure = std::thread::scope(|scope| {
        let call = scope.spawn(|| shop.call_within("http.request", post(&web.url("/")), &control));
        while web.asked.lock().unwrap().len() < 2 {
            std::thread::yield_now();
        }
        control.cancel();
        call.join().unwrap().unwrap_err()
    });
    assert_eq!((failure.kind, failure.happened), (FailureKind::Cancelled, Happened::Unknown));
    for _ in 0..2 {
        left.recv_timeout(Duration::from_secs(10)).unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(10));
}
