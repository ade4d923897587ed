//! Budgets: whether there is room for a call, and what follows where there is none.
//!
//! A turn may use what its request can have at most, and the longest answer: bounds of the workflow and
//! of the agent hold for what is gone, what is held for calls that run, and that. No token is shorter
//! than a byte: a request counts as many tokens as it has bytes, but for what its model has counted in
//! an earlier turn; where that does not fit, its tokens are counted first.

use super::{Decision, one};
use crate::agent::Cost;
use crate::body::Body;
use crate::failure::CallFailure;
use crate::ids::Ordinal;
use crate::plan::{Budget, ModelSpec};
use crate::words::{AtLimit, FailureKind};
use crate::workflow::accounts::{Account, Amount, BudgetScope, RoomFor};
use crate::workflow::command::Refusal;
use crate::workflow::event::{ModelChanged, TaskFailed, TaskWaited};
use crate::workflow::state::{Waiting, WorkflowState};

/// What a message costs beside its text, in tokens: its role and what frames it.
const MESSAGE_TOKENS: u64 = 16;

/// Whether there is room.
pub(super) enum Room {
    Fits,
    /// Once calls that run have ended, perhaps.
    Later,
    Short(Shortage),
}

/// What is missing, and in whose budget.
pub(super) struct Shortage {
    scope: BudgetScope,
    ask: String,
    more: Amount,
    /// No grant would help: a price is not known.
    is_final: bool,
}

impl WorkflowState {
    /// At most so many tokens has the request of an agent's next turn; `prompt` is what its first
    /// begins with.
    pub(super) fn input_tokens_max(
        &self,
        ordinal: Ordinal,
        prompt: Option<&Body>,
        head: u64,
    ) -> u64 {
        let run = self.agent_run(ordinal);
        let (known, from) = run.and_then(|run| run.counted).unwrap_or((head, 0));
        let entries = run.and_then(|run| run.transcript.get(from as usize..)).unwrap_or_default();
        let said = entries.iter().map(|entry| self.entry_bytes(entry) + MESSAGE_TOKENS);
        let asked = prompt.filter(|_| run.is_none_or(|run| run.transcript.is_empty()));
        let asked = asked.map_or(0, |body| body.size() + MESSAGE_TOKENS);
        known + said.sum::<u64>() + asked + MESSAGE_TOKENS
    }

    /// Whether all budgets have room for this.
    fn room(
        &self,
        ordinal: Ordinal,
        need: Amount,
        (model, bounds): (Option<&ModelSpec>, &RoomFor),
    ) -> Room {
        let agent = self.agent_of(ordinal);
        let own = self.agent_call(agent).map(|call| {
            let (tokens_max, cost_max) = (call.limits.tokens_max, call.limits.cost_max);
            let bound = Budget { tokens_max, cost_max, ..Budget::default() };
            let account = self.agent_run(agent).map(|run| run.account).unwrap_or_default();
            (BudgetScope::Agent, bound, account)
        });
        let family = bounds.family.unwrap_or(self.account);
        let account = Account { granted: self.account.granted, ..family };
        let here = [Some((BudgetScope::Workflow, self.plan.budget, account)), own];
        let granted = |scope| self.granted_above.get(&scope).copied().unwrap_or_default();
        let above = bounds.above.iter().map(|above| {
            let granted = above.account.granted.plus(granted(above.scope));
            let account = Account { granted, ..above.account };
            (above.scope, above.bound, account)
        });
        let mut later = false;
        for (scope, bound, account) in here.into_iter().flatten().chain(above) {
            match within(scope, &bound, &account, need, model) {
                Room::Fits => {}
                Room::Later => later = true,
                Room::Short(shortage) => return Room::Short(shortage),
            }
        }
        if later { Room::Later } else { Room::Fits }
    }

    /// What a shortage leads to, as the plan says.
    pub(super) fn at_limit(&self, ordinal: Ordinal, short: Shortage) -> Decision {
        let Shortage { scope, ask, more, is_final } = short;
        let stop = |ask: String| {
            let failure = CallFailure::refused(FailureKind::Budget, ask);
            Ok(one(TaskFailed { task: ordinal, status: None, failure }))
        };
        if is_final {
            return stop(ask);
        }
        let wait = |on| Ok(one(TaskWaited { task: ordinal, on }));
        match (self.plan.budget.at_limit, self.cheaper_model(ordinal)) {
            (AtLimit::Stop, _) => stop(ask),
            (AtLimit::CheaperModel, Some(model)) => Ok(one(ModelChanged { task: ordinal, model })),
            (AtLimit::HandOver, _) if self.agent_call(ordinal).is_some() => {
                wait(Waiting::Person { ask: format!("{ask}; give the task's output yourself") })
            }
            (AtLimit::Ask | AtLimit::CheaperModel | AtLimit::HandOver, _) => {
                wait(Waiting::Budget { scope, ask, more })
            }
        }
    }

    /// The next of an agent's models that costs less than the one it uses.
    fn cheaper_model(&self, ordinal: Ordinal) -> Option<u32> {
        let agent = self.agent_call(ordinal)?;
        let used = self.agent_run(ordinal).map_or(0, |run| run.model);
        let price = |model: &ModelSpec| model.price.map(|price| price.at_most(1, 1));
        let now = price(self.model_of(ordinal)?)?;
        let later = agent.models.iter().zip(0..).skip(used as usize + 1);
        later
            .filter(|(model, _)| price(model).is_some_and(|price| price < now))
            .map(|(_, n)| n)
            .next()
    }

    /// The tasks that wait for a budget of this scope.
    pub(in crate::workflow) fn waiting_for_budget(
        &self,
        scope: BudgetScope,
    ) -> impl Iterator<Item = Ordinal> {
        let waits =
            move |on: &Waiting| matches!(on, Waiting::Budget { scope: of, .. } if *of == scope);
        self.waiting().filter(move |(_, on)| waits(on)).map(|(task, _)| task)
    }

    /// A turn under bounds, or what follows where there is no room for it.
    pub(super) fn make_room(
        &self,
        ordinal: Ordinal,
        need: Amount,
        (model, room): (Option<&ModelSpec>, &RoomFor),
    ) -> Result<(), Decision> {
        match self.room(ordinal, need, (model, room)) {
            Room::Fits => Ok(()),
            Room::Later | Room::Short(Shortage { is_final: false, .. })
                if model.is_some() && room.counted.is_none() =>
            {
                Err(Err(Refusal::NotCounted))
            }
            Room::Later => Err(Err(Refusal::NoRoom)),
            Room::Short(short) => Err(self.at_limit(ordinal, short)),
        }
    }
}

/// Whether one budget has room.
fn within(
    scope: BudgetScope,
    bound: &Budget,
    account: &Account,
    need: Amount,
    model: Option<&ModelSpec>,
) -> Room {
    let (gone, held, granted) = (account.gone(), account.reserved, account.granted);
    let whose = match scope {
        BudgetScope::Workflow => "the workflow's budget",
        BudgetScope::Agent => "the agent's own budget",
        BudgetScope::Parent => "the parent workflow's budget",
        BudgetScope::Conversation => "the conversation's budget",
        BudgetScope::User => "your budget for today",
        BudgetScope::Workspace => "the workspace's budget for today",
    };
    if let (Some(_), Some(model)) = (bound.cost_max, model.filter(|model| model.price.is_none())) {
        let ask = format!(
            "{whose} bounds what it costs, and the price of `{}` is not known: declare it under \
             [models.known.\"{}\"]",
            model.name, model.name
        );
        let more = Amount::default();
        return Room::Short(Shortage { scope, ask, more, is_final: true });
    }
    let more = Amount {
        tokens: bound.tokens_max.unwrap_or_default(),
        cost: bound.cost_max.unwrap_or_default(),
        calls: bound.calls_max.unwrap_or_default(),
    };
    let short = |ask: String| Room::Short(Shortage { scope, ask, more, is_final: false });
    let mut later = false;
    // A call of a tool takes no tokens: what is gone does not keep it.
    let tokens_max = bound.tokens_max.filter(|_| need.tokens > 0);
    if let Some(most) = tokens_max.map(|most| most.saturating_add(granted.tokens)) {
        if gone.tokens.saturating_add(need.tokens) > most {
            let (gone, need) = (gone.tokens, need.tokens);
            return short(format!(
                "{whose} has {most} tokens, {gone} are used, the next call may take {need}"
            ));
        }
        later |= gone.plus(held).plus(need).tokens > most;
    }
    let cost_max = bound.cost_max.filter(|_| need.cost > Cost::default());
    if let Some(most) = cost_max.map(|most| most.plus(granted.cost)) {
        if gone.cost.plus(need.cost) > most {
            let (gone, need) = (gone.cost, need.cost);
            return short(format!(
                "{whose} has ${most}, ${gone} are used, the next call may take ${need}"
            ));
        }
        later |= gone.plus(held).plus(need).cost > most;
    }
    if let Some(most) = bound.calls_max.map(|most| most.saturating_add(granted.calls))
        && gone.calls.saturating_add(need.calls) > most
    {
        return short(format!("{whose} has {most} calls, and all are made"));
    }
    if later { Room::Later } else { Room::Fits }
}
