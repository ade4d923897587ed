//! Conversations are kept as they change, found by id, number, title and status, and only those for
//! which something is to be done are taken up.

use baton_core::ids::ConversationId;
use baton_core::words::ConversationStatus;
use baton_core::workflow::EventKind;
use baton_engine::store::{ConversationFilter, Store, StoreError};

use super::{Check, Script, Site};

pub(super) const CHECKS: &[Check] = &[
    ("a conversation is kept as it changes", a_conversation_is_kept_as_it_changes),
    ("its stream is apart from workflows'", its_stream_is_apart_from_workflows),
    ("only busy conversations are taken up", only_busy_conversations_are_taken_up),
    ("conversations are listed and paged", conversations_are_listed_and_paged),
    ("titles are found whatever their letters", titles_are_found_whatever_their_letters),
    ("no two conversations have one id", no_two_conversations_have_one_id),
    ("a refused commit leaves no conversation", a_refused_commit_leaves_no_conversation),
];

fn started(site: &dyn Site) -> (Box<dyn Store>, Script) {
    let mut owner = site.owner();
    let script = Script::from(owner.take_over().expect("an epoch"));
    (owner, script)
}

fn a_conversation_is_kept_as_it_changes(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let mut reader = site.reader();
    let number = script.open("Größe 漢字 🦀 'quoted' \"twice\" \\ {braces} $1 ?1 %\n\u{0}");
    for _ in 0..3 {
        owner.commit(&script.take()).expect("a commit");
        let row = script.talk(number).clone();
        assert_eq!(owner.conversation_number(row.id), Ok(Some(number)));
        assert_eq!(reader.conversation(row.id), Ok(Some(row.clone())));
        assert_eq!(reader.conversation_of(number), Ok(Some(row.id)));
        script.event(number, EventKind::MessageAdded, "{}");
        let changed = script.change_talk(number);
        changed.busy = !changed.busy;
        changed.face.title.push('!');
        changed.face.escalated = Some("\u{0}\u{7f}".to_owned());
    }
    script.change_talk(number).status = ConversationStatus::Closed;
    owner.commit(&script.take()).expect("a commit");
    drop(owner);
    let row = script.talk(number).clone();
    assert_eq!(site.reader().conversation(row.id), Ok(Some(row)));
    let stranger = ConversationId::from_bytes([3; 16]);
    assert_eq!(reader.conversation(stranger), Ok(None));
    for beyond in [0, number + 1, 1 << 43, i64::MAX as u64, u64::MAX] {
        assert_eq!(reader.conversation_of(beyond), Ok(None));
    }
    assert_eq!(site.owner().conversation_number(stranger), Ok(None));
}

fn its_stream_is_apart_from_workflows(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let streams = [script.admit("one"), script.open("talk"), script.admit("two")];
    let mut all = Vec::new();
    for round in 0..5 {
        for number in streams {
            script.event(number, EventKind::MessageAdded, &format!("{{\"round\":{round}}}"));
        }
        let commit = script.take();
        owner.commit(&commit).expect("a commit");
        all.extend(commit.records);
    }
    let mut reader = site.reader();
    let [_, talk, _] = streams;
    for number in streams {
        let of_it: Vec<_> = all.iter().filter(|record| record.stream == number).cloned().collect();
        assert_eq!(owner.stream(number), Ok(of_it.clone()));
        assert_eq!(reader.stream(number), Ok(of_it.clone()));
        let after = of_it[1].position;
        assert_eq!(reader.events(after, Some(number), 2), Ok(of_it[2..4].to_vec()));
        let tail = owner.tail(number).expect("a read");
        assert_eq!((tail.snapshot, tail.records), (None, of_it));
    }
    assert_eq!((reader.id_of(talk), reader.tasks(talk)), (Ok(None), Ok(vec![])));
    assert_eq!(owner.live(), Ok(vec![streams[0], streams[2]]));
}

fn only_busy_conversations_are_taken_up(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    assert_eq!(owner.busy_conversations(), Ok(vec![]));
    let numbers: Vec<u64> = (0..9).map(|at| script.open(&format!("talk {at}"))).collect();
    for number in numbers.iter().skip(1).step_by(3).rev() {
        script.change_talk(*number).busy = true;
    }
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(owner.busy_conversations(), Ok(vec![numbers[1], numbers[4], numbers[7]]));
    script.change_talk(numbers[4]).busy = false;
    script.change_talk(numbers[0]).busy = true;
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(site.owner().busy_conversations(), Ok(vec![numbers[0], numbers[1], numbers[7]]));
}

fn conversations_are_listed_and_paged(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    for at in 0..12_u64 {
        script.admit("between");
        let number = script.open(if at % 2 == 0 { "Even 50% off" } else { "odd" });
        if at % 3 == 0 {
            script.change_talk(number).status = ConversationStatus::Closed;
        }
        owner.commit(&script.take()).expect("a commit");
    }
    let mut reader = site.reader();
    let mut numbers = |filter: ConversationFilter| -> Vec<u64> {
        let rows = reader.conversations(&filter).expect("a list");
        rows.iter().for_each(|row| assert_eq!(row, script.talk(row.number)));
        rows.iter().map(|row| row.number).collect()
    };
    let page = |limit| ConversationFilter { limit, ..ConversationFilter::default() };
    assert_eq!(numbers(page(3)), [24, 22, 20]);
    assert_eq!(numbers(ConversationFilter { before: Some(20), ..page(3) }), [18, 16, 14]);
    assert_eq!(numbers(ConversationFilter { before: Some(2), ..page(3) }), [0_u64; 0]);
    assert_eq!(numbers(ConversationFilter { before: Some(u64::MAX), ..page(1) }), [24]);
    assert_eq!((numbers(page(0)), numbers(page(u32::MAX)).len()), (vec![], 12));
    let of = |status| ConversationFilter { status: Some(status), ..page(9) };
    assert_eq!(numbers(of(ConversationStatus::Closed)), [20, 14, 8, 2]);
    assert_eq!(numbers(of(ConversationStatus::Active)), [24, 22, 18, 16, 12, 10, 6, 4]);
    let titled = |title: &str| ConversationFilter { title: Some(title.to_owned()), ..page(2) };
    assert_eq!(numbers(titled("0%")), [22, 18]);
    assert_eq!(numbers(titled("oDD")), [24, 20]);
    assert_eq!(numbers(titled("_")), [0_u64; 0]);
    let closed = of(ConversationStatus::Closed);
    let all = ConversationFilter { title: Some("ODD".to_owned()), before: Some(20), ..closed };
    assert_eq!(numbers(all), [8]);
}

fn titles_are_found_whatever_their_letters(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let titles = ["ÄRZTE in Köln", "Οδός Σόλωνος", "line\none\u{0}two", "plain"];
    let numbers = titles.map(|title| script.open(title));
    owner.commit(&script.take()).expect("a commit");
    let mut reader = site.reader();
    let mut found = |title: &str| -> Vec<u64> {
        let filter = ConversationFilter {
            title: Some(title.to_owned()),
            limit: 9,
            ..ConversationFilter::default()
        };
        let rows = reader.conversations(&filter).expect("a list");
        rows.iter().map(|row| row.number).collect()
    };
    assert_eq!(found("ärzte IN kÖ"), numbers[..1]);
    assert_eq!(found("ΣΌΛΩ"), numbers[1..2]);
    assert_eq!(found("e\none\u{0}T"), numbers[2..3]);
    assert_eq!(found("PLAIN"), numbers[3..]);
    assert_eq!(found("").len(), titles.len());
    // A title that changed is found by the new one alone.
    script.change_talk(numbers[3]).face.title = "Fancy".to_owned();
    owner.commit(&script.take()).expect("a commit");
    assert_eq!((found("plain"), found("fAN")), (vec![], numbers[3..].to_vec()));
}

fn no_two_conversations_have_one_id(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let first = script.open("first");
    owner.commit(&script.take()).expect("a commit");
    let second = script.open("second");
    let id = script.talk(first).id;
    let own = std::mem::replace(&mut script.change_talk(second).id, id);
    let mut commit = script.take();
    assert!(matches!(owner.commit(&commit), Err(StoreError::Corrupt(_))));
    assert_eq!(owner.stream(second), Ok(vec![]));
    commit.conversations[0].id = own;
    assert_eq!(owner.commit(&commit), Ok(()));
}

fn a_refused_commit_leaves_no_conversation(site: &dyn Site) {
    let (mut owner, mut script) = started(site);
    let kept = script.open("kept");
    owner.commit(&script.take()).expect("a commit");
    let before = script.talk(kept).clone();
    script.change_talk(kept).busy = true;
    let number = script.open("lost");
    let mut commit = script.take();
    commit.purged.push(77);
    owner.commit(&commit).expect_err("no such workflow");
    let mut reader = site.reader();
    assert_eq!(owner.busy_conversations(), Ok(vec![]));
    assert_eq!(reader.conversation_of(number), Ok(None));
    assert_eq!(reader.conversation(before.id), Ok(Some(before)));
}
