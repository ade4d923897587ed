//! Facts are found by kind and key, the newest stands, and what is void goes when there is time.
//!
//! Definitions that are removed are here too: both are small records that later commits change.

use std::time::Duration;

use baton_core::words::FactKind;
use baton_engine::store::Housekeeping;

use super::{Check, Script, Site};

pub(super) const CHECKS: &[Check] = &[
    ("facts are found by kind and key", facts_are_found_by_kind_and_key),
    ("a refused commit leaves no fact", a_refused_commit_leaves_no_fact),
    ("what is void goes in idle moments", what_is_void_goes_in_idle_moments),
    ("removed definitions are gone", removed_definitions_are_gone),
];

fn facts_are_found_by_kind_and_key(site: &dyn Site) {
    let (mut owner, mut reader) = (site.owner(), site.reader());
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    // Any bytes are a key, and one may begin like another.
    let old = script.fact(FactKind::EventSeen, &[0, 255, 7], None);
    let other = script.fact(FactKind::EventSeen, &[0, 255], None);
    let apart = script.fact(FactKind::Schedule, &[0, 255, 7], None);
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(owner.fact(FactKind::EventSeen, &old.key), Ok(Some(old.clone())));
    let new = script.fact(FactKind::EventSeen, &old.key, Some(old.at));
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(reader.fact(FactKind::EventSeen, &old.key), Ok(Some(new.clone())));
    assert_eq!(reader.fact(FactKind::EventSeen, &[0]), Ok(None));
    assert_eq!(reader.facts(FactKind::EventSeen), Ok(vec![other, new]));
    assert_eq!(reader.facts(FactKind::Schedule), Ok(vec![apart.clone()]));
    drop(owner);
    assert_eq!(site.owner().fact(FactKind::Schedule, &apart.key), Ok(Some(apart)));
}

fn a_refused_commit_leaves_no_fact(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let fact = script.fact(FactKind::Schedule, b"key", None);
    let mut commit = script.take();
    commit.purged.push(77);
    owner.commit(&commit).expect_err("no such workflow");
    assert_eq!(owner.fact(fact.kind, &fact.key), Ok(None));
}

fn what_is_void_goes_in_idle_moments(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let now = script.later();
    let void = script.fact(FactKind::Schedule, b"void", Some(now));
    let due = now.plus(Duration::from_secs(60));
    let holds = script.fact(FactKind::Schedule, b"holds", Some(due));
    let lasts = script.fact(FactKind::Schedule, b"lasts", None);
    owner.commit(&script.take()).expect("a commit");
    while owner.idle() == Ok(Housekeeping::More) {}
    assert_eq!(owner.fact(void.kind, &void.key), Ok(None));
    assert_eq!(site.reader().facts(FactKind::Schedule), Ok(vec![holds, lasts]));
}

fn removed_definitions_are_gone(site: &dyn Site) {
    let (mut owner, mut reader) = (site.owner(), site.reader());
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let kept = script.define("Kept", 4);
    for version in 1..4 {
        script.define("gone", version);
    }
    let quiet = script.define("quiet", 3);
    owner.commit(&script.take()).expect("a commit");
    // By name in the order of bytes, wherever the store sorts.
    let names: Vec<_> =
        reader.definitions().expect("rows").into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["Kept", "gone", "gone", "gone", "quiet"]);
    script.undefine("gone");
    script.undefine("never there");
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(reader.definitions(), Ok(vec![kept.clone(), quiet]));
    assert_eq!(reader.definition("gone", None), Ok(None));
    assert_eq!(owner.triggered(), Ok(vec![kept]));
    script.define("gone", 1);
    assert_eq!(owner.commit(&script.take()), Ok(()));
}
