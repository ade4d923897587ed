//! Purging finished workflows: their events, tasks and bodies go, their line in the list stays.
//!
//! The owner of the store does it; the file gets shorter when the owner has nothing else to do.

use baton_core::ids::WorkflowId;
use baton_engine::exchange::Burial;
use baton_engine::store::Views;
use serde::Serialize;

use super::selection::{Selected, Selection};
use super::{AdminError, NotPurged, Purger, now};
use baton_core::spoken::many;

/// About how many events go in one commit: the owner reads them all, and others wait meanwhile.
const EVENTS_AT_A_TIME: u64 = 1_024;

/// What was purged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PurgeReport {
    /// How many workflows.
    pub purged: u32,
    /// Those that stay for now, and why.
    pub kept: Vec<Kept>,
}

/// A selected workflow that was not purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Which.
    pub workflow: WorkflowId,
    /// Why.
    pub why: String,
}

impl PurgeReport {
    /// The report as text, a line for each thing said.
    pub fn render(&self) -> String {
        let mut text = match self.purged {
            0 => "nothing was purged\n".to_owned(),
            1 => "purged 1 workflow; its line stays in `baton list`\n".to_owned(),
            count => format!(
                "purged {}; their lines stay in `baton list`\n",
                many(u64::from(count), "workflow")
            ),
        };
        for Kept { workflow, why } in &self.kept {
            text.push_str(&format!("kept {workflow}: {why}\n"));
        }
        text
    }
}

/// Purges what is selected.
pub fn purge(
    selection: &Selection,
    views: &mut dyn Views,
    purger: &mut dyn Purger,
) -> Result<PurgeReport, AdminError> {
    let selected = selection.resolve(views, now())?;
    bury(&selected, purger)
}

/// Purges these as they were read. Where one of a batch is refused, the others still go.
pub(super) fn bury(
    selected: &[Selected],
    purger: &mut dyn Purger,
) -> Result<PurgeReport, AdminError> {
    let mut report = PurgeReport::default();
    for batch in batches(selected) {
        match purger.purge(batch.iter().map(burial).collect()) {
            Ok(count) => report.purged += count,
            Err(NotPurged::Failed(why)) => return Err(AdminError::Refused(why)),
            Err(NotPurged::Refused(_)) => one_by_one(batch, purger, &mut report)?,
        }
    }
    Ok(report)
}

/// Splits where a batch has its number of events; a workflow that alone has more is one of its own.
fn batches(selected: &[Selected]) -> impl Iterator<Item = &[Selected]> {
    let mut events = 0;
    selected.chunk_by(move |(_, row), (_, next)| {
        events = u64::saturating_add(events, row.revision);
        let fits = events.saturating_add(next.revision) <= EVENTS_AT_A_TIME;
        if !fits {
            events = 0;
        }
        fits
    })
}

fn one_by_one(
    batch: &[Selected],
    purger: &mut dyn Purger,
    report: &mut PurgeReport,
) -> Result<(), AdminError> {
    for one in batch {
        match purger.purge(vec![burial(one)]) {
            Ok(count) => report.purged += count,
            Err(NotPurged::Failed(why)) => return Err(AdminError::Refused(why)),
            Err(NotPurged::Refused(why)) => {
                let workflow = one.0.id;
                report.kept.push(Kept { workflow, why });
            }
        }
    }
    Ok(())
}

fn burial((card, row): &Selected) -> Burial {
    Burial { workflow: card.id, revision: Some(row.revision) }
}
