//! `fs.write`, `csv.read`, `csv.write`: whole or not at all, and beneath the root.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy knows tests, not what they share"
)]

mod common;

use std::os::unix::fs::{PermissionsExt, symlink};

use baton_core::words::FailureKind;
use common::Workshop;
use serde_json::json;

#[test]
fn a_write_replaces_the_whole_file_keeps_its_mode_and_leaves_nothing_beside_it() {
    let shop = Workshop::new();
    shop.write("a", "longer than what follows");
    let path = shop.root().join("a");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let written = shop.ok("fs.write", json!({ "path": "a", "text": "new" }));
    assert_eq!(written, json!({ "path": "a", "bytes": 3 }));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(shop.root()).unwrap().count(), 1);
}

#[test]
fn folders_are_made_only_when_asked_for() {
    let shop = Workshop::new();
    let mut input = json!({ "path": "x/y/z", "text": "t" });
    assert_eq!(shop.err("fs.write", input.clone()).kind, FailureKind::NotFound);
    input["create_dirs"] = json!(true);
    shop.ok("fs.write", input);
    assert_eq!(std::fs::read_to_string(shop.root().join("x/y/z")).unwrap(), "t");
}

#[test]
fn creating_twice_is_the_same_call_and_another_content_is_refused() {
    let shop = Workshop::new();
    let input = json!({ "path": "a", "text": "t", "mode": "create" });
    shop.ok("fs.write", input.clone());
    shop.ok("fs.write", input);
    let failure = shop.err("fs.write", json!({ "path": "a", "text": "u", "mode": "create" }));
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(std::fs::read_to_string(shop.root().join("a")).unwrap(), "t");
}

#[test]
fn nothing_is_written_outside_the_root_or_through_a_link() {
    let shop = Workshop::new();
    let target = shop.outside.path().join("target");
    std::fs::write(&target, "untouched").unwrap();
    symlink(&target, shop.root().join("link")).unwrap();
    symlink("..", shop.root().join("up")).unwrap();
    for path in ["../target", "up/target", "link", "up/new", "/tmp/x", ".", "up/x/y", ""] {
        let input = json!({ "path": path, "text": "t", "create_dirs": true });
        let failure = shop.err("fs.write", input);
        let kinds = [FailureKind::Denied, FailureKind::Refused, FailureKind::InvalidInput];
        assert!(kinds.contains(&failure.kind), "{path}: {failure:?}");
    }
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "untouched");
    assert_eq!(std::fs::read_dir(shop.outside.path()).unwrap().count(), 2);
}

#[test]
fn repositories_and_stores_are_not_written_to() {
    let shop = Workshop::new();
    std::fs::create_dir_all(shop.root().join(".git/hooks")).unwrap();
    symlink(".git/hooks", shop.root().join("hooks")).unwrap();
    for path in [".git/hooks/x", "hooks/x", ".GIT", "sub/.git", ".baton/x", ".git/new/x"] {
        let input = json!({ "path": path, "text": "t", "create_dirs": true });
        assert_eq!(shop.err("fs.write", input).kind, FailureKind::Denied, "{path}");
        let input = json!({ "path": path, "rows": [] });
        assert_ne!(shop.err("csv.write", input).message, "", "{path}");
    }
    shop.ok("fs.write", json!({ "path": ".gitignore", "text": "t" }));
}

#[test]
fn a_table_is_read_by_its_header() {
    let shop = Workshop::new();
    shop.write("t.csv", "\u{feff}a;b\n1;\"x;\"\"y\"\"\"\n2;\n");
    let table = shop.ok("csv.read", json!({ "path": "t.csv", "delimiter": ";" }));
    let expected = json!({
        "columns": ["a", "b"],
        "rows": [{ "a": "1", "b": "x;\"y\"" }, { "a": "2", "b": "" }],
        "truncated": false,
    });
    assert_eq!(table, expected);
    shop.write("empty.csv", "");
    for header in [true, false] {
        let table = shop.ok("csv.read", json!({ "path": "empty.csv", "header": header }));
        assert_eq!((&table["columns"], &table["rows"]), (&json!([]), &json!([])));
    }
    let input = json!({ "path": "t.csv", "delimiter": ";", "header": false, "max_rows": 1 });
    let table = shop.ok("csv.read", input);
    assert_eq!(table["rows"], json!([{ "c1": "a", "c2": "b" }]));
    assert_eq!(table["truncated"], true);
}

#[test]
fn a_table_that_would_lose_something_is_refused() {
    let shop = Workshop::new();
    for text in ["a,b\n1\n", "a,a\n1,2\n", "a\n\u{fffd}\n\n1,2"] {
        shop.write("t.csv", text);
        let failure = shop.err("csv.read", json!({ "path": "t.csv" }));
        assert_eq!(failure.kind, FailureKind::Refused, "{text}");
    }
    shop.write("t.csv", [b'a', b'\n', 0xff, b'\n']);
    assert_eq!(shop.err("csv.read", json!({ "path": "t.csv" })).kind, FailureKind::Refused);
    for rows in [json!([{ "a": 1 }, { "b": 1 }]), json!([1]), json!([{ "a": 1 }, [1, 2]])] {
        let failure = shop.err("csv.write", json!({ "path": "o.csv", "rows": rows }));
        assert_eq!(failure.kind, FailureKind::InvalidInput, "{rows}");
    }
    assert!(!shop.root().join("o.csv").exists());
}

#[test]
fn what_is_written_is_read_back() {
    let shop = Workshop::new();
    let rows = json!([{ "b": "x, \"y\"\nz", "a": 1 }, { "a": null }, { "a": { "c": [true] } }]);
    shop.ok("csv.write", json!({ "path": "o.csv", "rows": rows }));
    let table = shop.ok("csv.read", json!({ "path": "o.csv" }));
    let expected = json!([
        { "b": "x, \"y\"\nz", "a": "1" }, { "b": "", "a": "" }, { "b": "", "a": "{\"c\":[true]}" },
    ]);
    assert_eq!((&table["columns"], &table["rows"]), (&json!(["b", "a"]), &expected));
    let lists =
        json!({ "path": "p.csv", "rows": [[1, 2]], "columns": ["x", "y"], "header": false });
    shop.ok("csv.write", lists);
    assert_eq!(std::fs::read_to_string(shop.root().join("p.csv")).unwrap(), "1,2\n");
}
