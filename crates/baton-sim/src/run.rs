//! One seed, from the first submission to the last end: a storm, then calm in which all must end.

use std::collections::BTreeMap;

use baton_engine::queue::Limits;
use baton_engine::store::Store;

use crate::ledger::{Violation, violation};
use crate::people::{Mood, act, submit};
use crate::plans;
use crate::reading;
use crate::rng::Rng;
use crate::world::{Weather, World};

/// How long the storm lasts, in steps.
const STORM_STEPS: u64 = 150;
/// How many steps the calm may take until everything has ended.
const CALM_STEPS_MAX: u64 = 20_000;

/// What a seed went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survived {
    /// Commits written.
    pub commits: u64,
    /// Owners that died or were replaced.
    pub deaths: u64,
    /// Workflows that ended.
    pub workflows: usize,
    /// Effects in the world.
    pub effects: usize,
}

fn weather(rng: &mut Rng) -> Weather {
    let mut often = |most: u64| if rng.chance(500) { rng.below(most) } else { 0 };
    Weather {
        store: often(100),
        reads: often(200),
        slow: often(400),
        crash: often(100),
        take_over: often(60),
        drain: often(30),
        jump: often(100),
        snapshots: often(500),
        tools: often(10) < 8,
    }
}

fn limits(rng: &mut Rng) -> Limits {
    let mut most = || 1 + u32::try_from(rng.below(6)).unwrap_or(0);
    Limits { executing_max: most(), executing_per_workflow_max: most() }
}

/// Lives through the storm of a seed and the calm after it.
pub fn run(seed: u64) -> Result<Survived, Violation> {
    let world = live(seed)?;
    let workflows = reading::rows(&world.store).len();
    Ok(Survived {
        commits: world.commits,
        deaths: world.deaths,
        workflows,
        effects: world.ledger.count(),
    })
}

/// The world after the storm of a seed and the calm after it.
pub fn live(seed: u64) -> Result<World, Violation> {
    let mut rng = Rng::new(seed);
    let (weather, limits) = (weather(&mut rng), limits(&mut rng));
    let rate = "2/10s".parse().map_err(|e| Violation(format!("{e}")))?;
    let rates = BTreeMap::from([("api".to_owned(), rate)]);
    let mut world = World::new(rng.next(), weather, limits).under_rates(rates);
    world.snapshot_every(1 + rng.below(12));
    for _ in 0..=rng.below(3) {
        let plan = plans::random(&mut rng, 1);
        submit(&mut world, plan, rng.chance(100))?;
    }
    for _ in 0..STORM_STEPS {
        world.step()?;
        if world.rng.chance(200) {
            act(&mut world, Mood::Wild)?;
        }
    }
    settle(&mut world)?;
    world.judge_all()?;
    Ok(world)
}

/// Faults stop, people help: every workflow must end.
pub fn settle(world: &mut World) -> Result<(), Violation> {
    world.calm_down();
    for _ in 0..CALM_STEPS_MAX {
        let goes_on = world.step()?;
        if goes_on {
            if world.rng.chance(100) {
                act(world, Mood::Helpful)?;
            }
            continue;
        }
        if act(world, Mood::Helpful)? {
            continue;
        }
        let live = world.store.live().unwrap_or_default();
        let busy = world.store.busy_conversations().unwrap_or_default();
        if live.is_empty() && busy.is_empty() {
            return Ok(());
        }
        return stuck(world, &live);
    }
    let live = world.store.live().unwrap_or_default();
    if live.is_empty() { Ok(()) } else { stuck(world, &live) }
}

fn stuck(world: &World, live: &[u64]) -> Result<(), Violation> {
    let mut said = format!("{} workflows never end\n", live.len());
    for (number, state) in world.engine().into_iter().flat_map(|engine| engine.states()) {
        said += &format!("{number}: {:?}, {:?}\n", state.phase, state.tally());
        for (task, n) in state.tasks().iter().zip(0_u32..) {
            said += &format!("  {n} of {}: {:?}\n", task.of.0, task.phase);
        }
    }
    violation(said)
}
