//! What explains the API: its OpenAPI document, a page that shows it without a network, and a page
//! for each code of a problem.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use baton_core::codes::Code;

use super::Api;
use super::code::ProblemCode;
use super::problem::Problem;

/// The page that shows the document; written for this, without libraries.
const PAGE: &str = include_str!("../../assets/reference.html");
/// Nothing from elsewhere is loaded or called.
const ONLY_OURS: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'",
    ),
);

/// The paths that explain the API; `document` is its OpenAPI document as JSON.
pub(super) fn router(document: String) -> Router<Api> {
    let document: std::sync::Arc<str> = document.into();
    let serve_document = move || {
        let document = document.to_string();
        async { ([(header::CONTENT_TYPE, "application/json")], document) }
    };
    Router::new()
        .route("/openapi.json", get(serve_document))
        .route("/docs", get(async || ([ONLY_OURS], Html(PAGE))))
        .route("/docs/errors/{code}", get(explain))
}

async fn explain(Path(code): Path<String>) -> Result<Response, Problem> {
    let code = ProblemCode::from_word(&code);
    let none = || Problem::new(ProblemCode::NotFound, "no problem has this code");
    let text = code.map(ProblemCode::page).ok_or_else(none)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}
