//! `cargo xtask tidy`: layout and taste, held by a test instead of by memory.
//!
//! Every finding says where, what, and what to do. What clippy or rustfmt can check is theirs. It
//! reads sources as text with comments and strings told apart, and does not parse Rust further.

mod arrows;
mod everywhere;
mod functions;
mod ledger;
mod per_crate;
mod scan;
mod shape;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace::{metadata, root};
use source::Source;

/// Folders in which nothing is ours.
const FOREIGN_FOLDERS: &[&str] = &[".baton", ".git", "fixtures", "target"];

/// Kinds of text files that are written by hand or generated here.
const TEXT_KINDS: &[&str] = &["json", "md", "rs", "sh", "sql", "toml", "yaml", "yml"];

/// What is wrong, or worth a look, at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// From the workspace's root.
    pub path: String,
    /// From one.
    pub line: usize,
    /// What is there.
    pub what: String,
    /// What to do about it.
    pub mend: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, mend } = self;
        write!(f, "{path}:{line}: {what} — {mend}")
    }
}

/// What a run of the rules found.
#[derive(Debug, Default)]
pub struct Report {
    /// What must be mended.
    pub faults: Vec<Finding>,
    /// What is worth a look.
    pub notes: Vec<Finding>,
}

/// Applies every rule to the workspace; fails when there is a fault.
pub fn run() -> Result<()> {
    let root = root()?;
    let sources = read_sources(&root)?;
    let mut report = Report::default();
    for source in &sources {
        shape::check(source, &mut report);
        report.faults.extend(everywhere::check(source));
        report.faults.extend(per_crate::check(source));
    }
    let packages = metadata(&["--no-deps"])?;
    report.faults.extend(arrows::check(&packages)?);
    let ledger = std::fs::read_to_string(root.join(ledger::PATH)).context(ledger::PATH)?;
    report.faults.extend(ledger::check(&ledger, &sources));

    for note in &report.notes {
        println!("note: {note}");
    }
    for fault in &report.faults {
        println!("{fault}");
    }
    if !report.faults.is_empty() {
        bail!("{} faults in {} files", report.faults.len(), sources.len());
    }
    println!("tidy: {} files, {} notes", sources.len(), report.notes.len());
    Ok(())
}

/// Every text file of ours below a folder, in the order of their paths.
fn read_sources(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut ahead = vec![root.to_path_buf()];
    while let Some(folder) = ahead.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path();
            if kind.is_dir() {
                let name = entry.file_name();
                if !FOREIGN_FOLDERS.iter().any(|foreign| name == *foreign) {
                    ahead.push(path);
                }
            } else if kind.is_file() && is_text(&path) {
                let text =
                    std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                sources.push(Source::new(&name_below(root, &path), &text));
            }
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

fn is_text(path: &Path) -> bool {
    let kind = path.extension().and_then(|kind| kind.to_str());
    kind.is_some_and(|kind| TEXT_KINDS.contains(&kind)) || path.ends_with(".ci/run")
}

fn name_below(root: &Path, path: &Path) -> String {
    let below: PathBuf = path.strip_prefix(root).unwrap_or(path).to_path_buf();
    below.to_string_lossy().into_owned()
}
