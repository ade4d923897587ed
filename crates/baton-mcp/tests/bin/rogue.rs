//! An MCP server of every bad manner, over its standard input and output. Never shipped.
//!
//! It is written by hand, so that it can do what no library would let it.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// What the server remembers.
#[derive(Default)]
struct Rogue {
    /// It takes everything in and answers nothing any more.
    is_deaf: AtomicBool,
    has_changed: AtomicBool,
    cancelled: AtomicU64,
    asked: Mutex<Asked>,
}

/// What the server asks people.
#[derive(Default)]
struct Asked {
    /// The call that ends with the answers, and how many it waits for.
    call: Option<(Value, usize)>,
    /// The answers so far.
    heard: Vec<Value>,
}

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--dies-at-once") {
        let _ = writeln!(std::io::stderr(), "rogue: no licence found");
        return ExitCode::from(4);
    }
    let rogue = Arc::new(Rogue::default());
    for line in std::io::stdin().lock().lines() {
        let Ok(message) = line.map_err(drop).and_then(|l| serde_json::from_str(&l).map_err(drop))
        else {
            continue;
        };
        let rogue = Arc::clone(&rogue);
        // Each message on its own thread: a slow call holds up nothing else.
        std::thread::spawn(move || rogue.hear(&message));
    }
    ExitCode::SUCCESS
}

fn send(message: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{message}").and_then(|()| out.flush());
}

fn answer(id: &Value, result: &Value) {
    send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
}

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

impl Rogue {
    fn hear(&self, message: &Value) {
        if self.is_deaf.load(Ordering::Acquire) {
            return;
        }
        let (id, params) = (&message["id"], &message["params"]);
        match message["method"].as_str().unwrap_or_default() {
            "initialize" if is_modern() => send(&json!({
                "jsonrpc": "2.0", "id": id,
                "error": { "code": -32601, "message": "there is no such method" },
            })),
            "server/discover" if is_modern() => answer(id, &discovered()),
            "initialize" => answer(id, &introduction(&params["protocolVersion"])),
            "ping" => answer(id, &json!({})),
            "tools/list" => answer(id, &json!({ "tools": self.tools() })),
            "tools/call" => self.call(id, params),
            "notifications/cancelled" => drop(self.cancelled.fetch_add(1, Ordering::AcqRel)),
            "" => self.answered(message),
            _ => {}
        }
    }

    fn tools(&self) -> Vec<Value> {
        let any = json!({ "type": "object" });
        let mut tools = vec![
            json!({
                "name": "echo", "description": "Says what it heard.",
                "annotations": { "readOnlyHint": true },
                "inputSchema": {
                    "type": "object", "required": ["text"], "additionalProperties": false,
                    "properties": { "text": { "type": "string" } },
                },
            }),
            json!({
                "name": "lie", "inputSchema": any,
                "outputSchema": { "type": "object", "properties": { "n": { "type": "integer" } } },
            }),
        ];
        let others = ["hang", "slow", "exit", "flood", "chatter", "change", "fail", "count"];
        let asking = ["ask", "ask_twice", "ask_late", "ask_back", "heard"];
        tools.extend(
            others.iter().chain(&asking).map(|name| json!({ "name": name, "inputSchema": any })),
        );
        if self.has_changed.load(Ordering::Acquire) {
            tools.push(json!({ "name": "added", "inputSchema": any }));
        }
        tools
    }

    // Long because it has one arm for each way to misbehave.
    fn call(&self, id: &Value, params: &Value) {
        let (given, meta) = (&params["arguments"], &params["_meta"]);
        match params["name"].as_str().unwrap_or_default() {
            "echo" => {
                let said = given["text"].as_str().unwrap_or_default();
                let content = json!([{ "type": "text", "text": said }]);
                let structured = json!({ "meta": meta });
                answer(id, &json!({ "content": content, "structuredContent": structured }));
            }
            "lie" => {
                answer(id, &json!({ "content": [], "structuredContent": { "n": "one" } }));
            }
            "hang" => self.is_deaf.store(true, Ordering::Release),
            "slow" => {
                report(meta, 1, 2, "half of it");
                // sleep: being slow is the point.
                std::thread::sleep(Duration::from_millis(given["ms"].as_u64().unwrap_or(0)));
                answer(id, &text("at last"));
            }
            "exit" => {
                let _ = writeln!(std::io::stderr(), "rogue: out of luck");
                std::process::exit(3);
            }
            "flood" => {
                let mut out = std::io::stdout().lock();
                let piece = vec![b'x'; 1 << 16];
                while out.write_all(&piece).is_ok() {}
            }
            "chatter" => {
                (0..20_000).for_each(|n| report(meta, n, 20_000, "more"));
                answer(id, &text("done"));
            }
            "change" => {
                self.has_changed.store(true, Ordering::Release);
                send(&json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
                answer(id, &text("changed"));
            }
            "ask" => {
                self.asked().call = Some((id.clone(), 1));
                ask(7, &given["params"]);
            }
            "ask_twice" => {
                self.asked().call = Some((id.clone(), 2));
                ask(7, &Value::Null);
                ask(8, &Value::Null);
            }
            "ask_late" => {
                answer(id, &text("done"));
                ask(7, &Value::Null);
            }
            "ask_back" => {
                ask(7, &Value::Null);
                // sleep: the other side shows nobody when it has taken the question in.
                std::thread::sleep(Duration::from_millis(300));
                let params = json!({ "requestId": 7, "reason": "never mind" });
                send(&json!({
                    "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params,
                }));
                answer(id, &text("done"));
            }
            "heard" => answer(id, &text(&json!(self.asked().heard).to_string())),
            "fail" => {
                let content = json!([{ "type": "text", "text": "no such customer" }]);
                answer(id, &json!({ "content": content, "isError": true }));
            }
            "count" => answer(id, &text(&self.cancelled.load(Ordering::Acquire).to_string())),
            name => send(&json!({
                "jsonrpc": "2.0", "id": id,
                "error": { "code": -32602, "message": format!("no tool {name}") },
            })),
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answers to its questions end the call they were asked for.
    fn answered(&self, message: &Value) {
        let mut asked = self.asked();
        asked.heard.push(message.get("result").unwrap_or(&message["error"]).clone());
        let heard = asked.heard.len();
        if let Some((id, _)) = asked.call.take_if(|(_, wanted)| *wanted <= heard) {
            answer(&id, &text(&json!(std::mem::take(&mut asked.heard)).to_string()));
        }
    }
}

/// Whether it speaks only what came after introductions.
fn is_modern() -> bool {
    std::env::var("ROGUE_PROTOCOL").is_ok_and(|version| version.as_str() >= "2026-07-28")
        && std::env::var_os("ROGUE_INTRODUCES").is_none()
}

fn discovered() -> Value {
    json!({
        "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
        "supportedVersions": [std::env::var("ROGUE_PROTOCOL").unwrap_or_default()],
        "capabilities": { "tools": { "listChanged": true } },
    })
}

fn ask(id: u64, params: &Value) {
    let schema = json!({
        "type": "object", "required": ["really"],
        "properties": { "really": { "type": "boolean", "title": "Really?" } },
    });
    let usual = json!({ "message": "Really?", "requestedSchema": schema });
    let params = if params.is_null() { &usual } else { params };
    send(&json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": params }));
}

fn introduction(asked: &Value) -> Value {
    let old = std::env::var("ROGUE_PROTOCOL").map(Value::String);
    json!({
        "protocolVersion": old.unwrap_or(asked.clone()),
        "capabilities": { "tools": { "listChanged": true } },
        "serverInfo": { "name": "rogue", "version": "1" },
    })
}

fn report(meta: &Value, done: u64, total: u64, message: &str) {
    send(&json!({
        "jsonrpc": "2.0", "method": "notifications/progress",
        "params": {
            "progressToken": meta["progressToken"], "progress": done, "total": total,
            "message": message,
        },
    }));
}
