//! What readers see, in which order, and how they page through it.

use baton_core::actor::Actor;
use baton_core::codes::Code;
use baton_core::ids::{ConversationId, Ordinal, TaskId};
use baton_core::words::{Origin, TaskStatus, WaitReason, WorkflowStatus};
use baton_core::workflow::EventKind;
use baton_engine::store::{Filter, SYSTEM_STREAM, Store};

use super::{Check, Script, Site};

pub(super) const CHECKS: &[Check] = &[
    ("events become visible in order", events_become_visible_in_order),
    ("streams are apart", streams_are_apart),
    ("lists filter and page", lists_filter_and_page),
    ("people find what waits for them", people_find_what_waits_for_them),
    ("definitions are found by version", definitions_are_found_by_version),
    ("ids and numbers lead to each other", ids_and_numbers_lead_to_each_other),
    ("what does not exist is not found", what_does_not_exist_is_not_found),
];

fn started(site: &dyn Site) -> (Box<dyn Store>, Script) {
    let mut owner = site.owner();
    let script = Script::from(owner.take_over().expect("an epoch"));
    (owner, script)
}

fn events_become_visible_in_order(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let mut reader = site.reader();
    assert_eq!(reader.events(0, None, 10), Ok(vec![]));
    let (one, two) = (script.admit("one"), script.admit("two"));
    let mut all = Vec::new();
    for _ in 0..5 {
        script.task(one, 0, TaskStatus::Executing, None);
        script.task(two, 0, TaskStatus::Executing, None);
        script.event(SYSTEM_STREAM, EventKind::TaskEmitted, "{}");
        let commit = script.take();
        owner.commit(&commit).expect("a commit");
        assert_eq!(reader.head(), Ok(commit.head));
        all.extend(commit.records);
        assert_eq!(reader.events(0, None, 100), Ok(all.clone()));
    }
    assert_eq!(reader.events(3, None, 4), Ok(all[3..7].to_vec()));
    assert_eq!(reader.events(all.len() as u64, None, 4), Ok(vec![]));
    let of_two: Vec<_> = all.iter().filter(|record| record.stream == two).cloned().collect();
    let after = of_two[1].position;
    assert_eq!(reader.events(after, Some(two), 2), Ok(of_two[2..4].to_vec()));
    assert_eq!(reader.events(after - 1, Some(two), 1), Ok(of_two[1..2].to_vec()));
}

fn streams_are_apart(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let numbers: Vec<u64> = (0..4).map(|_| script.admit("w")).collect();
    let mut all = Vec::new();
    for round in 0..6 {
        for number in &numbers {
            script.event(*number, EventKind::TaskEmitted, &format!("{{\"round\":{round}}}"));
        }
        script.event(SYSTEM_STREAM, EventKind::TaskEmitted, "{}");
        let commit = script.take();
        owner.commit(&commit).expect("a commit");
        all.extend(commit.records);
    }
    let mut reader = site.reader();
    for stream in numbers.into_iter().chain([SYSTEM_STREAM]) {
        let of_it: Vec<_> = all.iter().filter(|record| record.stream == stream).cloned().collect();
        assert_eq!(owner.stream(stream), Ok(of_it.clone()));
        assert_eq!(reader.stream(stream), Ok(of_it));
    }
}

// Long because it is one table of cases.
fn lists_filter_and_page(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let statuses = [WorkflowStatus::Running, WorkflowStatus::Completed, WorkflowStatus::Failed];
    for at in 0..30_usize {
        let number = script.admit(if at % 2 == 0 { "Even 50% off" } else { "odd" });
        script.status(number, statuses[at % 3]);
        script.change(number).waiting_people = u32::from(at % 5 == 0);
        owner.commit(&script.take()).expect("a commit");
    }
    let mut reader = site.reader();
    let mut numbers = |filter: Filter| -> Vec<u64> {
        let rows = reader.list(&filter).expect("a list");
        for (card, row) in &rows {
            let run = script.run(card.number);
            assert_eq!((card, row), (&run.card, &run.row));
        }
        rows.iter().map(|(card, _)| card.number).collect()
    };
    let page = |limit| Filter { limit, ..Filter::default() };
    assert_eq!(numbers(page(3)), [30, 29, 28]);
    assert_eq!(numbers(Filter { before: Some(28), ..page(3) }), [27, 26, 25]);
    assert_eq!(numbers(Filter { before: Some(1), ..page(3) }), [0_u64; 0]);
    assert_eq!(numbers(Filter { before: Some(u64::MAX), ..page(1) }), [30]);
    assert_eq!(numbers(page(0)), [0_u64; 0]);
    assert_eq!(numbers(page(u32::MAX)).len(), 30);
    let only = |statuses: &[WorkflowStatus]| Filter { statuses: statuses.to_vec(), ..page(4) };
    assert_eq!(numbers(only(&statuses[..1])), [28, 25, 22, 19]);
    assert_eq!(numbers(only(&statuses[1..])), [30, 29, 27, 26]);
    assert_eq!(numbers(only(&[statuses[1], statuses[1]])), [29, 26, 23, 20]);
    assert_eq!(numbers(only(&[WorkflowStatus::Draft])), [0_u64; 0]);
    let named = |name: &str| Filter { name: Some(name.to_owned()), ..page(2) };
    assert_eq!(numbers(named("0%")), [29, 27]);
    assert_eq!(numbers(named("%")), [29, 27]);
    assert_eq!(numbers(named("EVEN")), [0_u64; 0]);
    assert_eq!(numbers(named("")), [30, 29]);
    assert_eq!(numbers(Filter { needs_people: true, ..page(3) }), [26, 21, 16]);
    let origin = |origin| Filter { origin: Some(origin), ..page(2) };
    assert_eq!(numbers(origin(Origin::Cli)), [30, 29]);
    assert_eq!(numbers(origin(Origin::Api)), [0_u64; 0]);
    let of = |number| Filter { project: Some(Script::project(number)), ..page(2) };
    assert_eq!((numbers(of(5)), numbers(of(10))), (vec![25, 15], vec![30, 20]));
    let failed = Filter { statuses: vec![statuses[2]], ..of(5) };
    assert_eq!(numbers(failed), [15]);
    assert_eq!(numbers(Filter { before: Some(20), ..of(10) }), [10]);
    let conversation = Some(script.run(7).card.conversation);
    assert_eq!(numbers(Filter { conversation, ..page(9) }), [7]);
    let none = Some(ConversationId::from_bytes([9; 16]));
    assert_eq!(numbers(Filter { conversation: none, ..page(9) }), [0_u64; 0]);
    let since = script.run(29).card.created_at;
    assert_eq!(numbers(Filter { since: Some(since), ..page(9) }), [30, 29]);
    let everything = Filter {
        statuses: statuses[1..].to_vec(),
        needs_people: true,
        before: Some(26),
        ..named("odd")
    };
    assert_eq!(numbers(everything), [6]);
}

fn people_find_what_waits_for_them(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let number = script.admit("w");
    let reasons: Vec<(u32, WaitReason)> = (0..).zip(WaitReason::ALL.iter().copied()).collect();
    for (ordinal, reason) in reasons.iter().rev() {
        script.task(number, *ordinal, TaskStatus::Waiting, Some(*reason));
    }
    owner.commit(&script.take()).expect("a commit");
    let mut reader = site.reader();
    let mut waiting = |limit| -> Vec<u32> {
        let rows = reader.waiting_for_people(limit).expect("rows");
        for (card, row) in &rows {
            let run = script.run(number);
            assert_eq!((card, Some(row)), (&run.card, run.tasks.get(&row.ordinal.0)));
        }
        rows.iter().map(|(_, row)| row.ordinal.0).collect()
    };
    let for_people = reasons.iter().rev().filter(|(_, reason)| reason.is_for_people());
    let people: Vec<u32> = for_people.map(|(ordinal, _)| *ordinal).collect();
    assert_eq!(waiting(10), people);
    assert_eq!(waiting(2), people.get(..2).expect("two"));
    let ended = people.get(1).copied().expect("two");
    script.task(number, ended, TaskStatus::Completed, None);
    owner.commit(&script.take()).expect("a commit");
    let rows = reader.waiting_for_people(10).expect("rows");
    let left: Vec<u32> = rows.iter().map(|(_, row)| row.ordinal.0).collect();
    assert_eq!(left, people.into_iter().filter(|ordinal| *ordinal != ended).collect::<Vec<_>>());
}

fn definitions_are_found_by_version(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let rows = [script.define("d", 1), script.define("d", 12), script.define("d", 3)];
    let other = script.define("de", 7);
    owner.commit(&script.take()).expect("a commit");
    let mut reader = site.reader();
    assert_eq!(owner.definition("d", None), Ok(Some(rows[1].clone())));
    assert_eq!(reader.definition("d", None), Ok(Some(rows[1].clone())));
    assert_eq!(reader.definition("d", Some(3)), Ok(Some(rows[2].clone())));
    assert_eq!(reader.definition("d", Some(2)), Ok(None));
    assert_eq!(reader.definition("de", None), Ok(Some(other)));
    assert_eq!(reader.definition("", None), Ok(None));
}

fn ids_and_numbers_lead_to_each_other(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let (one, two) = (script.admit("one"), script.admit("two"));
    owner.commit(&script.take()).expect("a commit");
    let mut reader = site.reader();
    for number in [one, two] {
        let id = script.run(number).card.id;
        assert_eq!(owner.number_of(id), Ok(Some(number)));
        assert_eq!(reader.id_of(number), Ok(Some(id)));
        assert_eq!(reader.workflow_of(id.task(Ordinal(9))), Ok(Some(number)));
    }
    assert_eq!(reader.actor(1), Ok(Some(Actor::user("ada"))));
}

fn what_does_not_exist_is_not_found(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let number = script.admit("w");
    let stranger = Script::from(owner.head().expect("a head")).admit("stranger");
    let id = script.run(number).card.id.task(Ordinal(u32::MAX - 1));
    let mut reader = site.reader();
    assert_eq!(reader.workflow(script.run(number).card.id), Ok(None));
    assert_eq!(reader.workflow_of(id), Ok(None));
    assert_eq!(reader.workflow_of(TaskId::from_bytes([0; 16])), Ok(None));
    for number in [stranger, u64::MAX, i64::MAX as u64, 1 << 43] {
        assert_eq!(reader.id_of(number), Ok(None));
        assert_eq!(reader.tasks(number), Ok(vec![]));
        assert_eq!(reader.stream(number), Ok(vec![]));
        assert_eq!(owner.stream(number), Ok(vec![]));
        assert_eq!(reader.events(number, None, 5), Ok(vec![]));
        assert_eq!(reader.events(number, Some(number), 5), Ok(vec![]));
    }
    assert_eq!(reader.actor(u32::MAX), Ok(None));
}
