//! What the port promises, checked on every store by one suite.
//!
//! Each check gets an empty place of its own and knows nothing of what is behind it. What is
//! peculiar to one store is tested beside that store.

mod differential;
mod purging;
mod reading;
mod script;
mod writing;

use baton_engine::store::{Store, Views};

pub(crate) use script::Script;

/// A place where a store can be opened, more than once at a time.
pub(crate) trait Site {
    /// The owner's side; a second one is another process, or the same after a crash.
    fn owner(&self) -> Box<dyn Store>;
    /// The readers' side.
    fn reader(&self) -> Box<dyn Views>;
}

/// Runs every check, each on a new site.
pub(crate) fn check(new: &dyn Fn() -> Box<dyn Site>) {
    let checks = [writing::CHECKS, reading::CHECKS, purging::CHECKS];
    for (name, check) in checks.into_iter().flatten() {
        // Shown only when the test fails: it says which check did.
        println!("conformance: {name}");
        check(&*new());
    }
}

type Check = (&'static str, fn(&dyn Site));

mod memory {
    use super::{Site, Store, Views, check};
    use crate::memory::MemoryStore;

    impl Site for MemoryStore {
        fn owner(&self) -> Box<dyn Store> {
            Box::new(self.clone())
        }
        fn reader(&self) -> Box<dyn Views> {
            Box::new(self.views())
        }
    }

    pub(super) fn new() -> Box<dyn Site> {
        Box::new(MemoryStore::new())
    }

    #[test]
    fn memory_keeps_every_promise() {
        check(&new);
    }
}

mod sqlite {
    use super::{Site, Store, Views, check};
    use crate::sqlite::{SqliteStore, SqliteViews};

    struct Folder(tempfile::TempDir);

    impl Site for Folder {
        fn owner(&self) -> Box<dyn Store> {
            Box::new(SqliteStore::open(self.0.path().join("store.db")).expect("an owner"))
        }
        fn reader(&self) -> Box<dyn Views> {
            Box::new(SqliteViews::open(self.0.path().join("store.db")).expect("a reader"))
        }
    }

    pub(super) fn new() -> Box<dyn Site> {
        let folder = Folder(tempfile::tempdir().expect("a folder"));
        // A reader may come first and does not make the store.
        drop(folder.owner());
        Box::new(folder)
    }

    #[test]
    fn sqlite_keeps_every_promise() {
        check(&new);
    }
}
