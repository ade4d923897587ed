//! What checks read is one instant of what was written, and what mends changes that and no more.
//!
//! What is worth mending is not judged here.

use baton_core::body::{Blob, BlobHash};
use baton_core::ids::Ordinal;
use baton_core::words::{FactKind, TaskStatus};
use baton_core::workflow::usage::UsageRow;
use baton_engine::check::Mend;
use baton_engine::store::{Audit, ConversationFilter, SYSTEM_STREAM, StoreError};

use super::{Audited, Script};

type Check = (&'static str, fn(&dyn Audited));

const CHECKS: &[Check] = &[
    ("an audit reads all that was written", an_audit_reads_all_that_was_written),
    ("an audit goes on in pages", an_audit_goes_on_in_pages),
    ("an audit sees one instant", an_audit_sees_one_instant),
    ("a chain that does not hold is named", a_chain_that_does_not_hold_is_named),
    ("a repair changes what it is told", a_repair_changes_what_it_is_told),
    ("conversations are read and mended", conversations_are_read_and_mended),
    ("the books are read and mended", the_books_are_read_and_mended),
    ("a repair that is given up changes nothing", a_repair_that_is_given_up_changes_nothing),
    ("a repair fences the owner off where it mends", a_repair_fences_the_owner_off),
];

/// Runs every check, each on a new site.
pub(super) fn check(new: &dyn Fn() -> Box<dyn Audited>) {
    for (name, check) in CHECKS {
        println!("conformance: {name}");
        check(&*new());
    }
}

/// Two workflows with tasks and blobs, and a definition.
fn written(site: &dyn Audited) -> Script {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    for name in ["one", "two", "three"] {
        let number = script.admit(name);
        script.uses(number, &Blob::pack(&format!("\"{name}\"")));
        script.task(number, 0, TaskStatus::Completed, None);
        script.task(number, 4, TaskStatus::Executing, None);
    }
    script.define("defined", 2);
    script.fact(FactKind::EventSeen, b"seen", None);
    let void = script.later();
    script.fact(FactKind::Schedule, b"void", Some(void));
    owner.commit(&script.take()).expect("a commit");
    script
}

fn uses(audit: &mut dyn Audit) -> Vec<(BlobHash, u64)> {
    audit.blob_uses(None, 100).expect("uses")
}

fn an_audit_reads_all_that_was_written(site: &dyn Audited) {
    let mut script = written(site);
    let (mut audit, mut owner, mut reader) = (site.audit(), site.owner(), site.reader());
    assert_eq!(audit.head(), Ok(script.next().after));
    assert_eq!(audit.events(0, 100), reader.events(0, None, 100));
    for number in script.numbers() {
        let run = script.run(number);
        assert_eq!(audit.workflow(number), Ok(Some((run.card.clone(), run.row.clone()))));
        assert_eq!(audit.tasks(number), Ok(run.tasks.values().cloned().collect()));
        assert_eq!(audit.chain(number, run.row.head), owner.stream(number));
        for hash in run.uses.keys() {
            assert_eq!(audit.blob(*hash), owner.blob(*hash));
        }
    }
    let system = script.next().after.system_head;
    assert_eq!(audit.chain(SYSTEM_STREAM, system), owner.stream(SYSTEM_STREAM));
    let mut expected: Vec<(BlobHash, u64)> = Vec::new();
    for number in script.numbers() {
        let of_run = script.run(number).uses.iter();
        expected.extend(of_run.map(|(hash, uses)| (*hash, u64::from(*uses))));
    }
    expected.sort();
    assert_eq!(uses(&mut *audit), expected);
    let defined = owner.definition("defined", Some(2)).expect("a read");
    assert_eq!(audit.definitions(), Ok(defined.into_iter().collect()));
    assert_eq!(audit.facts(), reader.facts(FactKind::EventSeen), "what expires is not there");
    assert_eq!(audit.actors(), owner.actors());
}

fn the_books_are_read_and_mended(site: &dyn Audited) {
    let mut script = written(site);
    let mut owner = site.owner();
    owner.take_over().expect("an epoch");
    script.next().after.epoch += 1;
    script.next().head.epoch += 1;
    let (one, three) = (script.book(1, 1), script.book(3, 5));
    owner.commit(&script.take()).expect("a commit");
    let mut audit = site.audit();
    assert_eq!((audit.usage(1), audit.usage(2)), (Ok(vec![one.clone()]), Ok(vec![])));
    let next = |audit: &mut dyn Audit, after| audit.next_with_usage(after).expect("a number");
    assert_eq!([0, 1, 3].map(|after| next(&mut *audit, after)), [Some(1), Some(3), None]);
    drop((audit, owner));
    let lost = UsageRow { cost: None, used: None, ..one.clone() };
    let odd = UsageRow { position: 4_000, number: 9, ..one };
    let mut repair = site.repair();
    for mend in [
        Mend::Usage(Box::new(lost.clone())),
        Mend::Usage(Box::new(odd.clone())),
        Mend::NoUsage(three.position),
    ] {
        repair.mend(&mend).expect("a mend");
    }
    repair.commit().expect("mended");
    let mut audit = site.audit();
    assert_eq!(
        [1, 3, 9].map(|number| audit.usage(number).expect("rows")),
        [vec![lost], vec![], vec![odd]]
    );
}

fn an_audit_goes_on_in_pages(site: &dyn Audited) {
    let mut script = written(site);
    let mut audit = site.audit();
    let all = uses(&mut *audit);
    let (mut after, mut paged) = (None, Vec::new());
    while let Some(last) = audit.blob_uses(after, 2).expect("a page").pop() {
        let page = audit.blob_uses(after, 2).expect("a page");
        assert!(page.len() <= 2);
        paged.extend(page);
        after = Some(last.0);
    }
    assert_eq!(paged, all);
    let newest = script.next().after.position;
    assert_eq!(audit.events(newest - 3, 2).expect("a page").len(), 2);
    assert_eq!(audit.events(newest, 2), Ok(vec![]));
    assert_eq!((audit.next_workflow(0), audit.next_workflow(2)), (Ok(Some(1)), Ok(Some(3))));
    assert_eq!((audit.next_with_tasks(0), audit.next_with_tasks(1)), (Ok(Some(1)), Ok(Some(2))));
    for beyond in [3, 1 << 43, i64::MAX as u64, u64::MAX] {
        assert_eq!(
            (audit.next_workflow(beyond), audit.next_with_tasks(beyond)),
            (Ok(None), Ok(None))
        );
    }
    assert_eq!((audit.workflow(u64::MAX), audit.tasks(u64::MAX)), (Ok(None), Ok(vec![])));
    assert_eq!(audit.events(u64::MAX, 5), Ok(vec![]));
}

fn an_audit_sees_one_instant(site: &dyn Audited) {
    let mut script = written(site);
    let before = script.next().after;
    let mut audit = site.audit();
    let mut owner = site.owner();
    let number = script.admit("later");
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(audit.head(), Ok(before));
    assert_eq!(audit.events(before.position, 5), Ok(vec![]));
    assert_eq!(audit.workflow(number), Ok(None));
    let mut audit = site.audit();
    assert_eq!(audit.head(), Ok(script.next().after));
    assert!(audit.workflow(number).expect("a read").is_some());
}

fn a_chain_that_does_not_hold_is_named(site: &dyn Audited) {
    let script = written(site);
    let mut audit = site.audit();
    let other = script.run(2).row.head;
    let broken = audit.chain(1, other);
    assert!(matches!(broken, Err(StoreError::Corrupt(ref what)) if what.contains("stream 1")));
    assert!(matches!(audit.chain(1, u64::MAX), Err(StoreError::Corrupt(_))));
    assert_eq!(audit.chain(1, 0), Ok(vec![]));
}

fn a_repair_changes_what_it_is_told(site: &dyn Audited) {
    let mut script = written(site);
    let run = script.run(1).clone();
    let (mut card, mut row) = (run.card.clone(), run.row.clone());
    (card.priority, row.revision, row.current_stage) = (9, 77, Some("a stage".to_owned()));
    let mut task = run.tasks.get(&4).expect("a task").clone();
    (task.attempts, task.ended_at) = (5, None);
    let [(gone, _), (kept, _), ..] = uses(&mut *site.audit())[..] else { panic!("too few blobs") };
    let mut definition = site.audit().definitions().expect("a read").pop().expect("a definition");
    definition.plan = kept;
    let mut fact = site.audit().facts().expect("a read").pop().expect("a fact");
    (fact.key, fact.position) = (b"other".to_vec(), 9);
    let head = baton_engine::store::Head { streams: 9, ..script.next().after };
    let mends = [
        Mend::Workflow(Box::new((card.clone(), row.clone()))),
        Mend::NoWorkflow(2),
        Mend::Task(task.clone()),
        Mend::NoTask(1, Ordinal(0)),
        Mend::BlobUses(gone, 0),
        Mend::BlobUses(kept, 12),
        Mend::Definition(definition.clone()),
        Mend::Fact(fact.clone()),
        Mend::NoFact(FactKind::EventSeen, b"seen".to_vec()),
        Mend::Head(head),
    ];
    let mut repair = site.repair();
    mends.iter().for_each(|mend| repair.mend(mend).expect("a mend"));
    repair.commit().expect("mended");
    let mut audit = site.audit();
    assert_eq!(audit.workflow(1), Ok(Some((card, row))));
    assert_eq!(audit.workflow(2), Ok(None));
    assert_eq!(audit.tasks(1), Ok(vec![task]));
    let left = uses(&mut *audit);
    assert!(left.contains(&(kept, 12)) && left.iter().all(|(hash, _)| *hash != gone));
    assert_eq!(audit.blob(gone), Ok(None));
    assert_eq!(audit.definitions(), Ok(vec![definition]));
    assert_eq!(audit.facts(), Ok(vec![fact]));
    let epoch = head.epoch + 1;
    assert_eq!(audit.head(), Ok(baton_engine::store::Head { epoch, ..head }));
    let mut repair = site.repair();
    repair.mend(&Mend::NoDefinition("defined".to_owned(), 2)).expect("a mend");
    repair.commit().expect("mended");
    assert_eq!(site.audit().definitions(), Ok(vec![]));
}

fn conversations_are_read_and_mended(site: &dyn Audited) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let numbers = ["one", "two", "three"].map(|title| script.open(title));
    owner.commit(&script.take()).expect("a commit");
    let [one, two, three] = numbers;
    let mut audit = site.audit();
    for number in numbers {
        let row = script.talk(number).clone();
        assert_eq!(audit.chain(number, row.head), owner.stream(number));
        assert_eq!(audit.conversation(number), Ok(Some(row)));
    }
    assert_eq!(
        (audit.next_conversation(0), audit.next_conversation(one)),
        (Ok(Some(one)), Ok(Some(two)))
    );
    for beyond in [three, 1 << 43, i64::MAX as u64, u64::MAX] {
        assert_eq!(audit.next_conversation(beyond), Ok(None));
    }
    assert_eq!(audit.conversation(u64::MAX), Ok(None));
    // What never changes of a row may be what was damaged: an id that another row has by now.
    let mut mended = script.talk(one).clone();
    (mended.id, mended.busy, mended.revision) = (script.talk(two).id, true, 77);
    mended.face.title = "Mended".to_owned();
    let created = mended.created_at.plus(std::time::Duration::from_secs(1));
    mended.created_at = created;
    let mut repair = site.repair();
    for mend in [Mend::Conversation(Box::new(mended.clone())), Mend::NoConversation(three)] {
        repair.mend(&mend).expect("a mend");
    }
    repair.commit().expect("mended");
    let (mut audit, mut reader) = (site.audit(), site.reader());
    assert_eq!(audit.conversation(one), Ok(Some(mended.clone())));
    assert_eq!((audit.conversation(two), audit.conversation(three)), (Ok(None), Ok(None)));
    let title = Some("mendeD".to_owned());
    let filter = ConversationFilter { title, limit: 9, ..ConversationFilter::default() };
    assert_eq!(reader.conversations(&filter), Ok(vec![mended]));
    assert_eq!(site.owner().busy_conversations(), Ok(vec![one]));
}

fn a_repair_that_is_given_up_changes_nothing(site: &dyn Audited) {
    let mut script = written(site);
    let mut repair = site.repair();
    repair.mend(&Mend::NoWorkflow(1)).expect("a mend");
    // What it began with is what others read.
    assert!(site.audit().workflow(1).expect("a read").is_some());
    drop(repair);
    assert!(site.audit().workflow(1).expect("a read").is_some());
    script.admit("after it");
    assert_eq!(site.owner().commit(&script.take()), Ok(()));
}

fn a_repair_fences_the_owner_off(site: &dyn Audited) {
    let mut script = written(site);
    let mut owner = site.owner();
    site.repair().commit().expect("nothing to mend");
    script.admit("still owned");
    assert_eq!(owner.commit(&script.take()), Ok(()));
    let mut repair = site.repair();
    repair.mend(&Mend::NoTask(1, Ordinal(0))).expect("a mend");
    repair.commit().expect("mended");
    script.admit("owned no more");
    assert!(matches!(owner.commit(&script.take()), Err(StoreError::Conflict(_))));
}
