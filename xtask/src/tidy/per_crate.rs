//! What one crate may not say because another says it: the boundaries of the layout.
//!
//! Test code is free, but for the arrows between crates.

use super::Finding;
use super::source::{Source, closing};

const CORE: &str = "crates/baton-core/src/";
const STORE: &str = "crates/baton-store/src/";
const SERVER: &str = "crates/baton-server/src/";
const WORDS: &str = "crates/baton-core/src/words.rs";

/// What core may not name, and why not.
const NOT_IN_CORE: &[(&str, &str)] = &[
    ("tokio", PURE),
    ("async_trait", PURE),
    ("SystemTime", MOMENT),
    ("Instant::now", MOMENT),
    ("Timestamp::now", MOMENT),
    ("Zoned::now", MOMENT),
    ("now_v7", MOMENT),
    ("new_v4", MOMENT),
    ("rand", MOMENT),
    ("rusqlite", PURE),
    ("tokio_postgres", PURE),
    ("ureq", PURE),
];
const PURE: &str = "core is pure: let the engine or an adapter do it";
const MOMENT: &str = "take time and randomness from the `Moment` given";

/// Modules of `std` that reach into the world.
const WORLDLY_MODULES: &[&str] = &["fs", "net", "env", "process", "thread"];

/// What the store may not tell apart.
const NOT_IN_STORE: &[&str] = &["Command::", "Event::", "WorkflowState", "TaskState"];

const SQL: &[&str] = &["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM ", "CREATE TABLE "];

/// Statuses that were typed again where it hurt.
const STATUSES: &[&str] = &["pending_review", "completed_with_errors"];

/// Applies the rules of the crate that a file belongs to.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if source.path.starts_with(CORE) {
        for (word, mend) in NOT_IN_CORE {
            found.extend(shipped_names(source, word, mend));
        }
        found.extend(worldly_modules(source));
        found.extend(sql(source, "core knows no SQL: the store writes it"));
    }
    if source.path.starts_with(SERVER) {
        found.extend(sql(source, "ask through the engine's ports: the store writes SQL"));
    }
    if source.path.starts_with(STORE) {
        for name in NOT_IN_STORE {
            let mend = "the store writes what it is given: put the choice in core";
            found.extend(shipped_names(source, name, mend));
        }
    }
    if source.path.starts_with("crates/") && source.path != WORDS {
        found.extend(statuses(source));
    }
    found
}

fn shipped_names(source: &Source, word: &str, mend: &'static str) -> Vec<Finding> {
    // A path to be continued is followed by a letter, so only its name is looked up as a word.
    let name = word.trim_end_matches(':');
    let places = source.named(name).filter(|at| {
        let here = source.code.get(*at..).unwrap_or_default();
        here.starts_with(word) && !source.is_test(*at)
    });
    places.map(|at| source.finding(source.line_at(at), format!("names `{word}`"), mend)).collect()
}

fn worldly_modules(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for at in source.named("std").filter(|at| !source.is_test(*at)) {
        let Some(path) = source.code.get(at..).and_then(|here| here.strip_prefix("std::")) else {
            continue;
        };
        for module in imported(path) {
            if WORLDLY_MODULES.contains(&module) {
                let what = format!("names `std::{module}`");
                found.push(source.finding(source.line_at(at), what, PURE));
            }
        }
    }
    found
}

/// The modules named right behind `std::`: one, or several in braces.
fn imported(path: &str) -> Vec<&str> {
    let group = if path.starts_with('{') {
        closing(path, 0).and_then(|close| path.get(1..close))
    } else {
        path.split([';', ',', ')', '}']).next()
    };
    let mut depth = 0_usize;
    let members = group.unwrap_or_default().split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    members
        .filter_map(|member| {
            let end = member.trim_start().find(|c: char| !c.is_alphanumeric() && c != '_');
            let member = member.trim_start();
            member.get(..end.unwrap_or(member.len()))
        })
        .collect()
}

fn sql(source: &Source, mend: &'static str) -> Vec<Finding> {
    let literals = source.shipped_literals();
    let found = literals.filter_map(|(line, text)| {
        let word = SQL.iter().find(|word| text.contains(**word))?;
        Some(source.finding(line, format!("SQL in a string: {}", word.trim()), mend))
    });
    found.collect()
}

fn statuses(source: &Source) -> Vec<Finding> {
    let literals = source.shipped_literals();
    let typed = literals.filter(|(_, text)| STATUSES.contains(text));
    typed
        .map(|(line, text)| {
            let mend = "use the enum of words.rs, or its `as_str`";
            source.finding(line, format!("the status \"{text}\" typed again"), mend)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let findings = check(&Source::new(path, text)).into_iter();
        findings.map(|finding| finding.what).collect()
    }

    const CORE_FILE: &str = "crates/baton-core/src/a.rs";
    const STORE_FILE: &str = "crates/baton-store/src/a.rs";

    #[test]
    fn core_is_pure() {
        assert_eq!(found(CORE_FILE, "use tokio::sync;"), ["names `tokio`"]);
        assert_eq!(found(CORE_FILE, "let a = Instant::now();"), ["names `Instant::now`"]);
        assert_eq!(found(CORE_FILE, "use std::fs::File;"), ["names `std::fs`"]);
        assert_eq!(found(CORE_FILE, "let a = \"SELECT 1\";"), ["SQL in a string: SELECT"]);
        assert_eq!(found(CORE_FILE, "//! no tokio\nlet operand = a;"), [""; 0]);
        assert_eq!(found("crates/baton-engine/src/a.rs", "use std::fs;"), [""; 0]);
    }

    #[test]
    fn a_group_of_imports_hides_nothing() {
        let text = "use std::{fmt::{self, Write}, net::{IpAddr, TcpStream}, thread};";
        assert_eq!(found(CORE_FILE, text), ["names `std::net`", "names `std::thread`"]);
        assert_eq!(found(CORE_FILE, "use std::{fmt::{env, fs}, io};"), [""; 0]);
        assert_eq!(found(CORE_FILE, "a(std::env::var(b), c);"), ["names `std::env`"]);
    }

    #[test]
    fn tests_in_core_may_read_files() {
        let text = "#[cfg(test)]\nmod tests { use std::fs; }";
        assert_eq!(found(CORE_FILE, text), [""; 0]);
    }

    #[test]
    fn the_store_tells_no_state_or_event_apart() {
        assert_eq!(found(STORE_FILE, "match a { Event::B => c }"), ["names `Event::`"]);
        assert_eq!(found(STORE_FILE, "fn a(b: &TaskState) {}"), ["names `TaskState`"]);
        assert_eq!(found(STORE_FILE, "fn a(b: StoredEvent) { SomeEvent::B }"), [""; 0]);
    }

    #[test]
    fn the_server_writes_no_sql() {
        let text = "let a = \"SELECT b\"; let c = \"selected\";";
        let path = "crates/baton-server/src/a.rs";
        assert_eq!(found(path, text), ["SQL in a string: SELECT"]);
        assert_eq!(found(STORE_FILE, text), [""; 0]);
    }

    #[test]
    fn a_status_is_typed_once() {
        let text = "a(\"pending_review\")";
        let what = "the status \"pending_review\" typed again";
        assert_eq!(found("crates/baton/src/main.rs", text), [what]);
        assert_eq!(found(WORDS, text), [""; 0]);
        assert_eq!(found("crates/baton/tests/run.rs", text), [""; 0]);
    }
}
