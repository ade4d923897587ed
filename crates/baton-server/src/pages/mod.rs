//! The pages: rendered here, from the views that the API shows, and kept current by news of commits.
//!
//! To add one: a model made of views by a pure function, a template that shows it, a route. Pages
//! hold no state of their own, and nothing is asked of any other server.

mod act;
mod assets;
mod chat;
mod detail;
mod filter;
mod forms;
mod guard;
mod history;
mod home;
mod live;
mod login;
mod looks;
mod panel;
mod questions;
mod sentence;
mod spending;
mod stages;
mod times;
mod turns;
mod usage;
mod waits;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::middleware::from_fn;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::words::ActorKind;
use baton_engine::store::Views;
use serde::Deserialize;

use self::assets::{ICON, SCRIPT, STYLE};
use self::detail::{Act, Detail};
use self::filter::Wanted;
use self::forms::{Control, Whole};
use self::guard::FormToken;
use self::home::Home;
use self::questions::Answer;
use self::usage::{Books, Money};
use crate::http::{Api, Caller, Problem, ProblemCode, now};

/// What the pages stand on.
#[derive(Clone, Debug)]
pub struct Pages {
    api: Api,
    token: FormToken,
    attempts: login::Attempts,
}

impl Pages {
    /// Of a server.
    pub fn new(api: Api) -> Self {
        Self { api, token: FormToken::draw(), attempts: login::Attempts::default() }
    }
}

/// The pages of a server, at `/` and beneath `/workflows` and `/chat`, for those who were let in.
pub fn router(pages: Pages) -> Router<Api> {
    let router = Router::new()
        .route("/", get(home))
        .route("/usage", get(books))
        .route("/workflows/{id}", get(workflow))
        .route("/workflows/{id}/act", post(act::act))
        .route("/pages/stream", get(live::stream));
    chat::routes(router).layer(from_fn(guard::headers)).with_state(pages)
}

/// What is there for everybody: the way in and out, and what it takes to show it.
pub fn entrance(pages: Pages) -> Router<Api> {
    let router = Router::new()
        .route("/login", get(login::show).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/pages/{name}", get(assets::asset));
    router.layer(from_fn(guard::headers)).with_state(pages)
}

/// The address of a list.
#[derive(Debug, Deserialize)]
struct Listed {
    q: Option<String>,
    before: Option<u64>,
}

/// The address of a workflow's page.
#[derive(Debug, Deserialize)]
struct Looked {
    task: Option<u32>,
}

/// The first page.
#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    root: &'static str,
    token: String,
    who: Option<String>,
    page: Home,
}

/// The page of a workflow.
#[derive(Template)]
#[template(path = "workflow.html")]
struct WorkflowPage {
    root: &'static str,
    token: String,
    who: Option<String>,
    page: Detail,
}

/// The page of the books.
#[derive(Template)]
#[template(path = "usage.html")]
struct UsagePage {
    root: &'static str,
    token: String,
    who: Option<String>,
    page: Books,
}

/// The page that says what went wrong.
#[derive(Template)]
#[template(path = "fault.html")]
struct FaultPage<'a> {
    root: &'static str,
    problem: &'a Problem,
}

/// A problem, shown as a page.
struct Fault {
    problem: Problem,
    root: &'static str,
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { problem, root: "../../" }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let page = render(&FaultPage { root: self.root, problem: &self.problem });
        // Status and headers are the API's, such as when to come again; the body is a page.
        let (mut told, _) = self.problem.into_response().into_parts();
        told.headers.remove(header::CONTENT_TYPE);
        (told.status, told.headers, page).into_response()
    }
}

fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(fault) => {
            let detail = format!("a page could not be rendered: {fault}");
            Problem::new(ProblemCode::Internal, detail).into_response()
        }
    }
}

fn id_of(text: &str) -> Result<WorkflowId, Problem> {
    let missing = |_| {
        let detail = "this is no id of a workflow; the first page lists those there are";
        Problem::new(ProblemCode::NoSuchWorkflow, detail)
    };
    text.parse().map_err(missing)
}

/// Who is logged in, as the top of a page names them; nobody where no tokens are asked for.
fn who(caller: &Caller) -> Option<String> {
    match caller.actor.kind {
        ActorKind::Client => Some(caller.actor.name.clone()),
        ActorKind::User | ActorKind::Agent | ActorKind::System => None,
    }
}

async fn home(
    State(pages): State<Pages>,
    caller: Caller,
    Query(listed): Query<Listed>,
) -> Response {
    let wanted = Wanted::read(listed.q.as_deref().unwrap_or_default());
    let (me, asked) = (caller.clone(), (wanted, listed.before));
    let read = pages.api.readers.read(move |views| Ok(home::read(views, asked, &me, now())?));
    let token = pages.token.text().to_owned();
    match read.await {
        Ok(page) => render(&HomePage { root: "./", token, who: who(&caller), page }),
        Err(problem) => Fault { problem, root: "./" }.into_response(),
    }
}

async fn books(
    State(pages): State<Pages>,
    caller: Caller,
    Query(asked): Query<usage::Asked>,
) -> Response {
    let read = pages.api.readers.read(move |views| usage::read(asked, views));
    let token = pages.token.text().to_owned();
    match read.await {
        Ok(page) => render(&UsagePage { root: "./", token, who: who(&caller), page }),
        Err(problem) => Fault { problem, root: "./" }.into_response(),
    }
}

async fn workflow(
    State(pages): State<Pages>,
    caller: Caller,
    Path(id): Path<String>,
    Query(looked): Query<Looked>,
) -> Response {
    let open = looked.task.map(Ordinal);
    let read = async {
        let id = id_of(&id)?;
        let live = Arc::clone(&pages.api.live);
        let read =
            move |views: &mut dyn Views| Ok(detail::read(views, id, (open, live.of(id)), now())?);
        pages.api.readers.read(read).await?.ok_or_else(|| {
            let detail = format!("there is no workflow {id}; the first page lists those there are");
            Problem::new(ProblemCode::NoSuchWorkflow, detail)
        })
    };
    let token = pages.token.text().to_owned();
    match read.await {
        Ok(page) => render(&WorkflowPage { root: "../", token, who: who(&caller), page }),
        Err(problem) => Fault { problem, root: "../" }.into_response(),
    }
}
