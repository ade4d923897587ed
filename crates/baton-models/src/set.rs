//! All models of one Baton: a name leads to its provider.

use std::fmt;
use std::path::Path;

use baton_core::failure::CallFailure;
use baton_core::plan::ModelSpec;
use baton_core::words::FailureKind;
use baton_engine::ports::{Control, ModelAnswer, ModelRequest, Models};

use crate::choice::Choice;
use crate::config::ModelsConfig;

/// The models that are configured. Cheap to make: nothing is asked until a model is.
#[derive(Debug)]
pub struct ModelSet {
    config: ModelsConfig,
    choice: Choice,
}

/// Why a declaration of models cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelsFault(String);

impl ModelsFault {
    /// With these words for people: what is wrong, where, and what to do.
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for ModelsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ModelsFault {}

impl ModelSet {
    /// As configured; files of answers are read.
    pub fn new(config: ModelsConfig) -> Result<Self, ModelsFault> {
        let choice = Choice::new(&config)?;
        Ok(Self { config, choice })
    }

    /// Has every agent that is read from now on ask this model alone: `provider/name`, or
    /// `scripted:FILE`.
    pub fn override_with(&mut self, model: &str) -> Result<(), ModelsFault> {
        self.choice.only(model)
    }

    /// The models of a role's list.
    pub fn workers(&self) -> &[String] {
        &self.config.worker
    }

    /// What is known of a model.
    pub fn spec(&self, name: &str) -> ModelSpec {
        self.choice.spec(name)
    }

    /// What is pinned in the plan of an agent that names these models, in their order; those of the role
    /// `worker` where it names none.
    pub fn resolve(&self, models: &[String]) -> Vec<ModelSpec> {
        self.choice.resolve(if models.is_empty() { &self.config.worker } else { models })
    }

    /// The file that answers for every agent, where no model is asked.
    pub fn only_script(&self) -> Option<&Path> {
        self.choice.only_script()
    }
}

impl Models for ModelSet {
    fn call(
        &self,
        request: &ModelRequest,
        control: &Control,
        told: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure> {
        if let Some(script) = self.choice.script(&request.model) {
            return script?.answer(request, control, told);
        }
        let provider = request.model.split('/').next().unwrap_or_default();
        let message =
            format!("there is no provider `{provider}`; declare it in [models.providers]");
        Err(CallFailure::refused(FailureKind::NotFound, message))
    }
}
