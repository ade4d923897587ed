//! What a request fills in.

use serde_json::{Value, json};

use super::{filled, today};
use crate::playbook::{SlotKind, fill, slots};

/// The values that requests fill in, under one schema.
fn table(properties: &Value, rows: &[(&str, Value)]) {
    let inputs = json!({ "type": "object", "properties": properties });
    let found = rows.iter().map(|(request, _)| Value::Object(filled(&inputs, request).values));
    let wrong = rows.iter().zip(found).filter(|((_, values), found)| values != found);
    let wrong: Vec<String> = wrong.map(|(row, found)| format!("{row:?}: {found}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn paths() {
    let one = json!({ "repo": { "type": "string", "title": "Path of the repository" } });
    table(
        &one,
        &[
            ("look at this repository", json!({ "repo": "." })),
            ("look at the current directory", json!({ "repo": "." })),
            ("this git repo", json!({ "repo": "." })),
            ("what is wrong here?", json!({ "repo": "." })),
            ("look at .", json!({ "repo": "." })),
            ("look at ../other.", json!({ "repo": "../other" })),
            ("look at ~/code, please", json!({ "repo": "~/code" })),
            ("look at /srv/git/a-b_c", json!({ "repo": "/srv/git/a-b_c" })),
            ("look at \"/srv/my code\"", json!({ "repo": "/srv/my code" })),
            ("repo=src", json!({ "repo": "src" })),
            ("repo: src", json!({ "repo": "src" })),
            ("--repo=.", json!({ "repo": "." })),
            ("look at notes.md", json!({})),
            ("yes and/or no, 1/2 of it, https://example.org/a", json!({})),
            ("a/b or c/d", json!({})),
            ("a/b, I mean a/b", json!({ "repo": "a/b" })),
            ("the repository", json!({})),
        ],
    );
    let two = json!({
        "source": { "type": "string", "title": "The file to read" },
        "target": { "type": "string", "title": "The file to write" },
    });
    table(
        &two,
        &[
            ("turn a.csv into b.csv", json!({ "source": "a.csv", "target": "b.csv" })),
            ("save x/y.csv", json!({ "target": "x/y.csv" })),
            ("read a.csv", json!({ "source": "a.csv" })),
            ("source a.csv, target b.csv", json!({ "source": "a.csv", "target": "b.csv" })),
            ("this folder", json!({})),
        ],
    );
    let equal = json!({
        "left": { "type": "string", "title": "A file" },
        "right": { "type": "string", "title": "A file" },
    });
    table(
        &equal,
        &[
            ("compare a.txt and b.txt", json!({})),
            ("compare a.txt", json!({})),
            ("compare left=a.txt with b.txt", json!({ "left": "a.txt", "right": "b.txt" })),
        ],
    );
}

#[test]
fn days() {
    let since = json!({ "since": { "type": "string", "default": "90 days ago" } });
    table(
        &since,
        &[
            ("commits since last week", json!({ "since": "1 week ago" })),
            ("commits of the last 30 days", json!({ "since": "30 days ago" })),
            ("commits since yesterday", json!({ "since": "1 day ago" })),
            ("commits since two hours ago", json!({ "since": "2 hours ago" })),
            ("commits since 2026-02-28", json!({ "since": "2026-02-28" })),
            ("commits since Monday", json!({ "since": "2026-11-16" })),
            ("commits until 2026-02-28", json!({})),
            ("commits since 2026-02-30", json!({})),
            ("the last commits", json!({})),
            ("since=\"3 weeks ago\"", json!({ "since": "3 weeks ago" })),
            ("since: v1.2.0", json!({ "since": "v1.2.0" })),
        ],
    );
    let period = json!({
        "since": { "type": "string", "format": "date" },
        "until": { "type": ["string", "null"], "format": "date-time" },
    });
    table(
        &period,
        &[
            (
                "from 2026-01-01 to 2026-02-01",
                json!({ "since": "2026-01-01", "until": "2026-02-01T00:00:00Z" }),
            ),
            ("since last month", json!({ "since": "2026-10-21" })),
            ("this month", json!({ "since": "2026-11-01" })),
            ("before yesterday", json!({ "until": "2026-11-20T00:00:00Z" })),
            ("2026-01-01", json!({})),
            ("since 3 hours ago", json!({})),
        ],
    );
    let titled = json!({ "start": { "type": "string", "title": "Day of the first entry" } });
    table(&titled, &[("entries after yesterday", json!({ "start": "2026-11-20" }))]);
}

#[test]
fn numbers() {
    let count = json!({
        "count": { "type": "integer", "minimum": 1, "maximum": 50, "default": 5 },
        "timeout_seconds": { "type": "integer", "default": 60 },
        "ratio": { "type": "number", "maximum": 1, "default": 0.5, "title": "Share of lines" },
    });
    table(
        &count,
        &[
            ("count 10", json!({ "count": 10 })),
            ("count: ten", json!({ "count": 10 })),
            ("count=1_000", json!({})),
            ("count 10.5", json!({})),
            ("a ratio of 0.25", json!({ "ratio": 0.25 })),
            ("a share of 0.25", json!({ "ratio": 0.25 })),
            ("a ratio of 3", json!({})),
            ("wait 2 minutes", json!({ "timeout_seconds": 120 })),
            ("wait 90s", json!({ "timeout_seconds": 90 })),
            ("a count of 3 and 2 minutes", json!({ "count": 3, "timeout_seconds": 120 })),
            ("count 3, no: count 4", json!({})),
            ("look at issue 42", json!({})),
            ("3 files", json!({})),
        ],
    );
    let asked = json!({ "copies": { "type": "integer", "minimum": 1 } });
    table(
        &asked,
        &[
            ("print it 3", json!({ "copies": 3 })),
            ("print 3 copies", json!({ "copies": 3 })),
            ("print 3 pages", json!({})),
            ("print 3 days", json!({})),
            ("print -3", json!({})),
            ("print 3 or 4", json!({})),
        ],
    );
}

#[test]
fn choices() {
    let one = json!({ "colour": { "enum": ["red", "dark_red", "Light Blue", "all"] } });
    table(
        &one,
        &[
            ("paint it RED", json!({ "colour": "red" })),
            ("paint it dark red", json!({ "colour": "dark_red" })),
            ("light blue, please", json!({ "colour": "Light Blue" })),
            ("colour all", json!({ "colour": "all" })),
            ("all of them", json!({})),
            ("red or light blue", json!({})),
            ("not red", json!({})),
            ("not red but light blue", json!({ "colour": "Light Blue" })),
            ("colour=red", json!({ "colour": "red" })),
            ("colour=green", json!({})),
            ("see red.txt", json!({})),
        ],
    );
    let two = json!({ "ink": { "enum": ["red", "blue"] }, "paper": { "enum": ["red", "white"] } });
    table(
        &two,
        &[
            ("red", json!({})),
            ("white and blue", json!({ "ink": "blue", "paper": "white" })),
            ("red ink on white", json!({ "ink": "red", "paper": "white" })),
        ],
    );
    let titled = json!({ "size": { "oneOf": [{ "const": 1, "title": "Small" }, { "const": 2, "title": "Very large" }] } });
    table(&titled, &[("a very large one", json!({ "size": 2 }))]);
}

#[test]
fn yes_and_no() {
    let flags = json!({
        "tests": { "type": "boolean" },
        "skip_docs": { "type": "boolean" },
        "dry_run": { "type": "boolean", "default": false },
    });
    table(
        &flags,
        &[
            ("with tests", json!({ "tests": true })),
            ("without any tests", json!({ "tests": false })),
            ("no tests, please", json!({ "tests": false })),
            ("including the tests but no docs", json!({ "tests": true, "skip_docs": true })),
            ("with docs", json!({ "skip_docs": false })),
            ("skip the docs", json!({ "skip_docs": true })),
            ("a dry run", json!({ "dry_run": true })),
            ("don't dry-run", json!({ "dry_run": false })),
            ("tests=no", json!({ "tests": false })),
            ("with tests or without tests", json!({})),
            ("the tests are slow", json!({})),
        ],
    );
}

#[test]
fn texts() {
    let one = json!({ "subject": { "type": "string", "maxLength": 20 } });
    table(
        &one,
        &[
            ("draw “a small logo”", json!({ "subject": "a small logo" })),
            ("subject: a small logo; thanks", json!({ "subject": "a small logo" })),
            ("subject: a logo\nand nothing else", json!({ "subject": "a logo" })),
            ("subject='a logo' today", json!({ "subject": "a logo" })),
            ("Subject: \"a logo\" today", json!({ "subject": "a logo" })),
            ("draw \"a\" or \"b\"", json!({})),
            ("draw \"something that is far too long\"", json!({})),
            ("draw a logo", json!({})),
            ("don't draw the client's logo", json!({})),
        ],
    );
    let two = json!({ "subject": { "type": "string" }, "author": { "type": "string" } });
    table(
        &two,
        &[
            ("draw \"a logo\"", json!({})),
            ("author \"Ada\"", json!({ "author": "Ada" })),
            (
                "subject \"a logo\" by author \"Ada\"",
                json!({ "subject": "a logo", "author": "Ada" }),
            ),
        ],
    );
    let range = json!({ "from": { "type": "string" }, "to": { "type": "string" } });
    table(
        &range,
        &[
            ("notes from v1.0 to HEAD", json!({ "from": "v1.0", "to": "HEAD" })),
            ("notes since tag 1.2.0", json!({ "from": "1.2.0" })),
            ("notes from git to people", json!({})),
            ("notes since yesterday", json!({})),
        ],
    );
    let others = json!({
        "page": { "type": "string", "format": "uri" },
        "email": { "type": "string" },
        "question": { "type": "string" },
        "files": { "type": "array", "items": { "type": "string" } },
    });
    table(
        &others,
        &[
            (
                "send https://example.org/a?b=c to ada@example.org.",
                json!({ "page": "https://example.org/a?b=c", "email": "ada@example.org" , "question": "send https://example.org/a?b=c to ada@example.org." }),
            ),
            ("  How far is it? ", json!({ "question": "How far is it?" })),
            ("files=a.rs", json!({ "files": ["a.rs"] })),
        ],
    );
}

#[test]
fn each_value_says_where_it_is_from() {
    let inputs = json!({
        "required": ["repo", "count", "author"],
        "properties": {
            "repo": { "type": "string", "default": "." },
            "since": { "type": "string" },
            "count": { "type": "integer", "minimum": 1, "maximum": 9, "description": "How many" },
            "dry_run": { "type": "boolean" },
        },
    });
    let found = filled(&inputs, "See this repository since last week as a dry run");
    let from: Vec<(&str, &str)> =
        found.from.iter().map(|(name, words)| (name.as_str(), words.as_str())).collect();
    assert_eq!(
        from,
        [("dry_run", "dry run"), ("repo", "this repository"), ("since", "since last week")]
    );
    let missing: Vec<&str> = found.missing.iter().map(|slot| slot.name.as_str()).collect();
    assert_eq!(missing, ["count", "author"]);
    let kind = SlotKind::Number { min: Some(1.0), max: Some(9.0), integer: true };
    assert_eq!(found.missing[0].kind, kind);
    assert_eq!(found.missing[0].description.as_deref(), Some("How many"));
}

#[test]
fn what_was_given_is_not_read_again() {
    let inputs = json!({
        "required": ["left", "right"],
        "properties": { "left": { "type": "string", "title": "A file" }, "right": { "type": "string", "title": "A file" } },
    });
    let given = json!({ "left": "a.txt" });
    let found = fill(&inputs, "compare with b.txt", today(), given.as_object().unwrap());
    assert_eq!(Value::Object(found.values), json!({ "right": "b.txt" }));
    assert!(found.missing.is_empty());
}

#[test]
fn kinds_follow_the_schema_and_then_the_name() {
    let inputs = json!({
        "$defs": { "colour": { "enum": ["red", null] } },
        "properties": {
            "colour": { "$ref": "#/$defs/colour" },
            "flag": { "type": ["boolean", "null"] },
            "ratio": { "type": "number", "exclusiveMinimum": 0 },
            "write_to": { "type": "string", "title": "A file for the notes" },
            "glob": { "type": "string", "title": "Which files" },
            "place": { "type": "string", "format": "path" },
            "folder_count": { "type": "string" },
            "anything": {},
        },
    });
    let number = SlotKind::Number { min: None, max: None, integer: false };
    let kinds: Vec<(String, SlotKind)> =
        slots(&inputs).into_iter().map(|slot| (slot.name, slot.kind)).collect();
    let kinds: Vec<(&str, &SlotKind)> =
        kinds.iter().map(|(name, kind)| (name.as_str(), kind)).collect();
    assert_eq!(
        kinds,
        [
            ("colour", &SlotKind::Choice(vec!["red".to_owned()])),
            ("flag", &SlotKind::YesNo),
            ("ratio", &number),
            ("write_to", &SlotKind::File),
            ("glob", &SlotKind::Text),
            ("place", &SlotKind::File),
            ("folder_count", &SlotKind::Text),
            ("anything", &SlotKind::Text),
        ]
    );
}
