//! All models of one Baton: a name leads to its provider.

use std::fmt;
use std::sync::Arc;

use baton_core::failure::CallFailure;
use baton_core::plan::ModelSpec;
use baton_engine::ports::{Control, ModelAnswer, ModelRequest, Models};

use crate::config::ModelsConfig;
use crate::network::Network;
use crate::provider::Environment;

/// The models that are configured. Cheap to make: nothing is asked until a model is.
#[derive(Debug)]
pub struct ModelSet {
    config: ModelsConfig,
    network: Network,
}

/// Why a declaration of models cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelsFault(String);

impl ModelsFault {
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

impl fmt::Display for ModelsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ModelsFault {}

impl ModelSet {
    /// As configured, with keys from the environment of the process.
    pub fn new(config: ModelsConfig) -> Result<Self, ModelsFault> {
        Self::with_environment(config, Arc::new(|name| std::env::var(name).ok()))
    }

    /// As configured, with keys from here.
    pub fn with_environment(
        config: ModelsConfig,
        environment: Environment,
    ) -> Result<Self, ModelsFault> {
        let network = Network::new(&config, environment)?;
        Ok(Self { config, network })
    }

    /// The models of a role's list.
    pub fn workers(&self) -> &[String] {
        &self.config.worker
    }

    /// What is known of a model.
    pub fn spec(&self, name: &str) -> ModelSpec {
        ModelSpec::named(name)
    }
}

impl Models for ModelSet {
    fn call(
        &self,
        request: &ModelRequest,
        control: &Control,
        told: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure> {
        self.network.call(request, control, told)
    }
}
