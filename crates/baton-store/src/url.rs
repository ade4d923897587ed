//! Where a store is: a file or a server, by one text.
//!
//! It opens what the text names and says nothing of which is better.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use baton_engine::check::Repair;
use baton_engine::chunks::ChunkLog;
use baton_engine::store::{Audit, Store, StoreError, Views};

use crate::postgres::{
    self, PostgresAudit, PostgresChunks, PostgresRepair, PostgresStore, PostgresViews,
};
use crate::sqlite::{SqliteAudit, SqliteChunks, SqliteRepair, SqliteStore, SqliteViews};

/// Where a store is: `postgres://user@host/database?schema=name`, `sqlite:PATH`, or just a path.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file of the embedded store.
    Sqlite(PathBuf),
    /// A PostgreSQL server, by its URL.
    Postgres(String),
}

/// A text that names no store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAStoreUrl {
    /// The scheme that was read.
    pub scheme: String,
}

impl fmt::Display for NotAStoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no kind of store; write postgres://user@127.0.0.1/database, sqlite:PATH, or \
             a path",
            self.scheme
        )
    }
}

impl std::error::Error for NotAStoreUrl {}

impl FromStr for StoreUrl {
    type Err = NotAStoreUrl;
    fn from_str(text: &str) -> Result<Self, NotAStoreUrl> {
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        match scheme {
            "postgres" | "postgresql" => Ok(Self::Postgres(text.to_owned())),
            "sqlite" => Ok(Self::Sqlite(rest.strip_prefix("//").unwrap_or(rest).into())),
            _ if rest.starts_with("//") => Err(NotAStoreUrl { scheme: scheme.to_owned() }),
            _ => Ok(Self::Sqlite(text.into())),
        }
    }
}

/// The file, or the database and schema; never a password.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => f.write_str(&postgres::place(url)),
        }
    }
}

/// Without what may be a password.
impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres:…"),
        }
    }
}

/// Opens a store to own it: makes it where there is none and brings it up to this version.
///
/// Owning begins with [`Store::take_over`].
pub fn open(url: &StoreUrl) -> Result<Box<dyn Store + Send>, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(path) => Box::new(SqliteStore::open(path)?),
        StoreUrl::Postgres(url) => {
            let mut store = PostgresStore::open(url)?;
            store.claim()?;
            Box::new(store)
        }
    })
}

/// Opens a store to read it: it must exist and be of this version.
pub fn open_views(url: &StoreUrl) -> Result<Box<dyn Views>, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(path) => Box::new(SqliteViews::open(path)?),
        StoreUrl::Postgres(url) => Box::new(PostgresViews::open(url)?),
    })
}

/// Where a store keeps the text of running turns; nothing is opened before it is used.
pub fn chunks_of(url: &StoreUrl) -> Box<dyn ChunkLog> {
    match url {
        StoreUrl::Sqlite(path) => Box::new(SqliteChunks::beside(path)),
        StoreUrl::Postgres(url) => Box::new(PostgresChunks::of(url)),
    }
}

/// Opens a store to check it: a snapshot of everything.
pub fn open_audit(url: &StoreUrl) -> Result<Box<dyn Audit>, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(path) => Box::new(SqliteAudit::open(path)?),
        StoreUrl::Postgres(url) => Box::new(PostgresAudit::open(url)?),
    })
}

/// Keeps everybody else from writing to a store, to mend it.
///
/// An audit that is opened after this sees what the repair begins with.
pub fn begin_repair(url: &StoreUrl) -> Result<Box<dyn Repair>, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(path) => Box::new(SqliteRepair::begin(path)?),
        StoreUrl::Postgres(url) => Box::new(PostgresRepair::begin(url)?),
    })
}

#[cfg(test)]
mod tests {
    use super::StoreUrl;

    #[test]
    fn a_text_names_a_file_or_a_server() {
        let sqlite = |path: &str| Ok(StoreUrl::Sqlite(path.into()));
        assert_eq!("sqlite:.baton/store.db".parse(), sqlite(".baton/store.db"));
        assert_eq!("sqlite:///var/store.db".parse(), sqlite("/var/store.db"));
        assert_eq!("a/b.db".parse(), sqlite("a/b.db"));
        assert_eq!("a:b.db".parse(), sqlite("a:b.db"));
        let server = "postgres://ada:secret@localhost/x".parse::<StoreUrl>().expect("a server");
        assert!(!format!("{server:?} {server}").contains("secret"));
        assert_eq!(server.to_string(), "postgres \"x\" schema baton");
        let stranger = "mysql://localhost/x".parse::<StoreUrl>().expect_err("not a store");
        assert!(stranger.to_string().contains("`mysql`"));
    }
}
