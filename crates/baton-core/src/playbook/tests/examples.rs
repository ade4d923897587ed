//! The shipped examples, found and filled in by what people may ask.

use std::path::Path;

use serde_json::{Value, json};

use super::filled;
use crate::definition::{self, tests::agent};
use crate::plan::{AgentSpec, Catalog, Plan, ToolSpec};
use crate::playbook::{Choice, Playbook, Shelf};
use crate::words::{Effect, Permission};

/// Knows every tool and agent, and the definitions beside the examples.
struct Anything(ToolSpec);

impl Anything {
    fn new() -> Self {
        Self(ToolSpec {
            name: "any.tool".to_owned(),
            description: String::new(),
            effect: Effect::Read,
            permission: Permission::ReadOnly,
            input: json!({ "type": "object" }),
            output: None,
            quick: false,
        })
    }
}

impl Catalog for Anything {
    fn tool(&self, _name: &str) -> Option<&ToolSpec> {
        Some(&self.0)
    }
    fn tool_names(&self) -> Vec<&str> {
        vec![&self.0.name]
    }
    fn agent(&self, _name: &str) -> Option<Result<AgentSpec, String>> {
        Some(Ok(agent(&[])))
    }
    fn definition(&self, name: &str) -> Option<Result<Plan, String>> {
        Some(Ok(read(&folder().join(format!("{name}.yaml")))))
    }
    fn permission_max(&self) -> Permission {
        Permission::ReadWrite
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn read(path: &Path) -> Plan {
    let source = std::fs::read_to_string(path).unwrap();
    definition::read(&source, &Anything::new()).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn plans() -> Vec<Plan> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    files.sort();
    files.iter().map(|path| read(path)).collect()
}

fn shelf(plans: &[Plan]) -> Shelf {
    Shelf::of(plans.iter().map(Playbook::from))
}

#[test]
fn every_example_of_every_definition_finds_it() {
    let plans = plans();
    let shelf = shelf(&plans);
    assert!(plans.len() >= 10, "the examples are read");
    for plan in &plans {
        assert!(plan.examples.len() >= 2, "{} says what to ask", plan.name);
        for example in &plan.examples {
            match shelf.choose(example) {
                Choice::Certain(found) => {
                    assert_eq!((found.name.as_str(), found.score), (plan.name.as_str(), 1.0));
                }
                unsure @ (Choice::Unsure(_) | Choice::Nothing(_)) => {
                    panic!("{example}: {unsure:?}")
                }
            }
        }
    }
}

// Long because it is a table.
#[test]
fn natural_requests_find_their_definition_and_fill_it_in() {
    let plans = plans();
    let shelf = shelf(&plans);
    let mut wrong = Vec::new();
    for (request, name, inputs) in [
        ("How healthy is this repository?", "repository-health", json!({ "repo": "." })),
        ("how healthy is this repo", "repository-health", json!({ "repo": "." })),
        ("Is ~/code/baton healthy?", "repository-health", json!({ "repo": "~/code/baton" })),
        (
            "Show me the health of the repository ../other since last week, please.",
            "repository-health",
            json!({ "repo": "../other", "since": "1 week ago" }),
        ),
        (
            "repository-health repo=. since=\"30 days ago\"",
            "repository-health",
            json!({ "repo": ".", "since": "30 days ago" }),
        ),
        ("Overview of the code base", "repository-health", json!({})),
        (
            "Please review the changes of the last 3 days",
            "review-changes",
            json!({ "since": "3 days ago" }),
        ),
        (
            "review what I changed here since 2026-11-01",
            "review-changes",
            json!({ "repo": ".", "since": "2026-11-01" }),
        ),
        ("anything wrong with yesterday's commits?", "review-changes", json!({})),
        ("Find stale TODOs in src/", "stale-todos", json!({ "path": "src/" })),
        (
            "which TODOs in crates/baton are stale? write it to OLD.md",
            "stale-todos",
            json!({ "path": "crates/baton", "report": "OLD.md" }),
        ),
        (
            "release notes of this repository from v1.2.0 to HEAD",
            "release-notes",
            json!({ "repo": ".", "from": "v1.2.0", "to": "HEAD" }),
        ),
        (
            "Write the release notes since v0.3 into NOTES.md, titled \"Spring\"",
            "release-notes",
            json!({ "from": "v0.3", "write_to": "NOTES.md", "title": "Spring" }),
        ),
        ("changelog since 3f2a9c1", "release-notes", json!({ "from": "3f2a9c1" })),
        (
            "Clean up data/people.csv and save it as people-clean.csv",
            "csv-clean-up",
            json!({ "source": "data/people.csv", "target": "people-clean.csv" }),
        ),
        ("tidy contacts.csv", "csv-clean-up", json!({ "source": "contacts.csv" })),
        ("Are there broken links in docs/ ?", "fan-out", json!({ "path": "docs/" })),
        ("check the markdown files in ./docs", "fan-out", json!({ "path": "./docs" })),
        (
            "What do the documents in docs/handbook say about travel by train?",
            "ask-documents",
            json!({
                "folder": "docs/handbook",
                "question": "What do the documents in docs/handbook say about travel by train?",
            }),
        ),
        (
            "Answer \"What does it cost?\" from the handbook",
            "ask-documents",
            json!({ "question": "What does it cost?" }),
        ),
        (
            "design a page subject=\"a page for the inbox\"",
            "request-response",
            json!({ "subject": "a page for the inbox" }),
        ),
        (
            "compare the weather of cities, waiting 5 seconds",
            "mcp-everything",
            json!({ "seconds": 5 }),
        ),
        ("Make a table of contents of notes/", "mcp-files", json!({ "folder": "notes/" })),
    ] {
        let Choice::Certain(found) = shelf.choose(request) else {
            wrong.push(format!("{request}: {:?}", shelf.choose(request)));
            continue;
        };
        let plan = plans.iter().find(|plan| plan.name == found.name).unwrap();
        let filled = filled(plan.inputs.as_ref().unwrap(), request);
        if (found.name.as_str(), Value::Object(filled.values.clone())) != (name, inputs) {
            wrong.push(format!("{request}: {found:?} {filled:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_about_something_else_is_nothing() {
    let plans = plans();
    let shelf = shelf(&plans);
    for request in [
        "write me a poem about the sea",
        "book a flight to Lisbon",
        "what is the capital of France?",
        "tell me a joke",
        "order two pizzas for tonight",
        "translate this letter into German",
        "who won the world cup?",
        "remind me to call my mother tomorrow",
        "asdf qwer zxcv",
        "write an essay on elephants",
        "how do I cook rice?",
        "play some music",
        "",
        "?!",
        "the of and to",
        "42",
    ] {
        assert!(
            matches!(shelf.choose(request), Choice::Nothing(_)),
            "{request}: {:#?}",
            shelf.choose(request)
        );
    }
}

#[test]
fn what_several_answer_is_asked_back() {
    let plans = plans();
    let shelf = shelf(&plans);
    for (request, among) in
        [("repository", "repository-health"), ("something with the commits", "release-notes")]
    {
        match shelf.choose(request) {
            Choice::Unsure(found) => {
                assert!(found.iter().any(|found| found.name == among), "{request}: {found:#?}");
            }
            other @ (Choice::Certain(_) | Choice::Nothing(_)) => panic!("{request}: {other:#?}"),
        }
    }
}

#[test]
fn what_is_required_and_not_said_is_asked_for() {
    let plans = plans();
    let plan = plans.iter().find(|plan| plan.name == "repository-health").unwrap();
    let missing = |request: &str| -> Vec<String> {
        let filled = filled(plan.inputs.as_ref().unwrap(), request);
        filled.missing.into_iter().map(|slot| slot.name).collect()
    };
    assert_eq!(missing("How healthy is my code?"), ["repo"]);
    assert_eq!(missing("How healthy is ./code?"), [""; 0]);
}
