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
    git(&shop.root(), &["commit", "-qm", "First\n\nWith a body.\n\nAnd more."]);
    shop.write("a.txt", "1\n3\n4\n");
    shop.write("sub/b.txt", "b\n");
    git(&shop.root(), &["add", "."]);
    git(&shop.root(), &["commit", "-qm", "Second"]);
    git(&shop.root(), &["commit", "-q", "--allow-empty", "-m", "Third"]);
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
    assert_eq!([numbers(0), numbers(1), numbers(2)], [[0, 0, 0], [2, 3, 1], [1, 2, 0]]);
    assert_eq!(log[2]["body"], "With a body.\n\nAnd more.");
    assert_eq!(log[0]["author"], "Ada");
    assert_eq!(log[0]["at"], "2026-01-02T02:04:05.000Z");
    assert_eq!(log[0]["hash"].as_str().unwrap().len(), 40);
}

#[test]
fn the_log_can_be_narrowed() {
    let shop = repository();
    let subjects = |input| column(&shop.ok("git.log", input), "subject");
    assert_eq!(subjects(json!({ "repo": "sub", "max_count": 1 })), ["Third"]);
    assert_eq!(subjects(json!({ "repo": ".", "path": "sub" })), ["Second"]);
    assert_eq!(subjects(json!({ "repo": ".", "revisions": "HEAD~2..HEAD~1" })), ["Second"]);
    assert!(subjects(json!({ "repo": ".", "since": "2026-02-01" })).is_empty());
    assert_eq!(subjects(json!({ "repo": ".", "until": "2026-02-01" })).len(), 3);
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
    assert_eq!(shop.ok("git.log", json!({ "repo": ".", "path": ":(top)a.txt" })), json!([]));
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
        assert_eq!(failure.kind, FailureKind::Denied, "{dot}: {}", failure.message);
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

#[test]
fn a_diff_counts_and_shows_what_differs() {
    let shop = repository();
    let diff = shop.ok("git.diff", json!({ "repo": ".", "from": "HEAD~2", "to": "HEAD" }));
    let expected = json!([
        { "path": "a.txt", "insertions": 2, "deletions": 1, "binary": false },
        { "path": "sub/b.txt", "insertions": 1, "deletions": 0, "binary": false },
    ]);
    assert_eq!(diff["files"], expected);
    assert_eq!((&diff["insertions"], &diff["deletions"]), (&json!(3), &json!(1)));
    shop.write("a.txt", "1\n3\n4\n5\n");
    shop.write("new", [0, 1]);
    git(&shop.root(), &["add", "new"]);
    let input = json!({ "repo": "sub", "from": "HEAD", "detail": "patch" });
    let diff = shop.ok("git.diff", input.clone());
    assert_eq!(column(&diff["files"], "path"), ["a.txt", "new"]);
    assert_eq!(diff["files"][1]["binary"], true);
    assert!(diff["patch"].as_str().unwrap().contains("\n+5\n"), "{diff}");
    let mut cut = input;
    cut["max_bytes"] = json!(10);
    let diff = shop.ok("git.diff", cut);
    assert_eq!((&diff["patch"], &diff["truncated"]), (&json!("diff --git"), &json!(true)));
    // A change of mode alone is a change, and so is an empty file.
    shop.write("empty", "");
    git(&shop.root(), &["add", "empty"]);
    let chmod = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(shop.root().join("sub/b.txt"), mode).unwrap();
    };
    chmod(0o755);
    let staged = shop.ok("git.diff", json!({ "repo": ".", "from": "HEAD" }));
    assert_eq!(column(&staged["files"], "path"), ["a.txt", "empty", "new", "sub/b.txt"]);
    chmod(0o644);
    let unstaged = shop.ok("git.diff", json!({ "repo": "." }));
    assert_eq!(column(&unstaged["files"], "path"), ["a.txt"]);
    let below = shop.ok("git.diff", json!({ "repo": ".", "from": "HEAD", "path": "sub" }));
    assert_eq!(below["files"], json!([]));
}

#[test]
fn diff_arguments_are_no_options_and_no_files() {
    let shop = repository();
    for input in [
        json!({ "repo": ".", "from": "--output=x" }),
        json!({ "repo": ".", "from": "HEAD", "to": "--no-index" }),
        json!({ "repo": ".", "path": "/etc/passwd" }),
        json!({ "repo": ".", "to": "HEAD" }),
    ] {
        assert_eq!(shop.err("git.diff", input).kind, FailureKind::InvalidInput);
    }
    // Two paths outside of a repository would make git compare plain files.
    let input = json!({ "repo": ".", "from": "/etc/passwd", "to": "/etc/hostname" });
    let failure = shop.err("git.diff", input);
    assert_eq!(failure.kind, FailureKind::NotFound, "{}", failure.message);
}

#[test]
fn a_status_tells_the_branch_and_what_is_not_committed() {
    let shop = repository();
    let status = shop.ok("git.status", json!({ "repo": "." }));
    assert_eq!((&status["branch"], &status["clean"]), (&json!("main"), &json!(true)));
    assert_eq!(status["head"].as_str().unwrap().len(), 40);
    shop.write("a.txt", "other");
    shop.write("new file", "x");
    git(&shop.root(), &["mv", "sub/b.txt", "c d.txt"]);
    let status = shop.ok("git.status", json!({ "repo": "." }));
    let expected = json!([
        { "path": "a.txt", "kind": "changed", "index": ".", "worktree": "M" },
        { "path": "c d.txt", "kind": "renamed", "index": "R", "worktree": ".", "from": "sub/b.txt" },
        { "path": "new file", "kind": "untracked", "index": "?", "worktree": "?" },
    ]);
    assert_eq!(status["entries"], expected);
}

#[test]
fn a_status_counts_what_the_upstream_lacks() {
    let shop = repository();
    git(shop.outside.path(), &["clone", "-q", "root", "root/copy"]);
    let copy = shop.root().join("copy");
    git(&copy, &["commit", "-q", "--allow-empty", "-m", "Ahead"]);
    let status = shop.ok("git.status", json!({ "repo": "copy" }));
    assert_eq!(status["upstream"], "origin/main");
    assert_eq!((&status["ahead"], &status["behind"]), (&json!(1), &json!(0)));
    let detached = git_head(&copy);
    git(&copy, &["checkout", "-q", &detached]);
    assert_eq!(shop.ok("git.status", json!({ "repo": "copy" }))["branch"], json!(null));
}

fn git_head(folder: &std::path::Path) -> String {
    let head = std::fs::read_to_string(folder.join(".git/refs/heads/main")).unwrap();
    head.trim().to_owned()
}

/// Every way we know for a repository to make git run a command leaves a file named `ran-*`.
#[test]
// Long because it is one table of cases.
fn no_configuration_of_a_repository_runs_anything_or_leads_elsewhere() {
    let shop = repository();
    let root = shop.root();
    let mark = |name: &str| format!("sh -c 'touch {}/ran-{name}; cat'", root.display());
    for (key, value) in [
        ("core.fsmonitor", mark("fsmonitor")),
        ("core.pager", mark("pager")),
        ("core.sshCommand", mark("ssh")),
        ("core.askPass", mark("askpass")),
        ("diff.external", mark("external")),
        ("diff.evil.textconv", mark("textconv")),
        ("diff.evil.command", mark("command")),
        ("filter.evil.clean", mark("clean")),
        ("filter.evil.smudge", mark("smudge")),
        ("filter.e=v.l.process", mark("process")),
        ("filter.evil.required", "true".to_owned()),
        ("gpg.program", mark("gpg")),
        ("log.showSignature", "true".to_owned()),
        ("log.diffMerges", "remerge".to_owned()),
        ("pager.log", mark("pagerlog")),
        ("pager.diff", "true".to_owned()),
        ("alias.log", format!("!touch {}/ran-alias", root.display())),
        ("color.ui", "always".to_owned()),
        ("core.worktree", "/".to_owned()),
        ("diff.noprefix", "true".to_owned()),
        ("format.pretty", "raw".to_owned()),
        ("status.showUntrackedFiles", "no".to_owned()),
        ("core.excludesFile", "~/x".to_owned()),
    ] {
        git(&root, &["--work-tree=.", "config", key, &value]);
    }
    for hook in ["post-index-change", "fsmonitor-watchman", "pre-commit", "reference-transaction"] {
        use std::os::unix::fs::PermissionsExt as _;
        let path = root.join(".git/hooks").join(hook);
        std::fs::write(&path, format!("#!/bin/sh\ntouch {}/ran-hook\n", root.display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    shop.write(".gitattributes", "a.txt filter=evil diff=evil\nsub/* filter=e=v.l\n");
    shop.write("a.txt", "changed\n");
    shop.write("sub/b.txt", "changed\n");
    assert_eq!(shop.ok("git.log", json!({ "repo": "." })).as_array().unwrap().len(), 3);
    let diff = shop.ok("git.diff", json!({ "repo": ".", "detail": "patch" }));
    assert_eq!(column(&diff["files"], "path"), ["a.txt", "sub/b.txt"]);
    assert!(diff["patch"].as_str().unwrap().starts_with("diff --git a/a.txt b/a.txt"), "{diff}");
    let status = shop.ok("git.status", json!({ "repo": "." }));
    assert_eq!(column(&status["entries"], "path"), ["a.txt", "sub/b.txt", ".gitattributes"]);
    let names = std::fs::read_dir(&root).unwrap().flatten().map(|entry| entry.file_name());
    let ran: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("ran")).collect();
    assert!(ran.is_empty(), "{ran:?}");
}

#[test]
fn a_repository_is_not_changed_by_being_read() {
    let shop = repository();
    let before = std::fs::read(shop.root().join(".git/index")).unwrap();
    // The same content at another time makes git want to refresh its index.
    let file = std::fs::File::options().append(true).open(shop.root().join("a.txt"));
    file.unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(shop.ok("git.status", json!({ "repo": "." }))["clean"], true);
    let diff = shop.ok("git.diff", json!({ "repo": ".", "detail": "patch" }));
    assert_eq!((&diff["files"], &diff["patch"]), (&json!([]), &json!("")));
    assert_eq!(std::fs::read(shop.root().join(".git/index")).unwrap(), before);
}
