//! The books: one row for each call of a model that an event settles, as a function of the state
//! before it.
//!
//! An attempt of an agent's task is one call. It is booked once: with what its provider counted
//! where it was answered, and as possibly billed where it may have happened and nobody knows what it
//! used. A call that did not happen is not booked. An attempt is open as long as something is held for
//! it: how much that is, and what a budget allows, is not decided here.

use serde::{Deserialize, Serialize};

use super::accounts::Amount;
use super::event::Event;
use super::state::WorkflowState;
use crate::actor::Actor;
use crate::agent::{Cost, Spending, Usage};
use crate::ids::{ConversationId, Ordinal};
use crate::plan::{AgentCall, ModelSpec};
use crate::time::Timestamp;
use crate::words::{Billing, Happened};

/// The most tokens of a kind that one call is believed to have used: sums of rows stay exact.
const TOKENS_MAX: u64 = 1 << 40;

/// A call of a model that an event settles.
#[derive(Clone, Copy, Debug)]
pub struct Booking<'a> {
    /// The agent's task.
    pub task: Ordinal,
    /// Which attempt.
    pub attempt: u32,
    /// The agent.
    pub agent: &'a AgentCall,
    /// The model.
    pub model: &'a ModelSpec,
    /// What its provider counted; `None` where it was cut off.
    pub used: Option<Usage>,
    /// What was held for it.
    pub held: Amount,
}

/// A row of the books. Purging a workflow keeps its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The position of the event that settled the call: no other row has it.
    pub position: u64,
    /// The store's number of the workflow.
    pub number: u64,
    /// The agent's task.
    pub ordinal: Ordinal,
    /// The task of the plan it is, or is an item of.
    pub of: Ordinal,
    /// The key of that.
    pub task: String,
    /// Which attempt.
    pub attempt: u32,
    /// The agent's name.
    pub agent: String,
    /// `provider/name`.
    pub model: String,
    /// Who started the workflow, or the one whose child it is.
    pub user: String,
    /// The conversation the workflow belongs to.
    pub conversation: ConversationId,
    /// When it was settled.
    pub at: Timestamp,
    /// How the call ended.
    pub billing: Billing,
    /// What its provider counted; absent where it was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Usage>,
    /// What that costs; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// The most tokens it was allowed; absent where nothing was reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_tokens: Option<u64>,
    /// The most it was allowed to cost; absent where nothing was reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_cost: Option<Cost>,
}

impl Booking<'_> {
    /// What it costs, where that is known.
    pub fn cost(&self) -> Option<Cost> {
        Some(self.model.price.as_ref()?.of(&self.used?))
    }

    /// The most tokens it was allowed; `None` where nothing was held.
    pub fn reserved_tokens(&self) -> Option<u64> {
        Some(self.held.tokens.min(TOKENS_MAX)).filter(|tokens| *tokens > 0)
    }

    /// The most it was allowed to cost, where the price is known.
    pub fn reserved_cost(&self) -> Option<Cost> {
        self.model.price.and(self.reserved_tokens()).map(|_| self.held.cost)
    }

    /// As a sum of one.
    pub fn spending(&self) -> Spending {
        let (tokens, cost) = (self.reserved_tokens(), self.reserved_cost());
        Spending::of_call(self.used, self.cost()).with_reserved(tokens, cost)
    }
}

impl UsageRow {
    /// As a sum of one.
    pub fn spending(&self) -> Spending {
        let (tokens, cost) = (self.reserved_tokens, self.reserved_cost);
        Spending::of_call(self.used, self.cost).with_reserved(tokens, cost)
    }

    /// The day it was settled on, in UTC: days since 1970.
    pub fn day(&self) -> i64 {
        day_of(self.at)
    }
}

/// The day of a moment in UTC: days since 1970.
pub fn day_of(at: Timestamp) -> i64 {
    at.day()
}

impl WorkflowState {
    /// The call of a model that this event, which is the next one, settles.
    pub fn booking(&self, event: &Event) -> Option<Booking<'_>> {
        let (task, used) = if let Event::TaskAnswered(answered) = event {
            (answered.task, Some(believed(answered.usage)))
        } else {
            (cut_off_by(event)?, None)
        };
        let (agent, model) = (self.agent_call(task)?, self.model_of(task)?);
        let (held, attempt) = (self.agent_run(task)?.held?, self.task(task)?.attempts);
        Some(Booking { task, attempt, agent, model, used, held })
    }

    /// What its calls of models used, over all runs.
    pub fn spent(&self) -> Spending {
        self.spent
    }
}

/// The task whose attempt ends without an answer by this event, and may have happened.
fn cut_off_by(event: &Event) -> Option<Ordinal> {
    if let Event::AttemptFailed(failed) = event {
        (failed.failure.happened != Happened::No).then_some(failed.task)
    } else if let Event::TaskFailed(failed) = event {
        let happened = failed.status.is_some() && failed.failure.happened != Happened::No;
        happened.then_some(failed.task)
    } else if let Event::TaskCancelled(cancelled) = event {
        // Why its attempt ended is not told: it may have been billed.
        Some(cancelled.task)
    } else {
        None
    }
}

fn believed(usage: Usage) -> Usage {
    let Usage { input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens } =
        usage;
    Usage {
        input_tokens: input_tokens.min(TOKENS_MAX),
        cached_tokens: cached_tokens.min(TOKENS_MAX),
        cache_write_tokens: cache_write_tokens.min(TOKENS_MAX),
        output_tokens: output_tokens.min(TOKENS_MAX),
        reasoning_tokens: reasoning_tokens.min(TOKENS_MAX),
    }
}

/// The row of the call that this event at `position` settles, of the workflow whose state before it
/// this is.
pub fn usage_row(
    state: &WorkflowState,
    number: u64,
    event: &Event,
    (position, at): (u64, Timestamp),
) -> Option<UsageRow> {
    let booking = state.booking(event)?;
    let of = state.task(booking.task)?.of;
    let user = state.user.clone().unwrap_or_else(Actor::system);
    Some(UsageRow {
        position,
        number,
        ordinal: booking.task,
        of,
        task: state.plan.task(of)?.key.clone(),
        attempt: booking.attempt,
        agent: booking.agent.agent.clone(),
        model: booking.model.name.clone(),
        user: user.to_string(),
        conversation: state.conversation,
        at,
        billing: booking.used.map_or(Billing::PossiblyBilled, |_| Billing::Answered),
        used: booking.used,
        cost: booking.cost(),
        reserved_tokens: booking.reserved_tokens(),
        reserved_cost: booking.reserved_cost(),
    })
}
