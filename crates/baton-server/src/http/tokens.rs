//! `/api/v1/tokens` and `/api/v1/tickets`: who may call, and letting a browser open a stream.
//!
//! A token's text is in the one answer that makes it and nowhere else, not even in what is remembered
//! under an `Idempotency-Key`: sent again, such a request is refused, and makes no second token.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::{Extension, Json};
use baton_core::body::BlobHash;
use baton_core::fact::Token;
use baton_core::time::Timestamp;
use baton_core::words::{FactKind, Role};
use baton_engine::exchange::{Reply, Request};
use baton_engine::store::{StoreError, Views};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::caller::{Caller, Identity};
use super::code::ProblemCode;
use super::extract::Sent;
use super::page::Page;
use super::pass::Pass;
use super::problem::Problem;
use super::schema::{Problems, RoleWord};
use super::session::TICKET;
use crate::secret::{Secret, TOKEN_PREFIX};

/// How long an answer waits until what it says counts for every request.
const COUNTS_WITHIN: Duration = Duration::from_secs(2);
/// For what must lie about nowhere.
const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// A token that holds.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct TokenView {
    /// Its name: that of the actor in everything it does.
    name: String,
    /// What it is good for.
    #[schema(value_type = RoleWord)]
    role: Role,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last shown to this server; none where it was not since the server began.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

/// Which token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// What it is good for.
    #[schema(value_type = RoleWord)]
    role: Role,
    /// Its name; one of its own where none is given.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.-]+$")]
    name: Option<String>,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    /// Its name.
    name: String,
    /// What it is good for.
    #[schema(value_type = RoleWord)]
    role: Role,
    /// Itself, this once: `Authorization: Bearer TOKEN`.
    token: String,
}

/// A ticket for one stream.
#[derive(Serialize, ToSchema)]
pub(super) struct Ticket {
    /// For `?ticket=` of one stream or WebSocket.
    ticket: String,
    /// Until when it can be used.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// The tokens that hold, by name. Never what they are.
#[utoipa::path(get, path = "/tokens", tag = "tokens", operation_id = "list_tokens",
    responses((status = 200, description = "All of them", body = Page<TokenView>), Problems))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Page<TokenView>>, Problem> {
    caller.require(Role::Admin)?;
    let identity = api.identity.clone();
    let used = move |name: &str| identity.as_ref().and_then(|it| it.last_used(name));
    let read = move |views: &mut dyn Views| Ok(tokens(views, &used)?);
    let items = api.readers.read(read).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

fn tokens(
    views: &mut dyn Views,
    used: &dyn Fn(&str) -> Option<Timestamp>,
) -> Result<Vec<TokenView>, StoreError> {
    let facts = views.facts(FactKind::Token)?.into_iter();
    let items = facts.filter_map(|fact| {
        let grant = Token::read(&fact.value)?.grant?;
        let name = String::from_utf8(fact.key).ok()?;
        let last_used_at = used(&name);
        Some(TokenView { name, role: grant.role, created_at: fact.at, last_used_at })
    });
    Ok(items.collect())
}

/// Makes a token. It is in this answer and nowhere else: sent again under the same
/// `Idempotency-Key`, the request is refused with 409 and makes no other.
#[utoipa::path(post, path = "/tokens", tag = "tokens", operation_id = "create_token", request_body = NewToken,
    responses((status = 201, description = "The token, shown this once", body = MadeToken), Problems))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Sent(new): Sent<NewToken>,
) -> Result<(StatusCode, [(HeaderName, &'static str); 1], Json<MadeToken>), Problem> {
    caller.require(Role::Admin)?;
    let drawn = Secret::draw(TOKEN_PREFIX);
    let secret = drawn.map_err(|fault| Problem::new(ProblemCode::Internal, fault.to_string()))?;
    let hash = secret.hash();
    let own = || format!("{}-{}", new.role, hash.to_string().chars().take(8).collect::<String>());
    let name = new.name.clone().unwrap_or_else(own);
    if !Token::is_name(&name) {
        let detail = "`name` is 1 to 64 of the characters A-Z a-z 0-9 _ - .";
        return Err(Problem::new(ProblemCode::InvalidRequest, detail));
    }
    let request = Request::CreateToken { name: name.clone(), role: new.role, hash };
    let reply = api.ask(&caller.actor, request).await?;
    if !matches!(reply, Reply::TokenCreated { hash: made } if made == hash) {
        let detail = "under this `Idempotency-Key` a token was made before; it was shown that once. \
                      Revoke it if it was lost, and make another under another key";
        return Err(Problem::new(ProblemCode::TokenExists, detail));
    }
    counts(&api, |identity| identity.holds(&hash)).await;
    let made = MadeToken { name, role: new.role, token: secret.text().to_owned() };
    Ok((StatusCode::CREATED, NO_STORE, Json(made)))
}

/// Revokes a token: nobody is let in by it any more, and the streams it opened end.
#[utoipa::path(delete, path = "/tokens/{name}", tag = "tokens", operation_id = "revoke_token",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 204, description = "It lets nobody in any more"), Problems))]
pub(super) async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.require(Role::Admin)?;
    let key = name.clone().into_bytes();
    let read = move |views: &mut dyn Views| Ok(hash_of(&key, views)?);
    let hash = api.readers.read(read).await?;
    api.ask(&caller.actor, Request::RevokeToken { name }).await?;
    counts(&api, |identity| hash.is_none_or(|hash| !identity.holds(&hash))).await;
    Ok(StatusCode::NO_CONTENT)
}

fn hash_of(name: &[u8], views: &mut dyn Views) -> Result<Option<BlobHash>, StoreError> {
    let fact = views.fact(FactKind::Token, name)?;
    Ok(fact.and_then(|fact| Token::read(&fact.value)?.grant).map(|grant| grant.hash))
}

/// Waits until a change counts here, so that whoever made it meets it with the next request.
async fn counts(api: &Api, is_so: impl Fn(&dyn Identity) -> bool) {
    let Some(identity) = &api.identity else { return };
    let mut changes = identity.changes();
    let heard = async { while !is_so(identity.as_ref()) && changes.changed().await.is_ok() {} };
    // What is committed is true either way; it only counts a moment later.
    let _ = tokio::time::timeout(COUNTS_WITHIN, heard).await;
}

/// A ticket that lets its bearer open one stream or WebSocket (`?ticket=`), where a browser can send no
/// header. It is used up by that, and void after 30 s.
#[utoipa::path(post, path = "/tickets", tag = "streams", operation_id = "create_ticket",
    responses((status = 201, description = "The ticket", body = Ticket), Problems))]
pub(super) async fn ticket(
    State(api): State<Api>,
    caller: Caller,
    Extension(pass): Extension<Pass>,
) -> Result<(StatusCode, [(HeaderName, &'static str); 1], Json<Ticket>), Problem> {
    // It lets in to look, and to nothing else.
    caller.check(&Method::GET)?;
    let ticket = api.sessions.ticket(pass.proof())?.text().to_owned();
    let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
    let ticket = Ticket { ticket, expires_at: now.plus(TICKET) };
    Ok((StatusCode::CREATED, NO_STORE, Json(ticket)))
}
