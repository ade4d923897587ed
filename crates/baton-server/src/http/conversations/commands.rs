//! What people tell conversations, but for messages: one path for each command.
//!
//! Who may say what is the conversation's own rule; here a request is read and bounded. Every answer
//! shows the conversation at the revision that the command brought it to, or later.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use baton_core::body;
use baton_core::conversation::{Answer, Clarification, Focus, Given, TITLE_CHARS_MAX};
use baton_core::ids::{ConversationId, ProjectId};
use baton_core::words::FocusKind;
use baton_engine::conversing::{Opening, Word};
use baton_engine::exchange::{Reply, Request};
use baton_engine::store::Views;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{found, tag_of, view_of};
use crate::http::Api;
use crate::http::caller::Caller;
use crate::http::code::ProblemCode;
use crate::http::commands::REVISION;
use crate::http::extract::{IdOf, Perhaps, Sent};
use crate::http::problem::{FieldError, Problem};
use crate::http::schema::{Any, ConversationInPath, ConversationSchema, FocusKindWord, Problems};

/// The longest reason, title or id of a focus, in characters.
const LINE_CHARS_MAX: usize = 500;
/// The longest summary of a focus, in characters.
const SUMMARY_CHARS_MAX: usize = 4_000;
/// What a conversation is called where nobody says anything.
const UNTITLED: &str = "New conversation";

/// A new conversation.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Open {
    /// What is said first.
    #[schema(min_length = 1)]
    message: Option<String>,
    /// What it is called; the beginning of the message where nothing is said.
    title: Option<String>,
    /// The project it belongs to, and with it every workflow that runs for it.
    #[schema(value_type = Option<String>, format = "uuid")]
    project_id: Option<ProjectId>,
}

/// Answers to what is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Answers {
    /// One for each question; what is not named stays open.
    #[schema(min_items = 1)]
    answers: Vec<OneAnswer>,
}

/// An answer to one question: a `value`, `skip` or `decide`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OneAnswer {
    /// The question's key.
    key: String,
    /// What is answered, as the question's `kind` says.
    #[schema(value_type = Option<Any>)]
    value: Option<body::Json>,
    /// `true`: the question is passed over.
    #[serde(default)]
    skip: bool,
    /// `true`: Baton decides.
    #[serde(default)]
    decide: bool,
}

/// What a conversation is about from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Shift {
    /// What kind of thing.
    #[schema(value_type = FocusKindWord)]
    kind: FocusKind,
    /// Its id, name or path; empty for the workspace.
    #[serde(default)]
    #[schema(max_length = 500)]
    id: String,
    /// What it is called.
    #[serde(default)]
    #[schema(max_length = 500)]
    title: String,
    /// What is to be known about it.
    #[serde(default)]
    #[schema(max_length = 4000)]
    summary: String,
}

/// Why a person is needed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Escalate {
    /// For whoever takes it over.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Opens a conversation.
#[utoipa::path(post, path = "/conversations", tag = "conversations", operation_id = "open_conversation", request_body = Option<Open>,
    responses((status = 201, description = "The conversation", body = ConversationSchema, headers(
        ("Location" = String, description = "Where the conversation is"),
        ("Baton-Revision" = u64, description = "The revision that this brought it to"))), Problems))]
pub(in crate::http) async fn open(
    State(api): State<Api>,
    caller: Caller,
    Perhaps(Open { message, title, project_id }): Perhaps<Open>,
) -> Result<Response, Problem> {
    let title = title.filter(|title| !title.trim().is_empty());
    let title = title.or_else(|| message.clone()).map(|text| beginning(&text));
    let title = title.filter(|title| !title.is_empty()).unwrap_or_else(|| UNTITLED.to_owned());
    let opening = Opening { id: None, title, project: project_id, folder: None, message };
    let request = Request::Open { opening: Box::new(opening), role: caller.role };
    let reply = api.ask(&caller.actor, request).await?;
    told(&api, reply, StatusCode::CREATED).await
}

/// Answers questions.
#[utoipa::path(post, path = "/conversations/{id}/answers", tag = "conversations", operation_id = "answer_questions", params(ConversationInPath),
    request_body = Answers, responses((status = 200, description = "The conversation after it", body = ConversationSchema), Problems))]
pub(in crate::http) async fn answer(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    caller: Caller,
    Sent(Answers { answers }): Sent<Answers>,
) -> Result<Response, Problem> {
    let answers = answers_of(answers)?;
    match tell(&api, &caller, id, Word::Answer { answers: answers.clone() }).await {
        Err(problem)
            if matches!(problem.code, ProblemCode::InvalidAnswer | ProblemCode::NoSuchQuestion) =>
        {
            let read = move |views: &mut dyn Views| {
                Ok(misfits(&answers, &found(id, views)?.face.questions))
            };
            Err(problem.with_errors(api.readers.read(read).await?))
        }
        told => told,
    }
}

/// Says what a conversation is about from now on.
#[utoipa::path(post, path = "/conversations/{id}/context", tag = "conversations", operation_id = "shift_context", params(ConversationInPath),
    request_body = Shift, responses((status = 200, description = "The conversation after it", body = ConversationSchema), Problems))]
pub(in crate::http) async fn context(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    caller: Caller,
    Sent(Shift { kind, id: named, title, summary }): Sent<Shift>,
) -> Result<Response, Problem> {
    let bounded = [
        ("/id", &named, LINE_CHARS_MAX),
        ("/title", &title, LINE_CHARS_MAX),
        ("/summary", &summary, SUMMARY_CHARS_MAX),
    ];
    within(&bounded)?;
    let focus = Focus { kind, id: named, title, summary };
    tell(&api, &caller, id, Word::Shift { focus }).await
}

/// Stops what is being done: questions, planning and workflows.
#[utoipa::path(post, path = "/conversations/{id}/stop", tag = "conversations", operation_id = "stop_conversation", params(ConversationInPath),
    responses((status = 200, description = "The conversation after it", body = ConversationSchema), Problems))]
pub(in crate::http) async fn stop(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    caller: Caller,
) -> Result<Response, Problem> {
    tell(&api, &caller, id, Word::Stop).await
}

/// Asks for a person who can do more.
#[utoipa::path(post, path = "/conversations/{id}/escalate", tag = "conversations", operation_id = "escalate_conversation", params(ConversationInPath),
    request_body = Escalate, responses((status = 200, description = "The conversation after it", body = ConversationSchema), Problems))]
pub(in crate::http) async fn escalate(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    caller: Caller,
    Sent(Escalate { reason }): Sent<Escalate>,
) -> Result<Response, Problem> {
    if reason.trim().is_empty() {
        return Err(unfit(vec![error("/reason", "say why a person is needed".to_owned())]));
    }
    within(&[("/reason", &reason, LINE_CHARS_MAX)])?;
    tell(&api, &caller, id, Word::Escalate { reason }).await
}

/// Takes a conversation over: whoever does may write in it.
#[utoipa::path(post, path = "/conversations/{id}/claim", tag = "conversations", operation_id = "claim_conversation", params(ConversationInPath),
    responses((status = 200, description = "The conversation after it", body = ConversationSchema), Problems))]
pub(in crate::http) async fn claim(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    caller: Caller,
) -> Result<Response, Problem> {
    tell(&api, &caller, id, Word::Claim).await
}

/// Lets go of a conversation that was taken over.
#[utoipa::path(post, path = "/conversations/{id}/release", tag = "conversations", operation_id = "release_conversation", params(ConversationInPath),
    responses((status = 200, description = "The conversation after it", body = ConversationSchema), Problems))]
pub(in crate::http) async fn release(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    caller: Caller,
) -> Result<Response, Problem> {
    tell(&api, &caller, id, Word::Release).await
}

/// Closes a conversation; the next message opens it again.
#[utoipa::path(post, path = "/conversations/{id}/close", tag = "conversations", operation_id = "close_conversation", params(ConversationInPath),
    responses((status = 200, description = "The conversation after it", body = ConversationSchema), Problems))]
pub(in crate::http) async fn close(
    State(api): State<Api>,
    IdOf(id): IdOf<ConversationId>,
    caller: Caller,
) -> Result<Response, Problem> {
    tell(&api, &caller, id, Word::Close).await
}

pub(super) async fn tell(
    api: &Api,
    caller: &Caller,
    conversation: ConversationId,
    word: Word,
) -> Result<Response, Problem> {
    let request = Request::Converse { conversation, word, role: caller.role };
    let reply = api.ask(&caller.actor, request).await?;
    told(api, reply, StatusCode::OK).await
}

/// The conversation that a command has changed or made, as it can be read now.
async fn told(api: &Api, reply: Reply, status: StatusCode) -> Result<Response, Problem> {
    let Reply::Conversation { id, revision, .. } = reply else {
        return Err(another());
    };
    let view = view_of(api, id).await?;
    let headers = [(header::ETAG, tag_of(&view)), (REVISION, revision.to_string())];
    let mut response = (status, headers, Json(view)).into_response();
    if status == StatusCode::CREATED
        && let Ok(place) = format!("/api/v1/conversations/{id}").parse()
    {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// What is answered where the owner's answer makes no sense.
pub(super) fn another() -> Problem {
    let detail = "the owner answered with something else than a conversation";
    Problem::new(ProblemCode::Internal, detail)
}

/// The first words of a text, in one line.
fn beginning(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX).collect()
}

fn answers_of(answers: Vec<OneAnswer>) -> Result<Vec<Answer>, Problem> {
    let (mut read, mut errors) = (Vec::new(), Vec::new());
    for (at, OneAnswer { key, value, skip, decide }) in answers.into_iter().enumerate() {
        let given = match (value, skip, decide) {
            (Some(value), false, false) => Given::Value(value),
            (None, true, false) => Given::Skipped,
            (None, false, true) => Given::Delegated,
            (_, _, _) => {
                let detail = "say one of `value`, `skip: true` and `decide: true`";
                errors.push(error(&format!("/answers/{at}"), detail.to_owned()));
                continue;
            }
        };
        read.push(Answer { key, given });
    }
    if errors.is_empty() { Ok(read) } else { Err(unfit(errors)) }
}

/// Every answer that fits no open question.
fn misfits(answers: &[Answer], questions: &[Clarification]) -> Vec<FieldError> {
    let asked: Vec<&str> = questions.iter().map(|question| question.key.as_str()).collect();
    let mut errors = Vec::new();
    for (at, Answer { key, given }) in answers.iter().enumerate() {
        let Some(question) = questions.iter().find(|question| question.key == *key) else {
            let detail = format!("this is not asked; open are {}", asked.join(", "));
            errors.push(error(&format!("/answers/{at}/key"), detail));
            continue;
        };
        if let Given::Value(value) = given
            && let Err(fault) = question.check(value)
        {
            errors.push(error(&format!("/answers/{at}/value"), fault.to_string()));
        }
    }
    errors
}

/// Refuses texts that are longer than they may be: `(pointer, text, characters at most)`.
fn within(texts: &[(&str, &String, usize)]) -> Result<(), Problem> {
    let long = texts.iter().filter(|(_, text, chars_max)| text.chars().count() > *chars_max);
    let errors: Vec<FieldError> = long
        .map(|(pointer, _, chars_max)| error(pointer, format!("at most {chars_max} characters")))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(unfit(errors)) }
}

fn error(pointer: &str, detail: String) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail, line: None, column: None }
}

fn unfit(errors: Vec<FieldError>) -> Problem {
    let detail = "the body does not fit; nothing was changed, and `errors` says what to mend";
    Problem::new(ProblemCode::InvalidRequest, detail).with_errors(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_beginning_of_what_is_said_in_one_line() {
        assert_eq!(beginning("  How\n\thealthy \u{1b}[2J is it? "), "How healthy [2J is it?");
        assert_eq!(beginning(&"ä ".repeat(500)).chars().count(), TITLE_CHARS_MAX);
        assert_eq!(beginning(" \n "), "");
    }

    #[test]
    fn an_answer_says_one_thing() {
        let read = |text: &str| answers_of(serde_json::from_str(text).unwrap());
        let fit =
            read(r#"[{"key":"a","value":1},{"key":"b","skip":true},{"key":"c","decide":true}]"#);
        let given: Vec<Given> = fit.unwrap().into_iter().map(|answer| answer.given).collect();
        assert_eq!(given[1..], [Given::Skipped, Given::Delegated]);
        let unfit = read(r#"[{"key":"a"},{"key":"b","value":1,"skip":true}]"#).unwrap_err();
        let places: Vec<&str> = unfit.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(places, ["/answers/0", "/answers/1"]);
    }
}
