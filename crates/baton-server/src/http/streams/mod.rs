//! Live streams: what happens, told as it happens, over SSE and WebSocket.
//!
//! One broadcaster reads each commit once; every subscriber joins what it missed and what comes
//! without a gap or a doubling. Nothing is decided here.

pub(super) mod batch;
mod broadcaster;
mod cursor;
mod replay;
mod scope;
pub(super) mod socket;
pub(super) mod sse;
mod subscription;
mod text;

use baton_core::ids::WorkflowId;
use serde_json::json;

use self::subscription::Said;
use super::code::ProblemCode;
use super::problem::Problem;

pub use broadcaster::{Broadcaster, Broadcasting};
pub use cursor::{Cursor, NotACursor};
pub use subscription::Streams;

/// A message that is no event.
struct Note {
    name: &'static str,
    /// JSON in one line.
    data: String,
}

impl Note {
    /// Of what is no event; of events nothing.
    fn of(said: &Said) -> Self {
        let (name, data) = match said {
            Said::Lagged(position) => ("lagged", batch::one_line(&json!({ "after": position }))),
            Said::Done(end) => ("done", batch::one_line(end)),
            Said::Problem(problem) => ("problem", batch::one_line(problem)),
            Said::Events(..) | Said::Beat => ("", Ok(String::new())),
        };
        Self { name, data: data.unwrap_or_default() }
    }
}

/// The patterns of a list divided by commas.
pub(super) fn patterns(list: Option<&str>) -> Box<[Box<str>]> {
    let all = list.unwrap_or_default().split(',').map(str::trim);
    all.filter(|pattern| !pattern.is_empty()).map(Box::from).collect()
}

fn workflow_id(text: &str) -> Result<WorkflowId, Problem> {
    text.parse().map_err(|_| {
        let detail = "`workflow` is no id; `GET /api/v1/workflows` lists them";
        Problem::new(ProblemCode::InvalidRequest, detail)
    })
}
