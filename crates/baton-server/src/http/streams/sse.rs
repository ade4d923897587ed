//! Streams as server-sent events.
//!
//! An event's message is `id: PLACE`, `event: NAME`, `data: JSON`. What is no event (`text.delta`,
//! `lagged`, `done`, `problem`) has no `id`, so that a reader who comes back still names the last event.

use std::convert::Infallible;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use baton_core::ids::{ConversationId, WorkflowId};
use bytes::Bytes;
use futures_util::stream::unfold;
use serde::Deserialize;
use utoipa::IntoParams;

use super::cursor::Cursor;
use super::subscription::{Said, Subscription, Wanted, Whose};
use super::text::Heard;
use super::{Note, patterns};
use crate::http::Api;
use crate::http::code::ProblemCode;
use crate::http::extract::{Asked, IdOf};
use crate::http::problem::Problem;
use crate::http::schema::Problems;
use crate::http::serving::Lasting;

/// Which events of a workflow, or of a conversation.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Part {
    /// Only these, divided by commas: types such as `task.completed`, or names of messages; `*`
    /// stands for any run of characters.
    r#type: Option<String>,
    /// What comes behind the message with this `id`; a `Last-Event-ID` goes before it. Without either it begins
    /// with the first event.
    #[param(value_type = Option<String>, pattern = r"^[0-9]+(\.[0-9])?$", example = "41")]
    after: Option<Cursor>,
    /// How far the texts of running turns were heard: `STREAM:SEQ` of the last `text.delta` of each,
    /// divided by commas. Of those that are not named, and without this, a stream that goes on from a
    /// place tells them from their beginning; `offset` says where each piece belongs.
    chunks: Option<String>,
    /// What `POST /tickets` gave, where no header can be sent.
    #[expect(dead_code, reason = "read before, with who calls")]
    ticket: Option<String>,
}

/// Which events of all.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Selection {
    /// Only those of this workflow, as its own stream tells them.
    workflow: Option<String>,
    /// Only these, divided by commas: types such as `task.completed`, or names of messages; `*`
    /// stands for any run of characters.
    r#type: Option<String>,
    /// What comes behind the message with this `id`; a `Last-Event-ID` goes before it. Without either it begins
    /// now.
    #[param(value_type = Option<String>, pattern = r"^[0-9]+(\.[0-9])?$", example = "41")]
    after: Option<Cursor>,
    /// How far the texts of running turns were heard: `STREAM:SEQ` of the last `text.delta` of each,
    /// divided by commas. Of those that are not named, and without this, a stream that goes on from a
    /// place tells them from their beginning; `offset` says where each piece belongs.
    chunks: Option<String>,
    /// What `POST /tickets` gave, where no header can be sent.
    #[expect(dead_code, reason = "read before, with who calls")]
    ticket: Option<String>,
}

/// What happens to a workflow, as it happens.
///
/// Events from the first on, or behind a position; when the run has ended, `done {status, usage}`.
/// Between them `text.delta {stream, seq, offset, text, …}`, without an `id`, tells what a model says
/// while it says it: `text` belongs behind `offset` characters of the turn's text, and what a client
/// has behind that is taken away. The event of the turn's answer has the whole.
#[utoipa::path(get, path = "/workflows/{id}/stream", tag = "streams", operation_id = "stream_workflow",
    params(("id" = String, Path, description = "The workflow's id"), Part),
    responses((status = 200, description = "Server-sent events", content_type = "text/event-stream"),
        Problems))]
pub(in crate::http) async fn of_workflow(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    Asked(part): Asked<Part>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let types = patterns(part.r#type.as_deref());
    let heard = part.chunks.as_deref().map(Heard::read).transpose()?;
    let after = last_id(&headers)?.or(part.after);
    let wanted = Wanted { whose: Whose::Workflow(id), types, after, heard };
    Ok(answer(api.streams.subscribe(wanted).await?))
}

/// What happens in a conversation and in its workflows, as it happens.
///
/// Events from the first on, or behind a position, in the order of the journal; it goes on until the
/// client leaves. `text.delta` as on the stream of a workflow.
#[utoipa::path(get, path = "/conversations/{id}/stream", tag = "streams", operation_id = "stream_conversation",
    params(("id" = String, Path, description = "The conversation's id"), Part),
    responses((status = 200, description = "Server-sent events", content_type = "text/event-stream"),
        Problems))]
pub(in crate::http) async fn of_conversation(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    Asked(part): Asked<Part>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let types = patterns(part.r#type.as_deref());
    let heard = part.chunks.as_deref().map(Heard::read).transpose()?;
    let after = last_id(&headers)?.or(part.after);
    let wanted = Wanted { whose: Whose::Conversation(id), types, after, heard };
    Ok(answer(api.streams.subscribe(wanted).await?))
}

/// What happens in a conversation behind a position, until it rests; then `done {status, usage}`.
pub(in crate::http) async fn until_rest(
    api: &Api,
    id: ConversationId,
    after: u64,
) -> Result<Response, Problem> {
    let (whose, after) = (Whose::UntilRest(id), Some(Cursor::from(after)));
    let wanted = Wanted { whose, after, ..Wanted::default() };
    Ok(answer(api.streams.subscribe(wanted).await?))
}

/// What happens to all workflows, as it happens; `text.delta` as on the stream of one.
#[utoipa::path(get, path = "/events/stream", tag = "streams", operation_id = "stream_events", params(Selection),
    responses((status = 200, description = "Server-sent events", content_type = "text/event-stream"),
        Problems))]
pub(in crate::http) async fn of_all(
    State(api): State<Api>,
    Asked(selection): Asked<Selection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let workflow = selection.workflow.as_deref().map(super::workflow_id).transpose()?;
    let types = patterns(selection.r#type.as_deref());
    let heard = selection.chunks.as_deref().map(Heard::read).transpose()?;
    let after = last_id(&headers)?.or(selection.after);
    let wanted = Wanted { whose: workflow.into(), types, after, heard };
    Ok(answer(api.streams.subscribe(wanted).await?))
}

fn last_id(headers: &HeaderMap) -> Result<Option<Cursor>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let place = value.to_str().ok().map(str::trim).and_then(|text| text.parse().ok());
    place.map(Some).ok_or_else(|| {
        let detail =
            "`Last-Event-ID` is no place in a stream; send the `id` of the last event that came";
        Problem::new(ProblemCode::InvalidRequest, detail)
    })
}

/// The stream of a subscription.
fn answer(subscription: Subscription) -> Response {
    let messages = unfold(subscription, async |mut subscription| {
        let said = subscription.next().await?;
        let text = text(said, &subscription);
        Some((Ok::<_, Infallible>(text), subscription))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies of the nginx kind would keep messages until they have enough of them.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (Extension(Lasting), headers, Body::from_stream(messages)).into_response()
}

fn text(said: Said, subscription: &Subscription) -> Bytes {
    match said {
        Said::Events(batch, after) => batch.frames(subscription.filter(), &after),
        Said::Beat => Bytes::from_static(b":\n\n"),
        Said::Lagged(_) | Said::Done(_) | Said::Problem(_) => {
            let Note { name, data } = Note::of(&said);
            format!("event: {name}\ndata: {data}\n\n").into()
        }
    }
}
