//! What is in a store: whether it agrees with its journal, is whole, and waits for somebody.
//!
//! It reads through the ports, so that it is the same for every store.

use std::time::Duration;

use baton_core::codes::Code;
use baton_core::words::{WaitReason, WorkflowStatus};
use baton_engine::check::{CheckReport, check, damaged_blobs};
use baton_engine::store::{Audit, Filter, StoreError, Views};
use baton_store::{StoreUrl, open_audit, open_views};

use super::folder::Owner;
use super::{RESTORE, Report};
use crate::admin::{now, rebuild};
use baton_core::spoken::many;

/// How many workflows or tasks are named of each kind.
const NAMED_MAX: u32 = 20;
/// How far ahead of the clock the journal may end without a word.
const CLOCK_SLACK: Duration = Duration::from_secs(5);

pub(super) fn look(store: &StoreUrl, owner: Owner, report: &mut Report) {
    let place = store.to_string();
    if let Err(fault) = contents(store, owner, &place, report) {
        report.problem(format!("the store cannot be read: {fault}"), &place, RESTORE);
    }
}

fn contents(
    store: &StoreUrl,
    owner: Owner,
    place: &str,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut audit = open_audit(store)?;
    journal(&check(audit.as_mut())?, place, report);
    blobs(audit.as_mut(), place, report)?;
    clock(audit.as_mut(), place, report)?;
    drop(audit);
    let mut views = open_views(store)?;
    if owner == Owner::Nobody {
        interrupted(views.as_mut(), report)?;
    }
    people(views.as_mut(), report)
}

fn journal(check: &CheckReport, place: &str, report: &mut Report) {
    if check.total == 0 {
        let examined = &check.examined;
        let purged = match examined.purged {
            0 => String::new(),
            count => format!(", {count} purged"),
        };
        let conversations = match examined.conversations {
            0 => String::new(),
            count => format!(", {}", many(count, "conversation")),
        };
        let what = format!(
            "every row is as the journal says: {}{conversations}, {}{purged}",
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
        report.problem(what, place, RESTORE);
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
            baton_core::spoken::span(ahead)
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
