//! The pages of a real server: what they show is what the API says, and they live in a real browser.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

#[path = "pages/chat.rs"]
mod chat;
mod common;
#[path = "common/server.rs"]
mod server;
#[path = "pages/working.rs"]
mod working;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::Desk;
use server::Server;

/// What the browser is driven with, from the npm registry.
const DRIVERS: [&str; 2] = ["playwright-core@1.65.1", "axe-core@4.14.1"];

/// A page of the server, which must be there.
fn page(server: &Server, path: &str) -> String {
    let answer = server.get(&format!("/{path}"));
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.text
}

/// The text between two marks.
fn between<'t>(text: &'t str, from: &str, until: &str) -> &'t str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from} in {text}"));
    rest.split_once(until).unwrap().0
}

#[test]
fn an_empty_store_says_what_to_try() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let page = page(&server, "/");
    assert!(page.contains("baton run examples/csv-clean-up.yaml"), "{page}");
    server.kill();
}

#[test]
fn wf5_pages_and_api_say_the_same() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    desk.define("good.yaml", &["{ id: a, tool: core.noop, with: { value: 1 } }"]);
    desk.define("bad.yaml", &["{ id: a, tool: fs.read, with: { path: none } }"]);
    desk.define(
        "asks.yaml",
        &["{ id: a, tool: core.noop }", "{ id: b, human: approval, ask: May it, needs: [a] }"],
    );
    desk.expect(0, &["run", "good.yaml"]);
    desk.expect(1, &["run", "bad.yaml"]);
    desk.expect(3, &["run", "asks.yaml"]);
    let home = page(&server, "/");
    let listed = server.get("/workflows").expect(200);
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    for workflow in listed {
        let id = workflow["id"].as_str().unwrap();
        let row = between(&home, &format!("<tr id=\"w-{id}\""), "</tr>");
        let page = page(&server, &format!("/workflows/{id}"));
        let status = match workflow["tasks_waiting_for_people"].as_u64() {
            Some(0) => workflow["status"].as_str().unwrap(),
            _ => "needs you",
        };
        let value = format!("value=\"{}\"", workflow["progress_percentage"]);
        let (done, total) = (&workflow["agents_completed"], &workflow["agents_total"]);
        let plural = if total == 1 { "" } else { "s" };
        let done = format!("{done} of {total} task{plural} complete");
        let name = workflow["name"].as_str().unwrap();
        for part in [status, &value, &done, name] {
            assert!(row.contains(part), "{part} is not in the list's {row}");
            assert!(page.contains(part), "{part} is not on the page {page}");
        }
        if workflow["completed_at"].is_null() {
            let stage = workflow["current_stage"].as_str().unwrap();
            assert!(row.contains(&format!("<bdi>{stage}</bdi>")), "{row}");
        }
    }
    server.kill();
}

#[test]
fn pages_live_in_a_browser() {
    let (Some(chromium), Some(modules)) = (chromium(), drivers()) else {
        println!("skipped: a browser needs Chromium, node, and playwright-core from npm");
        return;
    };
    let desk = Desk::new();
    let server = Server::start(&desk);
    let _first = desk.gate("first");
    let _second = desk.gate("second");
    let _never = desk.gate("never");
    let waits = |gate: &str| {
        format!("tool: shell.run, permission: read_write, with: {{ script: 'read x < {gate}' }}")
    };
    let slow = format!("{{ id: slow, title: A slow one, {} }}", waits("first"));
    let next = format!("{{ id: next, needs: [slow], {} }}", waits("second"));
    let agree = "{ id: agree, human: approval, ask: May it go on, needs: [next] }";
    desk.define("live.yaml", &[&slow, &next, agree]);
    desk.define("paused.yaml", &[&format!("{{ id: long, {} }}", waits("never"))]);
    desk.define(
        "failed.yaml",
        &[
            "{ id: a, title: Look around, tool: core.noop, with: { value: [1, 2] } }",
            "{ id: b, title: Read what came in, needs: [a], tool: fs.read, with: { path: none.csv }, retry: { attempts: 3, backoff: 10ms } }",
        ],
    );
    desk.write("hostile.yaml", &hostile());
    desk.expect(1, &["run", "failed.yaml"]);
    desk.expect(3, &["run", "hostile.yaml"]);
    let mut live = desk.start(&["run", "live.yaml", "--json"]);
    live.until("task.started", Some("slow"));
    let mut paused = desk.start(&["run", "paused.yaml", "--json"]);
    paused.until("task.started", Some("long"));
    let shots = shots();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/browser.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(modules).arg(chromium).arg(server.url("//"));
    let ended = node.arg(desk.path("")).arg(shots).status().unwrap();
    live.kill();
    paused.kill();
    server.kill();
    assert!(ended.success(), "the browser saw what it should not");
}

#[test]
fn a_person_logs_in_and_out() {
    let (Some(chromium), Some(modules)) = (chromium(), drivers()) else {
        println!("skipped: a browser needs Chromium, node, and playwright-core from npm");
        return;
    };
    let desk = Desk::new();
    let make = ["token", "create", "--role", "operator", "--name", "operator", "--json"];
    let token = desk.expect(0, &make).json()[0]["token"].as_str().unwrap().to_owned();
    let server = Server::start(&desk);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/login.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(modules).arg(chromium).arg(server.url("//"));
    let ended = node.arg(token).arg(shots()).status().unwrap();
    server.kill();
    assert!(ended.success(), "the browser saw what it should not");
}

/// Where screenshots go.
fn shots() -> PathBuf {
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&shots).unwrap();
    shots
}

/// A definition with hostile text in every field that takes one.
fn hostile() -> String {
    let long = "x".repeat(5_000);
    format!(
        r#"name: hostile
version: 1
description: "<script>alert('description')</script> \u202Eturned round \u05D0\u05D1\u05D2"
stages:
  - name: "<img src=x onerror=alert(1)>"
    tasks:
      - {{ id: bidi, title: "\u05E9\u05DC\u05D5\u05DD \u202E<b>bold</b>", tool: core.noop }}
      - {{ id: long, title: "{long}", tool: core.noop, with: {{ value: "<script>alert('output')</script>{long}" }} }}
  - name: ask
    tasks:
      - {{ id: agree, human: approval, ask: "<script>alert('ask')</script> {long}" }}
      - {{ id: form, human: form, ask: Fill this in, form: {{ type: object, required: [score], properties: {{ score: {{ type: integer, title: "Score <b>" }}, note: {{ type: string }}, sure: {{ type: boolean }} }} }} }}
      - {{ id: pick, human: choice, ask: "Which?", options: ["<i>one</i>", "two"] }}
"#
    )
}

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let all = folders.iter().flat_map(|folder| names.map(|name| folder.join(name)));
    all.into_iter().find(|program| program.is_file())
}

/// The folder with what drives the browser, filled on first use by whichever test comes first.
fn drivers() -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(fill).clone()
}

fn fill() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    // Written last: an installation that was cut off is made anew.
    let whole = folder.join("whole");
    if !whole.is_file() {
        std::fs::create_dir_all(&folder).ok()?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        npm.arg(&folder).args(DRIVERS).output().ok().filter(|output| output.status.success())?;
        std::fs::write(whole, "").ok()?;
    }
    Some(folder)
}
