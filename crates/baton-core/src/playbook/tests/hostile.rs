//! What nobody should send: still bounded, and still an answer.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{filled, today};
use crate::definition;
use crate::playbook::{Playbook, Shelf, fill, read_answer, slots};

fn inputs() -> Value {
    json!({
        "type": "object",
        "required": ["repo", "count"],
        "properties": {
            "repo": { "type": "string" },
            "out_file": { "type": "string", "title": "The file to write" },
            "since": { "type": "string", "format": "date" },
            "until": { "type": "string", "format": "date-time" },
            "count": { "type": "integer", "minimum": 1, "maximum": 50 },
            "seconds": { "type": "number", "exclusiveMinimum": 0 },
            "format": { "enum": ["json", "dark red", "red", 7] },
            "dry_run": { "type": "boolean" },
            "title": { "type": "string", "maxLength": 20 },
            "question": { "type": "string" },
            "url": { "type": "string", "format": "uri" },
            "broken": { "$ref": "#/properties/nowhere" },
        },
    })
}

#[test]
fn a_request_of_a_megabyte_is_read_in_part() {
    let examples = ["review the code".to_owned()];
    let playbook =
        Playbook { name: "review", description: "Review.", examples: &examples, inputs: None };
    let shelf = Shelf::of([playbook]);
    for piece in [
        "“",
        "\"",
        "'",
        "«a",
        "a",
        "a ",
        "/",
        ". ",
        "./a ",
        "1",
        "1 ",
        "(",
        "^(a+)+$ ",
        "\u{202e}\u{5d0} ",
        "\u{0}",
        "repo=",
        "repo: ",
        "red ",
        "with dry run ",
        "90 days ago ",
        "last ",
        "…",
        "🦀",
        "健",
    ] {
        let request = piece.repeat(1_000_000 / piece.len());
        shelf.choose(&request);
        let filled = filled(&inputs(), &request);
        let longest = filled.from.values().map(|words| words.chars().count()).max();
        assert!(longest.unwrap_or(0) <= crate::playbook::REQUEST_CHARS_MAX, "{piece}");
        for slot in slots(&inputs()) {
            let _judged = read_answer(&slot, &request);
        }
    }
}

#[test]
fn a_definition_full_of_words_is_indexed_in_part() {
    let examples: Vec<String> = (0..5_000).map(|n| format!("word{n} ").repeat(500)).collect();
    let description = "sea ".repeat(1_000_000);
    let playbook =
        Playbook { name: "large", description: &description, examples: &examples, inputs: None };
    let shelf = Shelf::of([playbook]);
    assert_eq!(shelf.matches("word4999"), []);
    assert_eq!(shelf.matches("word50").len(), 1);
}

#[test]
fn schemas_that_make_no_sense_have_no_say() {
    for inputs in [
        json!(null),
        json!([]),
        json!({ "properties": 5, "required": "repo" }),
        json!({ "properties": { "a": 5, "b": null, "c": { "type": 7, "enum": "x" } }, "required": [1, "a"] }),
        json!({ "$defs": { "a": { "$ref": "#/$defs/a" } }, "properties": { "x": { "$ref": "#/$defs/a" } } }),
        json!({ "properties": { "": { "type": "boolean" }, "-": { "enum": ["", "-"] } } }),
    ] {
        let filled = filled(&inputs, "repo=. \"text\" a=5 : with - x=1 '' yes");
        assert!(filled.values.len() <= 1, "{inputs}: {filled:?}");
    }
    let many: Map<String, Value> =
        (0..100_000).map(|n| (format!("slot{n}"), json!({ "type": "string" }))).collect();
    assert!(slots(&json!({ "properties": many })).len() <= crate::playbook::SLOTS_MAX);
}

fn requests() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "this repository",
            "here",
            ".",
            "./a/b",
            "x.md",
            "to",
            "since",
            "until",
            "last week",
            "3",
            "days",
            "ago",
            "2026-11-01",
            "json",
            "dark red",
            "without",
            "with",
            "dry run",
            "\"a b\"",
            "\"",
            "count=3",
            "title:",
            "seconds",
            "count",
            "https://example.org",
            "?",
            ",",
            "\n",
            "review",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn every_request_has_an_answer(request in requests(), name in "\\PC{0,12}", text in any::<String>()) {
        let examples = [text.clone(), "review this repository".to_owned()];
        let inputs = inputs();
        let playbook = Playbook { name: &name, description: &text, examples: &examples, inputs: Some(&inputs) };
        let shelf = Shelf::of([playbook, playbook]);
        let found = shelf.matches(&request);
        prop_assert!(found.iter().all(|found| (0.0..=1.0).contains(&found.score)));
        prop_assert_eq!(&found, &shelf.matches(&request));
    }

    #[test]
    fn what_is_filled_in_fits_its_schema(request in requests()) {
        let inputs = inputs();
        let found = filled(&inputs, &request);
        for (name, value) in &found.values {
            let validator = definition::validator(&inputs["properties"][name]).unwrap();
            prop_assert!(validator.is_valid(value), "{name}: {value}");
            prop_assert!(request.contains(&found.from[name]), "{name}: {:?}", found.from);
        }
        prop_assert!(found.missing.iter().all(|slot| !found.values.contains_key(&slot.name)));
        let again = fill(&inputs, &request, today(), &found.values);
        prop_assert!(again.values.keys().all(|name| !found.values.contains_key(name)));
    }

    #[test]
    fn every_answer_is_taken_or_refused_with_words(typed in any::<String>()) {
        for slot in slots(&inputs()) {
            match read_answer(&slot, &typed) {
                Ok(value) if slot.name != "broken" => prop_assert!(slot.check(&value).is_ok()),
                Ok(_) => {}
                Err(expected) => prop_assert!(!expected.is_empty()),
            }
        }
    }
}
