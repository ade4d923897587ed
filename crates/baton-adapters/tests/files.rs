//! `fs.read`, `fs.list`, `fs.search` on real files: bounds, ignore rules, ways out, FIFOs.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy knows tests, not what they share"
)]

mod common;

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use baton_core::words::FailureKind;
use baton_engine::ports::Control;
use common::{Workshop, column};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

fn fifo(shop: &Workshop, name: &str) {
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, shop.root().join(name), FileType::Fifo, mode, 0).unwrap();
}

#[test]
fn a_file_is_read_with_its_length_and_cut_at_a_character() {
    let shop = Workshop::new();
    shop.write("a.txt", "äöü");
    let whole = shop.ok("fs.read", json!({ "path": "a.txt" }));
    let expected = json!({
        "path": "a.txt", "text": "äöü", "encoding": "text", "bytes": 6, "truncated": false,
    });
    assert_eq!(whole, expected);
    let cut = shop.ok("fs.read", json!({ "path": "./a.txt", "max_bytes": 3 }));
    assert_eq!((&cut["text"], &cut["truncated"]), (&json!("ä"), &json!(true)));
    let exact = shop.ok("fs.read", json!({ "path": "a.txt", "max_bytes": 6 }));
    assert_eq!(exact["truncated"], json!(false));
    let absolute = shop.root().canonicalize().unwrap().join("a.txt");
    assert_eq!(shop.ok("fs.read", json!({ "path": absolute })), expected);
}

#[test]
fn bytes_that_are_no_text_are_refused_or_encoded() {
    let shop = Workshop::new();
    shop.write("b", [0xff, 0xfe, 0xfd]);
    let failure = shop.err("fs.read", json!({ "path": "b" }));
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("base64"), "{}", failure.message);
    let encoded = shop.ok("fs.read", json!({ "path": "b", "encoding": "base64" }));
    assert_eq!(encoded["text"], "//79");
}

#[test]
fn no_path_leads_out_of_the_root() {
    let shop = Workshop::new();
    let secret = shop.outside.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    symlink("../secret", shop.root().join("up")).unwrap();
    symlink(&secret, shop.root().join("absolute")).unwrap();
    symlink("..", shop.root().join("folder")).unwrap();
    symlink("/proc/self/environ", shop.root().join("magic")).unwrap();
    let paths = ["../secret", "up", "absolute", "folder/secret", "magic", "/etc/passwd"];
    for path in paths.into_iter().chain([secret.to_str().unwrap()]) {
        let failure = shop.err("fs.read", json!({ "path": path }));
        assert_eq!(failure.kind, FailureKind::Denied, "{path}: {}", failure.message);
        for tool in ["fs.list", "fs.search"] {
            let input = match tool {
                "fs.list" => json!({ "path": path }),
                _ => json!({ "path": path, "pattern": "s" }),
            };
            assert_eq!(shop.err(tool, input).kind, FailureKind::Denied, "{tool} {path}");
        }
    }
    // A walk sees links and does not follow them.
    let found = shop.ok("fs.search", json!({ "path": ".", "pattern": "secret" }));
    assert_eq!(found["matches"], json!([]));
    let kinds = column(&shop.ok("fs.list", json!({ "path": "." })), "kind");
    assert_eq!(kinds, ["link"; 4]);
}

#[test]
fn links_inside_the_root_are_followed() {
    let shop = Workshop::new();
    shop.write("sub/a", "a");
    symlink("sub/a", shop.root().join("inside")).unwrap();
    assert_eq!(shop.ok("fs.read", json!({ "path": "inside" }))["text"], "a");
    assert_eq!(shop.ok("fs.read", json!({ "path": "sub/../sub/a" }))["text"], "a");
}

#[test]
fn fifos_and_devices_do_not_hang_anything() {
    let shop = Workshop::new();
    fifo(&shop, "pipe");
    fifo(&shop, ".gitignore");
    shop.write("a.txt", "here");
    let started = Instant::now();
    assert_eq!(shop.err("fs.read", json!({ "path": "pipe" })).kind, FailureKind::Refused);
    assert_eq!(shop.err("fs.read", json!({ "path": "." })).kind, FailureKind::Refused);
    let found = shop.ok("fs.search", json!({ "path": ".", "pattern": "here" }));
    assert_eq!(column(&found["matches"], "path"), ["a.txt"]);
    let listed = shop.ok("fs.list", json!({ "path": "." }));
    assert_eq!(column(&listed, "kind"), ["other", "file", "other"]);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_walk_honours_ignore_files_without_a_repository_and_enters_no_ignored_folder() {
    let shop = Workshop::new();
    shop.write(".gitignore", "target/\n*.log\n!keep.log\n");
    shop.write("sub/.gitignore", "local\n!sub.log\n");
    for path in [
        "a.rs",
        "a.log",
        "keep.log",
        "target/b.rs",
        "sub/local",
        "sub/sub.log",
        "sub/target/c.rs",
        ".github/ci.yml",
        ".git/HEAD",
        "local",
    ] {
        shop.write(path, "x");
    }
    let listed = column(&shop.ok("fs.list", json!({ "path": "." })), "path");
    let expected = [
        ".github",
        ".github/ci.yml",
        ".gitignore",
        "a.rs",
        "keep.log",
        "local",
        "sub",
        "sub/.gitignore",
        "sub/sub.log",
    ];
    assert_eq!(listed, expected);
    // Rules above the start hold too.
    shop.write("sub/d.log", "x");
    assert_eq!(
        column(&shop.ok("fs.list", json!({ "path": "sub" })), "path"),
        ["sub/.gitignore", "sub/sub.log"]
    );
    let globbed = shop.ok("fs.list", json!({ "path": ".", "glob": "*.rs" }));
    assert_eq!(column(&globbed, "path"), ["a.rs"]);
    let flat = shop.ok("fs.list", json!({ "path": ".", "recursive": false, "glob": "*.log" }));
    assert_eq!(column(&flat, "path"), ["keep.log"]);
}

#[test]
fn a_list_longer_than_asked_is_a_failure_and_not_a_cut() {
    let shop = Workshop::new();
    shop.write("a", "");
    shop.write("b", "");
    let failure = shop.err("fs.list", json!({ "path": ".", "max_entries": 1 }));
    assert_eq!(failure.kind, FailureKind::TooLarge);
    let listed = shop.ok("fs.list", json!({ "path": ".", "max_entries": 2 }));
    assert_eq!(column(&listed, "path"), ["a", "b"]);
    assert!(listed[0]["modified"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_search_gives_each_matching_line_once_with_its_place() {
    let shop = Workshop::new();
    shop.write("a.txt", "one\n  TODO x TODO\r\n\nFIXME");
    shop.write("bin", b"TODO\0");
    shop.write("sub/b.txt", "todo\n");
    let found = shop.ok("fs.search", json!({ "path": ".", "pattern": "TODO|FIXME$" }));
    let expected = json!({
        "matches": [
            { "path": "a.txt", "line": 2, "column": 3, "text": "  TODO x TODO" },
            { "path": "a.txt", "line": 4, "column": 1, "text": "FIXME" },
        ],
        "files_searched": 2, "files_skipped": 1, "truncated": false,
    });
    assert_eq!(found, expected);
    let input = json!({ "path": "sub/b.txt", "pattern": "TODO", "ignore_case": true });
    assert_eq!(column(&shop.ok("fs.search", input)["matches"], "path"), ["sub/b.txt"]);
    let first =
        shop.ok("fs.search", json!({ "path": ".", "pattern": "TODO|FIXME", "max_matches": 1 }));
    assert_eq!(
        (first["matches"].as_array().unwrap().len(), &first["truncated"]),
        (1, &json!(true))
    );
    let empty = shop.ok("fs.search", json!({ "path": "a.txt", "pattern": "^$" }));
    assert_eq!(empty["matches"][0]["line"], 3);
    let failure = shop.err("fs.search", json!({ "path": ".", "pattern": "(" }));
    assert_eq!(failure.kind, FailureKind::InvalidInput);
}

#[test]
fn a_cancelled_or_late_call_ends() {
    let shop = Workshop::new();
    shop.write("a", "a");
    let control = Control::new(Duration::from_secs(5));
    control.cancel();
    let input = json!({ "path": "." });
    let failure = shop.call_within("fs.list", input.clone(), &control).unwrap_err();
    assert_eq!((failure.kind, failure.retryable), (FailureKind::Cancelled, false));
    let failure = shop.call_within("fs.list", input, &Control::new(Duration::ZERO)).unwrap_err();
    assert_eq!((failure.kind, failure.retryable), (FailureKind::TimedOut, true));
}
