//! A message to a conversation, answered by the conversation after it or by a stream of what follows.
//!
//! What follows is the engine's; how it is told stands in `../streams`.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use baton_core::ids::ConversationId;
use baton_core::words::Speaker;
use baton_core::workflow::{ConversationEvent, Event};
use baton_engine::conversing::Word;
use baton_engine::exchange::{Reply, Request};
use baton_engine::live::read_event;
use baton_engine::store::{StoreError, Views};
use serde::Deserialize;
use utoipa::ToSchema;

use super::commands::{another, tell};
use crate::http::Api;
use crate::http::caller::Caller;
use crate::http::extract::{IdOf, Sent};
use crate::http::problem::Problem;
use crate::http::schema::{ConversationInPath, ConversationSchema, Problems};
use crate::http::streams::sse::until_rest;

/// A message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Say {
    /// What it says; `/stop` and `/escalate REASON` are obeyed at once.
    #[schema(min_length = 1)]
    text: String,
}

/// Says something.
///
/// With `Accept: text/event-stream` the answer is a stream: what happens in the conversation from this
/// message on, until it rests (`idle`, `waiting_for_user` or `escalated`), and then `done {status, usage}`.
#[utoipa::path(post, path = "/conversations/{id}/messages", tag = "conversations", operation_id = "say", params(ConversationInPath),
    request_body = Say, responses((status = 200, description = "The conversation after it, or what follows", content(
        (ConversationSchema = "application/json"), (String = "text/event-stream"))), Problems))]
pub(in crate::http) async fn say(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    caller: Caller,
    headers: HeaderMap,
    Sent(Say { text }): Sent<Say>,
) -> Result<Response, Problem> {
    let word = Word::Say { text };
    if !wants_stream(&headers) {
        return tell(&api, &caller, id, word).await;
    }
    let request = Request::Converse { conversation: id, word, role: caller.role };
    let Reply::Conversation { id, number, revision, .. } = api.ask(&caller.actor, request).await?
    else {
        return Err(another());
    };
    let read = move |views: &mut dyn Views| Ok(before_word(number, revision, views)?);
    until_rest(&api, id, api.readers.read(read).await?).await
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|types| types.split(','));
    types.any(|one| {
        let essence = one.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("text/event-stream")
    })
}

/// The position before the first event of what a person said last, up to a revision of the
/// conversation: a message, or a command that was obeyed instead.
fn before_word(number: u64, revision: u64, views: &mut dyn Views) -> Result<u64, StoreError> {
    let mut begin = 0;
    let mut ended = None;
    for record in views.stream(number)?.iter().filter(|record| record.version <= revision) {
        let Event::Conversation(event) = read_event(record)? else { continue };
        let begins = match &event {
            ConversationEvent::MessageAdded(message) => message.speaker == Speaker::User,
            ConversationEvent::Stopped(_) | ConversationEvent::Escalated(_) => true,
            ConversationEvent::Opened(_)
            | ConversationEvent::PlanningStarted(_)
            | ConversationEvent::PlannerAdmitted(_)
            | ConversationEvent::PlanningEnded(_)
            | ConversationEvent::ClarificationAsked(_)
            | ConversationEvent::ClarificationAnswered(_)
            | ConversationEvent::PlanProposed(_)
            | ConversationEvent::PlanReviewed(_)
            | ConversationEvent::WorkflowLinked(_)
            | ConversationEvent::WorkflowEnded(_)
            | ConversationEvent::ContextShifted(_)
            | ConversationEvent::Claimed(_)
            | ConversationEvent::Released(_)
            | ConversationEvent::Closed(_) => false,
        };
        if begins {
            // A planning that a command ends, ends right before it.
            let first = ended.filter(|(_, at)| *at == record.at).map(|(position, _)| position);
            begin = first.unwrap_or(record.position).saturating_sub(1);
        }
        let is_end = matches!(event, ConversationEvent::PlanningEnded(_));
        ended = is_end.then_some((record.position, record.at));
    }
    Ok(begin)
}
