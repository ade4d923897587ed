//! The same messages over a WebSocket, as `{"id", "event", "data"}`.
//!
//! The client says what it wants: `{"workflow"?, "type"?, "after"?, "chunks"?}`. Saying it again puts the new
//! stream in the place of the old one. It has nothing else to say.

use std::pin::pin;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;

use super::cursor::Cursor;
use super::subscription::{Said, Subscription, Wanted};
use super::text::Heard;
use super::{Note, Streams, patterns};
use crate::http::Api;
use crate::http::code::ProblemCode;
use crate::http::pass::Pass;
use crate::http::problem::Problem;
use crate::http::schema::Problems;

/// What a client may say at most, in bytes.
const ASK_BYTES_MAX: usize = 4 * 1024;
/// What is read of a connection at a time, in bytes: each holds a buffer of this size.
const READ_BYTES: usize = 1024;

/// What a client asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// Only the events of this workflow.
    workflow: Option<String>,
    /// Only these, divided by commas.
    r#type: Option<String>,
    /// What comes behind the message with this `id`.
    after: Option<Cursor>,
    /// How far the texts of running turns were heard: `STREAM:SEQ`, divided by commas.
    chunks: Option<String>,
}

/// Streams over a WebSocket.
///
/// Send `{"workflow"?, "type"?, "after"?, "chunks"?}`; messages are `{"id", "event", "data"}` as on the
/// streams of server-sent events.
#[utoipa::path(get, path = "/ws", tag = "streams", operation_id = "open_socket",
    params(("ticket" = Option<String>, Query, description = "What `POST /tickets` gave, where no header can be sent")),
    responses((status = 101, description = "A WebSocket"), Problems))]
pub(in crate::http) async fn socket(
    State(api): State<Api>,
    Extension(pass): Extension<Pass>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(ASK_BYTES_MAX)
        .max_frame_size(ASK_BYTES_MAX)
        .on_upgrade(async move |socket| {
            // It fails where the client has left.
            let _ = converse(socket, &api.streams, pass).await;
        })
}

/// Hears what the client wants and tells it, until either has no more to say.
async fn converse(mut socket: WebSocket, streams: &Streams, pass: Pass) -> Result<(), axum::Error> {
    let mut over = pin!(pass.over());
    let mut subscription: Option<Subscription> = None;
    loop {
        let said = tokio::select! {
            heard = socket.recv() => match heard {
                Some(Ok(Message::Text(text))) => match subscribe(&text, streams).await {
                    Ok(new) => {
                        subscription = Some(new);
                        continue;
                    }
                    Err(problem) => Some(Said::Problem(problem)),
                },
                Some(Ok(Message::Binary(_))) => {
                    let problem = Problem::new(ProblemCode::InvalidRequest, WHAT_TO_SAY);
                    Some(Said::Problem(problem))
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
            },
            said = next(&mut subscription) => said,
            () = streams.broadcaster().over() => None,
            () = &mut over => return shut(socket).await,
        };
        match (said, &subscription) {
            (Some(said), of) => tell(&mut socket, said, of.as_ref()).await?,
            (None, _) if streams.broadcaster().is_over() => return go_away(socket).await,
            // The stream has told its end; the client may ask for another.
            (None, _) => subscription = None,
        }
    }
}

const WHAT_TO_SAY: &str = "send `{\"workflow\": ID, \"type\": \"task.*\", \"after\": POSITION, \
     \"chunks\": \"STREAM:SEQ,…\"}`; each field may be left out";

/// Never, while there is no subscription.
async fn next(subscription: &mut Option<Subscription>) -> Option<Said> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

async fn subscribe(text: &str, streams: &Streams) -> Result<Subscription, Problem> {
    let wrong =
        |fault| Problem::new(ProblemCode::InvalidRequest, format!("{fault}; {WHAT_TO_SAY}"));
    let ask: Ask = serde_json::from_str(text).map_err(wrong)?;
    let workflow = ask.workflow.as_deref().map(super::workflow_id).transpose()?;
    let types = patterns(ask.r#type.as_deref());
    let heard = ask.chunks.as_deref().map(Heard::read).transpose()?;
    let whose = workflow.into();
    streams.subscribe(Wanted { whose, types, after: ask.after, heard }).await
}

async fn tell(
    socket: &mut WebSocket,
    said: Said,
    subscription: Option<&Subscription>,
) -> Result<(), axum::Error> {
    match said {
        Said::Events(batch, after) => {
            let Some(subscription) = subscription else { return Ok(()) };
            for message in batch.wanted(subscription.filter(), &after) {
                let data = batch.data(message);
                let data = String::from_utf8_lossy(&data);
                let id = message.id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
                let name = message.name;
                let text = format!("{{{id}\"event\":\"{name}\",\"data\":{data}}}");
                socket.send(Message::Text(text.into())).await?;
            }
            Ok(())
        }
        Said::Beat => socket.send(Message::Ping(Bytes::new())).await,
        Said::Lagged(_) | Said::Done(_) | Said::Problem(_) => {
            let Note { name, data } = Note::of(&said);
            let text = format!("{{\"event\":\"{name}\",\"data\":{data}}}");
            socket.send(Message::Text(text.into())).await
        }
    }
}

/// Says that its token or session lets nobody in any more.
async fn shut(mut socket: WebSocket) -> Result<(), axum::Error> {
    let reason = Utf8Bytes::from_static("the token was revoked, or the session is over");
    socket.send(Message::Close(Some(CloseFrame { code: close_code::POLICY, reason }))).await
}

/// Says that the server stops.
async fn go_away(mut socket: WebSocket) -> Result<(), axum::Error> {
    let reason = Utf8Bytes::from_static("the server is shutting down");
    socket.send(Message::Close(Some(CloseFrame { code: close_code::AWAY, reason }))).await
}
