//! The embedded store's file: whether it opens, is sound, and keeps commits.
//!
//! What is in it is not looked at here.

use std::path::Path;

use baton_store::sqlite::{Inspection, inspect};

use super::{Report, unopened};
use crate::admin::bytes;

/// The share of the file that may hold nothing before it is worth a word, as one part of this many.
const FREE_PART: u64 = 4;

/// `None` where there is nothing to look into.
pub(super) fn look(path: &Path, report: &mut Report) -> Option<()> {
    if !path.exists() {
        return None;
    }
    let place = path.display().to_string();
    match inspect(path) {
        Err(fault) => {
            unopened(&fault, &place, report);
            None
        }
        Ok(inspection) => {
            structure(&inspection, &place, report);
            Some(())
        }
    }
}

fn structure(inspection: &Inspection, place: &str, report: &mut Report) {
    let size = bytes(inspection.bytes);
    let faults = inspection.integrity.iter().chain(&inspection.dangling);
    let faults: Vec<&str> = faults.map(String::as_str).collect();
    if faults.is_empty() {
        report.ok(format!("the store opens and its file is sound, {size}"), place);
    } else {
        let what = format!("the store's file is damaged: {}", faults.join("; "));
        report.problem(
            what,
            place,
            "restore a backup; without one, keep a copy and try `sqlite3 baton.db .recover`",
        );
    }
    if inspection.journal_mode != "wal" || inspection.synchronous != 2 {
        let what = format!(
            "commits are not safe: journal_mode is {}, synchronous is {}",
            inspection.journal_mode, inspection.synchronous
        );
        report.problem(
            what,
            place,
            "move the folder to a local disk: the log does not work on network file systems",
        );
    }
    if inspection.auto_vacuum != 2 {
        report.note(
            "the file cannot get shorter when workflows are purged",
            place,
            "`sqlite3 baton.db 'PRAGMA auto_vacuum=2; VACUUM'` while no baton runs",
        );
    }
    if inspection.bytes_free > inspection.bytes / FREE_PART && inspection.bytes_free > 16 << 20 {
        let what = format!("{} of {size} hold nothing", bytes(inspection.bytes_free));
        report.note(what, place, "nothing to do: an idle owner gives them back to the disk");
    }
}
