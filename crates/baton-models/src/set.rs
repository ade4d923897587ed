//! All models of one Baton: a name leads to its provider.

use std::fmt;

use baton_core::failure::CallFailure;
use baton_core::plan::ModelSpec;
use baton_core::words::FailureKind;
use baton_engine::ports::{Control, ModelAnswer, ModelRequest, Models};

use crate::config::ModelsConfig;

/// The models that are configured. Cheap to make: nothing is asked until a model is.
#[derive(Debug)]
pub struct ModelSet {
    config: ModelsConfig,
}

/// Why a declaration of models cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelsFault(String);

impl fmt::Display for ModelsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ModelsFault {}

impl ModelSet {
    /// As configured.
    pub fn new(config: ModelsConfig) -> Result<Self, ModelsFault> {
        Ok(Self { config })
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
        _control: &Control,
        _told: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure> {
        let provider = request.model.split('/').next().unwrap_or_default();
        let message =
            format!("there is no provider `{provider}`; declare it in [models.providers]");
        Err(CallFailure::refused(FailureKind::NotFound, message))
    }
}
