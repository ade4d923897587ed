//! `cargo xtask generate`: files in the repository that a command of Baton writes.
//!
//! They are committed, so that readers find them and reviews show how they change; `--check` says
//! which no longer say what the command says. It knows nothing about their content.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace::{cargo, metadata, output, root, succeed};

/// A file, from the workspace's root, and the arguments of `baton` that print it.
type Generated = (&'static str, &'static [&'static str]);

/// Every generated file; a further one is a further line.
const FILES: &[Generated] = &[
    ("docs/definition.schema.json", &["schema", "definition"]),
    ("docs/openapi.json", &["openapi"]),
    ("docs/tools.md", &["tools", "--markdown"]),
];

/// What to do about a file that differs.
#[derive(Clone, Copy)]
pub enum Mode {
    /// Write it.
    Write,
    /// Leave it and fail.
    Check,
}

/// Brings every generated file up to date, or fails naming those that are not.
pub fn run(mode: Mode) -> Result<()> {
    let root = root()?;
    let baton = build()?;
    let mut stale = Vec::new();
    for (path, arguments) in FILES {
        let mut command = Command::new(&baton);
        let text = output(command.args(*arguments).current_dir(&root))?;
        if let Some(difference) = settle(&root.join(path), &text, mode)? {
            stale.push(format!("{path}: {difference}"));
        }
    }
    if !stale.is_empty() {
        bail!("out of date, run `cargo xtask generate` and commit:\n{}", stale.join("\n"));
    }
    println!("generated files: {} up to date", FILES.len());
    Ok(())
}

/// Builds `baton` as the tests have it, so that continuous integration builds once: another
/// selection of packages would resolve features anew and build much of it again.
pub fn build() -> Result<PathBuf> {
    succeed(cargo()?.args(["test", "--quiet", "--workspace", "--no-run"]))?;
    let metadata = metadata(&["--no-deps"])?;
    let folder = metadata.get("target_directory").and_then(Value::as_str);
    let folder = folder.context("cargo metadata names no target_directory")?;
    Ok(Path::new(folder).join("debug").join("baton"))
}

/// Compares a file with what it should say; when checking, gives back how it differs.
fn settle(path: &Path, wanted: &str, mode: Mode) -> Result<Option<String>> {
    let present = std::fs::read_to_string(path).unwrap_or_default();
    if present == wanted {
        return Ok(None);
    }
    match mode {
        Mode::Check => Ok(Some(difference(&present, wanted))),
        Mode::Write => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, wanted)
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(None)
        }
    }
}

/// The first line in which two texts differ.
fn difference(present: &str, wanted: &str) -> String {
    let mut present_lines = present.lines();
    let mut wanted_lines = wanted.lines();
    let mut number = 1;
    loop {
        match (present_lines.next(), wanted_lines.next()) {
            (Some(has), Some(wants)) if has == wants => number += 1,
            (None, None) => return "the ends of the lines differ".to_owned(),
            (has, wants) => {
                let (has, wants) = (has.unwrap_or("(nothing)"), wants.unwrap_or("(nothing)"));
                return format!("line {number}\n  has   {has}\n  wants {wants}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_shown_by_check_and_mended_by_write() {
        let folder = std::env::temp_dir().join(format!("baton-generate-{}", std::process::id()));
        let path = folder.join("docs/a.json");

        let missing = settle(&path, "one\n", Mode::Check).unwrap().unwrap();
        assert!(missing.contains("wants one"), "{missing}");
        assert!(!path.exists(), "a check writes nothing");

        assert_eq!(settle(&path, "one\n", Mode::Write).unwrap(), None);
        assert_eq!(settle(&path, "one\n", Mode::Check).unwrap(), None);
        assert!(settle(&path, "two\n", Mode::Check).unwrap().is_some());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_first_differing_line_is_named() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), "line 2\n  has   b\n  wants x");
        assert_eq!(difference("a\n", "a\nb\n"), "line 2\n  has   (nothing)\n  wants b");
        assert_eq!(difference("a", "a\n"), "the ends of the lines differ");
    }
}
