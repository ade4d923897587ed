//! Recomputes every read model from the journal and writes what differs.
//!
//! The journal is never touched: what is wrong with it is reported, not mended.

use std::path::Path;

use baton_engine::check::{CheckReport, Difference, compare};
use baton_store::{StoreUrl, begin_repair, open_audit};
use serde::Serialize;

use super::AdminError;
use super::lock::{self, Lock};
use baton_core::spoken::many;

/// What was compared and mended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RebuildReport {
    /// What was compared, and how it differed.
    pub check: CheckReport,
    /// How many of the differences were mended.
    pub mended: u64,
}

impl RebuildReport {
    /// How many differences stay, because the journal itself is at fault.
    pub fn left(&self) -> u64 {
        self.check.total.saturating_sub(self.mended)
    }

    /// The report as text.
    pub fn render(&self) -> String {
        let examined = &self.check.examined;
        let conversations = match examined.conversations {
            0 => String::new(),
            count => format!(" and {}", many(count, "conversation")),
        };
        let mut text = format!(
            "compared {} with {} of {}{conversations}\n",
            many(examined.events, "event"),
            many(examined.tasks, "row"),
            many(examined.workflows, "workflow"),
        );
        if self.check.total == 0 {
            text.push_str("everything is as the journal says; nothing was changed\n");
            return text;
        }
        text.push_str(&format!(
            "mended {} of {}\n",
            self.mended,
            many(self.check.total, "difference")
        ));
        for difference in &self.check.differences {
            text.push_str(&line(difference));
        }
        if self.left() > 0 {
            text.push_str(
                "what was not mended is a fault of the journal itself: restore a backup, or keep \
                 a copy of the store and purge the workflows named above\n",
            );
        }
        text
    }
}

/// A difference on a line.
pub(super) fn line(difference: &Difference) -> String {
    let Difference { what, stored, recomputed, mend } = difference;
    let verb = if mend.is_some() { "" } else { " (not mended)" };
    format!("  {what}: stored is {stored}; the journal says {recomputed}{verb}\n")
}

/// Rebuilds a store in one exclusive transaction; `folder` is where the lock of its owner is.
///
/// Refused while a process owns the store; an owner that starts meanwhile is fenced off.
pub fn rebuild(folder: &Path, store: &StoreUrl) -> Result<RebuildReport, AdminError> {
    // A store on a server is claimed there, by whoever owns it from whatever folder.
    let _lock = match store {
        StoreUrl::Sqlite(path) => Some(lock_file_of(folder, path)?),
        StoreUrl::Postgres(_) => None,
    };
    let mut repair = begin_repair(store)?;
    // Its snapshot is what the transaction above began with: nobody else writes.
    let mut audit = open_audit(store)?;
    let mut report = RebuildReport::default();
    let examined = compare(audit.as_mut(), &mut |difference| {
        if let Some(mend) = &difference.mend {
            repair.mend(mend)?;
            report.mended += 1;
        }
        report.check.note(difference);
        Ok(())
    })?;
    report.check.examined = examined;
    drop(audit);
    repair.commit()?;
    Ok(report)
}

fn lock_file_of(folder: &Path, store: &Path) -> Result<Lock, AdminError> {
    if !store.exists() {
        return Err(AdminError::file(store, "there is no store to rebuild"));
    }
    match lock::take(folder).map_err(|e| AdminError::file(folder, e))? {
        Lock::Taken(process) => Err(AdminError::Owned { process }),
        lock @ (Lock::Absent | Lock::Held(_)) => Ok(lock),
    }
}
