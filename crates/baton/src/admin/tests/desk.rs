//! A store for a test, of each kind there is, and what is done to it behind Baton's back.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use baton_engine::check::{CheckReport, check};
use baton_engine::store::Views;
use baton_store::{StoreUrl, open_audit, open_views};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::driver::Driver;
use crate::admin::AdminError;
use crate::admin::doctor::{Report, doctor};
use crate::admin::rebuild::{RebuildReport, rebuild};
use crate::config::Config;

/// Names a server for tests: `postgres://user@127.0.0.1:port/database`.
const SERVER: &str = "BATON_TEST_POSTGRES";

/// A private folder and a store: a file in it, or a schema of its own on the server.
pub struct Desk {
    folder: TempDir,
    pub store: StoreUrl,
}

impl Desk {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder.path(), mode).expect("a mode");
        let store = StoreUrl::Sqlite(folder.path().join("baton.db"));
        Self { folder, store }
    }

    fn postgres(server: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let url = format!("{server}?schema=test_admin_{}_{next}", std::process::id());
        let mut desk = Self::sqlite();
        desk.store = StoreUrl::Postgres(url);
        desk
    }

    /// One of each kind; says which cannot be had here.
    pub fn every() -> Vec<Self> {
        let server = std::env::var(SERVER).ok();
        if server.is_none() {
            println!("on SQLite only: {SERVER} names no server");
        }
        let postgres = server.as_deref().map(Self::postgres);
        [Self::sqlite()].into_iter().chain(postgres).collect()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn driver(&self, seed: u64) -> Driver {
        Driver::at(&self.store, seed)
    }

    pub fn views(&self) -> Box<dyn Views> {
        open_views(&self.store).expect("views")
    }

    pub fn check(&self) -> CheckReport {
        check(open_audit(&self.store).expect("an audit").as_mut()).expect("a check")
    }

    pub fn rebuild(&self) -> Result<RebuildReport, AdminError> {
        rebuild(self.folder(), &self.store)
    }

    pub fn look(&self) -> Report {
        doctor(self.folder(), &self.store, &Config::default())
    }

    /// Changes rows by hand; how many.
    pub fn change(&self, sql: &str) -> u64 {
        match &self.store {
            StoreUrl::Sqlite(path) => {
                let file = rusqlite::Connection::open(path).expect("the file");
                file.execute(sql, []).expect(sql) as u64
            }
            StoreUrl::Postgres(url) => {
                let (server, schema) = url.split_once("?schema=").expect("a schema");
                let change = async {
                    let (client, connection) =
                        tokio_postgres::connect(server, NoTls).await.expect("the server");
                    drop(tokio::spawn(connection));
                    let path = format!("SET search_path = {schema}");
                    client.batch_execute(&path).await.expect("the schema");
                    client.execute(sql, &[]).await.expect(sql)
                };
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(change)
            }
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let StoreUrl::Postgres(url) = &self.store {
            // What a failed test leaves is in its way of nobody.
            let _ = baton_store::postgres::remove(url);
        }
    }
}
