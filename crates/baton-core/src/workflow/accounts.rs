//! What agents have used and may still use: reserved before a call, settled after it.
//!
//! A call whose end nobody knows counts as possibly billed, with all that was reserved for it. What a
//! shortage leads to is decided elsewhere.

use serde::{Deserialize, Serialize};

use super::event::{BudgetRaised, ModelCall, TaskStarted};
use super::state::WorkflowState;
use crate::agent::{Cost, Usage};
use crate::codes;
use crate::ids::Ordinal;
use crate::plan::Budget;
use crate::words::Happened;

codes! {
    /// Whose budget a bound is.
    pub enum BudgetScope: "budget_scope" {
        /// The workflow's own.
        Workflow = 0 "workflow",
        /// The agent's, within one task.
        Agent = 1 "agent",
        /// That of the conversation, over all of its workflows.
        Conversation = 2 "conversation",
        /// That of whoever asked for the workflow, for a day.
        User = 3 "user",
        /// That of all workflows, for a day.
        Workspace = 4 "workspace",
        /// That of a workflow whose child it is, or a child's child.
        Parent = 5 "parent",
    }
}

/// A budget above a workflow: its owner keeps the accounts of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Above {
    /// Whose it is.
    pub scope: BudgetScope,
    /// What it has.
    pub bound: Budget,
    /// What is gone of it and held.
    pub account: Account,
}

/// What bounds an agent's next turn, beside what its workflow knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomFor {
    /// The budgets above the workflow, as they stand.
    pub above: Vec<Above>,
    /// What the workflow and its children use together of its own budget; absent where it has none, or
    /// no children.
    pub family: Option<Account>,
    /// How many tokens its request has, where that was counted. Until then as many as its bytes.
    pub counted: Option<u64>,
}

/// An amount of what budgets bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// Tokens, read and written.
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Money, as far as prices are known. People grant it by the name that definitions have for it.
    #[serde(alias = "usd", skip_serializing_if = "is_nothing")]
    pub cost: Cost,
    /// Calls of models and of the tools they ask for.
    #[serde(skip_serializing_if = "is_none")]
    pub calls: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_nothing(cost: &Cost) -> bool {
    *cost == Cost::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_none(calls: &u32) -> bool {
    *calls == 0
}

impl Amount {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            cost: self.cost.plus(other.cost),
            calls: self.calls.saturating_add(other.calls),
        }
    }

    /// What is left without the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            cost: self.cost.minus(other.cost),
            calls: self.calls.saturating_sub(other.calls),
        }
    }
}

/// How much of a budget is gone, held and granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Of calls that were answered.
    pub used: Amount,
    /// Of calls that were cut off: at most this was billed for them.
    pub possibly: Amount,
    /// For calls that run.
    pub reserved: Amount,
    /// What people granted beyond the bounds.
    pub granted: Amount,
}

impl Account {
    /// Follows another account, a part of this one, from one state of it to the next. What was granted
    /// there holds there alone.
    pub fn follow(&mut self, before: &Self, after: &Self) {
        let moved = |sum: Amount, before, after| sum.plus(after).minus(before);
        self.used = moved(self.used, before.used, after.used);
        self.possibly = moved(self.possibly, before.possibly, after.possibly);
        self.reserved = moved(self.reserved, before.reserved, after.reserved);
    }

    /// What is gone, for all that anybody knows.
    pub fn gone(&self) -> Amount {
        self.used.plus(self.possibly)
    }

    fn reserve(&mut self, amount: Amount) {
        self.reserved = self.reserved.plus(amount);
    }

    fn settle(&mut self, reserved: Amount, end: &TurnEnd) {
        self.reserved = self.reserved.minus(reserved);
        match end {
            TurnEnd::Answered(used) => self.used = self.used.plus(*used),
            TurnEnd::CutOff => self.possibly = self.possibly.plus(reserved),
            TurnEnd::NotMade => {}
        }
    }
}

/// How a model's turn ended, for the books.
pub(super) enum TurnEnd {
    /// It used this.
    Answered(Amount),
    /// Nobody knows what it used.
    CutOff,
    /// It was never made.
    NotMade,
}

impl From<Happened> for TurnEnd {
    fn from(happened: Happened) -> Self {
        match happened {
            Happened::No => Self::NotMade,
            Happened::Yes | Happened::Unknown => Self::CutOff,
        }
    }
}

impl WorkflowState {
    /// What its agents have used in the present run.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The agent's task that a call was asked for by, or the task itself.
    pub(super) fn agent_of(&self, ordinal: Ordinal) -> Ordinal {
        let block = self.item(ordinal).filter(|(block, _)| !block.is_each());
        block.map_or(ordinal, |(block, _)| block.parent)
    }

    /// An attempt begins: a model's turn holds what it may use, and every call counts.
    pub(super) fn book_start(&mut self, started: &TaskStarted) {
        let is_call = self.task(started.task).is_some_and(|task| task.is_call);
        if started.model.is_none() && !is_call {
            return;
        }
        let held = started.model.as_ref().map(ModelCall::reserved).unwrap_or_default();
        let one = Amount { calls: 1, ..Amount::default() };
        let agent = self.agent_of(started.task);
        let run = self.agent_mut(agent);
        if let Some(run) = run {
            run.account.used = run.account.used.plus(one);
            run.account.reserve(held);
            if started.model.is_some() {
                run.held = Some(held);
            }
        }
        self.account.used = self.account.used.plus(one);
        self.account.reserve(held);
    }

    /// A turn has ended: what was held for it is free again, or gone.
    pub(super) fn book_end(&mut self, ordinal: Ordinal, end: &TurnEnd) {
        let Some(run) = self.agent_mut(ordinal) else {
            return;
        };
        let Some(held) = run.held.take() else {
            return;
        };
        run.cut_off += u32::from(matches!(end, TurnEnd::CutOff));
        run.account.settle(held, end);
        self.account.settle(held, end);
    }

    /// What a model's answer used: its tokens, and what these cost where the price is known.
    pub(super) fn amount_of(&self, ordinal: Ordinal, usage: &Usage) -> Amount {
        let price = self.model_of(ordinal).and_then(|model| model.price);
        let cost = price.map(|price| price.of(usage)).unwrap_or_default();
        Amount { tokens: usage.tokens(), cost, calls: 0 }
    }

    /// A person granted more; whoever waits for that budget may ask again.
    pub(super) fn raise_budget(&mut self, raised: &BudgetRaised) {
        let BudgetRaised { task, scope, by } = *raised;
        let agent = self.agent_of(task);
        let waiting: Vec<Ordinal> = match scope {
            BudgetScope::Workflow => {
                self.account.granted = self.account.granted.plus(by);
                self.waiting_for_budget(scope).collect()
            }
            // What is granted there holds for this workflow alone.
            BudgetScope::Conversation
            | BudgetScope::User
            | BudgetScope::Workspace
            | BudgetScope::Parent => {
                let granted = self.granted_above.entry(scope).or_default();
                *granted = granted.plus(by);
                self.waiting_for_budget(scope).collect()
            }
            BudgetScope::Agent => {
                if let Some(run) = self.agent_mut(agent) {
                    run.account.granted = run.account.granted.plus(by);
                }
                let own = |other: &Ordinal| self.agent_of(*other) == agent;
                self.waiting_for_budget(scope).filter(own).collect()
            }
        };
        for task in waiting {
            self.enter(task, super::state::TaskPhase::Ready);
        }
    }
}

impl ModelCall {
    /// What is held for it.
    pub fn reserved(&self) -> Amount {
        let (tokens, cost) = (self.tokens_max, self.cost_max.unwrap_or_default());
        Amount { tokens, cost, calls: 0 }
    }
}
