//! The forms of the chat pages: what a person says, as the word it stands for.
//!
//! Whether it is allowed is the machine's to say; its refusal is shown as it is.

use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use baton_core::conversation::TITLE_CHARS_MAX;
use baton_core::ids::ConversationId;
use baton_core::spoken::cut;
use baton_engine::conversing::{Opening, Word};
use baton_engine::exchange::{Reply, Request};

use super::super::act::{Sent, unreadable};
use super::super::forms::Unreadable;
use super::super::{Fault, Pages};
use super::{asked, id_of};
use crate::http::{Caller, Problem, ProblemCode};

/// Opens a conversation with its first message, and leads to it.
pub async fn open(
    State(pages): State<Pages>,
    caller: Caller,
    headers: HeaderMap,
    Form(sent): Form<Vec<(String, String)>>,
) -> Response {
    let sent = Sent(sent);
    let opened = async {
        admit(&pages, &sent, &headers)?;
        let text = sent.get("text").map(str::trim).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| unreadable("say what you want done"))?;
        let title = cut(text.lines().next().unwrap_or_default(), TITLE_CHARS_MAX);
        let message = Some(text.to_owned());
        let opening = Box::new(Opening { id: None, title, project: None, folder: None, message });
        let request = Request::Open { opening, role: caller.role };
        let reply = pages.api.ask(&caller.actor, request).await?;
        let Reply::Conversation { id, .. } = reply else {
            let detail = format!("no conversation was opened: {reply:?}");
            return Err(Problem::new(ProblemCode::Internal, detail));
        };
        Ok(id)
    };
    match opened.await {
        Ok(id) => Redirect::to(&format!("chat/{id}")).into_response(),
        Err(problem) => Fault { problem, root: "./" }.into_response(),
    }
}

/// Does what a form of a conversation's page says, and leads back to that page.
pub async fn act(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    Form(sent): Form<Vec<(String, String)>>,
) -> Response {
    let done = async {
        let sent = Sent(sent);
        admit(&pages, &sent, &headers)?;
        let id = id_of(&id)?;
        let conversation = id;
        let word = word(&pages, id, sent).await?;
        let request = Request::Converse { conversation, word, role: caller.role };
        pages.api.ask(&caller.actor, request).await?;
        Ok::<_, Problem>(id)
    };
    match done.await {
        Ok(id) => Redirect::to(&format!("../{id}#end")).into_response(),
        Err(problem) => Fault::from(problem).into_response(),
    }
}

fn admit(pages: &Pages, sent: &Sent, headers: &HeaderMap) -> Result<(), Problem> {
    if pages.token.admits(sent.get("token"), headers) {
        return Ok(());
    }
    let detail = "this form is not from a page of this server as it runs now; load the page again";
    Err(Problem::new(ProblemCode::ForbiddenOrigin, detail))
}

async fn word(pages: &Pages, id: ConversationId, sent: Sent) -> Result<Word, Problem> {
    Ok(match sent.get("verb").unwrap_or_default() {
        "say" => Word::Say { text: sent.get("text").unwrap_or_default().to_owned() },
        "answer" => answers(pages, id, sent).await?,
        "stop" => Word::Stop,
        "escalate" => {
            let reason = sent.get("comment").unwrap_or("asked for");
            Word::Escalate { reason: reason.to_owned() }
        }
        "claim" => Word::Claim,
        "release" => Word::Release,
        "close" => Word::Close,
        _ => {
            return Err(unreadable("the form asks for nothing that is known; load the page again"));
        }
    })
}

/// Answers have the types that the questions open now say.
async fn answers(pages: &Pages, id: ConversationId, sent: Sent) -> Result<Word, Problem> {
    let row = pages.api.readers.read(move |views| Ok(views.conversation(id)?)).await?;
    let row = row.ok_or_else(|| super::missing(id))?;
    let invalid = |fault: Unreadable| Problem::new(ProblemCode::InvalidAnswer, fault.0);
    let answers = asked::read(&row.face.questions, |name| sent.get(name)).map_err(invalid)?;
    Ok(Word::Answer { answers })
}
