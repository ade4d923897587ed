//! The chat pages: the list of conversations, and the page of each.
//!
//! They show what the engine's views tell and send what people say through the one door; what comes
//! next is the conversation's to say.

mod act;
mod asked;
mod list;
mod plan;
mod run;
mod saying;
mod talk;
mod told;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use baton_core::ids::ConversationId;
use baton_engine::store::Views;
use serde::Deserialize;

pub use self::list::{Row, titled, waiting};

use self::asked::Field;
use self::list::Chats;
use self::talk::Talk;
use self::told::{Review, What};
use super::assets::{ICON, SCRIPT, STYLE};
use super::forms::{Control, Whole};
use super::questions::Answer;
use super::{Fault, Pages, render, who};
use crate::http::{Caller, Problem, ProblemCode, now};

/// The paths of the chat pages.
pub fn routes(router: Router<Pages>) -> Router<Pages> {
    router
        .route("/chat", get(list).post(act::open))
        .route("/chat/{id}", get(talk))
        .route("/chat/{id}/act", post(act::act))
}

/// The address of the list.
#[derive(Debug, Deserialize)]
struct Listed {
    before: Option<u64>,
}

/// The address of a conversation's page.
#[derive(Debug, Deserialize)]
struct Looked {
    last: Option<usize>,
}

/// The list.
#[derive(Template)]
#[template(path = "chats.html")]
struct ChatsPage {
    root: &'static str,
    token: String,
    who: Option<String>,
    page: Chats,
}

/// The page of a conversation.
#[derive(Template)]
#[template(path = "chat.html")]
struct ChatPage {
    root: &'static str,
    token: String,
    who: Option<String>,
    page: Talk,
}

fn id_of(text: &str) -> Result<ConversationId, Problem> {
    text.parse().map_err(|_| {
        let detail = "this is no id of a conversation; `/chat` lists those there are";
        Problem::new(ProblemCode::NoSuchConversation, detail)
    })
}

fn missing(id: ConversationId) -> Problem {
    let detail = format!("there is no conversation {id}; `/chat` lists those there are");
    Problem::new(ProblemCode::NoSuchConversation, detail)
}

async fn list(
    State(pages): State<Pages>,
    caller: Caller,
    Query(listed): Query<Listed>,
) -> Response {
    let me = caller.clone();
    let read =
        pages.api.readers.read(move |views| Ok(list::read(listed.before, &me, now(), views)?));
    let token = pages.token.text().to_owned();
    match read.await {
        Ok(page) => render(&ChatsPage { root: "./", token, who: who(&caller), page }),
        Err(problem) => Fault { problem, root: "./" }.into_response(),
    }
}

async fn talk(
    State(pages): State<Pages>,
    caller: Caller,
    Path(id): Path<String>,
    Query(looked): Query<Looked>,
) -> Response {
    let read = async {
        let id = id_of(&id)?;
        let (me, live) = (caller.clone(), Arc::clone(&pages.api.live));
        let last = looked.last.unwrap_or(talk::ENTRIES);
        let read = move |views: &mut dyn Views| {
            Ok(talk::read((id, last), (&me, live.as_ref()), now(), views)?)
        };
        pages.api.readers.read(read).await?.ok_or_else(|| missing(id))
    };
    let token = pages.token.text().to_owned();
    match read.await {
        Ok(page) => render(&ChatPage { root: "../", token, who: who(&caller), page }),
        Err(problem) => Fault { problem, root: "../" }.into_response(),
    }
}
