//! Who may write, what is written, and that it is all of it or nothing.

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash};
use baton_core::words::{TaskStatus, WorkflowStatus};
use baton_core::workflow::EventKind;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_engine::store::{BlobUse, Commit, Head, Record, Replanned, StoreError};

use super::{Check, Script, Site};

pub(super) const CHECKS: &[Check] = &[
    ("a new store is empty", a_new_store_is_empty),
    ("a new owner fences the earlier", a_new_owner_fences_the_earlier),
    ("a commit extends the head", a_commit_extends_the_head),
    ("what was committed is there after a crash", what_was_committed_is_there_after_a_crash),
    ("a refused commit leaves nothing", a_refused_commit_leaves_nothing),
    ("an unknown kind is refused", an_unknown_kind_is_refused),
    ("a commit must be in order", a_commit_must_be_in_order),
    ("what exists is not made again", what_exists_is_not_made_again),
    ("an empty commit is fenced too", an_empty_commit_is_fenced_too),
    ("rows are replaced", rows_are_replaced),
    ("a plan is replaced alone", a_plan_is_replaced_alone),
    ("blobs are stored once", blobs_are_stored_once),
    ("any text is kept", any_text_is_kept),
    ("ten thousand rows fit a commit", ten_thousand_rows_fit_a_commit),
];

fn refused(outcome: Result<(), StoreError>, word: &str) {
    match outcome {
        Err(StoreError::Corrupt(detail)) => assert!(detail.contains(word), "{detail}"),
        other => panic!("`{word}` expected, got {other:?}"),
    }
}

fn a_new_store_is_empty(site: &dyn Site) {
    let mut owner = site.owner();
    assert_eq!(owner.head(), Ok(Head::default()));
    assert_eq!(owner.live(), Ok(vec![]));
    assert_eq!(owner.stream(0), Ok(vec![]));
    assert_eq!(owner.stream(1), Ok(vec![]));
    assert_eq!(owner.actors(), Ok(vec![]));
    assert_eq!(owner.blob(BlobHash::of(b"")), Ok(None));
    owner.idle().expect("an idle moment");
}

fn a_new_owner_fences_the_earlier(site: &dyn Site) {
    let (mut first, mut second) = (site.owner(), site.owner());
    let mut script = Script::from(first.take_over().expect("an epoch"));
    script.admit("a");
    first.commit(&script.take()).expect("a commit");
    let head = second.take_over().expect("a larger epoch");
    assert_eq!((head.epoch, head.position), (2, 1));
    script.admit("late");
    let late = script.take();
    assert!(matches!(first.commit(&late), Err(StoreError::Conflict(_))));
    assert_eq!(second.head(), Ok(head));
    assert_eq!(second.number_of(late.cards[0].id), Ok(None));
    let mut script = Script::from(head);
    script.next().actors.clear();
    script.admit("b");
    second.commit(&script.take()).expect("a commit of the new owner");
    assert_eq!(first.head().expect("a head").position, 2);
}

fn a_commit_extends_the_head(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    script.admit("a");
    let commit = script.take();
    owner.commit(&commit).expect("a commit");
    // Its answer was lost: written again, it is refused and changes nothing.
    assert!(matches!(owner.commit(&commit), Err(StoreError::Conflict(_))));
    assert_eq!(owner.head(), Ok(commit.head));
    assert_eq!(owner.stream(1).map(|records| records.len()), Ok(1));
}

fn what_was_committed_is_there_after_a_crash(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let number = script.admit("a");
    script.task(number, 0, TaskStatus::Executing, None);
    let commit = script.take();
    owner.commit(&commit).expect("a commit");
    // Not closed: as a killed process leaves it.
    let mut after = site.owner();
    assert_eq!(after.head(), Ok(commit.head));
    assert_eq!(after.stream(number), Ok(commit.records));
    assert_eq!(after.live(), Ok(vec![number]));
    assert_eq!(after.number_of(script.run(number).card.id), Ok(Some(number)));
    assert_eq!(after.actors(), Ok(vec![(1, Actor::user("ada"))]));
    drop(owner);
    assert_eq!(after.head(), Ok(commit.head));
}

/// Commits what a script has so far together with something that cannot be kept.
fn spoiled(site: &dyn Site, word: &str, spoil: impl Fn(&mut Commit)) {
    let mut owner = site.owner();
    let before = owner.take_over().expect("an epoch");
    let known = owner.actors().expect("actors");
    let mut script = Script::from(before);
    script.next().actors = vec![(77, Actor::user(word))];
    let number = script.admit("spoiled");
    script.task(number, 0, TaskStatus::Executing, None);
    script.define(word, 1);
    let mut commit = script.take();
    spoil(&mut commit);
    refused(owner.commit(&commit), word);
    assert_eq!(owner.head(), Ok(before));
    assert_eq!(owner.live(), Ok(vec![]));
    assert_eq!(owner.actors(), Ok(known));
    assert_eq!(owner.definition(word, None), Ok(None));
    assert_eq!(owner.blob(script.run(number).card.plan), Ok(None));
    let mut reader = site.reader();
    assert_eq!(reader.events(0, None, 10), Ok(vec![]));
    assert_eq!(reader.tasks(number), Ok(vec![]));
}

fn a_refused_commit_leaves_nothing(site: &dyn Site) {
    let hash = BlobHash::of(b"nowhere");
    spoiled(site, "does not bring its bytes", |commit| {
        commit.blobs.push(BlobUse { hash, more: 1, blob: None });
    });
    spoiled(site, "has fewer", |commit| commit.released.push((hash, 1)));
    spoiled(site, "has fewer", |commit| {
        let plan = commit.cards[0].plan;
        commit.released.push((plan, 2));
    });
    spoiled(site, "workflow 9 is not in the store", |commit| commit.purged.push(9));
    spoiled(site, "workflow 9 is not in the store", |commit| {
        let unknown = WorkflowRow { number: 9, ..commit.workflows[0].clone() };
        commit.workflows.push(unknown);
    });
    spoiled(site, "has no row", |commit| commit.workflows.clear());
    // The store goes on as if nothing had been.
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    script.admit("sound");
    owner.commit(&script.take()).expect("a commit");
}

fn an_unknown_kind_is_refused(site: &dyn Site) {
    spoiled(site, "not written", |commit| commit.records[0].kind = 250);
}

fn a_commit_must_be_in_order(site: &dyn Site) {
    spoiled(site, "position 1 follows 1", |commit| commit.records[1].position = 1);
    spoiled(site, "its head is 1", |commit| commit.head.position = 1);
    spoiled(site, "ahead of itself", |commit| commit.records[0].previous = 1);
    spoiled(site, "goes back", |commit| commit.head.epoch += 1);
}

fn what_exists_is_not_made_again(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let number = script.admit("a");
    script.define("d", 1);
    let commit = script.take();
    owner.commit(&commit).expect("a commit");
    let mut again = |change: &dyn Fn(&mut Commit)| {
        let mut next = Commit { after: commit.head, head: commit.head, ..Commit::default() };
        change(&mut next);
        refused(owner.commit(&next), "not written");
    };
    let twin = (&script.run(number).card, &script.run(number).row);
    again(&|next| {
        next.cards.push(twin.0.clone());
        next.workflows.push(twin.1.clone());
    });
    again(&|next| {
        next.head.streams = 2;
        next.cards.push(WorkflowCard { number: 2, ..twin.0.clone() });
        next.workflows.push(WorkflowRow { number: 2, ..twin.1.clone() });
    });
    again(&|next| next.actors.push((1, Actor::user("bob"))));
    again(&|next| next.actors.push((2, Actor::user("ada"))));
    again(&|next| next.definitions.push(commit.definitions[0].clone()));
}

fn an_empty_commit_is_fenced_too(site: &dyn Site) {
    let mut owner = site.owner();
    let head = owner.take_over().expect("an epoch");
    let empty = Commit { after: head, head, ..Commit::default() };
    assert_eq!(owner.commit(&empty), Ok(()));
    site.owner().take_over().expect("another owner");
    assert!(matches!(owner.commit(&empty), Err(StoreError::Conflict(_))));
}

fn a_plan_is_replaced_alone(site: &dyn Site) {
    let (mut owner, mut reader) = (site.owner(), site.reader());
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let (number, other) = (script.admit("a"), script.admit("b"));
    owner.commit(&script.take()).expect("a commit");
    script.status(number, WorkflowStatus::PendingReview);
    script.status(other, WorkflowStatus::PendingReview);
    let plan = script.run(other).card.plan;
    let scripted = !script.run(number).card.scripted;
    script.next().replanned.push(Replanned { number, plan, scripted });
    owner.commit(&script.take()).expect("a commit");
    for (number, expected) in [
        (number, WorkflowCard { plan, scripted, ..script.run(number).card.clone() }),
        (other, script.run(other).card.clone()),
    ] {
        let run = script.run(number);
        let read = reader.workflow(run.card.id).expect("readable");
        assert_eq!(read, Some((expected, run.row.clone())));
    }
}

fn rows_are_replaced(site: &dyn Site) {
    let (mut owner, mut reader) = (site.owner(), site.reader());
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let number = script.admit("a");
    script.task(number, 4, TaskStatus::Executing, None);
    owner.commit(&script.take()).expect("a commit");
    script.task(number, 4, TaskStatus::Completed, None);
    script.task(number, 0, TaskStatus::Executing, None);
    script.change(number).progress.completed = 1;
    owner.commit(&script.take()).expect("a commit");
    script.status(number, WorkflowStatus::Completed);
    let row = script.change(number);
    row.current_stage = Some("last".to_owned());
    (row.failed, row.run, row.progress.percentage) = (2, 2, 100);
    owner.commit(&script.take()).expect("a commit");
    let run = script.run(number);
    let tasks: Vec<_> = run.tasks.values().cloned().collect();
    assert_eq!(reader.tasks(number), Ok(tasks));
    assert_eq!(reader.workflow(run.card.id), Ok(Some((run.card.clone(), run.row.clone()))));
    assert_eq!(owner.live(), Ok(vec![]));
}

fn blobs_are_stored_once(site: &dyn Site) {
    let (mut owner, mut reader) = (site.owner(), site.reader());
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let blob = Blob::pack(&format!("\"{}\"", "long ".repeat(1_000)));
    let number = script.admit("a");
    script.uses(number, &blob);
    script.uses(number, &blob);
    owner.commit(&script.take()).expect("a commit");
    // Known to be there: another use brings no bytes.
    let use_again = BlobUse { hash: blob.hash, more: 3, blob: None };
    script.next().blobs.push(use_again);
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(reader.blob(blob.hash), Ok(Some(blob.clone())));
    script.next().released.push((blob.hash, 4));
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(owner.blob(blob.hash), Ok(Some(blob.clone())));
    script.next().released.push((blob.hash, 1));
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(owner.blob(blob.hash), Ok(None));
    // Stored before any event names it, and named later.
    script.next().blobs.push(BlobUse { hash: blob.hash, more: 0, blob: Some(blob.clone()) });
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(owner.blob(blob.hash), Ok(Some(blob)));
}

fn any_text_is_kept(site: &dyn Site) {
    let (mut owner, mut reader) = (site.owner(), site.reader());
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let number = script.admit("Größe 漢字 🦀 'quoted' \"twice\" \\ {braces} $1 ?1 %");
    script.event(number, EventKind::TaskEmitted, r#"{"nul":"\u0000","tab":"\t","e":"é🦀"}"#);
    script.event(number, EventKind::TaskEmitted, "");
    script.event(number, EventKind::TaskEmitted, &format!("\"{}\"", "x".repeat(3_000_000)));
    let large = Blob::pack(&format!("\"{}\"", "0123456789".repeat(200_000)));
    script.uses(number, &large);
    let commit = script.take();
    owner.commit(&commit).expect("a commit");
    assert_eq!(reader.stream(number).expect("a stream"), commit.records);
    assert_eq!(reader.blob(large.hash), Ok(Some(large)));
    let (card, _) = reader.workflow(commit.cards[0].id).expect("a row").expect("a workflow");
    assert_eq!(card, commit.cards[0]);
}

fn ten_thousand_rows_fit_a_commit(site: &dyn Site) {
    let (mut owner, mut reader) = (site.owner(), site.reader());
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let number = script.admit("wide");
    for ordinal in 0..10_000 {
        script.task(number, ordinal, TaskStatus::Executing, None);
    }
    let commit = script.take();
    owner.commit(&commit).expect("a commit");
    assert_eq!(reader.tasks(number).map(|rows| rows.len()), Ok(10_000));
    let records: Vec<Record> = owner.stream(number).expect("a stream");
    assert_eq!(records, commit.records);
}
