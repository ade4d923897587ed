//! Budgets above workflows: of a conversation, for a day of a user and of all, and of the workflows
//! whose children they are.
//!
//! It follows what the workflows' own accounts do, so that it agrees with the journal; what was used
//! before this owner began is told to it. What a shortage leads to is the machine's to say.

use std::collections::HashMap;
use std::sync::Arc;

use baton_core::agent::Spending;
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::plan::Budget;
use baton_core::time::Timestamp;
use baton_core::words::UsageBy;
use baton_core::workflow::{Above, Account, Amount, BudgetScope};

use crate::store::{StoreError, UsageFilter, UsageKey, Views};

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
    /// Itself.
    pub workflow: WorkflowId,
    /// The heads of the families it is in, itself among them where it is one.
    pub families: Arc<[WorkflowId]>,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// Who asked for it, where that is known.
    pub user: Option<Arc<str>>,
}

/// What was used before an owner began, as the books say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The day of what is told of users and of all, in days since 1970 (UTC).
    pub day: i64,
    /// By conversation, over all days.
    pub conversations: Vec<(ConversationId, Amount)>,
    /// By user.
    pub users: Vec<(Arc<str>, Amount)>,
    /// Of all.
    pub workspace: Amount,
}

impl Used {
    /// What the books say now; nothing where nothing is bounded.
    pub fn of(
        budgets: &Budgets,
        now: Timestamp,
        views: &mut dyn Views,
    ) -> Result<Self, StoreError> {
        let day = now.day();
        if *budgets == Budgets::default() {
            return Ok(Self { day, ..Self::default() });
        }
        let all = UsageFilter { limit: u32::MAX, ..UsageFilter::default() };
        let today = UsageFilter { from_day: Some(day), ..all.clone() };
        let by = |filter: &UsageFilter, by| UsageFilter { by: Some(by), ..filter.clone() };
        let conversations = views.usage(&by(&all, UsageBy::Conversation))?;
        let users = views.usage(&by(&today, UsageBy::User))?;
        let workspace = views.usage(&today)?;
        let id = |(key, spent): (UsageKey, Spending)| match key {
            UsageKey::Id(id) => Some((ConversationId::from_bytes(id), amount(&spent))),
            UsageKey::Number(_) | UsageKey::Name(_) => None,
        };
        let name = |(key, spent): (UsageKey, Spending)| match key {
            UsageKey::Name(name) => Some((Arc::from(name), amount(&spent))),
            UsageKey::Number(_) | UsageKey::Id(_) => None,
        };
        Ok(Self {
            day,
            conversations: conversations.into_iter().filter_map(id).collect(),
            users: users.into_iter().filter_map(name).collect(),
            workspace: workspace.first().map(|(_, spent)| amount(spent)).unwrap_or_default(),
        })
    }
}

/// What is gone of a budget by a sum of the books: what may have been billed counts as billed.
pub(crate) fn amount(spent: &Spending) -> Amount {
    Amount {
        tokens: spent.usage.tokens().saturating_add(spent.at_most.tokens),
        cost: spent.cost.plus(spent.at_most.cost),
        calls: u32::try_from(spent.calls).unwrap_or(u32::MAX),
    }
}

/// The accounts of one store.
#[derive(Debug, Default)]
pub struct Ledger {
    budgets: Budgets,
    day: i64,
    workspace: Account,
    users: HashMap<Arc<str>, Account>,
    conversations: HashMap<ConversationId, Account>,
    families: HashMap<WorkflowId, Family>,
}

/// A workflow of which something is bounded, with its children and theirs.
#[derive(Debug)]
struct Family {
    bound: Budget,
    /// What all of them use; of grants, those of its head alone.
    account: Account,
}

impl Ledger {
    /// With what was used before.
    pub fn new(budgets: Budgets, used: Used) -> Self {
        let account = |used| Account { used, ..Account::default() };
        Self {
            budgets,
            day: used.day,
            workspace: account(used.workspace),
            users: used.users.into_iter().map(|(user, used)| (user, account(used))).collect(),
            conversations: used
                .conversations
                .into_iter()
                .map(|(conversation, used)| (conversation, account(used)))
                .collect(),
            families: HashMap::new(),
        }
    }

    /// Whether anything is bounded: else nothing is kept.
    pub fn is_needed(&self) -> bool {
        self.budgets != Budgets::default() || !self.families.is_empty()
    }

    /// Whether the account of a family is kept.
    pub fn has_family(&self, head: WorkflowId) -> bool {
        self.families.contains_key(&head)
    }

    /// Keeps the account of a family from now on: what its head may use, and what all of it has used.
    /// The head's next run begins it anew.
    pub fn open_family(&mut self, head: WorkflowId, bound: Budget, account: Account) {
        self.families.insert(head, Family { bound, account });
    }

    /// Its head has ended, and with it all of its children.
    pub fn close_family(&mut self, head: WorkflowId) {
        self.families.remove(&head);
    }

    /// What the family uses whose head a workflow is.
    pub fn family(&self, head: WorkflowId) -> Option<Account> {
        self.families.get(&head).map(|family| family.account)
    }

    /// Follows a workflow's own account from one event to the next.
    pub fn follow(&mut self, payer: &Payer, before: &Account, after: &Account, now: Timestamp) {
        if before == after {
            return;
        }
        for id in payer.families.iter() {
            let Some(Family { account, .. }) = self.families.get_mut(id) else { continue };
            account.follow(before, after);
            if *id == payer.workflow {
                account.granted = after.granted;
            }
        }
        if self.budgets == Budgets::default() {
            return;
        }
        self.turn_the_page(now);
        let accounts = [
            Some(&mut self.workspace),
            payer.user.as_ref().map(|user| self.users.entry(Arc::clone(user)).or_default()),
            Some(self.conversations.entry(payer.conversation).or_default()),
        ];
        accounts.into_iter().flatten().for_each(|account| account.follow(before, after));
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
        let ancestors = payer.families.iter().filter(|head| **head != payer.workflow);
        let ancestors = ancestors.filter_map(|head| self.families.get(head));
        let ancestors = ancestors.map(|it| (BudgetScope::Parent, it.bound, it.account));
        let bounded = ancestors.chain(all).filter(|(_, bound, _)| !bound.is_none());
        bounded.map(|(scope, bound, account)| Above { scope, bound, account }).collect()
    }

    /// A new day begins with what is held from the one before.
    fn turn_the_page(&mut self, now: Timestamp) {
        let day = now.day();
        if day == self.day {
            return;
        }
        self.day = day;
        let anew = |account: &Account| Account { reserved: account.reserved, ..Account::default() };
        self.workspace = anew(&self.workspace);
        self.users.values_mut().for_each(|account| *account = anew(account));
        self.users.retain(|_, account| *account != Account::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = baton_core::time::DAY_MS;

    fn payer(conversation: u8, user: &str) -> Payer {
        let (workflow, families) = (WorkflowId::from_bytes([conversation; 16]), Arc::new([]));
        let conversation = ConversationId::from_bytes([conversation; 16]);
        Payer { workflow, families, conversation, user: Some(Arc::from(user)) }
    }

    fn tokens(tokens: u64) -> Amount {
        Amount { tokens, ..Amount::default() }
    }

    fn bounded() -> Ledger {
        let of = |most| Budget { tokens_max: Some(most), ..Budget::default() };
        let budgets = Budgets { conversation: of(100), user: of(200), workspace: of(300) };
        Ledger::new(budgets, Used::default())
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
        let nothing = Account::default();
        let holds = Account { reserved: tokens(50), ..nothing };
        let used = Account { used: tokens(30), ..nothing };
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
    fn or8_a_family_uses_what_its_head_and_all_children_use_and_only_the_head_is_granted_more() {
        let heads = [1, 2].map(|byte| WorkflowId::from_bytes([byte; 16]));
        let family = |heads: &[WorkflowId], workflow| Payer {
            workflow: WorkflowId::from_bytes([workflow; 16]),
            families: Arc::from(heads),
            ..payer(9, "ada")
        };
        let [parent, child] = heads;
        let (of_parent, of_child) = (family(&[parent], 1), family(&[child, parent], 2));
        let grandchild = family(&[child, parent], 3);
        let mut ledger = Ledger::default();
        let bound = Budget { tokens_max: Some(100), ..Budget::default() };
        assert!(!ledger.is_needed());
        ledger.open_family(parent, bound, Account { used: tokens(5), ..Account::default() });
        ledger.open_family(child, bound, Account::default());
        let (now, nothing) = (Timestamp::from_millis(0), Account::default());
        let granted = Account { used: tokens(10), granted: tokens(7), ..nothing };
        for payer in [&of_parent, &of_child] {
            ledger.follow(payer, &nothing, &granted, now);
        }
        ledger.follow(&grandchild, &nothing, &Account { reserved: tokens(3), ..nothing }, now);
        let told = |account: Account| {
            [account.used.tokens, account.reserved.tokens, account.granted.tokens]
        };
        assert_eq!(ledger.family(parent).map(told), Some([25, 3, 7]));
        assert_eq!(ledger.family(child).map(told), Some([10, 3, 7]));
        let above: Vec<_> =
            ledger.above(&of_child, now).iter().map(|it| (it.scope, told(it.account))).collect();
        assert_eq!(above, [(BudgetScope::Parent, [25, 3, 7])], "its own is not above it");
        assert_eq!(ledger.above(&grandchild, now).len(), 2);
        heads.iter().for_each(|head| ledger.close_family(*head));
        assert!(!ledger.is_needed());
    }

    #[test]
    fn what_was_used_before_is_taken_over() {
        let (budgets, ada) = (bounded().budgets, payer(1, "ada"));
        let used = Used {
            day: 1,
            conversations: vec![(ada.conversation, tokens(90))],
            users: vec![(Arc::from("ada"), tokens(40))],
            workspace: tokens(70),
        };
        let mut ledger = Ledger::new(budgets, used);
        let sums: Vec<u64> = gone(&mut ledger, &ada, 1).iter().map(|(_, gone, _)| *gone).collect();
        assert_eq!(sums, [90, 40, 70]);
        let mut nothing = Ledger::default();
        assert!(nothing.above(&ada, Timestamp::from_millis(0)).is_empty());
    }
}
