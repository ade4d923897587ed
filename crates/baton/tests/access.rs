//! The real server from outside, with tokens: who is let in by what, for how long, and under which name.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod common;
#[path = "common/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::Desk;
use serde_json::{Value, json};
use server::Server;

/// An answer, byte by byte: what a client library hides matters here.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|fault| panic!("{self:?}: {fault}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }
}

fn address(server: &Server) -> String {
    server.url("//").trim_start_matches("http://").trim_end_matches('/').to_owned()
}

/// Sends a request, `METHOD PATH`, and leaves its answer to be read.
fn send(server: &Server, what: &str, headers: &[(&str, &str)], body: &str) -> BufReader<TcpStream> {
    let address = address(server);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut text = format!("{what} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes()).unwrap();
    BufReader::new(stream)
}

fn head_of(reader: &mut BufReader<TcpStream>) -> (u16, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
}

fn call(server: &Server, what: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = [headers, &[("connection", "close")]].concat();
    let mut reader = send(server, what, &headers, body);
    let (status, head) = head_of(&mut reader);
    let mut body = String::new();
    reader.read_to_string(&mut body).unwrap();
    Answer { status, head, body }
}

/// Calls the API with a token.
fn by(server: &Server, token: &str, what: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    call(server, &what.replace(' ', " /api/v1"), &headers, &body)
}

/// Makes a token of a role, which is its name too.
fn make(server: &Server, admin: &str, role: &str) -> String {
    let made = by(server, admin, "POST /tokens", &json!({ "role": role, "name": role }));
    assert_eq!(made.status, 201, "{made:?}");
    made.json()["token"].as_str().unwrap().to_owned()
}

#[test]
fn tokens_are_made_listed_and_revoked_over_http() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let json_body = ("content-type", "application/json");
    let boss = json!({ "role": "admin", "name": "boss" });
    let made = call(&server, "POST /api/v1/tokens", &[json_body], &boss.to_string());
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")), "{made:?}");
    let admin = made.json()["token"].as_str().unwrap().to_owned();
    let nobody = call(&server, "GET /api/v1/workflows", &[], "");
    assert_eq!(nobody.status, 401, "at once, whoever comes shows a token");

    let [viewer, operator] = ["viewer", "operator"].map(|role| make(&server, &admin, role));
    assert_eq!(by(&server, &admin, "POST /tokens", &boss).json()["code"], "token_exists");
    let odd = by(&server, &admin, "POST /tokens", &json!({ "role": "admin", "name": "a b" }));
    assert_eq!(odd.status, 400, "{odd:?}");
    for what in ["GET /tokens", "POST /tokens", "DELETE /tokens/boss"] {
        assert_eq!(by(&server, &operator, what, &json!({ "role": "admin" })).status, 403, "{what}");
    }

    let listed = by(&server, &admin, "GET /tokens", &Value::Null);
    let items = listed.json()["items"].clone();
    let names: Vec<&str> =
        items.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["boss", "operator", "viewer"]);
    assert!(items[0]["last_used_at"].is_string() && items[2]["last_used_at"].is_null(), "{items}");
    assert_eq!(items[1]["role"], "operator");
    for secret in [&admin, &viewer, &operator] {
        assert!(!listed.body.contains(secret.trim_start_matches("baton_")), "{listed:?}");
    }
    assert_eq!(desk.expect(0, &["token", "list"]).out.lines().count(), 3, "the same tokens");

    assert_eq!(by(&server, &viewer, "GET /workflows", &Value::Null).status, 200);
    assert_eq!(by(&server, &admin, "DELETE /tokens/viewer", &Value::Null).status, 204);
    assert_eq!(by(&server, &viewer, "GET /workflows", &Value::Null).status, 401, "at once");
    let again = by(&server, &admin, "DELETE /tokens/viewer", &Value::Null);
    assert_eq!(again.json()["code"], "no_such_token");
    server.kill();
}

#[test]
fn a_token_is_shown_once_also_under_a_key() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let bearer = |token: &str| format!("Bearer {token}");
    let admin = make(&server, "none", "admin");
    let create = |key: &str, role: &str| {
        let auth = bearer(&admin);
        let headers = [
            ("authorization", auth.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        call(&server, "POST /api/v1/tokens", &headers, &json!({ "role": role }).to_string())
    };
    let first = create("k1", "viewer");
    assert_eq!(first.status, 201, "{first:?}");
    let secret = first.json()["token"].as_str().unwrap().to_owned();
    let again = create("k1", "viewer");
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("token_exists")), "{again:?}");
    assert!(!again.body.contains(&secret));
    assert_eq!(create("k1", "operator").json()["code"], "idempotency_key_reused");
    let listed = by(&server, &admin, "GET /tokens", &Value::Null).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "no other was made: {listed}");
    server.kill();
    let mut stored = Vec::new();
    for file in std::fs::read_dir(desk.path(".baton")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            stored.extend(std::fs::read(path).unwrap());
        }
    }
    let is_stored = |text: &str| stored.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(is_stored("viewer-"), "its name is in the store");
    assert!(!is_stored(&secret) && !is_stored(&admin), "and the token is not");
}

#[test]
fn mp2_every_command_carries_the_name_of_its_token() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let admin = make(&server, "none", "admin");
    let definition = json!({ "name": "asks", "version": 1, "stages": [{ "name": "s", "tasks":
        [{ "id": "agree", "human": "approval", "ask": "May it" }] }] });
    let start = by(&server, &admin, "POST /workflows", &json!({ "definition": definition }));
    assert_eq!(start.status, 201, "{start:?}");
    let id = start.json()["id"].as_str().unwrap().to_owned();
    let operator = make(&server, &admin, "operator");
    let tasks = by(&server, &admin, &format!("GET /workflows/{id}/tasks"), &Value::Null).json();
    let task = tasks["items"][0]["id"].as_str().unwrap().to_owned();
    let answer = format!("POST /tasks/{task}/respond");
    assert_eq!(by(&server, &operator, &answer, &json!({ "value": true })).status, 200);
    let events = by(&server, &admin, &format!("GET /workflows/{id}/events"), &Value::Null).json();
    let actor = |kind: &str| {
        let items = events["items"].as_array().unwrap();
        let event = items.iter().find(|it| it["type"] == kind).unwrap();
        event["actor"].as_str().unwrap().to_owned()
    };
    assert_eq!(actor("workflow.admitted"), "client:admin");
    assert_eq!(actor("task.completed"), "client:operator");
    let all = by(&server, &admin, "GET /events?limit=1000", &Value::Null).json();
    let made = all["items"].as_array().unwrap().iter().find(|it| it["type"] == "token.created");
    assert_eq!(made.unwrap()["actor"], "user:local", "made before there were tokens");
    let shown = desk.expect(0, &["show", "last", "--events"]).out;
    assert!(shown.contains("client:admin") && shown.contains("client:operator"), "{shown}");
    server.kill();
}

/// Opens a stream and reads its first event.
fn stream(server: &Server, path: &str, headers: &[(&str, &str)]) -> BufReader<TcpStream> {
    let mut reader = send(server, &format!("GET {path}"), headers, "");
    let (status, head) = head_of(&mut reader);
    assert_eq!(status, 200, "{path}: {head}");
    reader
}

/// What a stream tells until its last chunk. The connection may stay.
fn ends(mut reader: BufReader<TcpStream>) -> String {
    let mut rest = String::new();
    while !rest.ends_with("\r\n0\r\n") && rest != "0\r\n" {
        assert_ne!(reader.read_line(&mut rest).unwrap(), 0, "it was cut: {rest}");
    }
    rest
}

/// The frames that come until a WebSocket is closed.
fn closes(mut socket: BufReader<TcpStream>) -> Vec<u8> {
    let mut frames = Vec::new();
    socket.read_to_end(&mut frames).unwrap();
    frames
}

/// What an upgrade to a WebSocket sends beside who asks.
const UPGRADE: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[test]
fn a_revoked_token_ends_what_it_opened() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let local = stream(&server, "/api/v1/events/stream", &[]);
    let admin = make(&server, "none", "admin");
    assert!(!ends(local).contains("problem"), "who showed no token is let in no more");
    let viewer = make(&server, &admin, "viewer");
    let bearer = format!("Bearer {viewer}");
    let auth = ("authorization", bearer.as_str());
    let api = stream(&server, "/api/v1/events/stream?after=0", &[auth]);
    let page = stream(&server, "/pages/stream", &[auth]);
    let kept = format!("Bearer {admin}");
    let mut kept = stream(&server, "/api/v1/events/stream", &[("authorization", &kept)]);
    let mut socket = send(&server, "GET /api/v1/ws", &[&UPGRADE[..], &[auth]].concat(), "");
    assert_eq!(head_of(&mut socket).0, 101);
    assert_eq!(by(&server, &admin, "DELETE /tokens/viewer", &Value::Null).status, 204);
    assert!(ends(api).contains("token.created"), "it told what there was until then");
    ends(page);
    let closed = closes(socket);
    assert_eq!(closed[..4], [0x88, closed[1], 0x03, 0xf0], "a close frame, 1008: {closed:?}");
    let mut line = String::new();
    while !line.contains("token.updated") {
        line.clear();
        assert_ne!(kept.read_line(&mut line).unwrap(), 0, "another's stream goes on");
    }
    server.kill();
}

#[test]
fn a_ticket_opens_one_stream() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let admin = make(&server, "none", "admin");
    let viewer = make(&server, &admin, "viewer");
    let ticket = || {
        let made = by(&server, &viewer, "POST /tickets", &Value::Null);
        assert_eq!(made.status, 201, "to look takes no more than a viewer: {made:?}");
        made.json()["ticket"].as_str().unwrap().to_owned()
    };
    let once = ticket();
    let path = format!("/api/v1/events/stream?ticket={once}");
    let open = stream(&server, &path, &[]);
    assert_eq!(call(&server, &format!("GET {path}"), &[], "").status, 401, "a second time");
    let other = format!("GET /api/v1/workflows?ticket={}", ticket());
    assert_eq!(call(&server, &other, &[], "").status, 401, "it opens streams alone");
    let socket = format!("GET /api/v1/ws?ticket={}", ticket());
    let mut socket = send(&server, &socket, &UPGRADE, "");
    assert_eq!(head_of(&mut socket).0, 101);
    assert_eq!(by(&server, &admin, "DELETE /tokens/viewer", &Value::Null).status, 204);
    ends(open);
    closes(socket);
    let worker = make(&server, &admin, "worker");
    assert_eq!(by(&server, &worker, "POST /tickets", &Value::Null).status, 403);
    server.kill();
}

/// The text between two marks.
fn between<'t>(text: &'t str, from: &str, until: &str) -> &'t str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from} in {text}"));
    rest.split_once(until).unwrap().0
}

/// Sends the login form, as it stands on the page.
fn log_in(server: &Server, token: &str, origin: &str) -> Answer {
    let page = call(server, "GET /login", &[], "");
    assert_eq!(page.status, 200, "{page:?}");
    let form = between(&page.body, "name=\"form\" value=\"", "\"");
    let body = format!("form={form}&token={token}&next=workflows/1");
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", origin)];
    call(server, "POST /login", &headers, &body)
}

#[test]
fn a_session_stands_for_its_token_and_for_no_longer() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let html = ("accept", "text/html");
    assert_eq!(call(&server, "GET /", &[html], "").status, 200, "without tokens nobody logs in");
    assert_eq!(call(&server, "GET /login", &[], "").status, 303);
    let admin = make(&server, "none", "admin");
    let operator = make(&server, &admin, "operator");
    let led = call(&server, "GET /workflows/1?task=2", &[html], "");
    assert_eq!(led.header("location"), Some("./../login?next=workflows/1%3Ftask%3D2"), "{led:?}");
    assert_eq!(call(&server, "GET /api/v1/workflows", &[html], "").status, 401);

    let origin = format!("http://{}", address(&server));
    let wrong = log_in(&server, "baton_wrong", &origin);
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None), "{wrong:?}");
    assert!(wrong.body.contains("This token is not known here"), "{wrong:?}");
    assert_eq!(log_in(&server, &operator, "http://evil.example").status, 403);
    let right = log_in(&server, &operator, &origin);
    assert_eq!((right.status, right.header("location")), (303, Some("./workflows/1")), "{right:?}");
    let cookie = right.header("set-cookie").unwrap().to_owned();
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(flag), "{flag}: {cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains(&operator), "{cookie}");
    let secure = log_in(&server, &operator, &format!("https://{}", address(&server)));
    assert!(secure.header("set-cookie").unwrap().contains("; Secure"), "{secure:?}");

    let cookie = cookie.split(';').next().unwrap();
    let session = ("cookie", cookie);
    let home = call(&server, "GET /", &[session], "");
    assert!(home.body.contains("Log out") && home.body.contains("operator"), "{home:?}");
    assert_eq!(call(&server, "GET /api/v1/workflows", &[session], "").status, 200);
    let json_body = ("content-type", "application/json");
    let start = json!({ "definition": { "name": "n", "version": 1, "stages":
        [{ "name": "s", "tasks": [{ "id": "t", "tool": "core.noop" }] }] } });
    let start = |headers: &[(&str, &str)]| {
        call(&server, "POST /api/v1/workflows", headers, &start.to_string()).status
    };
    assert_eq!(start(&[session, json_body]), 403, "from where? A cookie alone proves nothing");
    assert_eq!(start(&[session, json_body, ("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(start(&[session, json_body, ("origin", &origin)]), 201);

    let open = stream(&server, "/pages/stream", &[session]);
    let form = between(&home.body, "name=\"token\" value=\"", "\"");
    let headers = [session, ("content-type", "application/x-www-form-urlencoded")];
    let body = format!("token={form}");
    let left = call(&server, "POST /logout", &headers, &body);
    assert!(left.header("set-cookie").unwrap().contains("Max-Age=0"), "{left:?}");
    ends(open);
    assert_eq!(call(&server, "GET /api/v1/workflows", &[session], "").status, 401);

    let again = log_in(&server, &operator, &origin);
    let cookie = again.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let session = ("cookie", cookie.as_str());
    let open = stream(&server, "/pages/stream", &[session]);
    assert_eq!(by(&server, &admin, "DELETE /tokens/operator", &Value::Null).status, 204);
    ends(open);
    assert_eq!(call(&server, "GET /", &[session, html], "").status, 303, "to the login");
    server.kill();
}

#[test]
fn whoever_guesses_is_slowed_down() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let admin = make(&server, "none", "admin");
    let worker = make(&server, &admin, "worker");
    let origin = format!("http://{}", address(&server));
    let tries: Vec<Answer> = std::thread::scope(|scope| {
        let try_one = || scope.spawn(|| log_in(&server, "baton_guess", &origin));
        let tries: Vec<_> = (0..12).map(|_| try_one()).collect();
        tries.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let slowed: Vec<&Answer> = tries.iter().filter(|it| it.status == 429).collect();
    assert!(tries.iter().all(|it| [401, 429].contains(&it.status)), "{tries:?}");
    assert!(!slowed.is_empty() && slowed[0].header("retry-after").is_some(), "{tries:?}");
    let right = log_in(&server, &admin, &origin);
    assert_eq!(right.status, 303, "afterwards the right one is let in: {right:?}");
    let worker = log_in(&server, &worker, &origin);
    assert!(worker.status == 401 && worker.body.contains("for a worker"), "{worker:?}");
    server.kill();
}
