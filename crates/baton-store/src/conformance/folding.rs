//! A check folds the streams of conversations as they were written, and a repair by what it found
//! leaves nothing to find.
//!
//! How workflows are folded is tested where there is an engine that runs them.

use baton_core::actor::Actor;
use baton_core::body::{Body, Json};
use baton_core::conversation::rows::{ConversationRow, conversation_row};
use baton_core::conversation::{Closed, ConversationState, MessageAdded, Opened, PlanningStarted};
use baton_core::ids::ConversationId;
use baton_core::words::{ConversationStatus, Speaker};
use baton_core::workflow::{ConversationEvent, EventKind};
use baton_engine::check::{CheckReport, Mend, check};

use super::{Audited, Script};

/// Runs every check, each on a new site.
pub(super) fn check_all(new: &dyn Fn() -> Box<dyn Audited>) {
    for (name, run) in [
        ("what was folded is what is kept", what_was_folded_is_what_is_kept as fn(&dyn Audited)),
        ("a row that differs is named and mended", a_row_that_differs_is_named_and_mended),
        ("a stray row is named and removed", a_stray_row_is_named_and_removed),
        ("what cannot be folded is named", what_cannot_be_folded_is_named),
    ] {
        println!("conformance: {name}");
        run(&*new());
    }
}

/// A conversation with real events; what its row should be.
fn told(script: &mut Script, events: &[ConversationEvent]) -> ConversationRow {
    let number = script.open("to be named by its opening");
    // The first event was made by the script, without a body.
    let id = ConversationId::from_bytes([number as u8; 16]);
    let opened = Opened {
        id,
        by: Actor::user("ada"),
        title: "Compare two offers".to_owned(),
        project: None,
        folder: None,
    };
    let first = script.next().records.last_mut().expect("an event");
    let (mut head, at) = (first.position, first.at);
    let begun: ConversationEvent = opened.clone().into();
    first.body = begun.body().expect("it is written").into();
    let mut state = ConversationState::opened(&opened, at);
    for event in events {
        let body = event.body().expect("it is written");
        head = script.event(number, event.kind(), &body);
        state.evolve(event, script.next().head.at);
    }
    let row = conversation_row(&state, number, head);
    script.change_talk(number).clone_from(&row);
    row
}

fn said(number: u32, text: &str) -> ConversationEvent {
    let text = Body::Inline(Json::of(&serde_json::json!(text)));
    MessageAdded { number, speaker: Speaker::User, text, begins: number == 1 }.into()
}

/// Two conversations, one of them busy.
fn written(site: &dyn Audited) -> [ConversationRow; 2] {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let busy =
        told(&mut script, &[said(1, "compare them"), PlanningStarted { planning: 1 }.into()]);
    let closed = told(&mut script, &[said(1, "hello"), said(2, "and bye"), Closed {}.into()]);
    assert_eq!((busy.busy, busy.face.planning, closed.busy), (true, true, false));
    assert_eq!((closed.status, closed.face.messages), (ConversationStatus::Closed, 2));
    owner.commit(&script.take()).expect("a commit");
    [busy, closed]
}

fn checked(site: &dyn Audited) -> CheckReport {
    check(&mut *site.audit()).expect("a check")
}

/// Writes rows as they should not be.
fn damage(site: &dyn Audited, mends: &[Mend]) {
    let mut repair = site.repair();
    mends.iter().for_each(|mend| repair.mend(mend).expect("a change"));
    repair.commit().expect("changed");
}

/// Mends all that a check named; what another finds.
fn mended(site: &dyn Audited, report: &CheckReport) -> CheckReport {
    let mends: Vec<Mend> = report.differences.iter().filter_map(|it| it.mend.clone()).collect();
    damage(site, &mends);
    checked(site)
}

fn what_was_folded_is_what_is_kept(site: &dyn Audited) {
    written(site);
    let report = checked(site);
    assert_eq!(report.differences, []);
    assert_eq!((report.examined.conversations, report.examined.workflows), (2, 0));
    assert_eq!(report.examined.events, 7);
}

fn a_row_that_differs_is_named_and_mended(site: &dyn Audited) {
    let [busy, closed] = written(site);
    let mut odd = busy.clone();
    (odd.busy, odd.face.title) = (false, "Another".to_owned());
    damage(site, &[Mend::Conversation(Box::new(odd)), Mend::NoConversation(closed.number)]);
    let report = checked(site);
    let [first, second] = &report.differences[..] else { panic!("{report:?}") };
    assert!(first.what.starts_with("conversation 1 (`Compare two offers`"), "{first:?}");
    assert!(first.stored.contains("busy false") && first.recomputed.contains("busy true"));
    assert!(first.stored.contains("Another"), "{first:?}");
    assert_eq!((second.stored.as_str(), second.recomputed.as_str()), ("no row", "a row"));
    assert_eq!(mended(site, &report).differences, []);
    assert_eq!(site.reader().conversation(busy.id), Ok(Some(busy.clone())));
    assert_eq!(site.owner().busy_conversations(), Ok(vec![busy.number]));
}

fn a_stray_row_is_named_and_removed(site: &dyn Audited) {
    let [busy, _] = written(site);
    let stray = ConversationRow { number: 9, id: ConversationId::from_bytes([9; 16]), ..busy };
    damage(site, &[Mend::Conversation(Box::new(stray))]);
    let report = checked(site);
    let [only] = &report.differences[..] else { panic!("{report:?}") };
    assert_eq!(only.mend, Some(Mend::NoConversation(9)));
    assert_eq!(mended(site, &report).differences, []);
}

/// A row whose stream is damaged is the best that is left: nobody removes it.
fn what_cannot_be_folded_is_named(site: &dyn Audited) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let foreign = told(&mut script, &[said(1, "hello")]).number;
    script.event(foreign, EventKind::Paused, "{\"cause\":\"user\"}");
    let headless = told(&mut script, &[]).number;
    script.next().records.last_mut().expect("an event").kind = 61;
    owner.commit(&script.take()).expect("a commit");
    let report = checked(site);
    let whats: Vec<&str> = report.differences.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(whats, ["the events of stream 2", "the events of conversation 1"]);
    assert!(report.differences.iter().all(|it| it.mend.is_none()), "{report:?}");
    let mut audit = site.audit();
    for number in [foreign, headless] {
        assert!(audit.conversation(number).expect("a read").is_some());
    }
}
