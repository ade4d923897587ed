//! The embedded store: whether it opens, is sound, agrees with its journal, and waits for somebody.

use std::path::Path;
use std::time::Duration;

use baton_core::codes::Code;
use baton_core::words::{WaitReason, WorkflowStatus};
use baton_engine::check::{CheckReport, check, damaged_blobs};
use baton_engine::store::{Audit, Filter, StoreError, Views};
use baton_store::sqlite::{Inspection, SqliteAudit, SqliteViews, inspect};

use super::Report;
use super::folder::Owner;
use crate::admin::{bytes, now, rebuild};
use crate::text::many;

/// How many workflows or tasks are named of each kind.
const NAMED_MAX: u32 = 20;
/// How far ahead of the clock the journal may end without a word.
const CLOCK_SLACK: Duration = Duration::from_secs(5);
/// The share of the file that may hold nothing before it is worth a word, as one part of this many.
const FREE_PART: u64 = 4;

pub(super) fn look(path: &Path, owner: Owner, report: &mut Report) {
    let place = path.display().to_string();
    match inspect(path) {
        Err(fault) => return unopened(&fault, &place, report),
        Ok(inspection) => structure(&inspection, &place, report),
    }
    if let Err(fault) = contents(path, owner, &place, report) {
        report.problem(
            format!("the store cannot be read: {fault}"),
            &place,
            "restore a backup of the data folder",
        );
    }
}

fn unopened(fault: &StoreError, place: &str, report: &mut Report) {
    let mend = match fault {
        StoreError::Corrupt(_) => "restore a backup of the data folder",
        StoreError::Unavailable(_) | StoreError::Conflict(_) => {
            "do what it says, then run `baton doctor` again"
        }
    };
    report.problem(format!("the store does not open: {fault}"), place, mend);
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

fn contents(path: &Path, owner: Owner, place: &str, report: &mut Report) -> Result<(), StoreError> {
    let mut audit = SqliteAudit::open(path)?;
    journal(&check(&mut audit)?, place, report);
    blobs(&mut audit, place, report)?;
    clock(&mut audit, place, report)?;
    drop(audit);
    let mut views = SqliteViews::open(path)?;
    if owner == Owner::Nobody {
        interrupted(&mut views, report)?;
    }
    people(&mut views, report)
}

fn journal(check: &CheckReport, place: &str, report: &mut Report) {
    if check.total == 0 {
        let examined = &check.examined;
        let purged = match examined.purged {
            0 => String::new(),
            count => format!(", {count} purged"),
        };
        let what = format!(
            "every row is as the journal says: {}, {}{purged}",
            many(examined.workflows, "workflow"),
            many(examined.events, "event")
        );
        return report.ok(what, place);
    }
    let is_mendable = |found: &&baton_engine::check::Difference| found.mend.is_some();
    let mendable: Vec<_> = check.differences.iter().filter(is_mendable).collect();
    let named = |found: &[String]| found.join("").trim_end().to_owned();
    if !mendable.is_empty() {
        let lines: Vec<String> = mendable.iter().map(|found| rebuild::line(found)).collect();
        let what = format!("rows differ from the journal:\n{}", named(&lines));
        report.problem(what, place, "`baton doctor --rebuild`");
    }
    let faults = check.differences.iter().filter(|found| found.mend.is_none());
    let lines: Vec<String> = faults.map(rebuild::line).collect();
    if !lines.is_empty() {
        let what = format!("the journal itself is at fault:\n{}", named(&lines));
        report.problem(what, place, "restore a backup of the data folder");
    }
    if check.total > check.differences.len() as u64 {
        let what = format!("there are {} in all", many(check.total, "difference"));
        report.problem(what, place, "`baton doctor --rebuild`");
    }
}

fn blobs(audit: &mut dyn Audit, place: &str, report: &mut Report) -> Result<(), StoreError> {
    let mut damaged = Vec::new();
    let read = damaged_blobs(audit, &mut |hash| damaged.push(hash.to_string()))?;
    if damaged.is_empty() {
        report.ok(format!("every large body is whole: {}", many(read, "blob")), place);
    } else {
        let count = damaged.len();
        damaged.truncate(NAMED_MAX as usize);
        let what = format!("large bodies damaged: {count} of {read}: {}", damaged.join(", "));
        report.problem(what, place, "restore a backup; workflows that read them fail until then");
    }
    Ok(())
}

fn clock(audit: &mut dyn Audit, place: &str, report: &mut Report) -> Result<(), StoreError> {
    let (newest, now) = (audit.head()?.at, now());
    let ahead = newest.since(now);
    if ahead > CLOCK_SLACK {
        let what = format!(
            "the journal ends at {newest}, {} after this machine's clock",
            crate::text::span(ahead)
        );
        report.problem(
            what,
            place,
            "set the clock; until it has caught up, every event carries that time",
        );
    } else {
        report.ok(format!("the clock reads {now}, after the journal's end"), "this machine");
    }
    Ok(())
}

fn interrupted(views: &mut dyn Views, report: &mut Report) -> Result<(), StoreError> {
    let filter = Filter {
        statuses: vec![WorkflowStatus::Queued, WorkflowStatus::Running, WorkflowStatus::Cancelling],
        limit: NAMED_MAX,
        ..Filter::default()
    };
    for (card, row) in views.list(&filter)? {
        let what = format!("`{}` is {} and no process works on it", card.name, row.status.word());
        let mend = format!("`baton resume {}`", card.id);
        report.note(what, format!("workflow {}", card.id), &mend);
    }
    Ok(())
}

fn people(views: &mut dyn Views, report: &mut Report) -> Result<(), StoreError> {
    let waiting = views.waiting_for_people(NAMED_MAX)?;
    let (doubt, asked): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|(_, task)| task.waits_for == Some(WaitReason::InDoubt));
    for (card, task) in doubt {
        let what = format!(
            "nobody knows whether a call of task {} of `{}` happened",
            task.ordinal.0, card.name
        );
        let id = card.id.task(task.ordinal);
        let mend = format!("look, then `baton settle {id} --happened` or `--did-not-happen`");
        report.note(what, format!("workflow {}", card.id), &mend);
    }
    for (card, task) in asked {
        let what = format!("task {} of `{}` waits for a person", task.ordinal.0, card.name);
        report.note(what, format!("workflow {}", card.id), "`baton inbox` shows what is asked");
    }
    let filter = Filter {
        statuses: vec![WorkflowStatus::PendingReview],
        limit: NAMED_MAX,
        ..Filter::default()
    };
    for (card, _) in views.list(&filter)? {
        let what = format!("the plan of `{}` waits for approval", card.name);
        let mend = format!("`baton approve {}`, or `baton reject` it", card.id);
        report.note(what, format!("workflow {}", card.id), &mend);
    }
    Ok(())
}
