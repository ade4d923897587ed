//! The same seeded sequence of commits on two stores leaves equal journals and equal rows.
//!
//! What the sequence means is nobody's concern here, only that both keep it alike.

use baton_core::body::Blob;
use baton_core::codes::Code;
use baton_core::time::{Moment, Timestamp};
use baton_core::words::{
    ConversationStatus, FactKind, TaskStatus, UsageBy, WaitReason, WorkflowStatus,
};
use baton_core::workflow::EventKind;
use baton_engine::store::{ConversationFilter, Filter, SYSTEM_STREAM, Store, UsageFilter, Views};

use super::{Script, Site};

/// Numbers drawn from a seed.
struct Dice {
    moment: Moment,
    thrown: u64,
}

impl Dice {
    fn from(seed: u64) -> Self {
        Self { moment: Moment::new(Timestamp::from_millis(0), seed), thrown: 0 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.thrown += 1;
        (self.moment.draw(self.thrown) >> 64) as u64 % bound
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

fn step(script: &mut Script, dice: &mut Dice, name: u64) {
    let numbers = script.numbers();
    let live: Vec<u64> =
        numbers.into_iter().filter(|n| script.run(*n).row.ended_at.is_none()).collect();
    if live.is_empty() || dice.below(12) == 0 {
        script.admit(&format!("name {}", dice.below(5)));
        return;
    }
    let number = dice.one_of(&live);
    match dice.below(21) {
        18.. => talk(script, dice),
        0..8 => {
            let status = dice.one_of(TaskStatus::ALL);
            let reason = (status == TaskStatus::Waiting).then(|| dice.one_of(WaitReason::ALL));
            let ordinal = dice.below(9) as u32;
            script.task(number, ordinal, status, reason);
        }
        8 => script.status(number, dice.one_of(WorkflowStatus::ALL)),
        9 => {
            let blob = Blob::pack(&format!("\"{}\"", "b".repeat(dice.below(6) as usize * 900)));
            script.uses(number, &blob);
            script.event(number, EventKind::TaskCompleted, "{\"blob\":true}");
        }
        10 => {
            script.event(SYSTEM_STREAM, EventKind::TaskEmitted, "{}");
        }
        11 => {
            script.define(&format!("definition {name}"), dice.below(4) as u32);
        }
        12 => {
            let ended: Vec<u64> = script.numbers();
            let number = dice.one_of(&ended);
            let row = &script.run(number).row;
            if row.ended_at.is_some() && row.head != 0 && row.head <= script.next().after.position {
                script.purge(number);
            }
        }
        13 if dice.below(2) == 0 => {
            let kind = dice.one_of(FactKind::ALL);
            script.fact(kind, &[dice.below(7) as u8], None);
        }
        13 => script.change(number).waiting_people = dice.below(3) as u32,
        14..16 => drop(script.book(number, dice.below(1_000))),
        _ => {
            let kind = dice.one_of(EventKind::ALL);
            script.event(number, kind, &format!("{{\"n\":{}}}", dice.below(1_000)));
        }
    }
}

/// Something happens to a conversation, or one begins.
fn talk(script: &mut Script, dice: &mut Dice) {
    let talks = script.talks();
    if talks.is_empty() || dice.below(4) == 0 {
        script.open(&format!("Über {} \u{1F3BC}\u{0}", dice.below(5)));
        return;
    }
    let number = dice.one_of(&talks);
    let kind = dice.one_of(&[EventKind::MessageAdded, EventKind::Escalated, EventKind::Closed]);
    script.event(number, kind, &format!("{{\"said\":{}}}", dice.below(1_000)));
    let messages = dice.below(1_000) as u32;
    let (status, busy) = (dice.one_of(ConversationStatus::ALL), dice.below(2) == 0);
    let row = script.change_talk(number);
    (row.status, row.busy, row.face.messages) = (status, busy, messages);
    if messages.is_multiple_of(3) {
        row.face.title = format!("ÜBER {messages}");
    }
}

/// Conversations that both list, by every filter.
fn equal_talks(script: &Script, one: &mut dyn Views, two: &mut dyn Views) {
    let statuses = ConversationStatus::ALL.iter().copied().map(Some).chain([None]);
    for (status, limit) in statuses.zip([3, 2, u32::MAX]) {
        for title in [None, Some("üBER 1".to_owned())] {
            let filter = ConversationFilter { status, title, before: None, limit };
            assert_eq!(one.conversations(&filter), two.conversations(&filter));
        }
    }
    for number in script.talks() {
        let row = script.talk(number).clone();
        assert_eq!(one.stream(number), two.stream(number));
        assert_eq!(one.conversation_of(number), Ok(Some(row.id)));
        assert_eq!(two.conversation_of(number), Ok(Some(row.id)));
        assert_eq!(one.conversation(row.id), Ok(Some(row.clone())));
        assert_eq!(two.conversation(row.id), Ok(Some(row)));
    }
}

fn equal(script: &Script, one: &mut dyn Views, two: &mut dyn Views) {
    let all = Filter { limit: u32::MAX, ..Filter::default() };
    assert_eq!(one.list(&all), two.list(&all));
    assert_eq!(one.events(0, None, u32::MAX), two.events(0, None, u32::MAX));
    assert_eq!(one.waiting_for_people(u32::MAX), two.waiting_for_people(u32::MAX));
    assert_eq!(one.definitions(), two.definitions());
    for by in UsageBy::ALL.iter().copied().map(Some).chain([None]) {
        let all = UsageFilter { by, limit: u32::MAX, ..UsageFilter::default() };
        assert_eq!(one.usage(&all), two.usage(&all));
    }
    for kind in FactKind::ALL {
        assert_eq!(one.facts(*kind), two.facts(*kind));
    }
    for status in WorkflowStatus::ALL {
        let some = Filter { statuses: vec![*status], limit: 3, ..Filter::default() };
        assert_eq!(one.list(&some), two.list(&some));
    }
    for number in script.numbers().into_iter().chain([SYSTEM_STREAM]) {
        assert_eq!(one.stream(number), two.stream(number));
        assert_eq!(one.tasks(number), two.tasks(number));
        assert_eq!(one.usage_of_tasks(number), two.usage_of_tasks(number));
    }
    for number in script.numbers() {
        let run = script.run(number);
        let rows: Vec<_> = run.tasks.values().cloned().collect();
        assert_eq!(one.tasks(number), Ok(rows));
        assert_eq!(one.workflow(run.card.id), Ok(Some((run.card.clone(), run.row.clone()))));
        for hash in run.uses.keys() {
            assert_eq!(one.blob(*hash), two.blob(*hash));
        }
    }
}

/// Runs one seed on two sites.
pub(super) fn run(seed: u64, one: &dyn Site, two: &dyn Site) {
    println!("differential: seed {seed}");
    let mut dice = Dice::from(seed);
    let mut owners: [Box<dyn Store>; 2] = [one.owner(), two.owner()];
    let heads: Vec<_> = owners.iter_mut().map(|owner| owner.take_over()).collect();
    assert_eq!(heads[0], heads[1]);
    let mut script = Script::from(heads[0].clone().expect("an epoch"));
    for name in 0..60 {
        for at in 0..dice.below(12) {
            step(&mut script, &mut dice, name * 100 + at);
        }
        let commit = script.take();
        for owner in &mut owners {
            owner.commit(&commit).expect("a valid commit");
        }
        if dice.below(20) == 0 {
            owners = [one.owner(), two.owner()];
        }
        let [first, second] = &mut owners;
        assert_eq!(first.head(), Ok(commit.head));
        assert_eq!(second.head(), Ok(commit.head));
        assert_eq!(first.live(), second.live());
        assert_eq!(first.busy_conversations(), second.busy_conversations());
        assert_eq!(first.actors(), second.actors());
        for number in script.numbers() {
            assert_eq!(first.usage(number), second.usage(number));
        }
    }
    equal(&script, &mut *one.reader(), &mut *two.reader());
    equal_talks(&script, &mut *one.reader(), &mut *two.reader());
    assert!(!script.talks().is_empty(), "no conversation in this run");
}

#[test]
fn memory_and_sqlite_keep_alike() {
    for seed in 0..12 {
        run(seed, &*super::memory::new(), &*super::sqlite::new());
    }
}

#[test]
fn sqlite_and_postgres_keep_alike() {
    let Some(server) = super::postgres::server() else {
        return;
    };
    for seed in 100..106 {
        run(seed, &*super::sqlite::new(), &*super::postgres::new(&server));
    }
}
