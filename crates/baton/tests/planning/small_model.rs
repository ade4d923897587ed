//! A model that answers by a schema: played by a script, and a real one, however small.
//!
//! `cargo xtask test` starts the real one and names it; without it, its test says that it is skipped. It
//! chooses at random, so that what is tested is that whatever it says is checked, and that planning ends.

use serde_json::{Value, json};

use crate::common::Desk;
use crate::{desk, expect, plannings, prompt, turns, workflows};

/// Names the server: `http://127.0.0.1:PORT`.
const SERVER: &str = "BATON_TEST_LLAMA";

const BY_SCHEMA: &str = "[planning]\nform = 'schema'\n";

/// The one definition that fits.
fn tally(desk: &Desk) {
    desk.define("tally.yaml", &["{ id: t, tool: fs.search, with: { path: src, pattern: TODO } }"]);
}

fn output(step: Value) -> Value {
    json!({ "output": { "step": step } })
}

#[test]
fn a_model_without_tools_answers_by_a_schema_and_is_asked_again_where_it_does_not_fit() {
    let desk = desk(&turns(json!([
        output(json!({ "start_definition": { "name": "no-such" } })),
        output(json!({ "start_definition": { "name": "tally", "inputs": {} } })),
    ])));
    tally(&desk);
    desk.write("baton.toml", BY_SCHEMA);
    let done = expect(&desk, 0, &["tally the TODOs"], &[]);
    assert!(done.said.contains("I start `tally`."), "{done:?}");
    assert!(prompt(&desk).contains("\"capabilities\""), "it cannot look for it");
    assert_eq!(workflows(&desk, "tally").len(), 1);
}

#[test]
fn ch7_a_plan_by_a_schema_is_checked_as_any_other() {
    let task = json!({ "id": "w", "tool": "fs.write", "permission": "read_write",
        "with": { "path": "out.md", "text": "x" } });
    let plan = json!({ "stages": [{ "name": "only", "tasks": [task] }] });
    let step = json!({ "propose_plan": { "title": "Write it", "plan": plan } });
    let desk = desk(&turns(json!([output(step)])));
    desk.write("baton.toml", BY_SCHEMA);
    let failed = expect(&desk, 1, &["write it"], &[]);
    assert!(failed.said.contains("human: approval"), "{failed:?}");
    assert!(workflows(&desk, "write-it").is_empty());
}

#[test]
fn a_real_small_model_plans_by_a_schema() {
    let Ok(url) = std::env::var(SERVER) else {
        println!("skipped: {SERVER} names no server of llama.cpp");
        return;
    };
    let desk = desk(&json!([]));
    tally(&desk);
    let config = format!(
        "{BY_SCHEMA}output_tokens = 400\nturns = 3\n[models]\nplanner = ['small/smollm2']\n\
         [models.known.'small/smollm2']\nwindow_tokens = 8192\n\
         [models.providers.small]\nbase_url = '{url}/v1/'\n"
    );
    desk.write("baton.toml", &config);
    let told =
        desk.tell("-\n-\n-\n", &["chat", "Tally the TODOs, by the definition tally.", "--yes"]);
    assert!(matches!(told.code, Some(0 | 1 | 3)), "{told:?}");
    let planning = &plannings(&desk)[0];
    let ended = ["completed", "failed"].iter().any(|status| planning["status"] == *status);
    assert!(ended, "{planning}");
    assert!(planning["usage"]["input_tokens"].as_u64().unwrap() > 0, "as the server counted it");
    desk.expect(0, &["doctor"]);
}
