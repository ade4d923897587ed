//! `/api/v1/conversations`: listing and showing conversations, and what was said in them.
//!
//! What people tell them stands in `saying.rs` and `commands.rs`, and how they are followed in `../streams`.

pub(super) mod commands;
pub(super) mod saying;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use baton_core::body::BlobHash;
use baton_core::conversation::rows::ConversationRow;
use baton_core::ids::ConversationId;
use baton_core::words::ConversationStatus;
use baton_engine::conversations::{
    ConversationView, EntryView, conversation_view, conversation_views, entries,
};
use baton_engine::store::{ConversationFilter, Views};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::code::ProblemCode;
use super::extract::{Asked, IdOf};
use super::page::{Page, cursor_of, limit_of};
use super::problem::Problem;
use super::schema::{
    ConversationInPath, ConversationSchema, ConversationStatusWord, EntrySchema, Problems,
};
use super::waiting::Subject;
use super::workflows::{AtRevision, is_known};

/// So many hexadecimal digits of a view's digest stand in its tag.
const TAG_DIGITS: usize = 16;

/// Which conversations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only those of this status.
    #[param(value_type = Option<ConversationStatusWord>)]
    status: Option<ConversationStatus>,
    /// Only those whose title contains this, whatever the case of its letters.
    q: Option<String>,
    /// The `next_cursor` of the page before.
    #[param(pattern = "^[0-9]+$")]
    cursor: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// Which part of what was said.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// The `next_cursor` of the page before: the `id` of its last entry, and older ones follow.
    #[param(pattern = "^[0-9]+$")]
    cursor: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// Conversations, newest first.
#[utoipa::path(get, path = "/conversations", tag = "conversations", operation_id = "list_conversations", params(Which),
    responses((status = 200, description = "A page of conversations", body = Page<ConversationSchema>), Problems))]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(Which { status, q, cursor, limit }): Asked<Which>,
) -> Result<Json<Page<ConversationView>>, Problem> {
    let limit = limit_of(limit)?;
    let before = cursor_of(cursor.as_deref())?;
    let filter = ConversationFilter { status, title: q, before, limit: limit + 1 };
    let read = move |views: &mut dyn Views| {
        let mut found = conversation_views(&filter, views)?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next_cursor = found.last().filter(|_| more).map(|(number, _)| number.to_string());
        Ok(Page { items: found.into_iter().map(|(_, view)| view).collect(), next_cursor })
    };
    Ok(Json(api.readers.read(read).await?))
}

/// One conversation; with `revision`, as it is then or later.
#[utoipa::path(get, path = "/conversations/{id}", tag = "conversations", operation_id = "show_conversation", params(ConversationInPath, AtRevision),
    responses((status = 200, description = "The conversation", body = ConversationSchema),
        (status = 304, description = "It is as `If-None-Match` says"), Problems))]
pub(super) async fn show(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    Asked(asked): Asked<AtRevision>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    asked.reach(&api, Subject::Conversation(id)).await?;
    let view = view_of(&api, id).await?;
    let tag = tag_of(&view);
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(([(header::ETAG, tag)], Json(view)).into_response())
}

/// What was said and done in a conversation, newest first.
#[utoipa::path(get, path = "/conversations/{id}/messages", tag = "conversations", operation_id = "list_messages", params(ConversationInPath, Part),
    responses((status = 200, description = "A page of what was said", body = Page<EntrySchema>), Problems))]
pub(super) async fn messages(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    Asked(Part { cursor, limit }): Asked<Part>,
) -> Result<Json<Page<EntryView>>, Problem> {
    let limit = limit_of(limit)? as usize;
    let before = cursor_of(cursor.as_deref())?.unwrap_or(u64::MAX);
    let read = move |views: &mut dyn Views| {
        let mut said = entries(found(id, views)?.number, views)?;
        said.retain(|entry| entry.id < before);
        let more = said.len() > limit;
        let items: Vec<EntryView> = said.into_iter().rev().take(limit).collect();
        let next_cursor = items.last().filter(|_| more).map(|entry| entry.id.to_string());
        Ok(Page { items, next_cursor })
    };
    Ok(Json(api.readers.read(read).await?))
}

/// The row of a conversation.
pub(super) fn found(id: ConversationId, views: &mut dyn Views) -> Result<ConversationRow, Problem> {
    views.conversation(id)?.ok_or_else(|| missing(id))
}

fn missing(id: ConversationId) -> Problem {
    let detail = format!(
        "nothing was ever said in a conversation {id}; `GET /api/v1/conversations` lists them"
    );
    Problem::new(ProblemCode::NoSuchConversation, detail)
}

/// A conversation as it is shown.
async fn view_of(api: &Api, id: ConversationId) -> Result<ConversationView, Problem> {
    let read = move |views: &mut dyn Views| Ok(conversation_view(id, views)?);
    api.readers.read(read).await?.ok_or_else(|| missing(id))
}

/// What changes whenever the view does: its workflows go on while its own revision stays.
fn tag_of(view: &ConversationView) -> String {
    let text = serde_json::to_string(view).unwrap_or_default();
    let digest = BlobHash::of(text.as_bytes()).to_string();
    let digits: String = digest.chars().take(TAG_DIGITS).collect();
    format!("W/\"{}-{digits}\"", view.revision)
}
