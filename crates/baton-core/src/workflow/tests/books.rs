//! The books: what calls of models used is in them once, exactly, at every level, and what nobody
//! knows is never taken for nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::laws::{command, random_plan};
use super::*;
use crate::actor::Actor;
use crate::agent::{AtMost, Cost, Price, Spending};
use crate::words::Billing;
use crate::workflow::ModelCall;
use crate::workflow::usage::{UsageRow, day_of, usage_row};

/// A price with odd digits, so that a sum that rounds is found out.
const PRICE: Price =
    Price { input: 3_000_001, output: 15_000_007, cached: Some(300_003), cache_write: None };

/// The same, with a price for the first model of each agent and none for the second.
fn priced(mut plan: Plan) -> Plan {
    for task in &mut plan.tasks {
        if let Work::Agent(agent) = &mut task.work
            && let Some(model) = agent.models.first_mut()
        {
            model.price = Some(PRICE);
        }
    }
    plan
}

/// What the journal alone says of one call, by the words of the contract.
#[derive(Debug, PartialEq)]
struct Told {
    attempt: u32,
    model: String,
    used: Option<Usage>,
    at_most: (Option<u64>, Option<Cost>),
}

/// The calls that a journal tells of, each under the position of the event that settled it.
#[derive(Default)]
struct Ledger {
    open: BTreeMap<Ordinal, (u32, ModelCall)>,
    settled: BTreeMap<u64, Told>,
}

impl Ledger {
    fn take(&mut self, event: &Event, position: u64) {
        if let Event::TaskStarted(TaskStarted { task, attempt, model: Some(call), .. }) = event {
            self.open.insert(*task, (*attempt, call.clone()));
            return;
        }
        let used = match event {
            Event::TaskAnswered(answered) => Some(Some(answered.usage)),
            Event::AttemptFailed(AttemptFailed { failure, .. })
            | Event::TaskFailed(TaskFailed { failure, .. }) => {
                (failure.happened != Happened::No).then_some(None)
            }
            Event::TaskCancelled(_) => Some(None),
            _ => return,
        };
        let Some((attempt, call)) = event.task().and_then(|task| self.open.remove(&task)) else {
            return;
        };
        if let Some(used) = used {
            let at_most = (Some(call.tokens_max), call.cost_max);
            self.settled.insert(position, Told { attempt, model: call.model, used, at_most });
        }
    }
}

/// Lives through commands and returns the state, its books and what the journal tells.
fn kept_books(plan: Plan, commands: &[(u8, u16, u8)]) -> (Story, Vec<UsageRow>, Ledger) {
    let mut story = admitted(plan, |event| event.user = Some(Actor::user("ada")));
    let (mut rows, mut ledger, mut position) = (Vec::new(), Ledger::default(), 1);
    for random in commands {
        let mut first = command(&story.state, *random);
        if let Command::Answer { answer, .. } = &mut first {
            answer.usage = usage_of(random.1);
        }
        for command in [first, Command::Advance] {
            for event in story.state.decide(&command, &story.moment()).unwrap_or_default() {
                position += 1;
                let at = second(story.clock + 1);
                rows.extend(usage_row(&story.state, 7, &event, (position, at)));
                ledger.take(&event, position);
                story = story.after([event]);
            }
        }
    }
    (story, rows, ledger)
}

fn usage_of(number: u16) -> Usage {
    let number = u64::from(number);
    Usage {
        input_tokens: 1_000 + number,
        cached_tokens: number % 977,
        cache_write_tokens: number % 23,
        output_tokens: number % 331,
        reasoning_tokens: number % 7,
    }
}

/// Sums of rows by what `key` finds in each.
fn by<K: Ord>(rows: &[UsageRow], key: impl Fn(&UsageRow) -> K) -> BTreeMap<K, Spending> {
    let mut sums: BTreeMap<K, Spending> = BTreeMap::new();
    for row in rows {
        *sums.entry(key(row)).or_default() += row.spending();
    }
    sums
}

/// One figure of a sum, and what it should be, in numbers that do not end.
fn figures(spending: &Spending) -> [u128; 11] {
    let Usage { input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens } =
        spending.usage;
    [
        spending.calls,
        spending.possibly_billed,
        input_tokens,
        cached_tokens,
        cache_write_tokens,
        output_tokens,
        reasoning_tokens,
        spending.cost.as_pico(),
        spending.at_most.tokens,
        spending.at_most.cost.as_pico(),
        spending.at_most.priced,
    ]
    .map(u128::from)
}

fn told(ledger: &Ledger) -> [u128; 11] {
    let mut sums = [0; 11];
    for call in ledger.settled.values() {
        let used = call.used.unwrap_or_default();
        let price = (call.model == "scripted/one").then_some(PRICE).filter(|_| call.used.is_some());
        let (tokens_max, cost_max) = match call.used {
            Some(_) => (None, None),
            None => call.at_most,
        };
        let plain = used.input_tokens - used.cached_tokens - used.cache_write_tokens;
        let cost = price.map_or(0, |price| {
            u128::from(plain + used.cache_write_tokens) * u128::from(price.input)
                + u128::from(used.cached_tokens) * u128::from(price.cached.unwrap_or(0))
                + u128::from(used.output_tokens) * u128::from(price.output)
        });
        let parts = [
            1,
            u128::from(call.used.is_none()),
            u128::from(used.input_tokens),
            u128::from(used.cached_tokens),
            u128::from(used.cache_write_tokens),
            u128::from(used.output_tokens),
            u128::from(used.reasoning_tokens),
            cost,
            u128::from(tokens_max.unwrap_or(0)),
            u128::from(cost_max.map_or(0, Cost::as_pico)),
            u128::from(cost_max.is_some()),
        ];
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum += part;
        }
    }
    sums
}

fn rolls_up(plan: Plan, commands: &[(u8, u16, u8)]) -> Result<(), TestCaseError> {
    let (story, rows, ledger) = kept_books(priced(plan), commands);
    let booked: BTreeMap<u64, Told> = rows
        .iter()
        .map(|row| {
            let (attempt, model) = (row.attempt, row.model.clone());
            let at_most = (row.reserved_tokens, row.reserved_cost);
            (row.position, Told { attempt, model, used: row.used, at_most })
        })
        .collect();
    prop_assert_eq!(&booked, &ledger.settled, "call: each is booked once, as it was told");
    prop_assert_eq!(by(&rows, |row| (row.ordinal, row.attempt)).len(), rows.len(), "attempt");
    let tasks = by(&rows, |row| row.ordinal);
    let planned = by(&rows, |row| row.of);
    let stages = by(&rows, |row| story.state.plan.tasks[row.of.index()].stage);
    let whole = story.state.spent();
    for (level, sum) in [
        ("task", tasks.values().copied().sum::<Spending>()),
        ("task of the plan", planned.values().copied().sum()),
        ("stage", stages.values().copied().sum()),
        ("conversation", by(&rows, |row| row.conversation).values().copied().sum()),
        ("user", by(&rows, |row| row.user.clone()).values().copied().sum()),
        ("day", by(&rows, UsageRow::day).values().copied().sum()),
        ("model", by(&rows, |row| row.model.clone()).values().copied().sum()),
    ] {
        prop_assert_eq!(sum, whole, "{}", level);
    }
    prop_assert_eq!(figures(&whole), told(&ledger));
    for task in tasks.keys().filter(|_| story.state.run == 1) {
        let run = story.state.agent_run(*task).expect("it called a model");
        let cut_off = tasks[task].possibly_billed;
        prop_assert_eq!(cut_off, u64::from(run.cut_off), "a budget counts the same as cut off");
        prop_assert_eq!(tasks[task].at_most.tokens, run.account.possibly.tokens);
        prop_assert_eq!(tasks[task].at_most.cost, run.account.possibly.cost);
    }
    for row in &rows {
        prop_assert_eq!(row.used.is_some(), row.billing == Billing::Answered);
        let is_priced = row.model == "scripted/one" && row.used.is_some();
        prop_assert_eq!(row.cost.is_some(), is_priced, "unknown is absent, never zero");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// CH8: call, attempt, task, stage, workflow, conversation, user: each the sum of the one below.
    #[test]
    fn ch8_usage_rolls_up_exactly(
        plan in random_plan(),
        commands in proptest::collection::vec((0..90_u8, any::<u16>(), 0..10_u8), 0..200),
    ) {
        rolls_up(plan, &commands)?;
    }
}

/// An agent whose first turn is under way, and the row of the event that a command leads to first.
fn settled_by(command: Command) -> Vec<UsageRow> {
    let first = Command::StartTask { task: Ordinal(0), input: Some(prompt("Well?")), lease: None };
    let mut story = given(priced(plan([agent("a")]))).does(first);
    let events = story.state.decide(&command, &story.moment()).expect("it is decided");
    let mut rows = Vec::new();
    for event in events {
        rows.extend(usage_row(&story.state, 3, &event, (9, second(0))));
        story = story.after([event]);
    }
    rows
}

#[test]
fn a_call_is_booked_with_all_that_is_asked_of_it() {
    let [row] = settled_by(answer(0, 1, says([]))).try_into().expect("one row");
    assert_eq!((row.number, row.position, row.attempt, row.ordinal.0, row.of.0), (3, 9, 1, 0, 0));
    assert_eq!((row.task.as_str(), row.agent.as_str()), ("a", "reviewer"));
    assert_eq!((row.model.as_str(), row.user.as_str()), ("scripted/one", "system:baton"));
    assert_eq!((row.billing, row.day()), (Billing::Answered, day_of(second(0))));
    assert_eq!(row.cost, Some(Cost::pico(100 * 3_000_001 + 10 * 15_000_007)));
    assert!(row.reserved_tokens > Some(110) && row.reserved_cost > row.cost, "it was allowed more");
    assert_eq!(row.spending().at_most, AtMost::default(), "what it used is known");
}

#[test]
fn what_did_not_happen_is_not_booked_and_what_may_have_is() {
    let billing = |happened| {
        let rows = settled_by(fail(0, 1, failure(happened)));
        let bounded = |row: &UsageRow| row.spending().possible_cost() > Some(Cost::default());
        let facts = |row: UsageRow| (row.billing, row.used, row.cost, bounded(&row));
        rows.into_iter().map(facts).collect::<Vec<_>>()
    };
    let possibly = vec![(Billing::PossiblyBilled, None, None, true)];
    assert_eq!(billing(Happened::No), []);
    assert_eq!(billing(Happened::Unknown), possibly);
    assert_eq!(billing(Happened::Yes), possibly, "its provider was paid, and nobody knows what");
    // More calls than it may make: the answer is the attempt's last, and the failure after it books
    // nothing more.
    let many = says((0..10).map(|n| wants(&n.to_string())));
    assert_eq!(settled_by(answer(0, 1, many)).len(), 1, "an answer that fails it is booked once");
}

#[test]
fn a_count_that_cannot_be_is_bounded() {
    let usage = Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, ..Usage::default() };
    let [row] =
        settled_by(answer(0, 1, TurnAnswer { usage, ..says([]) })).try_into().expect("one row");
    let sum: Spending = std::iter::repeat_n(row.spending(), 1_000).sum();
    assert_eq!(sum.usage.input_tokens, 1_000 << 40, "sums of many stay exact");
}
