//! `[budgets]`: what agents may use over several workflows: in a conversation, for one user in a day,
//! and for all in a day.
//!
//! A workflow's own budget stands in its definition, an agent's in `[agents.NAME]`.

use baton_core::agent::Cost;
use baton_core::plan::Budget;
use baton_engine::ledger;
use serde::Deserialize;

/// The table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// `[budgets.conversation]`: all workflows of one conversation.
    pub conversation: Bound,
    /// `[budgets.user]`: whatever one user asks for, from midnight to midnight (UTC).
    pub user: Bound,
    /// `[budgets.workspace]`: everything, from midnight to midnight (UTC).
    pub workspace: Bound,
}

/// One budget; without bounds where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bound {
    /// `tokens`: read and written.
    pub tokens: Option<u64>,
    /// `usd`: money, `"0.50"`; a model without a known price is not called under it.
    pub usd: Option<Cost>,
    /// `calls`: of models and of the tools that they ask for.
    pub calls: Option<u32>,
}

impl From<Bound> for Budget {
    fn from(Bound { tokens, usd, calls }: Bound) -> Self {
        Self { tokens_max: tokens, cost_max: usd, calls_max: calls, ..Self::default() }
    }
}

impl From<Budgets> for ledger::Budgets {
    fn from(budgets: Budgets) -> Self {
        Self {
            conversation: budgets.conversation.into(),
            user: budgets.user.into(),
            workspace: budgets.workspace.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn bounds_are_read_and_a_fault_says_how_money_is_written() {
        let text =
            "[budgets.conversation]\ntokens = 5\n[budgets.workspace]\nusd = \"1.5\"\ncalls = 2";
        let settings = toml::from_str::<Config>(text).unwrap().settings();
        assert_eq!(settings.budgets.conversation.tokens_max, Some(5));
        assert!(settings.budgets.user.is_none());
        let workspace = settings.budgets.workspace;
        assert_eq!(workspace.cost_max.map(|cost| cost.to_string()).as_deref(), Some("1.50"));
        let fault = toml::from_str::<Config>("[budgets.user]\nusd = \"much\"").unwrap_err();
        assert!(fault.to_string().contains("a sum of dollars like \"0.50\""), "{fault}");
    }
}
