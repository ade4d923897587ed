//! `Idempotency-Key`: a request that is sent again under the same key is answered as it was.
//!
//! The key goes with what the request asks of the owner, who remembers the answer in the commit of what
//! was done; here it is only read and handed on.

use std::cell::Cell;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use baton_core::body::BlobHash;
use baton_engine::exchange::{self, OnceKey};
use sha2::{Digest, Sha256};

use super::code::ProblemCode;
use super::limits::Bounds;
use super::problem::Problem;

/// The header.
const HEADER: &str = "idempotency-key";
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;

tokio::task_local! {
    static KEYED: Keyed;
}

/// The key of the request under way, and how much was asked under it.
struct Keyed {
    once: OnceKey,
    asked: Cell<u32>,
}

/// Reads the key, with a digest of all that is sent under it.
pub(super) async fn remember(request: Request, next: Next) -> Result<Response, Problem> {
    let Some(key) = key_of(request.headers())?.filter(|_| request.method() == Method::POST) else {
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    let bounds = Bounds::of(&parts.extensions);
    let bytes = to_bytes(body, bounds.body_bytes_max).await;
    let bytes = bytes.map_err(|_| bounds.body_too_large())?;
    let target = parts.uri.to_string();
    let digest = Sha256::new().chain_update(&target).chain_update([0]).chain_update(&bytes);
    let once = OnceKey { key, body: BlobHash(digest.finalize().into()) };
    let request = Request::from_parts(parts, Body::from(bytes));
    Ok(KEYED.scope(Keyed { once, asked: Cell::new(0) }, next.run(request)).await)
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
    let wrong = || {
        let detail = format!("`Idempotency-Key` has 1 to {KEY_BYTES_MAX} visible ASCII characters");
        Problem::new(ProblemCode::InvalidRequest, detail)
    };
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}

/// What is asked of the owner, under the key of the request under way. Where a request asks for several
/// things, each has its number behind the key: sent again, they come in the same order.
pub(super) fn under_key(request: exchange::Request) -> exchange::Request {
    use exchange::Request::{AwaitEnd, Complete, FailWork, Heartbeat, Lease, Leases};
    // The first changes nothing; what workers ask is safe to repeat by its token.
    if let AwaitEnd { .. }
    | Lease(_)
    | Leases
    | Heartbeat { .. }
    | Complete { .. }
    | FailWork { .. } = request
    {
        return request;
    }
    let numbered = |keyed: &Keyed| {
        let number = keyed.asked.replace(keyed.asked.get() + 1);
        OnceKey { key: format!("{}#{number}", keyed.once.key), body: keyed.once.body }
    };
    match KEYED.try_with(numbered) {
        Ok(once) => exchange::Request::Once { once, request: Box::new(request) },
        // No key was sent.
        Err(_) => request,
    }
}
