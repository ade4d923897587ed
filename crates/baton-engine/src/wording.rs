//! What a plan calls things: the little of it that showing a workflow or an event needs.
//!
//! A plan of 100,000 tasks takes a tenth of a second to read; whoever shows workflows again and again
//! keeps this of it. It says nothing of how tasks hang together.

use std::sync::{Arc, Mutex, PoisonError};

use baton_core::body::BlobHash;
use baton_core::ids::Ordinal;
use baton_core::plan::Plan;
use baton_core::time::Span;

use crate::store::{StoreError, Views};
use crate::view::plan_at;

/// How many tasks' keys are kept of the plans that were last asked for.
const KEYS_MAX: usize = 200_000;

/// The words of one plan.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    description: Option<Arc<str>>,
    time_max: Option<Span>,
    keys: Arc<[Box<str>]>,
}

impl Wording {
    /// Of a plan.
    pub fn of(plan: &Plan) -> Self {
        Self {
            description: plan.description.as_deref().map(Arc::from),
            time_max: plan.time_max,
            keys: plan.tasks.iter().map(|task| Box::from(task.key.as_str())).collect(),
        }
    }

    /// What the plan is for.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// How long a run may take.
    pub fn time_max(&self) -> Option<Span> {
        self.time_max
    }

    /// The key of a task of the plan; items are none.
    pub fn key(&self, task: Ordinal) -> Option<&str> {
        self.keys.get(task.index()).map(|key| &**key)
    }
}

/// The words of the plans that were last asked for, shared by all who show things of one store.
#[derive(Debug, Default)]
pub struct Wordings {
    newest_last: Mutex<Vec<(BlobHash, Wording)>>,
}

impl Wordings {
    /// Of the plan under this hash.
    pub fn of(&self, plan: BlobHash, views: &mut dyn Views) -> Result<Wording, StoreError> {
        let known = self.newest_last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, wording)) = known.iter().find(|(hash, _)| *hash == plan) {
            return Ok(wording.clone());
        }
        drop(known);
        let wording = Wording::of(&plan_at(plan, views)?);
        let mut known = self.newest_last.lock().unwrap_or_else(PoisonError::into_inner);
        known.push((plan, wording.clone()));
        let mut count: usize = known.iter().map(|(_, wording)| wording.keys.len()).sum();
        while count > KEYS_MAX && known.len() > 1 {
            let (_, oldest) = known.remove(0);
            count -= oldest.keys.len();
        }
        Ok(wording)
    }
}
