//! What is peculiar to the store on PostgreSQL: versions, vocabularies, lost connections. What
//! every store promises is the conformance suite's.

use baton_core::codes::Code;
use baton_core::words::TaskStatus;
use baton_engine::store::{Commit, Store, StoreError};

use super::link::{Link, Purpose};
use super::{PostgresAudit, PostgresRepair, PostgresStore, PostgresViews, remove};

/// A connection beside the store's, to do what Baton never does.
fn link(url: &str) -> Link {
    Link::open(url, Purpose::Write, Ok).expect("a connection")
}

fn batch(link: &mut Link, sql: &str) {
    link.batch(sql).unwrap_or_else(|fault| panic!("{sql}: {fault:?}"));
}

/// Runs a test on a new schema, where there is a server.
fn with_store(name: &str, test: impl FnOnce(&str, PostgresStore)) {
    let Ok(server) = std::env::var("BATON_TEST_POSTGRES") else {
        println!("skipped: BATON_TEST_POSTGRES names no server");
        return;
    };
    let url = format!("{server}?schema=test_{name}_{}", std::process::id());
    remove(&url).expect("a schema to remove");
    let store = PostgresStore::open(&url).expect("a new store");
    test(&url, store);
    remove(&url).expect("a schema to remove");
}

fn unavailable<T>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(StoreError::Unavailable(detail)) => detail,
        Err(other) => panic!("not Unavailable but {other:?}"),
        Ok(_) => panic!("it went well"),
    }
}

#[test]
fn a_store_of_a_newer_version_is_refused_with_both_versions() {
    with_store("newer", |url, _store| {
        batch(&mut link(url), "INSERT INTO migration VALUES (9, 'later', 'other')");
        let detail = unavailable(PostgresStore::open(url));
        assert!(detail.contains("version 9") && detail.contains("up to 8"), "{detail}");
        assert!(unavailable(PostgresViews::open(url)).contains("version 9"));
    });
}

#[test]
fn a_word_of_a_newer_version_is_refused() {
    with_store("word", |url, _store| {
        batch(&mut link(url), "INSERT INTO task_status VALUES (99, 'dreaming', false)");
        let detail = unavailable(PostgresStore::open(url));
        assert!(detail.contains("dreaming") && detail.contains("newer"), "{detail}");
    });
}

#[test]
fn no_status_outside_the_vocabulary_can_be_stored() {
    with_store("status", |url, _store| {
        let beyond = TaskStatus::ALL.iter().map(|status| status.code()).max().map_or(0, |m| m + 1);
        let sql = format!(
            "INSERT INTO task (key, of, status, attempts, position) VALUES (1, 0, {beyond}, 0, 0)"
        );
        let refused = link(url).batch(&sql).expect_err("a foreign key").said("here");
        assert!(refused.to_string().contains("foreign key"), "{refused}");
    });
}

#[test]
fn two_that_open_at_once_make_one_store() {
    with_store("race", |url, store| {
        drop(store);
        remove(url).expect("a schema to remove");
        let heads = std::thread::scope(|scope| {
            let open = || PostgresStore::open(url).and_then(|mut store| store.head());
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        assert!(heads.iter().all(Result::is_ok), "{heads:?}");
    });
}

#[test]
fn a_lost_connection_comes_back_and_nothing_is_written_twice() {
    with_store("lost", |url, _store| {
        let ours = format!("{url}&application_name=doomed");
        let mut store = PostgresStore::open(&ours).expect("an owner");
        let mut views = PostgresViews::open(&ours).expect("a reader");
        let head = store.take_over().expect("an epoch");
        batch(
            &mut link(url),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'doomed'",
        );
        let commit = Commit { after: head, head, ..Commit::default() };
        // Its outcome is unknown; the head tells.
        let detail = unavailable(store.commit(&commit));
        assert!(detail.contains("test_lost"), "{detail}");
        assert_eq!(store.head(), Ok(head));
        assert_eq!(store.commit(&commit), Ok(()));
        use baton_engine::store::Views;
        assert_eq!(views.events(0, None, 1), Ok(vec![]));
    });
}

#[test]
fn an_audit_and_a_repair_end_with_their_connection() {
    use baton_engine::check::{Mend, Repair};
    use baton_engine::store::Audit;
    with_store("pinned", |url, mut store| {
        let head = store.take_over().expect("an epoch");
        let ours = format!("{url}&application_name=pinned");
        let mut repair = Box::new(PostgresRepair::begin(&ours).expect("a repair"));
        let mut audit = PostgresAudit::open(&ours).expect("an audit");
        repair.mend(&Mend::Head(baton_engine::store::Head { streams: 7, ..head })).expect("a mend");
        batch(
            &mut link(url),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'pinned'",
        );
        // Another snapshot would not be the one that was begun with.
        let detail = unavailable(audit.head());
        assert!(detail.contains("nothing was changed"), "{detail}");
        unavailable(repair.mend(&Mend::NoWorkflow(1)));
        let detail = unavailable(repair.commit());
        assert!(detail.contains("nothing was changed"), "{detail}");
        assert_eq!(store.head(), Ok(head));
    });
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let detail = unavailable(PostgresStore::open("postgres://nobody@127.0.0.1:1/none"));
    assert!(detail.contains("server runs"), "{detail}");
}
