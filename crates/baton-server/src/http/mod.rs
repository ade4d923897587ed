//! The HTTP API: what is served where, and on what it stands.
//!
//! Every rule is the engine's; here requests are read, passed through the one door, and answered
//! from the same views that the command line shows.

mod agents;
mod caller;
pub(crate) mod calls;
mod code;
mod commands;
mod conversations;
mod definitions;
mod edits;
mod events;
mod extract;
mod health;
mod inbox;
mod invoke;
mod limits;
mod once;
mod page;
mod pass;
mod problem;
mod readers;
mod reference;
mod registered;
mod report;
mod schema;
mod servers;
mod serving;
pub(crate) mod session;
mod start;
mod streams;
mod tasks;
mod tokens;
mod turns;
mod usage;
mod waiting;
mod workers;
mod workflows;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use baton_core::actor::Actor;
use baton_core::time::Timestamp;
use baton_engine::exchange::{Gone, Reply, Request};
use baton_engine::meters::Meters;
use baton_engine::ports::{Door, Live, Tools};
use baton_engine::wording::Wordings;
use tokio::sync::{oneshot, watch};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::pages::{self, Pages};
use session::Sessions;
use start::Plans;
use waiting::Waiting;

pub use agents::{AgentItem, LimitsItem, ModelItem};
pub(crate) use caller::check_origin;
pub use caller::{Caller, Identity};
pub use code::ProblemCode;
pub use definitions::{Definitions, Listed};
pub use limits::Bounds;
pub use page::Page;
pub use problem::{FieldError, Problem};
pub use readers::{OpenViews, Readers};
pub use report::Report;
pub use serving::{Certificate, CertificateFault, Listening, serve};
pub use streams::{Broadcaster, Broadcasting, Cursor, NotACursor, Streams};

/// What the API stands on; cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// The way in to the owner of the store.
    pub door: Arc<dyn Door>,
    /// Readers of the store.
    pub readers: Readers,
    /// What happens, as it happens.
    pub streams: Streams,
    /// What the owner counts.
    pub meters: Arc<Meters>,
    /// What running calls and workers say of themselves.
    pub live: Arc<dyn Live>,
    /// What can be called.
    pub tools: Arc<dyn Tools>,
    /// What can be started by name.
    pub definitions: Arc<dyn Definitions>,
    /// Becomes true when the server stops: who waits for something gives up then.
    pub stop: watch::Receiver<bool>,
    /// Who knows the tokens; where nobody does, everybody at this machine is let in.
    pub identity: Option<Arc<dyn Identity>>,
    /// Names, beside addresses and `localhost`, under which this server may be called.
    pub hosts: Arc<[String]>,
    /// What one request may take.
    pub bounds: Bounds,
    /// What the plans that were last shown call things.
    pub wordings: Arc<Wordings>,
    /// Who is logged in, and who may open a stream.
    pub(crate) sessions: Sessions,
    plans: Plans,
    waiting: Waiting,
}

/// What every API stands on, whatever it offers.
pub struct Base {
    /// The way in to the owner of the store.
    pub door: Arc<dyn Door>,
    /// Readers of the store.
    pub readers: Readers,
    /// What happens, as it happens.
    pub streams: Streams,
    /// What the owner counts.
    pub meters: Arc<Meters>,
    /// What running calls and workers say of themselves.
    pub live: Arc<dyn Live>,
    /// Becomes true when the server stops.
    pub stop: watch::Receiver<bool>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("readers", &self.readers).finish_non_exhaustive()
    }
}

impl Api {
    /// On what it must stand. It asks for no tokens and answers under no names of its own.
    pub fn new(base: Base, tools: Arc<dyn Tools>, definitions: Arc<dyn Definitions>) -> Self {
        let Base { door, readers, streams, meters, live, stop } = base;
        Self {
            door,
            readers,
            streams,
            meters,
            live,
            tools,
            definitions,
            stop,
            identity: None,
            hosts: Arc::default(),
            bounds: Bounds::default(),
            wordings: Arc::default(),
            sessions: Sessions::default(),
            plans: Plans::default(),
            waiting: Waiting::default(),
        }
    }

    /// Asks the owner; the answer is on disk when it comes.
    pub async fn ask(&self, actor: &Actor, request: Request) -> Result<Reply, Gone> {
        let (sender, receiver) = oneshot::channel();
        let then = move |reply| {
            // Whoever asked may have left.
            let _ = sender.send(reply);
        };
        self.door.ask(actor, once::under_key(request), Box::new(then));
        receiver.await.unwrap_or(Err(Gone::OwnerEnded))
    }
}

/// Every path of the API with its description.
fn described() -> OpenApiRouter<Api> {
    let paths = OpenApiRouter::new()
        .routes(routes!(workflows::list, start::start))
        .routes(routes!(workflows::show))
        .merge(of_conversations())
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::stages))
        .routes(routes!(tasks::trace))
        .routes(routes!(usage::ahead))
        .routes(routes!(usage::show))
        .routes(routes!(tasks::events))
        .routes(routes!(tasks::plan))
        .routes(routes!(commands::approve))
        .routes(routes!(commands::reject))
        .routes(routes!(commands::cancel))
        .routes(routes!(commands::pause))
        .routes(routes!(commands::resume))
        .routes(routes!(commands::retry))
        .routes(routes!(commands::fork))
        .routes(routes!(edits::list, edits::edit))
        .routes(routes!(edits::undo))
        .routes(routes!(tasks::show))
        .routes(routes!(turns::transcript))
        .routes(routes!(turns::show_prompt))
        .routes(routes!(commands::respond))
        .routes(routes!(commands::settle))
        .routes(routes!(inbox::list))
        .routes(routes!(inbox::tools))
        .routes(routes!(agents::list))
        .routes(routes!(servers::list))
        .routes(routes!(servers::release))
        .routes(routes!(invoke::invoke))
        .routes(routes!(definitions::list))
        .routes(routes!(definitions::ahead))
        .routes(routes!(definitions::validate))
        .routes(routes!(definitions::show, registered::put, registered::delete))
        .routes(routes!(registered::schedules))
        .routes(routes!(events::list, events::publish))
        .routes(routes!(streams::sse::of_workflow))
        .routes(routes!(streams::sse::of_conversation))
        .routes(routes!(streams::sse::of_all))
        .routes(routes!(streams::socket::socket))
        .routes(routes!(workers::leases))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke));
    let info = InfoBuilder::new()
        .title("Baton")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Runs workflows of tools and people that survive anything."))
        .build();
    let document = OpenApiBuilder::new().info(info).components(Some(schema::components())).build();
    OpenApiRouter::with_openapi(document).nest("/api/v1", paths).routes(routes!(health::metrics))
}

fn of_conversations() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(conversations::list, conversations::commands::open))
        .routes(routes!(conversations::show))
        .routes(routes!(conversations::messages, conversations::saying::say))
        .routes(routes!(conversations::commands::answer))
        .routes(routes!(conversations::commands::context))
        .routes(routes!(conversations::commands::stop))
        .routes(routes!(conversations::commands::escalate))
        .routes(routes!(conversations::commands::claim))
        .routes(routes!(conversations::commands::release))
        .routes(routes!(conversations::commands::close))
}

/// What whoever watches over a server asks, without saying who they are.
fn open_to_all() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(health::healthz)).routes(routes!(health::readyz))
}

/// The paths that workers may call as well.
fn for_workers() -> OpenApiRouter<Api> {
    OpenApiRouter::new().nest("/api/v1", workers::paths())
}

/// The paths that judge roles themselves.
fn for_lookers() -> OpenApiRouter<Api> {
    OpenApiRouter::new().nest("/api/v1", OpenApiRouter::new().routes(routes!(tokens::ticket)))
}

/// The OpenAPI document of what is served.
pub fn openapi() -> OpenApi {
    let all = described().merge(for_workers()).merge(for_lookers()).merge(open_to_all());
    all.into_openapi()
}

/// Everything that is served.
pub fn router(api: Api) -> Router {
    let document = openapi().to_json().unwrap_or_default();
    let (paths, _) = described().split_for_parts();
    let (work, _) = for_workers().split_for_parts();
    let work = work.layer(from_fn(caller::authorize_worker));
    let pages = Pages::new(api.clone());
    paths
        .merge(pages::router(pages.clone()))
        .layer(from_fn(caller::authorize))
        .merge(work)
        .merge(for_lookers().split_for_parts().0)
        .merge(reference::router(document))
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn(once::remember))
        .layer(from_fn_with_state(api.clone(), caller::identify))
        .merge(pages::entrance(pages))
        .layer(DefaultBodyLimit::max(api.bounds.body_bytes_max))
        .layer(from_fn_with_state(limits::room(api.bounds), limits::bounded))
        .layer(CatchPanicLayer::custom(limits::panicked))
        .layer(CompressionLayer::new())
        .merge(open_to_all().split_for_parts().0)
        .with_state(api)
}

/// The wall clock: what is not in the journal is shown by it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

async fn nothing_here(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}; `/docs` lists what there is", uri.path());
    Problem::new(ProblemCode::NotFound, detail)
}

async fn other_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}; `/docs` says what it takes", uri.path());
    Problem::new(ProblemCode::MethodNotAllowed, detail)
}
