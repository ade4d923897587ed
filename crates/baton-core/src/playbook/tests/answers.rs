//! What a typed answer stands for.

use serde_json::{Value, json};

use crate::playbook::{Slot, read_answer, slots};

fn slot(name: &str, property: &Value) -> Slot {
    let inputs = json!({
        "$defs": { "count": { "type": "integer", "minimum": 1 } },
        "properties": { name: property },
    });
    slots(&inputs).remove(0)
}

#[test]
fn answers_are_read_by_the_kind_of_the_slot() {
    let colour = json!({ "enum": ["red", "dark red", "Light Blue"] });
    let titled = json!({ "oneOf": [{ "const": "s", "title": "Small" }, { "const": "l", "title": "Large" }] });
    let size = json!({ "enum": [3, 2, 1] });
    let count = json!({ "type": "integer", "minimum": 1, "exclusiveMaximum": 11 });
    let ratio = json!({ "type": "number", "exclusiveMinimum": 0 });
    let files = json!({ "type": "array", "items": { "type": "string" } });
    for (name, property, typed, value) in [
        ("colour", &colour, "red", json!("red")),
        ("colour", &colour, " RED ", json!("red")),
        ("colour", &colour, "2", json!("dark red")),
        ("colour", &colour, "3)", json!("Light Blue")),
        ("colour", &colour, "light-blue", json!("Light Blue")),
        ("colour", &colour, "li", json!("Light Blue")),
        ("size", &titled, "Large", json!("l")),
        ("size", &titled, "1", json!("s")),
        ("size", &size, "3", json!(3)),
        ("dry_run", &json!({ "type": "boolean" }), "Y", json!(true)),
        ("dry_run", &json!({ "type": "boolean" }), "no.", json!(false)),
        ("count", &count, "10", json!(10)),
        ("count", &count, "three", json!(3)),
        ("count", &json!({ "$ref": "#/$defs/count" }), "1,000", json!(1000)),
        ("ratio", &ratio, "0.25", json!(0.25)),
        ("seconds", &json!({ "type": "integer" }), "2 minutes", json!(120)),
        ("repo", &json!({ "type": "string" }), "this repository", json!(".")),
        ("repo", &json!({ "type": "string" }), "\"my code\"", json!("my code")),
        ("subject", &json!({ "type": "string" }), "  a logo ", json!("a logo")),
        ("subject", &json!({ "type": "string" }), "5", json!("5")),
        ("subject", &json!({ "type": "string", "default": "a logo" }), "", json!("a logo")),
        ("due", &json!({ "type": "string", "format": "date" }), "2026-02-28", json!("2026-02-28")),
        ("files", &files, "a.rs, b.rs", json!(["a.rs", "b.rs"])),
        ("files", &files, "[\"a\"]", json!(["a"])),
        ("more", &json!({ "type": "object" }), "{\"a\":1}", json!({ "a": 1 })),
    ] {
        assert_eq!(read_answer(&slot(name, property), typed), Ok(value), "{name}: {typed}");
    }
}

#[test]
fn a_refusal_says_what_is_expected() {
    let colour = json!({ "enum": ["red", "dark red"] });
    let count = json!({ "type": "integer", "minimum": 1, "maximum": 10 });
    let subject = json!({ "type": "string", "pattern": "^[a-z]+$", "title": "What to draw" });
    for (name, property, typed, said) in [
        ("colour", &colour, "green", "type one of 1) red, 2) dark red, or its number"),
        ("colour", &colour, "0", "type one of 1) red, 2) dark red, or its number"),
        ("colour", &colour, "", "type one of 1) red, 2) dark red, or its number"),
        ("dry_run", &json!({ "type": "boolean" }), "perhaps", "type yes or no"),
        ("count", &count, "11", "type a whole number from 1 to 10"),
        ("count", &count, "1.5", "type a whole number from 1 to 10"),
        ("count", &count, "many", "type a whole number from 1 to 10"),
        (
            "count",
            &json!({ "type": "number", "minimum": 0.5 }),
            "0",
            "type a number of at least 0.5",
        ),
        ("count", &count, "5 minutes", "type a whole number from 1 to 10"),
        (
            "repo",
            &json!({ "type": "string" }),
            "a\u{1b}b",
            "a path has no control characters and is on one line",
        ),
        (
            "repo",
            &json!({ "type": "string" }),
            "",
            "type the path of a file or folder, like . or src/main.rs",
        ),
        ("subject", &subject, "", "type a text for What to draw"),
        ("subject", &subject, "A", "\"A\" does not match \"^[a-z]+$\""),
        (
            "due",
            &json!({ "type": "string", "format": "date" }),
            "2026-02-30",
            "type a date like 2026-11-21",
        ),
        (
            "files",
            &json!({ "type": "array", "maxItems": 1 }),
            "a, b",
            "[\"a\",\"b\"] has more than 1 item",
        ),
    ] {
        assert_eq!(
            read_answer(&slot(name, property), typed),
            Err(said.to_owned()),
            "{name}: {typed}"
        );
    }
    let long = read_answer(&slot("subject", &json!({})), &"x".repeat(1_000_000));
    assert_eq!(long, Err("an answer may have at most 8000 characters".to_owned()));
}

#[test]
fn a_slot_is_read_back_as_it_was_written() {
    let slot = slot("count", &json!({ "$ref": "#/$defs/count", "title": "How many" }));
    let stored = serde_json::to_string(&slot).unwrap();
    assert_eq!(serde_json::from_str::<Slot>(&stored).unwrap(), slot);
    assert_eq!(read_answer(&slot, "0"), Err("type a whole number of at least 1".to_owned()));
}
