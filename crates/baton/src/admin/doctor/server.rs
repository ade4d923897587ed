//! A store on PostgreSQL: whether the server answers, holds one, and keeps commits.
//!
//! What is in it is not looked at here; what the server's own checks would find is its own.

use baton_store::postgres::{Inspection, inspect};

use super::folder::Owner;
use super::{Report, unopened};
use crate::admin::bytes;

/// `None` where there is nothing to look into.
pub(super) fn look(url: &str, place: &str, report: &mut Report) -> Option<Owner> {
    let inspection = match inspect(url) {
        Err(fault) => {
            unopened(&fault, place, report);
            return None;
        }
        Ok(None) => {
            report.note(
                "there is no store in this schema yet",
                place,
                "`baton run FILE` makes it; `?schema=NAME` at the end of the URL names another one",
            );
            return None;
        }
        Ok(Some(inspection)) => inspection,
    };
    let Inspection { version, unsafe_settings, is_owned, bytes: size } = inspection;
    report.ok(format!("PostgreSQL {version} answers, the store takes {}", bytes(size)), place);
    if !unsafe_settings.is_empty() {
        let what = format!("commits are not safe: {} is off", unsafe_settings.join(" and "));
        let mend = "switch it on in the server's `postgresql.conf`, then reload the server";
        report.problem(what, place, mend);
    }
    if is_owned {
        report.ok("a process owns the store", place);
        return Some(Owner::Running);
    }
    Some(Owner::Nobody)
}
