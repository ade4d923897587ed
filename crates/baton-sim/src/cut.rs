//! Cut everywhere: a reference run is cut after each of its commits, in each way, and resumed;
//! it ends the same, with no `once` effect twice and nothing lost.

use baton_core::codes::Code;
use baton_core::plan::Plan;
use baton_core::workflow::EventKind;
use baton_engine::exchange::Request;
use baton_engine::queue::Limits;
use baton_engine::store::{Record, Store};

use crate::check;
use crate::ledger::{Violation, violation};
use crate::people::{ask, submit};
use crate::plans;
use crate::reading;
use crate::run::settle;
use crate::world::{CUTS, Cut, Weather, World};

/// How a workflow ended, without what differs from run to run.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ending {
    name: String,
    outcome: String,
    tasks: Vec<String>,
}

fn endings(world: &mut World) -> Result<Vec<Ending>, Violation> {
    let mut endings = Vec::new();
    for (card, _) in reading::rows(&world.store) {
        let number = card.number;
        let (state, _) = check::folded(&mut world.store, number)?;
        let Some(ended) = state.ended() else {
            return violation(format!("workflow {number} has not ended"));
        };
        let tasks =
            state.tasks().iter().map(|task| format!("{} {:?}", task.phase.status(), task.output()));
        endings.push(Ending {
            name: state.plan.name.clone(),
            outcome: format!("{:?}", ended.outcome),
            tasks: tasks.collect(),
        });
    }
    // Children of one parent may be admitted in another order.
    endings.sort();
    Ok(endings)
}

/// Whether the workflow is forked when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forks {
    Yes,
    No,
}

fn live_through(
    plan: &Plan,
    forks: Forks,
    cut: Option<(u64, Cut)>,
) -> Result<(World, Vec<Ending>), Violation> {
    let mut world = World::new(7, Weather::default(), Limits::default());
    world.snapshot_every(1);
    // The submission is one commit that must be written for anything to be resumed.
    submit(&mut world, plan.clone(), false)?;
    let request = world.take_inbox();
    world.step()?;
    request.into_iter().for_each(|input| world.send(input));
    world.cut = cut;
    settle(&mut world)?;
    if forks == Forks::Yes {
        fork(&mut world)?;
    }
    world.judge_all()?;
    let endings = endings(&mut world)?;
    Ok((world, endings))
}

/// Forks the first workflow where its first task completed, until there is a fork; it runs on.
fn fork(world: &mut World) -> Result<(), Violation> {
    let completed = |record: &&Record| record.kind == EventKind::TaskCompleted.code();
    let records = world.store.stream(1).map_err(check::unread)?;
    let position = records.iter().find(completed).map(|record| record.position);
    let rows = reading::rows(&world.store);
    let Some((card, _)) = rows.first() else {
        return violation("there is nothing to fork");
    };
    let workflow = card.id;
    // A request that dies with its owner is made again, as people do.
    while reading::rows(&world.store).len() == rows.len() {
        ask(world, Request::Fork { workflow, position });
        settle(world)?;
    }
    Ok(())
}

/// Cuts every fixed plan at every commit in every way; returns how many cuts were made.
pub fn everywhere() -> Result<u64, Violation> {
    let mut cuts = 0;
    for plan in plans::fixed() {
        // What waits for people may be asked again in another order: the fork of one is enough.
        let forks = if ["chain", "diamond", "healing"].contains(&plan.name.as_str()) {
            Forks::Yes
        } else {
            Forks::No
        };
        let (reference, whole) = live_through(&plan, forks, None)?;
        for at in 0..reference.commits {
            for way in CUTS {
                if at == 0 && way == Cut::Unwritten {
                    continue;
                }
                let place = format!("{} cut at commit {at}, {way:?}", plan.name);
                let said = |Violation(said)| Violation(format!("{place}: {said}"));
                let (world, resumed) = live_through(&plan, forks, Some((at, way))).map_err(said)?;
                if resumed != whole {
                    return violation(format!("{place}: {resumed:#?}\ninstead of {whole:#?}"));
                }
                if world.deaths != 1 || world.ledger.count() < reference.ledger.count() {
                    return violation(format!(
                        "{place}: {} deaths, {} effects",
                        world.deaths,
                        world.ledger.count()
                    ));
                }
                cuts += 1;
            }
        }
    }
    Ok(cuts)
}
