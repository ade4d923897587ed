//! Who plans what is asked for in conversations: playbooks, or a model where one is configured.
//!
//! A planner reads, and changes nothing: what it brings is decided by the conversation's own rules. It may
//! be asked the same twice, after a crash.

mod agent;
mod asked;
mod asking;
mod bound;
mod brought;
mod capabilities;
mod commands;
mod library;
mod model;
mod offers;
mod playbooks;
mod policy;
mod proposing;
mod said;
mod tools;

use std::sync::Arc;

use baton_core::plan::ModelSpec;
use baton_engine::conversing::{Decided, Next, PlanJob, Thought, spoken};
use baton_engine::ports::Planner;
use baton_engine::store::StoreError;
use baton_models::ModelSet;

use said::Said;

pub use library::Library;
pub use offers::SERVER;
pub use tools::ChatTools;

/// Plans for the conversations of one store.
pub struct ChatPlanner {
    library: Arc<Library>,
    models: Arc<ModelSet>,
}

impl ChatPlanner {
    /// With the definitions at hand, and by these models where some are to plan.
    pub fn new(library: Arc<Library>, models: Arc<ModelSet>) -> Self {
        Self { library, models }
    }

    fn decide(&self, job: &PlanJob) -> Result<Thought, StoreError> {
        let mut views = self.library.views()?;
        if let Some(heard) = &job.heard {
            let decided = model::heard(job, heard, &self.library, views.as_mut())?;
            return Ok(Thought::Decided(decided));
        }
        let said = Said::read(job, views.as_mut())?;
        if let Some(command) = commands::Command::read(said.last()) {
            return self.obey(command, job, &said, views.as_mut()).map(Thought::Decided);
        }
        let planners = self.planners();
        if planners.is_empty() {
            return Ok(Thought::Decided(playbooks::think(job, &said, &self.library.shelf())));
        }
        model::begin(job, (planners, self.models.as_ref()), &self.library, views.as_mut())
    }

    /// The models that plan, in the order in which they are tried; none where playbooks do.
    fn planners(&self) -> Vec<ModelSpec> {
        let models = &self.library.config().models;
        if models.planner.is_empty() && models.only.is_none() {
            return Vec::new();
        }
        self.models.resolve(&models.planner)
    }
}

impl Planner for ChatPlanner {
    fn think(&self, job: &PlanJob) -> Thought {
        self.decide(job).unwrap_or_else(|fault| {
            Thought::Decided(failed(&format!(
                "I could not read what was said: {fault}. Say it again to have me try."
            )))
        })
    }
}

/// An answer.
fn answer(text: &str) -> Decided {
    Decided { text: Some(spoken(text)), focus: None, next: Next::Answer }
}

/// What is said where nothing came of it.
fn failed(text: &str) -> Decided {
    Decided { text: Some(spoken(text)), focus: None, next: Next::Fail }
}
