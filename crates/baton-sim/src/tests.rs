//! A bounded number of seeds, every cut, and a look at whether the storms reach what they should.

use std::collections::BTreeSet;

use baton_core::codes::Code;
use baton_core::workflow::EventKind;
use baton_engine::store::{Record, Views};
use baton_store::memory::MemoryStore;

use crate::run::live;

/// Seeds of one test run: a few seconds in the dev profile.
const SEEDS: u64 = 60;

/// The whole journal.
fn journal(store: &MemoryStore) -> Vec<Record> {
    let events = store.views().events(0, None, u32::MAX);
    events.expect("it is readable")
}

/// A simulator that never gets somewhere proves nothing about it: the storms reach every event.
#[test]
fn ch6_wf1_mp1_what_is_promised_survives_every_storm() {
    let mut seen = BTreeSet::new();
    let mut snapshots = 0;
    for seed in 0..SEEDS {
        match live(seed) {
            Err(violation) => panic!("{violation}\nreplay it: cargo xtask sim --seed {seed}"),
            Ok(world) => {
                snapshots += world.snapshots;
                let kinds = journal(&world.store).into_iter();
                seen.extend(kinds.filter_map(|record| EventKind::from_code(record.kind)));
            }
        }
    }
    // Old stores hold purges of one workflow each; none is written any more.
    seen.insert(EventKind::Purged);
    // What comes from outside to the store as a whole is sent in `trigger_tests`, cut at each commit.
    seen.extend([EventKind::DefinitionRemoved, EventKind::EventReceived, EventKind::TriggerFired]);
    seen.extend([EventKind::TokenCreated, EventKind::TokenRevoked, EventKind::ServerReleased]);
    let missing: Vec<&EventKind> =
        EventKind::ALL.iter().filter(|kind| !seen.contains(kind)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
    assert!(snapshots > 100, "only {snapshots} snapshots were there to begin from");
}

#[test]
fn every_cut_is_resumed_to_the_same_end() {
    let cuts = crate::cut::everywhere().expect("every cut ends as if it had not been");
    assert!(cuts > 50, "only {cuts} cuts were made");
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let life = |seed| {
        let world = live(seed).expect("it survives");
        format!("{:?}", journal(&world.store))
    };
    assert_eq!(life(11), life(11));
    assert_ne!(life(11), life(12));
}
