//! Which finished workflows to let go of.
//!
//! What has not ended is never selected, and what was purged is passed over.

use baton_core::codes::Code;
use baton_core::ids::WorkflowId;
use baton_core::time::{Span, Timestamp};
use baton_core::words::WorkflowStatus;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_engine::store::{Filter, Views};
use serde::{Deserialize, Serialize};

use super::AdminError;

/// How many rows are read at a time.
const ROWS_AT_A_TIME: u32 = 1_000;

/// Which finished workflows; each part narrows the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// Only these; all when empty.
    pub ids: Vec<WorkflowId>,
    /// Only those that ended at least this long ago.
    pub older_than: Option<Span>,
    /// Only those that ended like this; all when empty.
    pub statuses: Vec<WorkflowStatus>,
}

/// A workflow to let go of.
pub(super) type Selected = (WorkflowCard, WorkflowRow);

impl Selection {
    /// Everything that ended at least this long before now.
    pub fn older_than(span: Span) -> Self {
        Self { older_than: Some(span), ..Self::default() }
    }

    /// The workflows this selects at `now`, oldest first.
    ///
    /// An id that names no workflow, or one that has not ended, is an error.
    pub(super) fn resolve(
        &self,
        views: &mut dyn Views,
        now: Timestamp,
    ) -> Result<Vec<Selected>, AdminError> {
        let mut selected =
            if self.ids.is_empty() { self.all(views, now)? } else { self.named(views, now)? };
        selected.sort_by_key(|(card, _)| card.number);
        selected.dedup_by_key(|(card, _)| card.number);
        Ok(selected)
    }

    fn named(&self, views: &mut dyn Views, now: Timestamp) -> Result<Vec<Selected>, AdminError> {
        let mut selected = Vec::new();
        for id in &self.ids {
            let found = views.workflow(*id)?;
            let (card, row) = found.ok_or(AdminError::NoSuchWorkflow(*id))?;
            if row.ended_at.is_none() {
                return Err(AdminError::Refused(format!(
                    "the workflow {id} has not ended (it is {}); `baton cancel {id}` ends it",
                    row.status.word()
                )));
            }
            if self.takes(&row, now) {
                selected.push((card, row));
            }
        }
        Ok(selected)
    }

    fn all(&self, views: &mut dyn Views, now: Timestamp) -> Result<Vec<Selected>, AdminError> {
        let ended = |status: &WorkflowStatus| status.is_terminal();
        let statuses: Vec<_> = match self.statuses.is_empty() {
            true => WorkflowStatus::ALL.iter().copied().filter(ended).collect(),
            false => self.statuses.iter().copied().filter(ended).collect(),
        };
        let mut filter = Filter { statuses, limit: ROWS_AT_A_TIME, ..Filter::default() };
        let mut selected = Vec::new();
        if filter.statuses.is_empty() {
            return Ok(selected);
        }
        loop {
            let rows = views.list(&filter)?;
            let Some((last, _)) = rows.last() else {
                return Ok(selected);
            };
            filter.before = Some(last.number);
            selected.extend(rows.into_iter().filter(|(_, row)| self.takes(row, now)));
        }
    }

    fn takes(&self, row: &WorkflowRow, now: Timestamp) -> bool {
        let is_old =
            |ended: Timestamp| self.older_than.is_none_or(|span| ended.plus(span.0) <= now);
        row.head != 0
            && row.ended_at.is_some_and(is_old)
            && (self.statuses.is_empty() || self.statuses.contains(&row.status))
    }
}
