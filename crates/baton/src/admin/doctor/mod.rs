//! What is wrong with a Baton, and what would mend it.
//!
//! It changes nothing but what opening a store changes. What is not built in is not spoken of.

mod contents;
mod file;
mod folder;
mod models;
mod server;
mod world;

use std::path::Path;

use baton_engine::store::StoreError;
use baton_store::StoreUrl;
use serde::Serialize;

use crate::config::Config;
use baton_core::spoken::many;

pub use models::Trying;

/// What mends a store whose journal or bodies are at fault.
const RESTORE: &str = "restore a backup of the store";

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing breaks.
    Note,
    /// Something does not work, or will not.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How serious it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// The file, folder, workflow or setting it is about.
    #[serde(rename = "where")]
    pub place: String,
    /// The command or setting that mends it.
    pub mend: Option<String>,
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order in which they build on one another.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The most serious level found.
    pub fn worst(&self) -> Level {
        let levels = self.findings.iter().map(|finding| finding.level);
        levels.max().unwrap_or(Level::Ok)
    }

    /// The report as text: a line for each finding, its mend beneath it, a summary at the end.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let Finding { level, what, place, mend } = finding;
            let mark = match level {
                Level::Ok => "ok      ",
                Level::Note => "note    ",
                Level::Problem => "PROBLEM ",
            };
            text.push_str(&format!("{mark}{what} ({place})\n"));
            if let Some(mend) = mend {
                text.push_str(&format!("        -> {mend}\n"));
            }
        }
        let count =
            |level| self.findings.iter().filter(|found| found.level == level).count() as u64;
        let (problems, notes) = (count(Level::Problem), count(Level::Note));
        text.push_str(&match (problems, notes) {
            (0, 0) => "everything is well\n".to_owned(),
            (0, notes) => format!("no problems, {}\n", many(notes, "note")),
            (problems, notes) => {
                format!("{}, {}\n", many(problems, "problem"), many(notes, "note"))
            }
        });
        text
    }

    fn ok(&mut self, what: impl ToString, place: impl ToString) {
        self.add(Level::Ok, what, place, None);
    }

    fn note(&mut self, what: impl ToString, place: impl ToString, mend: &str) {
        self.add(Level::Note, what, place, Some(mend.to_owned()));
    }

    fn problem(&mut self, what: impl ToString, place: impl ToString, mend: &str) {
        self.add(Level::Problem, what, place, Some(mend.to_owned()));
    }

    fn add(
        &mut self,
        level: Level,
        what: impl ToString,
        place: impl ToString,
        mend: Option<String>,
    ) {
        self.findings.push(Finding {
            level,
            what: what.to_string(),
            place: place.to_string(),
            mend,
        });
    }
}

/// Looks everything over: the data folder, the store wherever it is, and the tools' surroundings.
pub fn doctor(folder: &Path, store: &StoreUrl, config: &Config) -> Report {
    let mut report = Report::default();
    let owner = folder::look(folder, store, &mut report);
    let owner = match store {
        StoreUrl::Sqlite(path) => file::look(path, &mut report).map(|()| owner),
        StoreUrl::Postgres(url) => server::look(url, &store.to_string(), &mut report),
    };
    if let Some(owner) = owner {
        contents::look(store, owner, &mut report);
    }
    world::look(&config.tools.roots, &mut report);
    report
}

/// Says that the store does not open.
fn unopened(fault: &StoreError, place: &str, report: &mut Report) {
    let mend = match fault {
        StoreError::Corrupt(_) => RESTORE,
        StoreError::Unavailable(_) | StoreError::Conflict(_) => {
            "do what it says, then run `baton doctor` again"
        }
    };
    report.problem(format!("the store does not open: {fault}"), place, mend);
}
