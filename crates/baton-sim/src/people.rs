//! The simulated people: they answer, settle what is in doubt by what really happened, and command.

use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::body::{Blob, Body, Json};
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::plan::Plan;
use baton_core::words::{HumanKind, Origin};
use baton_core::workflow::{
    Command, Phase, Resume, Task, TaskPhase, Verdict, Waiting, WorkflowState,
};
use baton_engine::exchange::{Burial, Edit, Input, Request, Submit};
use baton_engine::inbox::Wanted;
use baton_engine::loaded::Loaded;
use serde_json::{Value, json};

use crate::effects::idempotency_key;
use crate::ledger::Violation;
use crate::plans;
use crate::reading;
use crate::talkers;
use crate::tools;
use crate::world::World;

/// How much people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Whatever comes to mind.
    Wild,
    /// Only what lets work go on.
    Helpful,
}

/// A command, and the large body it may name.
type Act = (Command, Option<Blob>);

/// What a person could do next for a workflow that waits for one.
fn help(world: &World, state: &WorkflowState) -> Vec<Act> {
    let mut all: Vec<Act> =
        state.waiting().filter_map(|(task, on)| answer(world, state, task, on)).collect();
    let plain = match &state.phase {
        Phase::PendingReview => Some(Command::Approve { revision: state.revision }),
        Phase::Paused { .. } => Some(Command::Resume),
        Phase::Draft { .. } => Some(Command::Cancel { reason: None }),
        Phase::Queued | Phase::Running { .. } | Phase::Cancelling { .. } | Phase::Ended(_) => None,
    };
    all.extend(plain.map(|command| (command, None)));
    all
}

/// Answers everything that waits for a person, but reviews nothing. Returns whether anything did.
#[cfg(test)]
pub fn answer_all(world: &mut World) -> bool {
    let states: Vec<WorkflowState> = world
        .engine()
        .into_iter()
        .flat_map(|engine| engine.states())
        .map(|(_, s)| s.clone())
        .collect();
    let mut acted = false;
    for state in &states {
        let waiting = state.waiting().filter_map(|(task, on)| answer(world, state, task, on));
        for act in waiting.collect::<Vec<Act>>() {
            command(world, state.id, act);
            acted = true;
        }
    }
    acted
}

fn answer(world: &World, state: &WorkflowState, task: Ordinal, on: &Waiting) -> Option<Act> {
    match on {
        Waiting::InDoubt { .. } => settle(world, state, task),
        Waiting::Approval { .. } | Waiting::Budget { .. } => {
            // By what is asked and not by when: an owner's death must not change it.
            let is_liked = state.asked_call(task).is_none_or(|call| !call.id.ends_with('2'));
            let (value, by) = (json!(is_liked), "ada".to_owned());
            Some((Command::Respond { task, value, by, question: None }, None))
        }
        // By what is asked here as well.
        Waiting::Person { .. }
            if state.asked_call(task).is_some_and(|call| call.id.ends_with('3')) =>
        {
            Some((Command::Decline { task, question: None }, None))
        }
        Waiting::Person { .. } => {
            let human = Wanted::in_state(state, task, on)?;
            let value: Value = match human.kind {
                HumanKind::Approval => json!(true),
                HumanKind::Form if state.asked_call(task).is_some() => json!("because"),
                HumanKind::Form => json!({ "said": 1 }),
                HumanKind::Choice => json!("left"),
            };
            let by = "ada".to_owned();
            Some((Command::Respond { task, value, by, question: None }, None))
        }
        Waiting::Question { number, .. } if number % 4 == 3 => {
            Some((Command::Decline { task, question: Some(*number) }, None))
        }
        Waiting::Question { number, .. } => {
            let (value, by) = (json!({ "size": 3 }), "ada".to_owned());
            Some((Command::Respond { task, value, by, question: Some(*number) }, None))
        }
        Waiting::Timer { .. } | Waiting::Event { .. } | Waiting::Child { .. } => None,
    }
}

/// Says what really happened, with the result the call had.
fn settle(world: &World, state: &WorkflowState, task: Ordinal) -> Option<Act> {
    let rung = state.task(task)?.rung;
    let key = idempotency_key(state.id, task, state.run, rung);
    if !world.ledger.has_happened(&key) {
        let verdict = Verdict::DidNotHappen;
        return Some((Command::Settle { task, verdict }, None));
    }
    let (output, blob) = tools::output(&state.task_plan(task)?.key, rung);
    let verdict = Verdict::Happened(output);
    Some((Command::Settle { task, verdict }, blob))
}

fn whim(world: &mut World, state: Option<&WorkflowState>) -> Command {
    let count = state.map_or(1, |state| state.tasks().len() as u64);
    let task = Ordinal(u32::try_from(world.rng.below(count.max(1))).unwrap_or(0));
    match world.rng.below(12) {
        0 => Command::Cancel { reason: Some("a whim".to_owned()) },
        1 | 2 => Command::Pause { cause: baton_core::workflow::PauseCause::Actor },
        3 | 4 => Command::Resume,
        5 | 6 => Command::Retry { tasks: Vec::new() },
        7 | 8 => Command::Retry { tasks: vec![task] },
        9 => Command::Decline { task, question: None },
        10 => {
            let (value, by) = (json!("nonsense"), "bob".to_owned());
            Command::Respond { task, value, by, question: None }
        }
        _ => Command::Approve { revision: 1 },
    }
}

/// Asks for something, as somebody.
pub fn ask(world: &mut World, request: Request) {
    let name = format!("person-{}", world.rng.below(20));
    let token = world.rng.next();
    let actor = Actor::user(&name);
    world.send(Input::Request { token, actor, request });
}

fn command(world: &mut World, workflow: WorkflowId, (command, blob): Act) {
    let command = Box::new(command);
    ask(world, Request::Command { workflow, command, blob });
}

pub(crate) fn loaded(plan: Plan) -> Result<Loaded, Violation> {
    Loaded::new(plan).map_err(|e| Violation(format!("the plan is not valid: {e}")))
}

/// Submits a plan, as urgent as may be.
pub fn submit(world: &mut World, plan: Plan, review: bool) -> Result<(), Violation> {
    let priority = u8::try_from(world.rng.below(10)).unwrap_or(5);
    submit_with(world, plan, review, priority)
}

/// Submits a plan with this priority.
pub fn submit_with(
    world: &mut World,
    plan: Plan,
    review: bool,
    priority: u8,
) -> Result<(), Violation> {
    let loaded = loaded(plan)?;
    let large = world.rng.chance(200) && world.weather.tools;
    let text = if large { "y".repeat(2000) } else { "y".to_owned() };
    let submit = Submit {
        loaded: Arc::new(loaded),
        inputs: Body::split(Json::of(&json!({ "text": text }))),
        origin: Origin::Cli,
        priority,
        review,
        conversation: None,
        project: None,
        folder: None,
    };
    ask(world, Request::Submit(Box::new(submit)));
    Ok(())
}

/// Lets every person act who can: on all workflows when helpful, on one when wild.
/// Returns whether anybody did.
pub fn act(world: &mut World, mood: Mood) -> Result<bool, Violation> {
    let states: Vec<WorkflowState> = match world.engine() {
        Some(engine) => {
            let mut states: Vec<_> =
                engine.states().map(|(number, state)| (number, state.clone())).collect();
            states.sort_by_key(|(number, _)| *number);
            states.into_iter().map(|(_, state)| state).collect()
        }
        None => return Ok(false),
    };
    let mut acted = (mood == Mood::Helpful || world.rng.chance(200)) && talkers::act(world, mood)?;
    for state in &states {
        for help in help(world, state) {
            if mood == Mood::Helpful || world.rng.chance(300) {
                command(world, state.id, help);
                acted = true;
            }
        }
    }
    let waits = states.iter().any(waits_for_workers);
    if waits && (mood == Mood::Helpful || world.rng.chance(500)) {
        world.worker_asks();
        acted = true;
    }
    if mood == Mood::Wild {
        for state in &states {
            let offered = matches!(state.phase, Phase::PendingReview);
            if offered && world.rng.chance(300) {
                let comments = "smaller steps".to_owned();
                command(world, state.id, (Command::SendBack { comments }, None));
            }
            if offered && world.rng.chance(400) {
                edit(world, state)?;
                acted = true;
            }
        }
        acted |= act_wildly(world, &states)?;
    }
    Ok(acted)
}

/// Edits a plan that waits for its review, or takes an edit back, which may not be the newest.
fn edit(world: &mut World, state: &WorkflowState) -> Result<(), Violation> {
    let (workflow, revision) = (state.id, state.revision);
    if world.rng.chance(300) {
        let edit = u32::try_from(1 + world.rng.below(2)).unwrap_or(1);
        ask(world, Request::UndoEdit { workflow, edit });
        return Ok(());
    }
    let description = Some(format!("as edited {}", world.rng.below(4)));
    let plan = Plan { description, ..Plan::clone(&state.plan) };
    let loaded = Arc::new(loaded(plan)?);
    let inputs = (state.inputs.clone(), None);
    ask(world, Request::Edit(Box::new(Edit { workflow, revision, loaded, inputs })));
    Ok(())
}

/// Whether something is ready that only workers outside can do. They also come while it is paused.
fn waits_for_workers(state: &WorkflowState) -> bool {
    let ready = |(task, n): (&Task, u32)| {
        let again = |on: &Waiting| matches!(on, Waiting::Timer { then: Resume::Retry, .. });
        let waits = matches!(&task.phase, TaskPhase::Waiting { on, .. } if again(on));
        let may = waits || matches!(task.phase, TaskPhase::Ready);
        may && state.worker_call(Ordinal(n)).is_some()
    };
    state.tasks().iter().zip(0..).any(ready)
}

fn act_wildly(world: &mut World, states: &[WorkflowState]) -> Result<bool, Violation> {
    let rows = reading::rows(&world.store);
    let known: Vec<WorkflowId> = rows.iter().map(|(card, _)| card.id).collect();
    match (world.rng.below(10), world.rng.pick(&known).copied()) {
        (0, _) | (_, None) if known.len() < 12 => {
            let depth = u32::try_from(world.rng.below(2)).unwrap_or(0);
            let plan = plans::random(&mut world.rng, depth);
            let review = world.rng.chance(150);
            submit(world, plan, review)?;
        }
        (1, Some(workflow)) if known.len() < 12 => {
            let head = reading::position(&world.store);
            let position = world.rng.chance(500).then(|| 1 + world.rng.below(head));
            ask(world, Request::Fork { workflow, position });
        }
        (2, Some(workflow)) if world.rng.chance(500) => ask(world, Request::AwaitEnd { workflow }),
        (2, Some(workflow)) => {
            let revision = None;
            let workflows = vec![Burial { workflow, revision }];
            ask(world, Request::Purge { workflows });
        }
        (5, _) if world.rng.chance(300) => {
            let plan = plans::random(&mut world.rng, 0);
            ask(world, Request::Define { loaded: Arc::new(loaded(plan)?), source: None });
        }
        (3 | 4, Some(workflow)) => {
            let state = states.iter().find(|state| state.id == workflow);
            let whim = whim(world, state);
            command(world, workflow, (whim, None));
        }
        _ => return Ok(false),
    }
    Ok(true)
}
