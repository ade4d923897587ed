//! What an answer says of something that went wrong: RFC 9457, `application/problem+json`.
//!
//! It decides nothing: which code a refusal or a fault has stands in [`ProblemCode`].

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use baton_core::codes::Code;
use baton_core::workflow::Refusal;
use baton_engine::exchange::{Declined, Gone};
use baton_engine::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use super::code::ProblemCode;
use super::schema::ProblemWord;

/// The media type of a problem.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// How long a client that came at a bad time is asked to wait.
pub(super) const RETRY_AFTER_SECONDS: u32 = 1;

/// Something that went wrong, as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Where its code is explained.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors/no_such_workflow")]
    pub kind: String,
    /// The same sentence for every problem of this code.
    pub title: &'static str,
    /// The answer's status.
    pub status: u16,
    /// What happened, where, and what to do next.
    pub detail: String,
    /// A stable word.
    #[schema(value_type = ProblemWord)]
    pub code: ProblemCode,
    /// Every fault of what was sent.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One fault of what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer into the body; empty for the whole.
    pub pointer: String,
    /// What is wrong, and what to do about it.
    pub detail: String,
    /// From 1, where the text that is at fault has lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// From 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

impl Problem {
    /// A problem of this code; `detail` says what happened, where, and what to do next.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/docs/errors/{}", code.word()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: detail.into(),
            code,
            errors: Vec::new(),
        }
    }

    /// The same with every fault of what was sent.
    pub fn with_errors(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_string(&self).unwrap_or_default();
        let status = self.code.status();
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], text).into_response();
        let headers = response.headers_mut();
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            // What is left of the body is not read: the connection cannot be used again.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Gone> for Problem {
    fn from(gone: Gone) -> Self {
        let detail = match &gone {
            Gone::Declined(Declined::Refused(refusal)) => advice(*refusal).to_owned(),
            Gone::Declined(_) | Gone::OwnerEnded => gone.to_string(),
        };
        Self::new((&gone).into(), detail)
    }
}

/// What to call instead of what was refused.
fn advice(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::AlreadyEnded => "its run has ended; `POST …/retry` opens the next one",
        Refusal::NotEnded => "its run has not ended; wait for its end, or `POST …/cancel`",
        Refusal::NotInReview => {
            "it does not wait for a review; `GET /api/v1/inbox` lists what waits"
        }
        Refusal::StaleRevision => {
            "something changed since it was looked at; read it and look again"
        }
        Refusal::NotRunning => "it is not running; its `status` says where it stands",
        Refusal::NotPaused => "it is not paused; its `status` says where it stands",
        Refusal::AlreadyCancelling => "it is being cancelled already; `?revision=N` waits for it",
        Refusal::NoSuchTask => "it has no such task; `GET …/tasks` lists them",
        Refusal::StaleAttempt => "that attempt is over; nothing was changed by this answer",
        Refusal::NotReady | Refusal::NoRoom | Refusal::NotCounted => {
            "the task cannot start now; its `status` says what it waits for"
        }
        Refusal::NotWaiting => "the task does not wait for that; `GET /api/v1/inbox` says for what",
        Refusal::InvalidAnswer => {
            "the answer does not fit; `GET /api/v1/tasks/ID` shows what is asked"
        }
        Refusal::NothingToRetry => {
            "everything completed; name the `tasks` to do again all the same"
        }
        Refusal::NotSettled => {
            "calls have not ended or are in doubt; `GET /api/v1/inbox` lists those"
        }
        Refusal::TooManyTasks => "the workflow would have more tasks than it may",
        Refusal::OtherDefinition => {
            "an edit keeps the `name` and `version` of the definition; start a workflow of the other one"
        }
        Refusal::NothingChanged => "the plan is as the edit says already",
        Refusal::TooManyEdits => {
            "it was edited as often as it may be; approve it, or start another"
        }
        Refusal::NoSuchEdit => "it has no such edit; `GET …/edits` lists them",
        Refusal::NotNewestEdit => {
            "later edits stand on it, or it was undone; `GET …/edits` tells the newest that is applied"
        }
    }
}

impl From<StoreError> for Problem {
    fn from(fault: StoreError) -> Self {
        Self::new((&fault).into(), fault.to_string())
    }
}
