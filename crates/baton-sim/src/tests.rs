//! A bounded number of seeds, every cut, and a look at whether the storms reach what they should.

use std::collections::BTreeSet;

use baton_core::codes::Code;
use baton_core::workflow::EventKind;

use crate::run::{live, run};

/// Seeds of one test run: a few seconds in the dev profile.
const SEEDS: u64 = 60;

#[test]
fn ch6_wf1_mp1_what_is_promised_survives_every_storm() {
    for seed in 0..SEEDS {
        if let Err(violation) = run(seed) {
            panic!("{violation}\nreplay it: cargo xtask sim --seed {seed}");
        }
    }
}

#[test]
fn every_cut_is_resumed_to_the_same_end() {
    let cuts = crate::cut::everywhere().expect("every cut ends as if it had not been");
    assert!(cuts > 50, "only {cuts} cuts were made");
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let journal = |seed| {
        let world = live(seed).expect("it survives");
        format!("{:?}", world.store.kept().journal)
    };
    assert_eq!(journal(11), journal(11));
    assert_ne!(journal(11), journal(12));
}

/// A simulator that never gets somewhere proves nothing about it.
#[test]
fn storms_reach_every_kind_of_event() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let world = live(seed).expect("it survives");
        let kept = world.store.kept();
        seen.extend(
            kept.journal
                .iter()
                .filter_map(|record| EventKind::from_code(record.kind)),
        );
    }
    // Definitions and purges are the store's and the command line's; no storm asks for them yet.
    let elsewhere = [EventKind::DefinitionRegistered, EventKind::Purged];
    let missing: Vec<&EventKind> = EventKind::ALL
        .iter()
        .filter(|kind| !seen.contains(kind) && !elsewhere.contains(kind))
        .collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}
