//! Others in a server's place: whatever they answer, the command ends, says why, and tells no secret.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use crate::Away;

const TOKEN: &str = "baton_not_for_others";

/// Answers every request like this. Gives its URL, and the heads of the requests that came.
fn answering(answer: impl Fn(&mut TcpStream) + Send + 'static) -> (String, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while let Ok(2..) = lines.read_line(&mut head) {
                if head.ends_with("\r\n\r\n") {
                    break;
                }
            }
            let _ = sender.send(head);
            answer(&mut stream);
        }
    });
    (url, heads)
}

fn fixed(kind: &str, status: &str, headers: &str, body: &str) -> (String, Receiver<String>) {
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    answering(move |stream| {
        let _ = stream.write_all(text.as_bytes());
    })
}

/// The command ends with 4 and says this.
fn expect(url: &str, part: &str) {
    for arguments in [vec!["list"], vec!["show", "last"], vec!["tools"], vec!["inbox"]] {
        let called = Away::from(url).expect_with(TOKEN, 4, &arguments);
        assert!(called.said.contains(part), "{arguments:?}: {part}: {called:?}");
        assert!(called.said.len() < 5_000, "{} bytes", called.said.len());
    }
}

#[test]
fn what_is_no_baton_server_is_said_to_be_none() {
    expect(&fixed("text/html", "200 OK", "", "<html>").0, "text/html");
    expect(&fixed("application/json", "200 OK", "", "{\"items\": [").0, "cannot be read");
    expect(&fixed("application/json", "200 OK", "", "[1, 2, 3]").0, "cannot be read");
    expect(&fixed("application/json", "404 Not Found", "", "{}").0, "404");
    expect(&fixed("application/problem+json", "500 X", "", "not JSON").0, "cannot be read");
}

#[test]
fn a_token_follows_no_redirect() {
    let (elsewhere, heads) = fixed("application/json", "200 OK", "", "{\"items\": []}");
    let to = format!("Location: {elsewhere}/api/v1/workflows\r\n");
    expect(&fixed("application/json", "302 Found", &to, "").0, "sends callers to");
    expect(&fixed("application/json", "308 Moved", &to, "").0, &elsewhere);
    assert!(heads.try_recv().is_err(), "nothing goes there");
}

#[test]
fn a_secret_that_is_said_back_is_not_repeated_and_no_control_character_obeyed() {
    let detail = format!("you sent {TOKEN} \\u001b[2J {}", "long ".repeat(10_000));
    let body = format!("{{\"code\": \"{TOKEN}\", \"detail\": \"{detail}\"}}");
    let (url, heads) = fixed("application/problem+json", "403 Forbidden", "", &body);
    let called = Away::from(&url).expect_with(TOKEN, 2, &["list"]);
    assert!(heads.recv().unwrap().contains(TOKEN), "it was sent where it belongs");
    assert!(!called.said.contains('\u{1b}') && called.said.len() < 5_000, "{called:?}");
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let (url, _heads) = answering(|stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[";
        let part = [b' '; 64 * 1024];
        let mut written = stream.write_all(head.as_bytes());
        while written.is_ok() {
            written = stream.write_all(&part);
        }
    });
    let called = Away::from(&url).expect_with(TOKEN, 4, &["list"]);
    assert!(called.said.contains("more than"), "{called:?}");
}

#[test]
fn endless_headers_and_connections_that_end_at_once_are_given_up() {
    let (url, _heads) = answering(|stream| {
        let mut written = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while written.is_ok() {
            written = stream.write_all(b"X-More: and more of the same and more of the same\r\n");
        }
    });
    Away::from(&url).expect_with(TOKEN, 4, &["list"]);
    let (url, _heads) = answering(|_| {});
    Away::from(&url).expect_with(TOKEN, 4, &["list"]);
}

#[test]
fn pages_without_an_end_are_not_followed_for_ever() {
    let page = "{\"items\": [], \"next_cursor\": \"7\"}";
    let (url, _heads) = fixed("application/json", "200 OK", "", page);
    let called = Away::from(&url).expect_with(TOKEN, 0, &["list", "--limit", "100000"]);
    assert_eq!(called.out, "");
}

#[test]
fn a_stream_of_nonsense_ends_the_command() {
    let id = "01a1fe0c-7aa6-7770-9d01-9fa700000000";
    let view = view(id);
    let (url, _heads) = answering_by_path(move |path, stream| {
        let (kind, body) = if path.contains("/stream") {
            ("text/event-stream", "id: 1\nevent: task.updated\ndata: {\"a\": 1}\n\n".to_owned())
        } else if path.contains("/plan") {
            ("application/json", PLAN.to_owned())
        } else {
            ("application/json", view.clone())
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(body.as_bytes());
    });
    let called = Away::from(&url).expect_with(TOKEN, 4, &["watch", id]);
    assert!(called.said.contains("an event that cannot be read"), "{called:?}");
}

const PLAN: &str =
    "{\"name\":\"x\",\"version\":1,\"progress\":\"agent-based\",\"stages\":[],\"tasks\":[]}";

fn answering_by_path(
    answer: impl Fn(&str, &mut TcpStream) + Send + 'static,
) -> (String, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (_sender, heads) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut bytes = [0_u8; 4_096];
            let read = stream.read(&mut bytes).unwrap_or(0);
            let head = String::from_utf8_lossy(&bytes[..read]).into_owned();
            answer(head.lines().next().unwrap_or_default(), &mut stream);
        }
    });
    (url, heads)
}

fn view(id: &str) -> String {
    let at = "2026-01-01T00:00:00Z";
    serde_json::json!({
        "workflow_id": id, "id": id, "name": "x", "type": "workflow", "origin": "api", "run": 1,
        "status": "running", "priority": 5, "progress_percentage": 0, "progress": 0,
        "agents_completed": 0, "agents_total": 1, "progress_calculation_method": "agent-based",
        "progress_updated_at": at, "tasks_failed": 0, "tasks_waiting_for_people": 0,
        "conversation_id": id, "trace_id": "x", "usage": { "time_ms": 0 }, "revision": 1, "created_at": at, "updated_at": at,
    })
    .to_string()
}
