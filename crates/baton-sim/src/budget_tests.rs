//! Budgets above a workflow, over changes of owner: a parent's covers its children, and a day's comes
//! back with the next day.

use std::collections::BTreeMap;

use baton_core::ids::Ordinal;
use baton_core::plan::{Budget, Child, Plan, TaskPlan, Work};
use baton_core::time::DAY_MS;
use baton_core::words::{AtLimit, Effect, FailureKind};
use baton_core::workflow::{Amount, Event, TaskPhase, Waiting, WorkflowState};
use baton_engine::ledger::Budgets;
use baton_engine::live::read_event;
use baton_engine::queue::Limits;
use baton_engine::store::Views;
use serde_json::json;

use crate::check;
use crate::people::submit;
use crate::plans::{agent, call, plan, task};
use crate::reading;
use crate::run::settle;
use crate::world::{CUTS, Cut, Weather, World};

/// What a parent's family may use; without a bound it would be some two thousand.
const FAMILY_TOKENS: u64 = 1_000;

/// So many days are lived through, each for as many steps as the agents need.
const DAYS: usize = 5;
const STEPS_A_DAY: usize = 120;
/// What all may use in a day: of eight agents, some four.
const DAY_TOKENS: u64 = 1_500;

fn tokens(most: u64) -> Budget {
    Budget { tokens_max: Some(most), ..Budget::default() }
}

/// An agent's task whose answers are short.
fn thinks(key: &str, needs: Option<u32>) -> TaskPlan {
    let mut work = agent();
    if let Work::Agent(agent) = &mut work {
        agent.limits.output_tokens_max = 100;
    }
    TaskPlan {
        needs: Some(needs.map(Ordinal).into_iter().collect()),
        ..task(key.to_owned(), 0, work)
    }
}

fn child(key: &str, plan: Plan) -> TaskPlan {
    let child =
        Child { name: plan.name.clone(), version: 1, with: json!({}), plan: Box::new(plan) };
    TaskPlan { needs: Some(Vec::new()), ..task(key.to_owned(), 0, Work::Workflow(child)) }
}

/// A parent of two children beside one another and beside an agent of its own; one has a child itself.
fn family() -> Plan {
    let stop = Budget { at_limit: AtLimit::Stop, ..Budget::default() };
    let of = |name: &str, tasks| Plan { budget: stop, ..plan(name, tasks) };
    let youngest = of("youngest", vec![thinks("y0", None)]);
    let older = of("older", vec![thinks("o0", None), child("o1", youngest)]);
    let younger = of("younger", vec![thinks("i0", None), thinks("i1", Some(0))]);
    let budget = Budget { at_limit: AtLimit::Stop, ..tokens(FAMILY_TOKENS) };
    let tasks = vec![child("t0", older), child("t1", younger), thinks("t2", None)];
    Plan { budget, ..plan("parent", tasks) }
}

fn states(world: &mut World) -> Vec<WorkflowState> {
    let rows = reading::rows(&world.store);
    let folded = |number| check::folded(&mut world.store, number).expect("a sound stream").0;
    rows.iter().map(|(card, _)| card.number).map(folded).collect()
}

/// What all of the family used of its budget; whether somebody stopped for want of it.
fn lived(cut: Option<(u64, Cut)>) -> (Amount, bool, u64) {
    let mut world = World::new(5, Weather::default(), Limits::default());
    world.step().expect("an empty store opens");
    submit(&mut world, family(), false).expect("it is valid");
    world.cut = cut;
    settle(&mut world).expect("it ends");
    let states = states(&mut world);
    let gone = states.iter().fold(Amount::default(), |sum, it| sum.plus(it.account().gone()));
    let failed = |phase: &TaskPhase| matches!(phase, TaskPhase::Failed { failure, .. } if failure.kind == FailureKind::Budget);
    let mut tasks = states.iter().flat_map(|state| state.tasks());
    (gone, tasks.any(|task| failed(&task.phase)), world.commits)
}

#[test]
fn or8_a_parents_budget_covers_its_children_wherever_its_owner_dies() {
    let (gone, stopped, commits) = lived(None);
    assert!(stopped && gone.tokens > FAMILY_TOKENS / 2, "{gone:?}");
    let cuts = (1..=commits).flat_map(|commit| CUTS.map(|cut| (commit, cut)));
    for cut in cuts {
        let (gone, ..) = lived(Some(cut));
        assert!(gone.tokens <= FAMILY_TOKENS, "{cut:?}: {gone:?}");
    }
}

/// One agent after another, of whom a day's budget has room for some.
fn days(cut: Option<(u64, Cut)>) -> (World, BTreeMap<&'static str, Vec<i64>>) {
    let budgets = Budgets { workspace: tokens(DAY_TOKENS), ..Budgets::default() };
    let mut world = World::new(3, Weather::default(), Limits::default()).under_budgets(budgets);
    world.step().expect("an empty store opens");
    // The requests of every other task are counted: theirs fit into a day.
    let between = |n: u32| {
        let work = Work::Tool(call(Effect::Read, json!({})));
        TaskPlan { needs: Some(vec![Ordinal(n - 1)]), ..task(format!("t{n}"), 0, work) }
    };
    let one = |n: u32| match n % 2 {
        0 => thinks(&format!("t{n}"), n.checked_sub(1)),
        _ => between(n),
    };
    let tasks = (0..16).map(one).collect();
    submit(&mut world, plan("days", tasks), false).expect("it is valid");
    world.cut = cut;
    // Nobody is there who would grant more.
    for _ in 0..DAYS {
        for _ in 0..STEPS_A_DAY {
            world.step().expect("no promise is broken");
        }
        world.set_clock(DAY_MS);
    }
    let records = world.store.views().events(0, None, u32::MAX).expect("readable");
    let mut days: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in &records {
        let event = read_event(record).expect("readable");
        let is_raised = |event: &Event| matches!(event, Event::BudgetRaised(raised) if raised.by == Amount::default());
        let name = if matches!(event, Event::TaskAnswered(_)) {
            "answered"
        } else if is_raised(&event) {
            "raised"
        } else {
            continue;
        };
        days.entry(name).or_default().push(record.at.as_millis().div_euclid(DAY_MS));
    }
    (world, days)
}

#[test]
fn or8_who_waits_for_a_days_budget_goes_on_with_the_next_day_and_nobody_is_needed() {
    let (mut world, told) = days(None);
    for state in states(&mut world) {
        let waits: Vec<_> = state.waiting().collect();
        assert!(state.ended().is_some(), "{told:?}: {waits:?}");
    }
    let mut of_day: BTreeMap<i64, u32> = BTreeMap::new();
    told["answered"].iter().for_each(|day| *of_day.entry(*day).or_default() += 1);
    assert!(of_day.len() >= 2, "{told:?}");
    assert!(of_day.values().all(|turns| u64::from(*turns) * 110 <= DAY_TOKENS), "{of_day:?}");
    assert_eq!(told["raised"].len(), of_day.len() - 1, "once for each new day");
    for cut in (1..=world.commits).step_by(9).zip(CUTS.into_iter().cycle()) {
        let (mut world, told) = days(Some(cut));
        // A call that was cut off may be in doubt, and needs a person.
        let for_budget = |state: &WorkflowState| {
            state.waiting().any(|(_, on)| matches!(on, Waiting::Budget { .. }))
        };
        assert!(!states(&mut world).iter().any(for_budget), "{cut:?}: {told:?}");
    }
}
