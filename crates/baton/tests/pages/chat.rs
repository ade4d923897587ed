//! Conversations on pages, in a real browser, planned from a playbook: nothing here asks a model.

use std::path::Path;
use std::process::Command;

use crate::common::Desk;
use crate::server::Server;
use crate::{chromium, drivers, page, shots};

/// It asks for four inputs, waits at a gate, asks a person, and reads a file that is not there. Every
/// text in it is hostile.
const TIDY: &str = r#"
name: tidy-up
version: 1
description: "Sorts the notes <b>by subject</b> and writes a summary."
playbook:
  examples: [tidy up my notes, sort the notes by subject]
inputs:
  type: object
  required: [folder, style, keep, count]
  properties:
    folder: { type: string, title: Folder of the notes, description: "Only what lies in it is <i>read</i>." }
    style: { type: string, enum: [short, "long <b>"], title: How long may it be }
    keep: { type: boolean, title: Keep the old files }
    count: { type: integer, minimum: 1, maximum: 9, title: How many subjects }
    language: { type: string, default: English, title: Language }
stages:
  - name: look
    tasks:
      - { id: read, title: Read the notes, tool: core.noop }
      - { id: sort, title: Sort them, needs: [read], tool: shell.run, permission: read_write, with: { script: 'read x < gate' } }
  - name: agree
    tasks:
      - { id: agree, human: approval, ask: "Is that right? <script>alert('ask')</script>" }
  - name: write
    tasks:
      - { id: write, title: Write the summary, tool: core.noop, with: { value: "Three subjects: <b>a</b>, b, c." } }
      - { id: lacks, title: Read what is not there, tool: fs.read, with: { path: none.csv }, on_failure: continue }
output: "{{ tasks.write.output }}"
"#;

/// Drives one part of `chat.mjs`; says nothing where no browser is at hand.
fn drive(desk: &Desk, server: &Server, part: &str) {
    let (Some(chromium), Some(modules)) = (chromium(), drivers()) else {
        println!("skipped: a browser needs Chromium, node, and playwright-core from npm");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/chat.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(modules).arg(chromium).arg(server.url("//"));
    let ended = node.arg(desk.path("")).arg(shots()).arg(part).status().unwrap();
    assert!(ended.success(), "the browser saw what it should not");
}

#[test]
fn an_empty_chat_says_what_to_try() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let shown = page(&server, "/chat");
    assert!(shown.contains("How healthy is this repository?"), "{shown}");
    for path in ["//chat/none", "//chat/01a200a0-94d4-728e-b458-d22287bf6686"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    server.kill();
}

#[test]
fn what_is_wanted_is_asked_planned_run_and_told() {
    let desk = Desk::new();
    desk.write("tidy-up.yaml", TIDY);
    let _gate = desk.gate("gate");
    let server = Server::start(&desk);
    drive(&desk, &server, "talk");
    server.kill();
}

#[test]
fn ho5_no_page_shows_what_another_conversation_has() {
    let desk = Desk::new();
    desk.write("tidy-up.yaml", TIDY);
    let server = Server::start(&desk);
    drive(&desk, &server, "ho5");
    server.kill();
}

#[test]
fn ho2_who_took_a_conversation_over_writes_in_it() {
    let desk = Desk::new();
    for name in ["ada", "bob"] {
        let make = ["token", "create", "--role", "operator", "--name", name, "--json"];
        let token = desk.expect(0, &make).json()[0]["token"].as_str().unwrap().to_owned();
        desk.write(&format!("{name}.token"), &token);
    }
    let server = Server::start(&desk);
    drive(&desk, &server, "ho2");
    server.kill();
}
