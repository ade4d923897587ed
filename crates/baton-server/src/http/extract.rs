//! Reading requests: ids in paths, queries, and JSON bodies, each with a problem that says where the
//! fault is.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::code::ProblemCode;
use super::limits::Bounds;
use super::problem::{FieldError, Problem};

/// How much of a wrong text is repeated.
pub(super) const SHOWN_CHARS_MAX: usize = 80;

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
        let wrong = |fault: QueryRejection| {
            let detail = format!("the query cannot be read: {}", fault.body_text());
            Problem::new(ProblemCode::InvalidRequest, detail)
        };
        read.map(|Query(asked)| Self(asked)).map_err(wrong)
    }
}

/// A JSON body.
pub(super) struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = bytes_of(request, state).await?;
        if !is_json {
            let detail = "send the body as `Content-Type: application/json`";
            return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|fault| unreadable(&fault))
    }
}

/// A JSON body that may be left out, or null.
pub(super) struct Perhaps<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for Perhaps<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_empty = request.headers().get(header::CONTENT_LENGTH).is_none_or(|it| it == "0");
        if is_empty && !request.headers().contains_key(header::TRANSFER_ENCODING) {
            return Ok(Self(T::default()));
        }
        let sent = Sent::<Option<T>>::from_request(request, state).await?;
        Ok(Self(sent.0.unwrap_or_default()))
    }
}

/// A body as text, of whatever type.
pub(super) struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = bytes_of(request, state).await?;
        let wrong = |_| Problem::new(ProblemCode::InvalidRequest, "the body is not UTF-8");
        String::from_utf8(bytes.into()).map(Self).map_err(wrong)
    }
}

async fn bytes_of<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let bounds = Bounds::of(request.extensions());
    let wrong = |fault: BytesRejection| {
        if fault.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return bounds.body_too_large();
        }
        let detail = format!("the body cannot be read: {}", fault.body_text());
        Problem::new(ProblemCode::InvalidRequest, detail)
    };
    Bytes::from_request(request, state).await.map_err(wrong)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
}

fn unreadable(fault: &serde_json::Error) -> Problem {
    let message = fault.to_string();
    // Its place stands in fields of its own.
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    let error = FieldError {
        pointer: String::new(),
        detail: what.to_owned(),
        line: u32::try_from(fault.line()).ok().filter(|line| *line > 0),
        column: u32::try_from(fault.column()).ok().filter(|column| *column > 0),
    };
    Problem::new(ProblemCode::InvalidRequest, format!("the body cannot be read: {message}"))
        .with_errors(vec![error])
}
