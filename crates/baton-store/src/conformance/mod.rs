//! What the port promises, checked on every store by one suite.
//!
//! Each check gets an empty place of its own and knows nothing of what is behind it. What is
//! peculiar to one store is tested beside that store.

mod auditing;
mod books;
mod chunks;
mod conversations;
mod differential;
mod facts;
mod folding;
mod purging;
mod reading;
mod script;
mod snapshots;
mod writing;

use baton_engine::check::Repair;
use baton_engine::chunks::ChunkLog;
use baton_engine::store::{Audit, Store, Views};

pub(crate) use script::Script;

/// A place where a store can be opened, more than once at a time.
pub(crate) trait Site {
    /// The owner's side; a second one is another process, or the same after a crash.
    fn owner(&self) -> Box<dyn Store>;
    /// The readers' side.
    fn reader(&self) -> Box<dyn Views>;
    /// The text of running turns; a second one is another process.
    fn chunks(&self) -> Box<dyn ChunkLog>;
}

/// A place of a store that can be checked and mended.
pub(crate) trait Audited: Site {
    /// What checks read.
    fn audit(&self) -> Box<dyn Audit>;
    /// What mends.
    fn repair(&self) -> Box<dyn Repair>;
}

/// Runs every check, each on a new site.
pub(crate) fn check(new: &dyn Fn() -> Box<dyn Site>) {
    let checks = [
        writing::CHECKS,
        reading::CHECKS,
        purging::CHECKS,
        snapshots::CHECKS,
        facts::CHECKS,
        books::CHECKS,
        chunks::CHECKS,
        conversations::CHECKS,
    ];
    for (name, check) in checks.into_iter().flatten() {
        // Shown only when the test fails: it says which check did.
        println!("conformance: {name}");
        check(&*new());
    }
}

type Check = (&'static str, fn(&dyn Site));

mod memory {
    use super::{ChunkLog, Site, Store, Views, check};
    use crate::chunks::MemoryChunks;
    use crate::memory::MemoryStore;

    #[derive(Default)]
    struct Memory(MemoryStore, MemoryChunks);

    impl Site for Memory {
        fn owner(&self) -> Box<dyn Store> {
            Box::new(self.0.clone())
        }
        fn reader(&self) -> Box<dyn Views> {
            Box::new(self.0.views())
        }
        fn chunks(&self) -> Box<dyn ChunkLog> {
            Box::new(self.1.clone())
        }
    }

    pub(super) fn new() -> Box<dyn Site> {
        Box::new(Memory::default())
    }

    #[test]
    fn memory_keeps_every_promise() {
        check(&new);
    }
}

mod sqlite {
    use super::{Audit, Audited, ChunkLog, Repair, Site, Store, Views, auditing, check, folding};
    use crate::sqlite::{SqliteAudit, SqliteChunks, SqliteRepair, SqliteStore, SqliteViews};

    struct Folder(tempfile::TempDir);

    impl Site for Folder {
        fn owner(&self) -> Box<dyn Store> {
            Box::new(SqliteStore::open(self.0.path().join("store.db")).expect("an owner"))
        }
        fn reader(&self) -> Box<dyn Views> {
            Box::new(SqliteViews::open(self.0.path().join("store.db")).expect("a reader"))
        }
        fn chunks(&self) -> Box<dyn ChunkLog> {
            Box::new(SqliteChunks::beside(self.0.path().join("store.db")))
        }
    }

    impl Audited for Folder {
        fn audit(&self) -> Box<dyn Audit> {
            Box::new(SqliteAudit::open(self.0.path().join("store.db")).expect("an audit"))
        }
        fn repair(&self) -> Box<dyn Repair> {
            Box::new(SqliteRepair::begin(self.0.path().join("store.db")).expect("a repair"))
        }
    }

    pub(super) fn new() -> Box<dyn Site> {
        audited()
    }

    fn audited() -> Box<dyn Audited> {
        let folder = Folder(tempfile::tempdir().expect("a folder"));
        // A reader may come first and does not make the store.
        drop(folder.owner());
        Box::new(folder)
    }

    #[test]
    fn sqlite_keeps_every_promise() {
        check(&new);
        auditing::check(&|| audited());
        folding::check_all(&|| audited());
    }
}

mod postgres {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{Audit, Audited, ChunkLog, Repair, Site, Store, Views, auditing, check, folding};
    use crate::postgres::{
        PostgresAudit, PostgresChunks, PostgresRepair, PostgresStore, PostgresViews, remove,
    };

    /// Names a server for tests: `postgres://user@127.0.0.1:port/database`.
    const SERVER: &str = "BATON_TEST_POSTGRES";

    /// A schema of its own, gone with the value.
    struct Schema(String);

    impl Site for Schema {
        fn owner(&self) -> Box<dyn Store> {
            Box::new(PostgresStore::open(&self.0).expect("an owner"))
        }
        fn reader(&self) -> Box<dyn Views> {
            Box::new(PostgresViews::open(&self.0).expect("a reader"))
        }
        fn chunks(&self) -> Box<dyn ChunkLog> {
            Box::new(PostgresChunks::of(&self.0))
        }
    }

    impl Audited for Schema {
        fn audit(&self) -> Box<dyn Audit> {
            Box::new(PostgresAudit::open(&self.0).expect("an audit"))
        }
        fn repair(&self) -> Box<dyn Repair> {
            Box::new(PostgresRepair::begin(&self.0).expect("a repair"))
        }
    }

    impl Drop for Schema {
        fn drop(&mut self) {
            remove(&self.0).expect("a schema to remove");
        }
    }

    /// The test's server; says that the test is skipped where there is none.
    pub(super) fn server() -> Option<String> {
        let server = std::env::var(SERVER).ok();
        if server.is_none() {
            println!("skipped: {SERVER} names no server");
        }
        server
    }

    pub(super) fn new(server: &str) -> Box<dyn Site> {
        audited(server)
    }

    fn audited(server: &str) -> Box<dyn Audited> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let schema = Schema(format!("{server}?schema=test_{}_{next}", std::process::id()));
        drop(schema.owner());
        Box::new(schema)
    }

    #[test]
    fn postgres_keeps_every_promise() {
        if let Some(server) = server() {
            check(&|| new(&server));
            auditing::check(&|| audited(&server));
            folding::check_all(&|| audited(&server));
        }
    }
}
