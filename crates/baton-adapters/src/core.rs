//! `core.noop`: hands its input back.
//!
//! Nothing else; it is what tests, examples and figures call when the call itself is the point.

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use serde::Deserialize;
use serde_json::Value;

use crate::config::Limits;
use crate::schema::{any, object, optional};
use crate::tool::{Scope, Tool, reads};

/// `core.noop`.
pub(crate) struct Noop;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoopInput {
    #[serde(default)]
    value: Value,
}

impl Tool for Noop {
    type Input = NoopInput;
    type Output = Value;

    fn spec(&self, _: &Limits) -> ToolSpec {
        ToolSpec {
            quick: true,
            ..reads(
                "core.noop",
                "Does nothing and returns its `value`, or null.",
                object([optional("value", any("What to return."))]),
            )
        }
    }

    fn run(&self, _: &Scope<'_>, input: NoopInput) -> Result<Value, CallFailure> {
        Ok(input.value)
    }
}
