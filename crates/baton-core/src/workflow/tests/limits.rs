//! Agents under bounds: calls that a person approves, budgets of tokens, money and calls, and windows.

use super::*;
use proptest::prelude::*;

use crate::agent::Price;
use crate::plan::Approval;
use crate::words::AtLimit;
use crate::workflow::CallEnd;
use crate::workflow::{Above, Account, Amount, BudgetRaised, BudgetScope, Entry};

/// As if the tokens of the request had been counted, and were as many as its bytes.
fn counted() -> RoomFor {
    RoomFor { counted: Some(u64::MAX), ..RoomFor::default() }
}

fn start(task: u32) -> Command {
    Command::StartTask { task: Ordinal(task), input: None, lease: None, room: counted() }
}

fn thinking(work: Plan) -> Story {
    let first = Command::StartTask {
        task: Ordinal(0),
        input: Some(prompt("Well?")),
        lease: None,
        room: counted(),
    };
    given(work).does(first)
}

/// An agent of which this much is bounded.
fn bounded(budget: Budget, change: impl FnOnce(&mut AgentCall)) -> Plan {
    let mut task = agent("a");
    if let Work::Agent(agent) = &mut task.work {
        agent.limits.output_tokens_max = 1_000;
        change(agent);
    }
    Plan { budget, ..plan([task]) }
}

fn tokens(most: u64) -> Budget {
    Budget { tokens_max: Some(most), ..Budget::default() }
}

fn respond_as(task: u32, value: serde_json::Value) -> Command {
    Command::Respond { task: Ordinal(task), value, by: "ada".to_owned(), question: None }
}

fn approved_first(path: &str) -> AskedCall {
    let within = Some(Span(Duration::from_secs(60)));
    AskedCall { effect: Effect::Once, approval: Some(Approval { within }), ..wants(path) }
}

fn waits(story: &Story, task: u32) -> Option<&Waiting> {
    story.state.waiting().find(|(waiting, _)| waiting.0 == task).map(|(_, on)| on)
}

/// An agent whose call `x` waits for its approval.
fn asking_leave() -> Story {
    thinking(plan([agent("a")])).does(answer(0, 1, says([approved_first("x")]))).does(start(1))
}

#[test]
fn a_call_that_needs_it_is_made_once_a_person_approved_it() {
    let story = asking_leave();
    let Some(Waiting::Approval { digest, ask, until: Some(_) }) = waits(&story, 1) else {
        panic!("it waits for an approval");
    };
    assert_eq!(ask, "Call `fs.read` with {\"path\":\"x\"}?");
    let digest = *digest;
    let story = story.when(start(1)).refused(Refusal::NotReady);
    let foreign = json!({ "approved": true, "digest": BlobHash::of(b"another").to_string() });
    let story = story.when(respond_as(1, foreign)).refused(Refusal::InvalidAnswer);
    let named = json!({ "approved": true, "digest": digest.to_string() });
    let story = story.does(respond_as(1, named));
    let story = story.when(respond_as(1, json!(true))).refused(Refusal::NotWaiting);
    let story = story.does(start(1));
    assert_eq!(story.status_of(1), TaskStatus::Executing);
    let story = story.does(complete(1, 1));
    // The same words another time are another call.
    let again = story.does(start(0)).does(answer(0, 2, says([approved_first("y")]))).does(start(2));
    assert!(matches!(waits(&again, 2), Some(Waiting::Approval { .. })));
}

#[test]
fn a_denial_and_silence_are_told_to_the_agent() {
    let story = asking_leave().does(respond_as(1, json!({ "approved": false, "comment": "no" })));
    let (_, told) = story.state.results(Ordinal(1)).remove(0);
    assert_eq!(told, CallEnd::Error("rejected by ada: no".to_owned()));
    assert_eq!(story.ready(), [0], "it goes on with that");
    let story = asking_leave().does(Command::Elapse { task: Ordinal(1) });
    let (_, told) = story.state.results(Ordinal(1)).remove(0);
    assert_eq!(told, CallEnd::Error("nobody approved the call in time".to_owned()));
    story.when(respond_as(1, json!(true))).refused(Refusal::NotWaiting);
    // Nobody may have been there when the time was over.
    let late = Moment::new(second(3_600), 1);
    let decided = asking_leave().state.decide(&respond_as(1, json!(true)), &late);
    assert_eq!(decided, Err(Refusal::NotWaiting));
}

#[test]
fn a_turn_without_room_asks_and_goes_on_with_what_is_granted() {
    let plan = bounded(tokens(1_800), |_| {});
    let usage = Usage { input_tokens: 900, ..Usage::default() };
    let says_more = TurnAnswer { usage, ..says([wants("x")]) };
    let story = thinking(plan).does(answer(0, 1, says_more)).does(start(1));
    let story = story.does(complete(1, 1)).does(start(0));
    let Some(Waiting::Budget { scope: BudgetScope::Workflow, ask, .. }) = waits(&story, 0) else {
        panic!("900 are used, and 1900 and more may be next: {:?}", story.state.account());
    };
    assert!(ask.contains("1800 tokens, 900 are used"), "{ask}");
    let story = story.when(respond_as(0, json!({}))).refused(Refusal::InvalidAnswer);
    let story = story.does(respond_as(0, json!({ "tokens": 1500 })));
    assert_eq!(story.state.account().granted.tokens, 1500);
    let story = story.does(start(0)).does(answer(0, 2, says([])));
    assert_eq!(story.status_of(0), TaskStatus::Completed);
    assert_eq!(story.state.account().reserved, Amount::default(), "nothing is held any more");
}

#[test]
fn a_budget_above_bounds_it_and_a_grant_holds_for_this_workflow() {
    let account =
        Account { used: Amount { tokens: 9_500, ..Amount::default() }, ..Account::default() };
    let above = || vec![Above { scope: BudgetScope::Conversation, bound: tokens(10_000), account }];
    let first = || Command::StartTask {
        task: Ordinal(0),
        input: Some(prompt("Well?")),
        lease: None,
        room: RoomFor { above: above(), ..counted() },
    };
    let story = given(plan([agent("a")])).does(first());
    let Some(Waiting::Budget { scope: BudgetScope::Conversation, ask, more }) = waits(&story, 0)
    else {
        panic!("the conversation has 500 left");
    };
    assert!(ask.contains("10000 tokens, 9500 are used"), "{ask}");
    assert_eq!(more.tokens, 10_000);
    let story = story.does(respond_as(0, json!(true))).does(first());
    assert_eq!(story.status_of(0), TaskStatus::Executing);
    assert_eq!(story.state.account().granted, Amount::default(), "its own is what it was");
}

#[test]
fn or8_a_parents_budget_bounds_its_child_and_children_count_for_their_parent() {
    let held = |used: u64| {
        let used = Amount { tokens: used, ..Amount::default() };
        Account { used, ..Account::default() }
    };
    let first = |room: RoomFor| Command::StartTask {
        task: Ordinal(0),
        input: Some(prompt("Well?")),
        lease: None,
        room: RoomFor { counted: counted().counted, ..room },
    };
    let above =
        |account| vec![Above { scope: BudgetScope::Parent, bound: tokens(10_000), account }];
    let child = |account| first(RoomFor { above: above(account), ..RoomFor::default() });
    let story = given(plan([agent("a")])).does(child(held(9_500)));
    let Some(Waiting::Budget { scope: BudgetScope::Parent, ask, .. }) = waits(&story, 0) else {
        panic!("its parent has 500 left");
    };
    assert!(ask.contains("the parent workflow's budget has 10000 tokens, 9500 are used"), "{ask}");
    let granted = Account { granted: Amount { tokens: 5_000, ..Amount::default() }, ..held(9_500) };
    let story = given(plan([agent("a")])).does(child(granted));
    assert_eq!(story.status_of(0), TaskStatus::Executing, "the parent was granted more");
    let parent = |used| first(RoomFor { family: Some(held(used)), ..RoomFor::default() });
    let story = given(bounded(tokens(10_000), |_| {})).does(parent(9_500));
    let Some(Waiting::Budget { scope: BudgetScope::Workflow, .. }) = waits(&story, 0) else {
        panic!("its children have used 9500");
    };
    let story = story.does(respond_as(0, json!({ "tokens": 5_000 }))).does(parent(9_500));
    assert_eq!(story.status_of(0), TaskStatus::Executing);
}

#[test]
fn or8_a_new_day_ends_the_wait_for_a_days_budget_and_for_no_other() {
    let account =
        Account { used: Amount { tokens: 9_500, ..Amount::default() }, ..Account::default() };
    for (scope, is_daily) in [
        (BudgetScope::User, true),
        (BudgetScope::Workspace, true),
        (BudgetScope::Conversation, false),
        (BudgetScope::Parent, false),
    ] {
        let above = vec![Above { scope, bound: tokens(10_000), account }];
        let first = Command::StartTask {
            task: Ordinal(0),
            input: Some(prompt("Well?")),
            lease: None,
            room: RoomFor { above, ..counted() },
        };
        let story = given(plan([agent("a")])).does(first);
        let next = story.state.next_day(Ordinal(0)).expect("it waits");
        let elapse = Command::Elapse { task: Ordinal(0) };
        let before = Moment::new(Timestamp::from_millis(next.as_millis() - 1), 1);
        assert_eq!(story.state.decide(&elapse, &before), Err(Refusal::NotWaiting));
        let by = Amount::default();
        let raised = BudgetRaised { task: Ordinal(0), scope, by };
        let expected = if is_daily { Ok(vec![raised.into()]) } else { Err(Refusal::NotWaiting) };
        assert_eq!(story.state.decide(&elapse, &Moment::new(next, 1)), expected, "{scope:?}");
        if is_daily {
            assert_eq!(story.after([raised.into()]).ready(), [0]);
        }
    }
}

#[test]
fn tokens_are_counted_where_bytes_do_not_fit() {
    let ask = |counted| Command::StartTask {
        task: Ordinal(0),
        input: Some(prompt("Well?")),
        lease: None,
        room: RoomFor { counted, ..RoomFor::default() },
    };
    let story = given(bounded(tokens(1_200), |_| {}));
    let story = story.when(ask(None)).refused(Refusal::NotCounted).does(ask(Some(150)));
    assert_eq!(story.state.account().reserved.tokens, 1_150);
}

#[test]
fn a_denied_grant_and_a_stop_fail_the_task() {
    let stop = Budget { at_limit: AtLimit::Stop, ..tokens(500) };
    let first = |budget| thinking(bounded(budget, |_| {}));
    assert_eq!(first(stop).status_of(0), TaskStatus::Failed);
    let story = first(tokens(500)).does(respond_as(0, json!(false)));
    assert_eq!(story.status_of(0), TaskStatus::Failed);
    let story = first(tokens(500)).does(respond_as(0, json!(true)));
    assert_eq!(story.state.account().granted.tokens, 500, "as much again");
}

#[test]
fn a_cheaper_model_takes_over_where_one_is_left() {
    let price = |input| Some(Price { input, output: input, cached: None, cache_write: None });
    let models = |agent: &mut AgentCall| {
        for (model, input) in agent.models.iter_mut().zip([2_000_000, 1_000_000]) {
            model.price = price(input);
        }
    };
    let cost = |cost: &str| Budget {
        cost_max: Some(cost.parse().expect("a sum")),
        at_limit: AtLimit::CheaperModel,
        ..Budget::default()
    };
    let story = thinking(bounded(cost("0.002"), models));
    assert_eq!(
        story.state.model_of(Ordinal(0)).map(|model| model.name.as_str()),
        Some("scripted/two")
    );
    assert_eq!(story.ready(), [0]);
    let story = thinking(bounded(cost("0.0001"), models)).does(start(0));
    assert!(matches!(waits(&story, 0), Some(Waiting::Budget { .. })), "there is no cheaper one");
    let unpriced = thinking(bounded(cost("1.00"), |_| {}));
    assert_eq!(unpriced.status_of(0), TaskStatus::Failed, "an unknown price is not zero");
}

#[test]
fn a_person_takes_over_and_their_output_is_checked() {
    let budget = Budget { at_limit: AtLimit::HandOver, ..tokens(10) };
    let schema = json!({ "type": "object", "required": ["score"] });
    let story = thinking(bounded(budget, |agent| agent.output = Some(schema)));
    let story = story.when(respond_as(0, json!("seven"))).refused(Refusal::InvalidAnswer);
    let story = story.does(respond_as(0, json!({ "score": 7 })));
    assert_eq!(story.status_of(0), TaskStatus::Completed);
}

#[test]
fn what_others_hold_is_waited_for_and_what_was_cut_off_stays_gone() {
    let two = Plan { budget: tokens(2_500), ..plan([agent("a"), agent("b")]) };
    let mut two = two;
    for task in &mut two.tasks {
        if let Work::Agent(agent) = &mut task.work {
            agent.limits.output_tokens_max = 1_000;
        }
    }
    let first = |task| Command::StartTask {
        task: Ordinal(task),
        input: Some(prompt("Well?")),
        lease: None,
        room: counted(),
    };
    let story = given(two).does(first(0));
    let held = story.state.account().reserved.tokens;
    let story = story.when(first(1)).refused(Refusal::NoRoom);
    let lost = CallFailure::in_doubt(FailureKind::Lost, "the process died");
    let story = story.does(Command::Fail {
        task: Ordinal(0),
        attempt: 1,
        status: AttemptStatus::Lost,
        failure: lost,
    });
    let Account { possibly, reserved, .. } = *story.state.account();
    assert_eq!((possibly.tokens, reserved.tokens), (held, 0), "possibly billed");
    let story = story.does(first(1));
    assert!(matches!(waits(&story, 1), Some(Waiting::Budget { .. })), "now nobody holds it");
}

#[test]
fn calls_are_counted_and_bounded() {
    let budget = Budget { calls_max: Some(2), ..Budget::default() };
    let story = thinking(bounded(budget, |_| {}));
    let story =
        story.does(answer(0, 1, says([wants("x"), wants("y")]))).does(start(1)).does(start(2));
    assert!(matches!(waits(&story, 2), Some(Waiting::Budget { .. })), "a turn and a call are made");
    let story = story.does(respond_as(2, json!({ "calls": 5 }))).does(start(2));
    assert_eq!(story.status_of(2), TaskStatus::Executing);
}

#[test]
fn a_transcript_that_outgrows_its_window_loses_the_oldest_results_first() {
    let small = |agent: &mut AgentCall| {
        agent.limits = AgentLimits { output_tokens_max: 100, ..AgentLimits::default() };
        agent.models.iter_mut().for_each(|model| model.window_tokens = Some(1_200));
    };
    let mut story = thinking(bounded(Budget::default(), small));
    let long = || body(json!("x".repeat(900)));
    let mut compacted = false;
    for n in 1..8 {
        let call = u32::try_from(story.state.tasks().len()).expect("few");
        let mut says = says([wants(&n.to_string())]);
        says.usage = Usage::default();
        let attempt = story.state.task(Ordinal(0)).map_or(0, |task| task.attempts);
        story = story.does(answer(0, attempt, says)).does(start(call));
        let done = Command::Complete { task: Ordinal(call), attempt: 1, output: long() };
        story = story.does(done).does(start(0));
        while story.ready() == [0] {
            compacted = true;
            story = story.does(start(0));
        }
    }
    let run = story.state.agent_run(Ordinal(0)).expect("it runs");
    assert!(compacted && run.compactions > 0);
    assert!(matches!(run.transcript.first(), Some(Entry::User(_))), "what it is asked stays");
    assert!(matches!(run.transcript.last(), Some(Entry::Results { .. })), "the newest stays");
    let left_out = |entry: &&Entry| matches!(entry, Entry::LeftOut { .. });
    assert!(run.transcript.iter().filter(left_out).count() > 0, "{:?}", run.transcript);
    assert_eq!(run.turns, 7, "and every turn is in the books");
}

#[test]
fn a_model_that_finds_it_too_long_is_asked_again_with_less() {
    let mut story = thinking(bounded(Budget::default(), |_| {}));
    for n in 1..4_u32 {
        story = story.does(answer(0, n, says([wants(&n.to_string())]))).does(start(n));
        let output = body(json!("y".repeat(500)));
        story =
            story.does(Command::Complete { task: Ordinal(n), attempt: 1, output }).does(start(0));
    }
    let too_long = CallFailure::refused(FailureKind::ContextTooLong, "too long");
    let fail = Command::Fail {
        task: Ordinal(0),
        attempt: 4,
        status: AttemptStatus::Failed,
        failure: too_long,
    };
    let story = story.does(fail);
    assert_eq!(story.ready(), [0]);
    assert_eq!(story.state.agent_run(Ordinal(0)).map(|run| run.compactions), Some(1));
    assert_eq!(story.state.account().possibly, Amount::default(), "it was not made");
}

proptest! {
    /// Whatever agents do beside one another under one budget: what is gone and what is held never
    /// exceeds it, as long as no answer uses more than was held for it.
    #[test]
    fn or8_tokens_never_overshoot(
        most in 1_000_u64..20_000,
        steps in prop::collection::vec((0..4_u32, 0..4_u8, 0..2_000_u64), 1..60),
    ) {
        let mut work = Plan { budget: tokens(most), ..plan(["a", "b", "c", "d"].map(agent)) };
        for task in &mut work.tasks {
            if let Work::Agent(agent) = &mut task.work {
                agent.limits.output_tokens_max = 300;
            }
        }
        let mut story = given(work);
        for (task, what, used) in steps {
            let (ordinal, facts) = (Ordinal(task), story.state.task(Ordinal(task)));
            let attempt = facts.map_or(0, |facts| facts.attempts);
            let held = story.state.agent_run(ordinal).and_then(|run| run.held).unwrap_or_default();
            let command = match what {
                0 | 1 => Command::StartTask { task: ordinal, input: Some(prompt("Well?")), lease: None, room: counted() },
                2 => {
                    let usage = Usage { input_tokens: used.min(held.tokens), ..Usage::default() };
                    let output = Err("not yet".to_owned());
                    answer(task, attempt, TurnAnswer { usage, output, ..says([]) })
                }
                _ => Command::Fail {
                    task: ordinal,
                    attempt,
                    status: AttemptStatus::Lost,
                    failure: CallFailure::in_doubt(FailureKind::Lost, "gone"),
                },
            };
            if let Ok(events) = story.state.decide(&command, &story.moment()) {
                events.iter().for_each(|event| story.state.evolve(event, Timestamp::from_millis(0)));
            }
            let account = story.state.account();
            prop_assert!(account.gone().plus(account.reserved).tokens <= most, "{account:?}");
            let runs = story.state.tasks().iter().filter_map(|task| task.agent.as_deref());
            let used = runs.clone().fold(Amount::default(), |sum, run| sum.plus(run.account.used));
            prop_assert_eq!(used, account.used, "it rolls up exactly");
            let tokens: u64 = runs.map(|run| run.usage.tokens()).sum();
            prop_assert_eq!(tokens, account.used.tokens);
        }
    }

    /// Whatever a parent's and its children's agents do beside one another: what all of them have used
    /// and hold never exceeds the parent's budget.
    #[test]
    fn or8_families_never_overshoot(
        most in 1_000_u64..20_000,
        steps in prop::collection::vec((0..3_usize, 0..2_u32, 0..4_u8, 0..2_000_u64), 1..60),
    ) {
        let bound = tokens(most);
        let work = |budget| {
            let mut work = Plan { budget, ..plan(["a", "b"].map(agent)) };
            for task in &mut work.tasks {
                if let Work::Agent(agent) = &mut task.work {
                    agent.limits.output_tokens_max = 300;
                }
            }
            given(work)
        };
        let mut stories = [work(bound), work(Budget::default()), work(Budget::default())];
        for (who, task, what, used) in steps {
            let mut family = Account::default();
            stories.iter().for_each(|it| family.follow(&Account::default(), it.state.account()));
            let above = Above { scope: BudgetScope::Parent, bound, account: family };
            let (above, family) = if who == 0 { (vec![], Some(family)) } else { (vec![above], None) };
            let room = RoomFor { above, family, ..counted() };
            let Some(story) = stories.get_mut(who) else { continue };
            let ordinal = Ordinal(task);
            let attempt = story.state.task(ordinal).map_or(0, |facts| facts.attempts);
            let held = story.state.agent_run(ordinal).and_then(|run| run.held).unwrap_or_default();
            let command = match what {
                0 | 1 => Command::StartTask { task: ordinal, input: Some(prompt("Well?")), lease: None, room },
                2 => {
                    let usage = Usage { input_tokens: used.min(held.tokens), ..Usage::default() };
                    let output = Err("not yet".to_owned());
                    answer(task, attempt, TurnAnswer { usage, output, ..says([]) })
                }
                _ => Command::Fail {
                    task: ordinal,
                    attempt,
                    status: AttemptStatus::Lost,
                    failure: CallFailure::in_doubt(FailureKind::Lost, "gone"),
                },
            };
            if let Ok(events) = story.state.decide(&command, &story.moment()) {
                events.iter().for_each(|event| story.state.evolve(event, Timestamp::from_millis(0)));
            }
            let accounts = stories.iter().map(|it| *it.state.account());
            let all = accounts.fold(Amount::default(), |sum, it| sum.plus(it.gone()).plus(it.reserved));
            prop_assert!(all.tokens <= most, "{all:?}");
        }
    }
}
