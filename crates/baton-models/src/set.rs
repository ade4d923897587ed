//! All models of one Baton: a name leads to its provider.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use baton_core::failure::CallFailure;
use baton_core::plan::ModelSpec;
use baton_engine::ports::{Control, ModelAnswer, ModelRequest, Models};

use crate::choice::Choice;
use crate::config::ModelsConfig;
use crate::discover::{discover, usual_models};
use crate::network::Network;
use crate::provider::Environment;

/// The models that are configured. Cheap to make: nothing is asked until a model is.
#[derive(Debug)]
pub struct ModelSet {
    config: ModelsConfig,
    network: Network,
    /// What is asked where nothing is named: looked for once, and only where it is needed.
    found: OnceLock<Vec<String>>,
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
    /// As configured, with keys from the environment of the process; files of answers are read.
    pub fn new(config: ModelsConfig) -> Result<Self, ModelsFault> {
        Self::with_environment(config, Arc::new(|name| std::env::var(name).ok()))
    }

    /// As configured, with keys from here.
    pub fn with_environment(
        config: ModelsConfig,
        environment: Environment,
    ) -> Result<Self, ModelsFault> {
        let choice = Choice::new(&config)?;
        let network = Network::new(&config, environment)?;
        Ok(Self { config, choice, network, found: OnceLock::new() })
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

    /// What is pinned in the plan of an agent that names these models, in their order. Where it names
    /// none, those of the role `worker`; where that names none either, what is found on this machine:
    /// then it may take two seconds. Empty where there is no model at all.
    pub fn resolve(&self, models: &[String]) -> Vec<ModelSpec> {
        let named = if models.is_empty() { &self.config.worker } else { models };
        if !named.is_empty() || self.config.only.is_some() {
            return self.choice.resolve(named);
        }
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let found = self.found.get_or_init(|| usual_models(&discover(&self.config, &is_set)));
        self.choice.resolve(found)
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
        self.network.call(request, control, told)
    }

    fn missing(&self, model: &str) -> Option<String> {
        let missing = match self.choice.script(model) {
            Some(script) => script.err(),
            None => self.network.missing(model),
        };
        missing.map(|failure| failure.message)
    }

    fn count(&self, request: &ModelRequest, control: &Control) -> Option<u64> {
        match self.choice.script(&request.model) {
            Some(script) => script.ok()?.count(request),
            None => self.network.count(request, control),
        }
    }
}
