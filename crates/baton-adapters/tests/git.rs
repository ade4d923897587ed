//! The git tools on real repositories, hostile ones among them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy knows tests, not what they share"
)]

mod common;

use std::os::unix::fs::symlink;

use baton_core::words::FailureKind;
use common::{Workshop, column, git};
use serde_json::json;

fn repository() -> Workshop {
    let shop = Workshop::new();
    git(&shop.root(), &["init", "-q", "-b", "main"]);
    shop.write("a.txt", "1\n2\n");
    git(&shop.root(), &["add", "."]);
    git(
        &shop.root(),
        &["commit", "-qm", "First\n\nWith a body.\n\nAnd more."],
    );
    shop.write("a.txt", "1\n3\n4\n");
    shop.write("sub/b.txt", "b\n");
    git(&shop.root(), &["add", "."]);
    git(&shop.root(), &["commit", "-qm", "Second"]);
    git(
        &shop.root(),
        &["commit", "-q", "--allow-empty", "-m", "Third"],
    );
    shop
}

#[test]
fn the_log_has_every_commit_with_what_it_changed() {
    let shop = repository();
    let log = shop.ok("git.log", json!({ "repo": "." }));
    assert_eq!(column(&log, "subject"), ["Third", "Second", "First"]);
    let numbers = |at: usize| {
        let commit = &log[at];
        ["files_changed", "insertions", "deletions"].map(|key| commit[key].as_u64().unwrap())
    };
    assert_eq!(
        [numbers(0), numbers(1), numbers(2)],
        [[0, 0, 0], [2, 3, 1], [1, 2, 0]]
    );
    assert_eq!(log[2]["body"], "With a body.\n\nAnd more.");
    assert_eq!(log[0]["author"], "Ada");
    assert_eq!(log[0]["at"], "2026-01-02T02:04:05.000Z");
    assert_eq!(log[0]["hash"].as_str().unwrap().len(), 40);
}

#[test]
fn the_log_can_be_narrowed() {
    let shop = repository();
    let subjects = |input| column(&shop.ok("git.log", input), "subject");
    assert_eq!(
        subjects(json!({ "repo": "sub", "max_count": 1 })),
        ["Third"]
    );
    assert_eq!(subjects(json!({ "repo": ".", "path": "sub" })), ["Second"]);
    assert_eq!(
        subjects(json!({ "repo": ".", "revisions": "HEAD~2..HEAD~1" })),
        ["Second"]
    );
    assert!(subjects(json!({ "repo": ".", "since": "2026-02-01" })).is_empty());
    assert_eq!(
        subjects(json!({ "repo": ".", "until": "2026-02-01" })).len(),
        3
    );
}

#[test]
fn a_repository_without_commits_has_an_empty_log() {
    let shop = Workshop::new();
    git(&shop.root(), &["init", "-q"]);
    assert_eq!(shop.ok("git.log", json!({ "repo": "." })), json!([]));
}

#[test]
fn arguments_are_no_options() {
    let shop = repository();
    for (name, value) in [
        ("since", "--output=/x"),
        ("until", "-x"),
        ("revisions", "--output=x"),
        ("path", "../x"),
        ("path", "/etc"),
    ] {
        let mut input = json!({ "repo": "." });
        input[name] = json!(value);
        let failure = shop.err("git.log", input);
        assert_eq!(failure.kind, FailureKind::InvalidInput, "{name}={value}");
    }
    let failure = shop.err("git.log", json!({ "repo": ".", "revisions": "nope" }));
    assert_eq!(failure.kind, FailureKind::NotFound, "{}", failure.message);
    // A magic pathspec is a plain file name here.
    assert_eq!(
        shop.ok("git.log", json!({ "repo": ".", "path": ":(top)a.txt" })),
        json!([])
    );
}

#[test]
fn a_repository_above_or_outside_the_roots_is_not_found() {
    let shop = Workshop::new();
    git(shop.outside.path(), &["init", "-q"]);
    let failure = shop.err("git.log", json!({ "repo": "." }));
    assert_eq!(failure.kind, FailureKind::NotFound);
    for dot in ["file", "link", "common", "inner"] {
        let folder = shop.root().join(dot);
        let git_folder = shop.outside.path().join(".git");
        std::fs::create_dir(&folder).unwrap();
        match dot {
            "file" => {
                let text = format!("gitdir: {}\n", git_folder.display());
                std::fs::write(folder.join(".git"), text).unwrap();
            }
            "link" => symlink(&git_folder, folder.join(".git")).unwrap(),
            "common" => {
                git(&folder, &["init", "-q"]);
                let text = git_folder.to_str().unwrap();
                std::fs::write(folder.join(".git/commondir"), text).unwrap();
            }
            _ => {
                git(&folder, &["init", "-q"]);
                std::fs::remove_dir_all(folder.join(".git/objects")).unwrap();
                symlink(git_folder.join("objects"), folder.join(".git/objects")).unwrap();
            }
        }
        let failure = shop.err("git.log", json!({ "repo": dot }));
        assert_eq!(
            failure.kind,
            FailureKind::Denied,
            "{dot}: {}",
            failure.message
        );
    }
}

#[test]
fn a_linked_worktree_of_a_repository_outside_works() {
    let shop = Workshop::new();
    let main = shop.outside.path().join("main");
    std::fs::create_dir(&main).unwrap();
    git(&main, &["init", "-q"]);
    git(&main, &["commit", "-q", "--allow-empty", "-m", "One"]);
    let tree = shop.root().join("tree");
    git(&main, &["worktree", "add", "-q", tree.to_str().unwrap()]);
    let log = shop.ok("git.log", json!({ "repo": "tree" }));
    assert_eq!(column(&log, "subject"), ["One"]);
}
