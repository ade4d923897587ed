//! Reading requests: ids in paths, queries, and JSON bodies, each with a problem that says where the
//! fault is.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::code::ProblemCode;
use super::problem::Problem;

/// How much of a wrong text is repeated.
const SHOWN_CHARS_MAX: usize = 80;

/// The one id in the path.
pub(super) struct IdOf<T>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for IdOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unreadable = |detail| Problem::new(ProblemCode::InvalidRequest, detail);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|fault| unreadable(format!("the path cannot be read: {fault}")))?;
        let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        let wrong =
            || unreadable(format!("`{shown}` is no id; ids are UUIDs, as answers give them"));
        text.parse().map(Self).map_err(|_| wrong())
    }
}

/// The query as a struct; what it does not know is refused.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        let wrong = |fault: axum::extract::rejection::QueryRejection| {
            let detail = format!("the query cannot be read: {}", fault.body_text());
            Problem::new(ProblemCode::InvalidRequest, detail)
        };
        read.map(|Query(asked)| Self(asked)).map_err(wrong)
    }
}
