//! What no file may say, whichever crate it is in.

use super::Finding;
use super::source::{Source, closing, words};

/// This folder names what it forbids.
const OWN_FOLDER: &str = "xtask/src/tidy";

/// Marks of what was left undone.
const MARKS: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// Macros of what was left undone, or left in.
const MACROS: &[&str] = &["todo", "unimplemented", "dbg"];

/// Folders at the top of a machine beneath which things are its own.
const MACHINE_FOLDERS: &[&str] = &["home", "root", "work"];

/// Ways to let time pass instead of waiting for what is waited for.
const SLEEPS: &[&str] = &["thread::sleep", "time::sleep"];

/// Applies the rules that hold everywhere.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if !source.path.starts_with(OWN_FOLDER) {
        found.extend(machine_folders(source));
        found.extend(marks(source));
    }
    found.extend(undone(source));
    found.extend(sleeps(source));
    found.extend(exceptions(source));
    found
}

fn machine_folders(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for name in MACHINE_FOLDERS {
            let folder = format!("/{name}/");
            // A folder in the middle of a path or an address is not one of the machine.
            let is_absolute = |(at, _): (usize, &str)| {
                let before = line.get(..at).and_then(|head| head.chars().next_back());
                !before.is_some_and(|c| c.is_alphanumeric() || "._-~*}".contains(c))
            };
            if line.match_indices(&folder).any(is_absolute) {
                found.push(source.finding(
                    index + 1,
                    format!("a path of one machine: {folder}…"),
                    "use a relative path or a temporary folder",
                ));
            }
        }
    }
    found
}

fn marks(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in source.lines.iter().enumerate() {
        for mark in MARKS {
            if words(&line.comment, mark).next().is_some() {
                let mend = "do it now, or open an issue and say what holds until then";
                found.push(source.finding(index + 1, format!("`{mark}` in a comment"), mend));
            }
        }
    }
    found
}

fn undone(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in MACROS {
        for at in source.named(name) {
            let called = source.code.get(at + name.len()..).unwrap_or_default();
            if called.starts_with("!(") {
                let what = format!("`{name}!`");
                let mend = "write what belongs there";
                found.push(source.finding(source.line_at(at), what, mend));
            }
        }
    }
    for at in source.named("ignore") {
        let before = source.code.get(..at).unwrap_or_default();
        if before.ends_with("#[") {
            let mend = "make the test run, or let it say in one line why it cannot here";
            found.push(source.finding(source.line_at(at), "an ignored test", mend));
        }
    }
    found
}

fn sleeps(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in SLEEPS {
        for at in source.named(name) {
            let line = source.line_at(at);
            let here_and_above = source.lines.iter().skip(line.saturating_sub(2)).take(2);
            if !here_and_above.into_iter().any(|line| gives_reason(&line.comment)) {
                let mend = "wait for a signal, or write `// sleep:` and the reason on that line";
                found.push(source.finding(line, format!("`{name}`"), mend));
            }
        }
    }
    found
}

fn gives_reason(comment: &str) -> bool {
    comment.split_once("// sleep:").is_some_and(|(_, reason)| !reason.trim().is_empty())
}

/// Exceptions from lints: only such as end with their cause, and with the cause in writing.
fn exceptions(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let attributes = source.code.match_indices('#').filter_map(|(at, _)| {
        let open = source.code.get(at..)?.find('[').filter(|open| *open <= 2)? + at;
        let close = closing(&source.code, open)?;
        Some((at, source.code.get(open..close)?))
    });
    for (at, attribute) in attributes {
        let has = |call: &str| {
            words(attribute, call).any(|at| {
                let after = attribute.get(at + call.len()..).unwrap_or_default();
                after.starts_with('(')
            })
        };
        let line = source.line_at(at);
        // What a test file shares is used in part only: there an expectation cannot always hold.
        let shared = source.path.contains("/tests/") && words(attribute, "reason").next().is_some();
        if has("allow") && !shared {
            let mend = "use `#[expect(…, reason = \"…\")]`, which ends with its cause";
            found.push(source.finding(line, "`allow` of a lint", mend));
        }
        if has("expect") && words(attribute, "reason").next().is_none() {
            let mend = "add `reason = \"…\"`";
            found.push(source.finding(line, "`expect` of a lint without a reason", mend));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        found_in("crates/x/src/lib.rs", text)
    }

    fn found_in(path: &str, text: &str) -> Vec<(usize, String)> {
        let findings = check(&Source::new(path, text)).into_iter();
        findings.map(|finding| (finding.line, finding.what)).collect()
    }

    fn one(line: usize, what: &str) -> Vec<(usize, String)> {
        vec![(line, what.to_owned())]
    }

    #[test]
    fn what_was_left_undone_is_found() {
        assert_eq!(found("a();\n// TODO: b"), one(2, "`TODO` in a comment"));
        assert_eq!(found("let a = \"TODO\"; // a TODOS list"), []);
        assert_eq!(found("a(todo!())"), one(1, "`todo!`"));
        assert_eq!(found("fn todo() {}"), []);
        assert_eq!(found("#[ignore]\nfn a() {}"), one(1, "an ignored test"));
        assert_eq!(found("#[ignore = \"slow\"]\nfn a() {}"), one(1, "an ignored test"));
        assert_eq!(found("use ignore::Walk;"), []);
    }

    #[test]
    fn a_sleep_needs_a_reason() {
        assert_eq!(found("std::thread::sleep(a);"), one(1, "`thread::sleep`"));
        assert_eq!(found("tokio::time::sleep(a).await;"), one(1, "`time::sleep`"));
        assert_eq!(found("use std::thread::sleep;"), one(1, "`thread::sleep`"));
        assert_eq!(found("thread::sleep(a); // sleep: the clock is what is tested"), []);
        assert_eq!(found("// sleep: the clock is tested\nthread::sleep(a);"), []);
        assert_eq!(found("thread::sleep(a); // sleep:"), one(1, "`thread::sleep`"));
    }

    #[test]
    fn a_path_of_one_machine_is_found_in_any_text() {
        for name in MACHINE_FOLDERS {
            let said = format!("a path of one machine: /{name}/…");
            assert_eq!(found_in("a.md", &format!("see /{name}/me/x")), one(1, &said));
            assert_eq!(found(&format!("let a = \"/{name}/x\";")), one(1, &said));
            assert_eq!(found_in("a.md", &format!("https://host/{name}/x and ../{name}/x")), []);
        }
    }

    #[test]
    fn an_exception_from_a_lint_is_an_expectation_with_a_reason() {
        assert_eq!(found("#[allow(dead_code)]"), one(1, "`allow` of a lint"));
        assert_eq!(found("\n#![allow(\n  dead_code\n)]"), one(2, "`allow` of a lint"));
        assert_eq!(found("#[cfg_attr(test, allow(x))]"), one(1, "`allow` of a lint"));
        assert_eq!(found("#[expect(x)]"), one(1, "`expect` of a lint without a reason"));
        assert_eq!(found("#[expect(\n  x,\n  reason = \"y\"\n)]"), []);
        assert_eq!(found("fn allow(a: u8) { a.expect(b) }"), []);
        let shared = "#![allow(dead_code, reason = \"shared\")]";
        assert_eq!(found_in("crates/x/tests/common.rs", shared), []);
    }
}
