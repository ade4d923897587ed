//! Who plans what is asked for in conversations: playbooks, or a model where one is configured.
//!
//! A planner reads, and changes nothing: what it brings is decided by the conversation's own rules. It may
//! be asked the same twice, after a crash.

mod commands;
mod library;
mod playbooks;
mod said;

use std::sync::Arc;

use baton_engine::conversing::{Decided, Next, PlanJob, Thought, spoken};
use baton_engine::ports::{Planner, Tools};
use baton_engine::store::StoreError;
use baton_store::StoreUrl;

use crate::config::Config;
use library::Library;
use said::Said;

/// Plans for the conversations of one store.
pub struct ChatPlanner {
    store: StoreUrl,
    library: Library,
}

impl ChatPlanner {
    /// With the definitions at hand.
    pub fn new(tools: Arc<dyn Tools>, config: Config, store: StoreUrl) -> Self {
        Self { library: Library::new(tools, config, store.clone()), store }
    }

    fn decide(&self, job: &PlanJob) -> Result<Decided, StoreError> {
        let mut views = baton_store::open_views(&self.store)?;
        let said = Said::read(job, views.as_mut())?;
        if let Some(command) = commands::Command::read(said.last()) {
            return self.obey(command, job, &said, views.as_mut());
        }
        Ok(playbooks::think(job, &said, &self.library.shelf()))
    }
}

impl Planner for ChatPlanner {
    fn think(&self, job: &PlanJob) -> Thought {
        Thought::Decided(self.decide(job).unwrap_or_else(|fault| {
            failed(&format!(
                "I could not read what was said: {fault}. Say it again to have me try."
            ))
        }))
    }
}

/// An answer.
fn answer(text: &str) -> Decided {
    Decided { text: Some(spoken(text)), next: Next::Answer }
}

/// What is said where nothing came of it.
fn failed(text: &str) -> Decided {
    Decided { text: Some(spoken(text)), next: Next::Fail }
}
