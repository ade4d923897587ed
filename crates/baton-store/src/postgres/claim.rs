//! The claim of whoever owns a store: an advisory lock for as long as its connection lives.
//!
//! It is a courtesy between owners, so that one does not push out another by mistake. What keeps
//! two owners apart is the epoch.

use tokio_postgres::error::SqlState;

use super::fault::Fault;
use super::link::Link;
use super::read;
use crate::rows::Cells;

/// The two halves of the lock's number.
const LOCK: &str = "hashtext('baton owner'), hashtext(current_schema())";

/// Waits a few seconds for others to let go.
pub(crate) fn wait(link: &mut Link) -> Result<(), Fault> {
    let sql =
        format!("SELECT pg_advisory_lock({LOCK}) FROM set_config('lock_timeout', '5s', false)");
    match link.once(&sql, &[]) {
        Err(Fault::Postgres(error)) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            Err(Fault::unavailable("another process owns this store; end it first"))
        }
        outcome => {
            outcome?;
            // Without waiting: who has come in between has raised the epoch, and that decides.
            link.on_return(format!("SELECT pg_try_advisory_lock({LOCK})"));
            Ok(())
        }
    }
}

/// Whether somebody has claimed the store.
pub(crate) fn is_held(link: &mut Link) -> Result<bool, Fault> {
    let sql = format!(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND (classid, objid) = (SELECT a::oid, b::oid FROM (VALUES ({LOCK})) AS lock (a, b))"
    );
    let held: u64 = read::first(&link.read(&sql, &[])?, Cells::number)?.unwrap_or(0);
    Ok(held > 0)
}
