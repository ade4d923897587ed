//! Pages of lists: `{items, next_cursor}`.
//!
//! A cursor names the last thing that was shown and not how many there were before it, so that what
//! comes in between moves nothing.

use serde::Serialize;
use utoipa::ToSchema;

use super::code::ProblemCode;
use super::problem::Problem;

/// How many are shown where nothing is said.
pub(super) const LIMIT: u32 = 50;
/// The most that are shown at once.
pub(super) const LIMIT_MAX: u32 = 1_000;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Page<T> {
    /// What there is.
    pub items: Vec<T>,
    /// For the next page; `None` on the last.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Of what only ever grows at its end: the part behind so many, of at most so many.
    pub(super) fn of(all: Vec<T>, (skipped, limit): (u64, u32)) -> Self {
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let end = skipped.saturating_add(limit as usize);
        let next_cursor = (all.len() > end).then(|| end.to_string());
        let items = all.into_iter().skip(skipped).take(limit as usize).collect();
        Self { items, next_cursor }
    }
}

/// How many are wanted.
pub(super) fn limit_of(asked: Option<u32>) -> Result<u32, Problem> {
    match asked.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        limit => {
            let detail = format!("`limit` is {limit}; it is 1 to {LIMIT_MAX}");
            Err(Problem::new(ProblemCode::InvalidRequest, detail))
        }
    }
}

/// The number behind a cursor.
pub(super) fn cursor_of(asked: Option<&str>) -> Result<Option<u64>, Problem> {
    let wrong = |_| {
        let detail = "`cursor` is not a `next_cursor` of this list; leave it out to start anew";
        Problem::new(ProblemCode::InvalidRequest, detail)
    };
    asked.map(str::parse).transpose().map_err(wrong)
}
