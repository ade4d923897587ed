//! Budgets above workflows: of a conversation, and for a day of a user and of all.
//!
//! It follows what the workflows' own accounts do, so that it agrees with the journal; what was used
//! before this owner began is told to it. What a shortage leads to is the machine's to say.

use std::collections::HashMap;
use std::sync::Arc;

use baton_core::ids::ConversationId;
use baton_core::plan::Budget;
use baton_core::time::Timestamp;
use baton_core::workflow::{Above, Amount, BudgetScope, Spending};

/// How many milliseconds a day has; days are UTC's.
const DAY_MS: i64 = 86_400_000;

/// What agents may use over several workflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// In one conversation.
    pub conversation: Budget,
    /// For one user, in a day.
    pub user: Budget,
    /// For all, in a day.
    pub workspace: Budget,
}

/// Whose a workflow is.
#[derive(Clone, Debug)]
pub struct Payer {
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// Who asked for it, where that is known.
    pub user: Option<Arc<str>>,
}

/// The accounts of one store.
#[derive(Debug, Default)]
pub struct Ledger {
    budgets: Budgets,
    day: i64,
    workspace: Spending,
    users: HashMap<Arc<str>, Spending>,
    conversations: HashMap<ConversationId, Spending>,
}

impl Ledger {
    /// With nothing used.
    pub fn new(budgets: Budgets) -> Self {
        Self { budgets, ..Self::default() }
    }

    /// Whether anything is bounded: else nothing is kept.
    pub fn is_needed(&self) -> bool {
        self.budgets != Budgets::default()
    }

    /// Takes over what was used of a workflow, or of several, before this owner began; `today` is what
    /// of it falls into the present day.
    pub fn take_over(&mut self, payer: &Payer, all: Amount, today: Amount) {
        let add = |account: &mut Spending, by: Amount| account.used = account.used.plus(by);
        add(self.conversations.entry(payer.conversation).or_default(), all);
        add(&mut self.workspace, today);
        if let Some(user) = &payer.user {
            add(self.users.entry(Arc::clone(user)).or_default(), today);
        }
    }

    /// Follows a workflow's own account from one event to the next.
    pub fn follow(&mut self, payer: &Payer, before: &Spending, after: &Spending, now: Timestamp) {
        if before == after || !self.is_needed() {
            return;
        }
        self.turn_the_page(now);
        let accounts = [
            Some(&mut self.workspace),
            payer.user.as_ref().map(|user| self.users.entry(Arc::clone(user)).or_default()),
            Some(self.conversations.entry(payer.conversation).or_default()),
        ];
        for account in accounts.into_iter().flatten() {
            account.used = moved(account.used, before.used, after.used);
            account.possibly = moved(account.possibly, before.possibly, after.possibly);
            account.reserved = moved(account.reserved, before.reserved, after.reserved);
        }
    }

    /// The budgets that bound a workflow, as they stand.
    pub fn above(&mut self, payer: &Payer, now: Timestamp) -> Vec<Above> {
        if !self.is_needed() {
            return Vec::new();
        }
        self.turn_the_page(now);
        let Budgets { conversation, user, workspace } = self.budgets;
        let of_conversation = self.conversations.get(&payer.conversation).copied();
        let of_user = payer.user.as_ref().and_then(|user| self.users.get(user).copied());
        let all = [
            (BudgetScope::Conversation, conversation, of_conversation.unwrap_or_default()),
            (BudgetScope::User, user, of_user.unwrap_or_default()),
            (BudgetScope::Workspace, workspace, self.workspace),
        ];
        let bounded = all.into_iter().filter(|(_, bound, _)| !bound.is_none());
        bounded.map(|(scope, bound, account)| Above { scope, bound, account }).collect()
    }

    /// A new day begins with what is held from the one before.
    fn turn_the_page(&mut self, now: Timestamp) {
        let day = now.as_millis().div_euclid(DAY_MS);
        if day == self.day {
            return;
        }
        self.day = day;
        let anew =
            |account: &Spending| Spending { reserved: account.reserved, ..Spending::default() };
        self.workspace = anew(&self.workspace);
        self.users.values_mut().for_each(|account| *account = anew(account));
        self.users.retain(|_, account| *account != Spending::default());
    }
}

fn moved(sum: Amount, before: Amount, after: Amount) -> Amount {
    sum.plus(after).minus(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payer(conversation: u8, user: &str) -> Payer {
        let conversation = ConversationId::from_bytes([conversation; 16]);
        Payer { conversation, user: Some(Arc::from(user)) }
    }

    fn tokens(tokens: u64) -> Amount {
        Amount { tokens, ..Amount::default() }
    }

    fn bounded() -> Ledger {
        let of = |most| Budget { tokens_max: Some(most), ..Budget::default() };
        Ledger::new(Budgets { conversation: of(100), user: of(200), workspace: of(300) })
    }

    fn gone(ledger: &mut Ledger, payer: &Payer, day: i64) -> Vec<(BudgetScope, u64, u64)> {
        let above = ledger.above(payer, Timestamp::from_millis(day * DAY_MS));
        above
            .iter()
            .map(|it| (it.scope, it.account.gone().tokens, it.account.reserved.tokens))
            .collect()
    }

    #[test]
    fn what_workflows_use_is_counted_for_all_who_pay_and_days_begin_anew() {
        let (mut ledger, ada, bob) = (bounded(), payer(1, "ada"), payer(2, "bob"));
        let today = Timestamp::from_millis(DAY_MS);
        let nothing = Spending::default();
        let holds = Spending { reserved: tokens(50), ..nothing };
        let used = Spending { used: tokens(30), ..nothing };
        ledger.follow(&ada, &nothing, &holds, today);
        ledger.follow(&ada, &holds, &used, today);
        ledger.follow(&bob, &nothing, &holds, today);
        use BudgetScope::{Conversation, User, Workspace};
        let of_ada = [(Conversation, 30, 0), (User, 30, 0), (Workspace, 30, 50)];
        assert_eq!(gone(&mut ledger, &ada, 1), of_ada);
        let tomorrow = [(Conversation, 30, 0), (User, 0, 0), (Workspace, 0, 50)];
        assert_eq!(gone(&mut ledger, &ada, 2), tomorrow);
    }

    #[test]
    fn what_was_used_before_is_taken_over() {
        let (mut ledger, ada) = (bounded(), payer(1, "ada"));
        gone(&mut ledger, &ada, 1);
        ledger.take_over(&ada, tokens(90), tokens(40));
        let sums: Vec<u64> = gone(&mut ledger, &ada, 1).iter().map(|(_, gone, _)| *gone).collect();
        assert_eq!(sums, [90, 40, 40]);
        assert!(Ledger::default().above(&ada, Timestamp::from_millis(0)).is_empty());
    }
}
