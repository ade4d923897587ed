//! What is refused, with which exit code, and what hostile text does: nothing.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod common;

use common::Desk;

#[test]
fn ch7_every_fault_is_listed_with_its_place_and_nothing_is_stored() {
    let desk = Desk::new();
    desk.define(
        "bad.yaml",
        &[
            "{ id: a, tool: fs.raed, with: { path: x } }",
            "{ id: b, tool: core.noop, needs: [nobody] }",
            "{ id: a, tool: core.noop }",
            "{ id: c, tool: core.noop, needs: [c] }",
        ],
    );
    let refused = desk.expect(2, &["run", "bad.yaml"]);
    for place in ["bad.yaml:6:", "bad.yaml:7:", "bad.yaml:8:", "bad.yaml:9:"] {
        assert!(refused.said.contains(place), "{place}: {}", refused.said);
    }
    assert!(refused.said.contains("fs.read"), "{}", refused.said);
    assert!(!desk.path(".baton").exists());
}

#[test]
fn ch9_a_read_only_task_cannot_write() {
    let desk = Desk::new();
    desk.define("writes.yaml", &["{ id: w, tool: fs.write, with: { path: out, text: x } }"]);
    let refused = desk.expect(2, &["run", "writes.yaml"]);
    assert!(refused.said.contains("writes.yaml:6:"), "{}", refused.said);
    assert!(refused.said.contains("read_write"), "{}", refused.said);
    assert!(!desk.path("out").exists());
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    let desk = Desk::new();
    desk.define("good.yaml", &["{ id: a, tool: core.noop }"]);
    desk.define("fails.yaml", &["{ id: a, tool: fs.read, with: { path: nowhere } }"]);
    desk.define("asks.yaml", &["{ id: a, human: approval, ask: 'ok?' }"]);
    desk.expect(2, &["list"]);
    desk.expect(0, &["run", "good.yaml"]);
    desk.expect(1, &["run", "fails.yaml"]);
    desk.expect(2, &["run", "nowhere.yaml"]);
    desk.expect(2, &["run"]);
    desk.expect(3, &["run", "asks.yaml"]);
    desk.write("broken", "");
    std::fs::create_dir(desk.path("store")).unwrap();
    desk.write(
        "store/baton.db",
        "this is no database, and long enough to be looked at: 0123456789 0123456789 0123456789",
    );
    desk.expect(4, &["list", "--data", "store"]);
    desk.expect(4, &["run", "good.yaml", "--data", "store"]);
}

#[test]
fn hostile_text_reaches_no_terminal_and_breaks_no_json() {
    let desk = Desk::new();
    let long = "x".repeat(1 << 20);
    let evil = r"\u001b[2J\u001b]0;owned\u0007\u202egnp\r\n\u0000end";
    desk.write(
        "evil.json",
        &format!(
            r#"{{ "name": "evil", "version": 1, "description": "{evil}",
                "inputs": {{ "type": "object", "properties": {{ "t": {{ "type": "string" }} }} }},
                "stages": [ {{ "name": "only", "tasks": [
                  {{ "id": "echo", "title": "{evil}", "tool": "text.render",
                     "with": {{ "template": "{{{{ '{{{{ data.t }}}}' }}}}", "data": {{ "t": "{{{{ inputs.t }}}}" }} }} }},
                  {{ "id": "fails", "tool": "fs.read", "with": {{ "path": "{{{{ inputs.t }}}}" }}, "on_failure": "continue" }} ] }} ],
                "output": "{{{{ tasks.echo.output }}}}" }}"#
        ),
    );
    let text = "a\u{1b}[2J\u{202e}b\u{7}\rc";
    let run = desk.call(&["run", "evil.json", "--input", &format!("t={text}")]);
    let shown = desk.call(&["show", "last", "--events"]);
    let listed = desk.call(&["list"]);
    for printed in [&run, &shown, &listed] {
        for text in [&printed.out, &printed.said] {
            let harmful = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
            assert!(!text.contains(harmful), "{text:?}");
        }
    }
    desk.write("strange.toml", "[tools\u{1b}[2J");
    let config = desk.expect(2, &["run", "evil.json", "--config", "strange.toml"]);
    assert!(!config.said.contains('\u{1b}'), "{config:?}");
    for arguments in
        [&["show", "last", "--events", "--json"][..], &["list", "--json"], &["inbox", "--json"]]
    {
        desk.expect(0, arguments).json();
    }
    desk.write("long.txt", &long);
    desk.define("long.yaml", &["{ id: a, tool: fs.read, with: { path: long.txt } }"]);
    desk.expect(0, &["run", "long.yaml", "--json"]).json();
}

#[test]
fn what_was_typed_wrong_is_named_with_what_to_type() {
    let desk = Desk::new();
    desk.define("good.yaml", &["{ id: a, tool: core.noop, with: { value: brought } }"]);
    desk.write("broken.yaml", "name: [");
    std::fs::create_dir(desk.path("folder")).unwrap();
    desk.expect(0, &["run", "good.yaml"]);
    let id = desk.shown()["workflow"]["id"].as_str().unwrap().to_owned();
    let taken = |arguments: &[&str], part: &str| {
        let refused = desk.expect(2, arguments);
        assert!(refused.said.contains(part), "{arguments:?}: {}", refused.said);
        assert!(!refused.said.contains("_"), "{arguments:?}: {}", refused.said);
    };
    taken(&["run", "broken.yaml"], "not valid YAML: unclosed bracket");
    taken(&["run", "folder"], "is a folder");
    taken(&["run", "good"], "give the path of its file");
    taken(&["show", "good"], &id);
    taken(&["show", &id[..13]], &id);
    taken(&["show", "last/b"], "no task `b`");
    taken(&["cancel", "last"], "baton retry");
    taken(&["settle", "last/a", "--happened"], "baton retry");
    let shown = desk.expect(0, &["show", "last/a"]);
    assert!(shown.out.contains("brought"), "{}", shown.out);
}

#[test]
fn inputs_that_do_not_fit_are_named_once_each() {
    let desk = Desk::new();
    desk.write(
        "typed.json",
        r#"{ "name": "typed", "version": 1,
             "inputs": { "type": "object", "required": ["count", "path"], "properties": {
               "count": { "type": "integer" }, "path": { "type": "string", "title": "Where" } } },
             "stages": [ { "name": "only", "tasks": [ { "id": "a", "tool": "core.noop" } ] } ] }"#,
    );
    let refused = desk.expect(2, &["run", "typed.json", "--input", "count=x"]);
    let lines: Vec<&str> = refused.said.lines().take(2).collect();
    assert!(lines.contains(&"error: the input `path` is missing (Where)"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("error: the input `count`: ")), "{lines:?}");
    let twice = ["run", "typed.json", "--input", "path=a", "--input", "path=b"];
    let refused = desk.expect(2, &twice);
    assert!(refused.said.contains("given twice"), "{}", refused.said);
}

#[test]
fn what_answers_a_question_can_be_typed_as_it_is_shown() {
    let desk = Desk::new();
    desk.define(
        "asks.yaml",
        &[
            "{ id: f, human: form, ask: 'Who?', form: { type: object, required: [age], properties: { age: { type: integer } } } }",
            "{ id: c, human: choice, ask: 'Which?', options: [\"it's red\", blue] }",
        ],
    );
    let waits = desk.expect(3, &["run", "asks.yaml"]);
    assert!(waits.said.contains(r#"'{"age": …}'"#), "{}", waits.said);
    assert!(waits.said.contains(r"'it'\''s red' | blue"), "{}", waits.said);
    desk.expect(2, &["respond", "last/f", "{}"]);
    desk.expect(0, &["respond", "last/f", r#"{"age": 7}"#]);
    desk.expect(0, &["respond", "last/c", "it's red"]);
    desk.expect(0, &["show", "last"]);
    assert_eq!(desk.shown()["workflow"]["status"], "completed");
}
