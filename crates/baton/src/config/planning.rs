//! `[planning]`: what every plan that a model makes must have, and how far the model may go for it.
//!
//! Which models plan is said in `[models] planner`.

use baton_core::definition::AGENT_STEPS_MAX;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Planning {
    /// `[planning.required]`: steps that no plan may be without.
    pub required: Required,
    /// `form`: how the model says what comes next.
    pub form: Form,
    /// Answers of the model for one plan.
    #[serde(deserialize_with = "turns")]
    pub turns: u32,
    /// Tokens of one answer; a plan has to fit.
    pub output_tokens: u32,
}

/// How a model that plans says what comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// By calls of tools, which tell it what is wrong.
    #[default]
    Tools,
    /// By one answer that fits a schema: for models that call no tools.
    Schema,
}

/// Steps that no plan may be without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Required {
    /// Whatever may change something comes after a person's approval in the plan itself.
    pub approval_before_writes: bool,
}

impl Default for Planning {
    fn default() -> Self {
        Self {
            required: Required::default(),
            form: Form::default(),
            turns: 16,
            output_tokens: 8_192,
        }
    }
}

impl Default for Required {
    fn default() -> Self {
        Self { approval_before_writes: true }
    }
}

fn turns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let turns = u32::deserialize(deserializer)?;
    if (1..=AGENT_STEPS_MAX).contains(&turns) {
        return Ok(turns);
    }
    Err(D::Error::custom(format!("`turns` is from 1 to {AGENT_STEPS_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn writes_want_an_approval_unless_somebody_says_otherwise() {
        let read = |text: &str| toml::from_str::<Config>(text).map(|config| config.planning);
        assert_eq!(read("").unwrap(), Planning::default());
        let open = read("[planning.required]\napproval_before_writes = false\n").unwrap();
        assert!(!open.required.approval_before_writes);
        assert_eq!(read("[planning]\nturns = 3\n").unwrap().turns, 3);
        for wrong in ["turns = 0", "turn = 3", "required = { approvals = true }"] {
            read(&format!("[planning]\n{wrong}\n")).expect_err(wrong);
        }
    }
}
