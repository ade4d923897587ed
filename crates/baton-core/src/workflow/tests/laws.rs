//! The laws, on random plans and random commands: ends absorb, refusals change nothing, the state
//! is the fold of its journal, counters are what a recount finds, and progress is what it counts.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::codes::Code;
use crate::progress::progress;
use crate::workflow::{Items, Resume, Snapshot, Task, TaskPhase, Verdict};

#[derive(Clone, Debug)]
struct Sketch {
    stage: u32,
    needs: Option<Vec<u32>>,
    each: Option<Option<u32>>,
    on_failure: OnFailure,
    effect: Effect,
    attempts_max: u32,
    fallbacks: usize,
    is_agent: bool,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let effect = prop_oneof![Just(Effect::Read), Just(Effect::Idempotent), Just(Effect::Once)];
    let on_failure = prop_oneof![
        1 => Just(OnFailure::Fail),
        2 => Just(OnFailure::Continue),
        2 => Just(OnFailure::SkipDependents)
    ];
    let needs = proptest::option::of(proptest::collection::vec(0..8_u32, 0..3));
    let each = proptest::option::weighted(0.3, proptest::option::of(1..3_u32));
    let is_agent = proptest::bool::weighted(0.3);
    (0..3_u32, needs, each, on_failure, effect, 1..3_u32, 0..2_usize, is_agent).prop_map(
        |(stage, needs, each, on_failure, effect, attempts_max, fallbacks, is_agent)| Sketch {
            stage,
            needs,
            each,
            on_failure,
            effect,
            attempts_max,
            fallbacks,
            is_agent,
        },
    )
}

/// A plan of up to eight tasks; needs point back, as a validated graph's do.
pub(super) fn random_plan() -> impl Strategy<Value = Plan> {
    let weighted = any::<bool>();
    (proptest::collection::vec(sketch(), 1..8), weighted).prop_map(|(mut sketches, weighted)| {
        sketches.sort_by_key(|sketch| sketch.stage);
        let mut grouped = vec![Vec::new(), Vec::new(), Vec::new()];
        for (sketch, n) in sketches.into_iter().zip(0_u32..) {
            let key = format!("t{n}");
            let kind =
                if sketch.is_agent { may_end(agent(&key)) } else { effectful(&key, sketch.effect) };
            let mut task = kind
                .on_failure(sketch.on_failure)
                .retry(sketch.attempts_max, 1, 2)
                .fallback(vec![Effect::Once; sketch.fallbacks]);
            if let Some(concurrency) = sketch.each {
                task = task.each(concurrency);
            }
            if let Some(needs) = sketch.needs {
                let back: std::collections::BTreeSet<u32> =
                    needs.into_iter().filter(|need| *need < n).collect();
                task = task.needs(back);
            }
            grouped[sketch.stage as usize].push(task);
        }
        let mut plan = stages(grouped);
        if weighted {
            plan.progress = ProgressMethod::StageWeighted;
            plan.stages[1].weight = 3;
        }
        plan
    })
}

/// A command out of three random numbers: mostly one that fits the state, sometimes one that does not.
pub(super) fn command(state: &WorkflowState, (kind, which, detail): (u8, u16, u8)) -> Command {
    let count = state.tasks().len() as u32;
    let n = if count == 0 { 0 } else { u32::from(which) % count };
    let attempt = state.task(Ordinal(n)).map_or(0, |task| task.attempts);
    let verdict = match detail % 2 {
        0 => Verdict::DidNotHappen,
        _ => Verdict::Happened(body(json!(0))),
    };
    let task = Ordinal(n);
    match kind {
        0..=19 => match state
            .task_plan(task)
            .is_some_and(|plan| plan.each.is_some() && state.item(task).is_none())
        {
            true => expand(n, u32::from(detail % 4)),
            false => start(n),
        },
        20..=39 if state.agent_call(task).is_some() => answer(n, attempt, random_answer(detail)),
        20..=39 => complete(n, attempt.saturating_sub(u32::from(detail == 9))),
        40..=44 => fail(n, attempt, failure(Happened::No)),
        45..=47 => fail(n, attempt, passing()),
        48..=51 => fail_by(n, attempt, AttemptStatus::Lost, unknown()),
        52 => fail(n, attempt, failure(Happened::Yes)),
        53..=55 => suspend(n, attempt, person()),
        56..=57 => suspend(
            n,
            attempt,
            Waiting::Timer { until: second(9), span: None, then: Resume::Complete },
        ),
        58..=62 => Command::Elapse { task },
        63..=66 => Command::Settle { task, verdict },
        67 => Command::SkipTask { task },
        68 => Command::RefuseTask { task, failure: failure(Happened::No) },
        69 => pause(),
        70..=72 => Command::Resume,
        73 => cancel(),
        74..=76 => retry([]),
        77 => retry([n]),
        78..=85 => finish(),
        86..=90 => ask(n, attempt),
        91..=93 => respond(n, json!({ "size": detail })),
        94 => Command::Decline { task, question: None },
        95 => Command::TakeBack { task, attempt },
        _ => respond(n, json!(true)),
    }
}

/// Mostly an answer that asks for calls; sometimes one that is the output, or does not fit.
fn random_answer(detail: u8) -> TurnAnswer {
    match detail {
        0..=1 => says([]),
        2 => TurnAnswer { output: Err("it is no JSON".to_owned()), ..says([]) },
        3 => says([wants("a")]),
        4 => says([wants_end("p")]),
        5 => says([wants_answer("How large?"), wants_end("q")]),
        6 => says([AskedCall { refused: Some("no such tool".to_owned()), ..wants("b") }]),
        7 => says([wants("c"), AskedCall { effect: Effect::Once, ..wants("d") }]),
        _ => says([wants("e"), AskedCall { refused: Some("no".to_owned()), ..wants("f") }]),
    }
}

/// Everything the state counts and collects, as text: two states are the same if these are.
fn digest(state: &WorkflowState) -> String {
    let mut whole = state.clone();
    whole.changed.clear();
    whole.newly_ready.clear();
    format!("{whole:?}")
}

/// The counters alone. What an ended run's tasks still needed is not counted on.
fn counters(state: &WorkflowState) -> String {
    let open = state.ended().is_none();
    let unmet: Vec<u32> = state
        .tasks
        .iter()
        .filter(|task| open && task.phase == TaskPhase::Pending)
        .map(|task| task.unmet)
        .collect();
    format!(
        "{:?} {:?} {:?} {:?} barrier {} broken {:?} {:?} {:?} people {} ready {} doomed {:?} gathered {:?} unmet {unmet:?}",
        state.tally,
        state.items,
        state.stage_open,
        state.stage_counts,
        state.barrier,
        state.broken.filter(|_| open),
        state.executing,
        state.waiting,
        state.waiting_people,
        state.ready,
        state.doomed,
        state.gathered,
    )
}

/// Completed and total, counted from the phases by the contract's words alone.
fn recount(state: &WorkflowState) -> (u32, u32) {
    let superseded = |items: &Items| items.superseded;
    let (mut completed, mut total) = (0, 0);
    for (task, n) in state.tasks().iter().zip(0..) {
        let ordinal = Ordinal(n);
        let gone =
            state.item(ordinal).is_some_and(|(items, _)| superseded(items) || !items.is_each());
        let counts_its_items = state.items_of(ordinal).is_some();
        let left_out = matches!(task.phase, TaskPhase::Skipped { cause: SkipCause::When, .. });
        if !gone && !counts_its_items && !left_out {
            total += 1;
            completed += u32::from(matches!(task.phase, TaskPhase::Completed { .. }));
        }
    }
    (completed, total)
}

fn is_open(task: &Task) -> bool {
    !task.phase.status().is_terminal()
}

fn check(state: &WorkflowState, command: &Command) -> Result<(), TestCaseError> {
    let mut anew = state.clone();
    anew.reindex();
    prop_assert_eq!(counters(state), counters(&anew), "after {:?}", command);
    let shown = progress(state);
    let (completed, total) = recount(state);
    prop_assert_eq!((shown.completed, shown.total), (completed, total), "wf1 after {:?}", command);
    prop_assert!(completed <= total && shown.percentage <= 100);
    if state.ended().is_none() && state.tally().open > 0 {
        prop_assert!(shown.percentage <= 99);
    }
    if total == 0 {
        prop_assert_eq!(shown.percentage, 0);
    }
    if state.plan.progress == ProgressMethod::AgentBased && total > 0 {
        let exact = (f64::from(completed) * 100.0 / f64::from(total) + 0.5).floor();
        let most = if state.tally().open > 0 { 99.0 } else { 100.0 };
        prop_assert_eq!(f64::from(shown.percentage), f64::min(exact, most));
    }
    if state.ended().is_some() {
        prop_assert!(!state.tasks().iter().any(is_open), "wf: every task has ended with its run");
        prop_assert_eq!(state.current_stage(), None);
    }
    Ok(())
}

/// No task starts although something it needs has not ended well, or a failure was fatal.
fn starts_rightly(state: &WorkflowState, event: &Event) -> Result<(), TestCaseError> {
    let Event::TaskStarted(TaskStarted { task, .. }) = event else {
        return Ok(());
    };
    let plan = state.task_plan(*task).expect("it is planned");
    let needs: Vec<Ordinal> = match &plan.needs {
        Some(needs) => needs.clone(),
        None => (0..)
            .map(Ordinal)
            .zip(&state.plan.tasks)
            .filter(|(_, other)| other.stage < plan.stage)
            .map(|(n, _)| n)
            .collect(),
    };
    for need in needs {
        let met = match &state.task(need).expect("it exists").phase {
            TaskPhase::Completed { .. } | TaskPhase::Skipped { cause: SkipCause::When, .. } => true,
            TaskPhase::Failed { .. } => {
                state.plan.tasks[need.index()].on_failure == OnFailure::Continue
            }
            _ => false,
        };
        prop_assert!(
            met,
            "{} started although {} was not met",
            state.key_of(*task),
            state.key_of(need)
        );
    }
    Ok(())
}

/// A snapshot, written and read back, is the state it was made of.
fn is_kept_whole(state: &WorkflowState) -> Result<(), TestCaseError> {
    let again = restored(state);
    prop_assert_eq!(counters(&again), counters(state));
    // What an ended run's tasks still needed is forgotten: a retry counts it anew.
    if state.ended().is_none() {
        prop_assert_eq!(digest(&again), digest(state));
    }
    Ok(())
}

fn restored(state: &WorkflowState) -> WorkflowState {
    let snapshot = state.snapshot(BlobHash::of(b"plan"));
    let mut bytes = snapshot.pack().expect("written");
    let snapshot = Snapshot::unpack(&bytes).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(Snapshot::unpack(&bytes), None, "what was damaged is not read");
    let (plan, graph) = (Arc::clone(&state.plan), Arc::clone(&state.graph));
    WorkflowState::restored(snapshot, plan, graph).expect("it fits")
}

/// A question is over, once, before anything else happens to its task.
fn is_asked_rightly(open: &mut BTreeMap<Ordinal, u32>, event: &Event) -> Result<(), TestCaseError> {
    let Some(task) = event.task() else {
        return Ok(());
    };
    match event {
        Event::QuestionAsked(asked) => prop_assert_eq!(open.insert(task, asked.number), None),
        Event::QuestionAnswered(QuestionAnswered { number, .. })
        | Event::QuestionWithdrawn(QuestionWithdrawn { number, .. }) => {
            prop_assert_eq!(open.remove(&task), Some(*number));
        }
        _ => prop_assert_eq!(open.get(&task), None, "{:?}", event),
    }
    Ok(())
}

fn live(plan: Plan, commands: Vec<(u8, u16, u8)>) -> Result<(), TestCaseError> {
    let first = admitted(plan, |_| {});
    let mut journal: Vec<(Event, Timestamp)> = Vec::new();
    let mut story = first.clone();
    let mut questions = BTreeMap::new();
    for random in commands {
        for command in [command(&story.state, random), Command::Advance] {
            let before = digest(&story.state);
            let ended = story.state.ended().is_some();
            let Ok(events) = story.state.decide(&command, &story.moment()) else {
                prop_assert_eq!(&digest(&story.state), &before, "a refusal changes nothing");
                continue;
            };
            if ended && !events.is_empty() {
                let opens = matches!(command, Command::Retry { .. });
                prop_assert!(opens, "an end absorbs everything but a retry");
            }
            for event in events {
                starts_rightly(&story.state, &event)?;
                is_asked_rightly(&mut questions, &event)?;
                story = story.after([event.clone()]);
                journal.push((event, second(story.clock)));
                check(&story.state, &command)?;
                is_kept_whole(&story.state)?;
            }
        }
    }
    let mut folded = first.state;
    for (event, at) in &journal {
        let stored = Event::read(event.kind(), &event.body().expect("written")).expect("read");
        folded.evolve(&stored, *at);
    }
    prop_assert_eq!(digest(&folded), digest(&story.state), "the state is the fold of its journal");
    Ok(())
}

/// Folds a random history twice: as it was, and from a snapshot taken every few events.
fn fold_from_snapshots(
    plan: Plan,
    commands: Vec<(u8, u16, u8)>,
    every: usize,
) -> Result<(), TestCaseError> {
    let mut story = admitted(plan, |_| {});
    let mut resumed = story.state.clone();
    let mut events = 0;
    for random in commands {
        for command in [command(&story.state, random), Command::Advance] {
            for event in story.state.decide(&command, &story.moment()).unwrap_or_default() {
                if events % every == 0 {
                    resumed = restored(&resumed);
                }
                events += 1;
                story = story.after([event.clone()]);
                resumed.evolve(&event, second(story.clock));
                prop_assert_eq!(counters(&resumed), counters(&story.state), "after {:?}", event);
            }
        }
    }
    prop_assert_eq!(resumed.snapshot(BlobHash::of(b"")), story.state.snapshot(BlobHash::of(b"")));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// WF1, and the laws every other promise rests on.
    #[test]
    fn wf1_laws_hold_at_every_position(
        plan in random_plan(),
        commands in proptest::collection::vec((0..100_u8, any::<u16>(), 0..10_u8), 0..200),
    ) {
        live(plan, commands)?;
    }

    /// The same where one agent alone, or one of each item, asks people and ends by its calls.
    #[test]
    fn wf1_laws_hold_for_agents_that_ask_and_end_by_calls(
        each in proptest::option::of(Just(None)),
        turns_max in 1..4_u32,
        commands in proptest::collection::vec((0..100_u8, any::<u16>(), 0..10_u8), 0..200),
    ) {
        let mut task = may_end(agent("t0"));
        if let Work::Agent(agent) = &mut task.work {
            agent.limits.turns_max = turns_max;
        }
        task.each = each.map(|concurrency| Each { list: json!([1, 2]), concurrency });
        live(plan([task]), commands)?;
    }

    /// A snapshot at any position and the events after it are the fold of the whole stream.
    #[test]
    fn snapshots_and_the_rest_are_the_fold_of_the_whole(
        plan in random_plan(),
        commands in proptest::collection::vec((0..100_u8, any::<u16>(), 0..10_u8), 0..200),
        every in 1..12_usize,
    ) {
        fold_from_snapshots(plan, commands, every)?;
    }
}

/// What is read of a snapshot is bounded by its plan: anything else is not restored.
#[test]
fn a_snapshot_that_does_not_fit_its_plan_is_not_restored() {
    let story = given(plan([tool("a").each(None), tool("b")])).after([expanded(0, 2, 3)]);
    let snapshot = story.state.snapshot(BlobHash::of(b"plan"));
    let with = |plan: Plan| {
        let graph = Arc::new(Graph::of(&plan));
        WorkflowState::restored(snapshot.clone(), Arc::new(plan), graph)
    };
    assert!(with(plan([tool("a").each(None), tool("b")])).is_some());
    assert!(with(plan([tool("a")])).is_none());
    assert!(with(plan([tool("a"), tool("b"), tool("c")])).is_none());
}

/// The shape is raised with every change of what is written: this file is what shape 1 is.
#[test]
fn the_shape_of_a_snapshot_is_the_golden_one() {
    let story = given(plan([tool("a").each(None), once("b"), tool("c")])).after([
        started(1, 1),
        expanded(0, 3, 2),
        started(3, 1),
        done(3),
        attempt_failed(1, 1, unknown(), Next::InDoubt),
    ]);
    let snapshot = story.state.snapshot(BlobHash::of(b"plan"));
    let text = serde_json::to_string_pretty(&snapshot).expect("written");
    let shape = crate::workflow::SNAPSHOT_SHAPE;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let golden = folder.join(format!("snapshot.{shape}.json"));
    let Ok(stored) = std::fs::read_to_string(&golden) else {
        std::fs::write(&golden, format!("{text}\n")).expect("the folder can be written");
        panic!("there was no golden file; look at the new one");
    };
    assert_eq!(stored.trim_end(), text, "raise SNAPSHOT_SHAPE");
}

/// WF3: the examples of the contract.
#[test]
fn wf3_progress_is_completed_of_total() {
    let percent = |story: &Story| progress(&story.state).percentage;
    assert_eq!(percent(&given(plan([]))), 0, "0 tasks are 0 %");
    let three = given(plan([tool("a").on_failure(OnFailure::Continue), tool("b"), tool("c")]));
    let three = three.after([started(0, 1), failed(0), started(1, 1), done(1)]);
    assert_eq!(percent(&three), 33, "a failed task stays in the total");
    let three = three.after([started(2, 1), done(2)]).finishes();
    assert_eq!(percent(&three), 67, "half is rounded up, and the end changes nothing");
    let many = given(plan((0..200).map(|_| tool("t"))));
    let many = many.after((0..199).flat_map(|n| [started(n, 1), done(n)]));
    assert_eq!(percent(&many), 99, "something is open");
    assert_eq!(percent(&many.after([started(199, 1), done(199)])), 100);
    let mut graph = stages([vec![tool("a")], vec![tool("b"), tool("c")]]);
    graph.progress = ProgressMethod::StageWeighted;
    graph.stages[1].weight = 3;
    let story = given(graph).after([started(0, 1), done(0)]);
    assert_eq!(percent(&story), 25, "one of four shares");
    assert_eq!(progress(&story.state).method.to_string(), "stage-weighted");
}

/// WF2: what a row says is what the one function says.
#[test]
fn wf2_rows_carry_the_progress_of_the_one_function() {
    let story = given(plan([tool("a"), tool("b")])).after([started(0, 1), done(0)]);
    let row = super::super::rows::workflow_row(&story.state, 1, 9);
    assert_eq!(row.progress, progress(&story.state));
    assert_eq!((row.progress.completed, row.progress.total, row.progress.percentage), (1, 2, 50));
}
