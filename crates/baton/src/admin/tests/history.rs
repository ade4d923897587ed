//! After a random history every row is what the journal says; after damage it is so again.

use std::time::Duration;

use baton_core::body::{Blob, BlobHash};
use baton_core::envelope::structured;
use baton_core::ids::WorkflowId;
use baton_core::words::{Role, WaitReason};
use baton_core::workflow::{Command, PauseCause, Verdict};
use baton_engine::check::SelfCheck;
use baton_engine::engine::TakeUp;
use baton_engine::exchange::{Burial, OnceKey, Reply, Request};
use baton_engine::store::Views;
use serde_json::json;

use super::desk::Desk;
use super::driver::{CHILD, Driver, EVERYTHING, Mood, STRICT};

/// A store whose journal was driven through everything, and what was admitted.
pub fn random(desk: &Desk, seed: u64, steps: u32) -> Driver {
    let mut driver = desk.driver(seed);
    let mut views = desk.views();
    let mut known = Vec::new();
    let mut self_check = SelfCheck::default();
    driver.mood = Mood::Mixed;
    for step in 0..steps {
        act(&mut driver, &mut known, views.as_mut());
        if step % 7 == 0 {
            let found = self_check.step(driver.engine(), views.as_mut());
            assert_eq!(found.expect("a step"), vec![], "seed {seed}, step {step}");
        }
    }
    driver
}

fn act(driver: &mut Driver, known: &mut Vec<WorkflowId>, views: &mut dyn Views) {
    let some = driver.draw(known.len().max(1) as u64) as usize;
    let id = known.get(some).copied();
    match (driver.draw(19), id) {
        (0 | 1, _) | (_, None) => {
            let source = [CHILD, EVERYTHING, STRICT][driver.draw(3) as usize];
            known.push(driver.submit(source));
        }
        (2, Some(id)) => drop(driver.command(id, Command::Cancel { reason: None })),
        (3, Some(id)) => {
            let cause = PauseCause::Actor;
            drop(driver.command(id, Command::Pause { cause }));
        }
        (4, Some(id)) => drop(driver.command(id, Command::Resume)),
        (5 | 6, Some(id)) => drop(driver.command(id, Command::Retry { tasks: vec![] })),
        (7, Some(workflow)) => {
            let position = None;
            if let Ok(Reply::Workflow { id, .. }) = driver.ask(Request::Fork { workflow, position })
            {
                known.push(id);
            }
        }
        (8, Some(workflow)) => {
            let revision = None;
            let workflows = vec![Burial { workflow, revision }];
            drop(driver.ask(Request::Purge { workflows }));
        }
        (14, Some(_)) => {
            let Request::Submit(submit) = super::driver::submission(TRIGGERED) else {
                unreachable!("a submission");
            };
            let source = Some(Blob::pack("\"its text\""));
            drop(driver.ask(Request::Define { loaded: submit.loaded, source }));
            drop(driver.ask(Request::KeepTime));
        }
        (15, Some(_)) => {
            let name = "triggered".to_owned();
            drop(driver.ask(Request::RemoveDefinition { name }));
        }
        (16 | 17, Some(_)) => {
            let number = driver.draw(40);
            drop(driver.ask(publish(number)));
        }
        (18, Some(_)) => {
            let (name, hash) = (format!("token {}", driver.draw(3)), BlobHash::of(b"a token"));
            if driver.ask(Request::RevokeToken { name: name.clone() }).is_err() {
                let role = Role::Viewer;
                driver.ask(Request::CreateToken { name, role, hash }).expect("it is free");
            }
        }
        (9, Some(_)) => driver.crash(TakeUp::Asked),
        (10, Some(_)) => driver.crash(TakeUp::All),
        (11 | 12, Some(_)) => answer_people(driver, views),
        (13, Some(_)) => driver.pass(Duration::from_secs(20)),
        (_, Some(_)) => (0..6).for_each(|_| driver.turn(3)),
    }
}

const TRIGGERED: &str = "{ name: triggered, stages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ], \
    triggers: [ { event: 'go.*' }, { schedule: '* * * * *' } ] }";

/// An event that is sent again now and then; its data is too large to stand in it.
fn publish(number: u64) -> Request {
    let data = json!({ "number": number, "text": "x".repeat(2_000) });
    let event = json!({
        "specversion": "1.0", "id": number.to_string(), "source": "/test", "type": "go.on",
        "data": data,
    });
    let (event, blob) = structured(&event).expect("an event");
    let request = Box::new(Request::Publish { event: Box::new(event), blob });
    let once = OnceKey { key: number.to_string(), body: BlobHash::of(b"the same") };
    Request::Once { once, request }
}

fn answer_people(driver: &mut Driver, views: &mut dyn Views) {
    for (card, task) in views.waiting_for_people(5).expect("a list") {
        let task_at = task.ordinal;
        let command = match (task.waits_for, driver.draw(2)) {
            (Some(WaitReason::InDoubt), 0) => {
                Command::Settle { task: task_at, verdict: Verdict::DidNotHappen }
            }
            (Some(WaitReason::InDoubt), _) => Command::Settle {
                task: task_at,
                verdict: Verdict::Happened(baton_core::body::Body::null()),
            },
            (_, yes) => Command::Respond {
                task: task_at,
                value: json!({ "approved": yes == 0 }),
                by: "tester".to_owned(),
                question: None,
            },
        };
        drop(driver.command(card.id, command));
    }
}

#[test]
fn after_any_history_there_is_nothing_to_mend() {
    for seed in 1..=12 {
        // Each commit to a server takes milliseconds: a few seeds are enough there.
        let desks = Desk::every().into_iter().take(if seed % 4 == 0 { 2 } else { 1 });
        for desk in desks {
            let driver = random(&desk, seed, 150);
            let found = desk.check();
            assert_eq!(found.differences, vec![], "seed {seed} on {}", desk.store);
            assert!(found.examined.events > 100 && found.examined.blobs > 0);
            drop(driver);
            let report = desk.rebuild().expect("a rebuild");
            assert_eq!((report.check.total, report.mended), (0, 0), "seed {seed}");
            assert!(report.render().contains("nothing was changed"));
        }
    }
}

const DAMAGES: [&str; 15] = [
    "DELETE FROM fact",
    "UPDATE fact SET position = position + 1",
    "UPDATE definition SET source = NULL, triggers = 7",
    "UPDATE workflow SET percentage = 7, completed = completed + 1",
    "UPDATE workflow SET status = 3, ended_at = NULL",
    "UPDATE workflow SET name = 'other', priority = 1",
    "UPDATE workflow SET head = head - 1 WHERE head > 0",
    "DELETE FROM workflow",
    "UPDATE task SET status = 4",
    "UPDATE task SET attempts = 9, waits_for = 0",
    "DELETE FROM task WHERE key % 2 = 0",
    "INSERT INTO task (key, of, status, attempts, position) VALUES (999 << 20, 0, 1, 0, 1)",
    "UPDATE blob SET uses = uses + 3",
    "DELETE FROM definition",
    "UPDATE head SET position = position - 1, streams = 1",
];

#[test]
fn wf6_what_was_changed_behind_batons_back_is_found_and_mended() {
    for desk in Desk::every() {
        let mut driver = random(&desk, 77, 120);
        let Request::Submit(submit) = super::driver::submission(CHILD) else {
            unreachable!("a submission");
        };
        let source = Some(Blob::pack("\"its text\""));
        driver.ask(Request::Define { loaded: submit.loaded, source }).expect("defined");
        driver.ask(publish(99)).expect("taken in");
        drop(driver);
        for damage in DAMAGES {
            assert!(desk.change(damage) > 0, "{damage}");
            assert!(desk.check().total > 0, "{damage}");
            let report = desk.rebuild().expect("a rebuild");
            assert_eq!(report.left(), 0, "{damage}: {}", report.render());
            assert_eq!(desk.check().differences, vec![], "{damage}");
        }
    }
}

#[test]
fn wf6_the_self_check_of_a_running_owner_sees_a_row_that_was_changed() {
    let desk = Desk::sqlite();
    let mut driver = desk.driver(5);
    driver.mood = Mood::Hang;
    for _ in 0..20 {
        driver.submit(STRICT);
    }
    (0..20).for_each(|_| driver.turn(8));
    let mut views = desk.views();
    let mut self_check = SelfCheck::new(4, 1_000);
    let mut round = |driver: &Driver| -> Vec<String> {
        let mut steps = (0..5).map(|_| self_check.step(driver.engine(), views.as_mut()));
        let found = steps.try_fold(Vec::new(), |mut all, found| {
            all.extend(found?);
            Ok::<_, baton_engine::store::StoreError>(all)
        });
        let found = found.expect("a round").into_iter();
        found.map(|difference| difference.what).collect()
    };
    assert_eq!(round(&driver), Vec::<String>::new());
    assert_eq!(desk.change("UPDATE workflow SET percentage = 50 WHERE number = 11"), 1);
    assert_eq!(desk.change("UPDATE task SET status = 4 WHERE key = (13 << 20) + 1"), 1);
    let found = round(&driver);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|what| what.starts_with("workflow 11 ")));
    assert!(found.iter().any(|what| what.contains("workflow 13 ") && what.ends_with("task 1")));
}

#[test]
fn a_fault_of_the_journal_is_named_and_left_alone() {
    for desk in Desk::every() {
        desk.driver(3).run(CHILD);
        assert_eq!(desk.change("DELETE FROM journal WHERE stream = 1 AND version = 2"), 1);
        let report = desk.rebuild().expect("a rebuild");
        assert_eq!((report.left(), report.mended), (3, 0), "{}", report.render());
        let text = report.render();
        assert!(text.contains("positions without an event"), "{text}");
        assert!(text.contains("its place in stream 1"), "{text}");
        assert!(text.contains("the events of workflow 1"), "{text}");
        assert!(text.contains("restore a backup"), "{text}");
    }
}

#[test]
fn a_task_that_a_retry_holds_back_has_the_row_the_journal_says() {
    let desk = Desk::sqlite();
    let mut driver = desk.driver(3);
    let keyed = "{ id: keyed, tool: core.noop, concurrency_key: one, needs: [";
    let source = format!(
        "{{ name: again, version: 1, stages: [ {{ name: all, tasks: [ \
         {{ id: first, tool: core.noop }}, {keyed}first] }} ] }} ] }}"
    );
    let id = driver.run(&source);
    driver.mood = Mood::Hang;
    let holder = format!(
        "{{ name: holder, version: 1, stages: [ {{ name: all, tasks: [ {keyed}] }} ] }} ] }}"
    );
    driver.submit(&holder);
    driver.settle();
    driver.mood = Mood::Well;
    let tasks = vec![baton_core::ids::Ordinal(0)];
    driver.command(id, Command::Retry { tasks }).expect("retried");
    driver.settle();
    assert_eq!(desk.check().differences, vec![]);
}
