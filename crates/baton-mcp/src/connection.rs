//! One connection to a server: started or reached, introduced, listened to, and ended.
//!
//! It knows nothing of states and of failures in a row; `server.rs` does.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_engine::ports::{Control, Progress};
use rmcp::model::{
    ClientConfig, CustomRequest, CustomResult, ElicitRequestParams, ElicitResult, ErrorData,
    Implementation, ProgressNotificationParam, ProgressToken, ProtocolVersion, Tool,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, NotificationContext,
    RequestContext, RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, Peer, RoleClient};
use tokio::process::Command;
use tokio::sync::{Notify, SetOnce};

use crate::bounded::{BoundedLines, LastWords, MESSAGE_BYTES_MAX};
use crate::config::{ServerConfig, Way};
use crate::elicitation::{self, Asker};
use crate::record::Introduction;
use crate::toolset::TOOLS_MAX;

/// What a program's environment holds of Baton's own.
const INHERITED: [&str; 8] = ["PATH", "HOME", "LANG", "LC_ALL", "LOGNAME", "TMPDIR", "TZ", "USER"];
/// How long connecting over the network may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the end of a program is waited for that has closed its output.
const STATUS_WAIT: Duration = Duration::from_millis(200);
/// The most calls whose progress is kept before somebody follows it.
const EARLY_MAX: usize = 64;
/// How much of a protocol version nobody knows is shown, in characters.
const VERSION_CHARS_MAX: usize = 40;
/// The longest message of a server to people, in characters.
const MESSAGE_CHARS_MAX: usize = 200;

/// What programs run under: an executable and its first arguments. It must end what it runs when
/// its standard input closes.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The executable.
    pub program: PathBuf,
    /// Its first arguments.
    pub arguments: Vec<OsString>,
}

/// A connection that has been introduced.
pub(crate) struct Connection {
    service: RunningService<RoleClient, Listener>,
    listener: Listener,
    ending: Ending,
}

/// What is known of how a program ended.
#[derive(Clone, Default)]
struct Ending {
    words: LastWords,
    flooded: Arc<AtomicBool>,
    status: Arc<SetOnce<String>>,
}

/// What a server says without being asked.
#[derive(Clone, Default)]
pub(crate) struct Listener {
    calls: Arc<Mutex<Calls>>,
    list_changed: Arc<Notify>,
}

/// The calls whose progress somebody wants to know.
#[derive(Default)]
struct Calls {
    followed: HashMap<ProgressToken, Control>,
    /// Those that may ask people, by the order of their beginning.
    attended: BTreeMap<u64, Control>,
    /// How many were.
    attended_count: u64,
    /// What was said of calls that nobody follows, perhaps only not yet: a server may be faster
    /// than the one who has just called it.
    early: HashMap<ProgressToken, Progress>,
}

impl Listener {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, token: ProgressToken, progress: Progress) {
        let mut calls = self.calls();
        if let Some(control) = calls.followed.get(&token) {
            control.report(progress);
        } else {
            if calls.early.len() >= EARLY_MAX {
                calls.early.clear();
            }
            calls.early.insert(token, progress);
        }
    }
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let baton = Implementation::new("baton", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(elicitation::capabilities(), baton)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_progress(
        &self,
        said: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let message = said.message.map(|text| text.chars().take(MESSAGE_CHARS_MAX).collect());
        let progress = Progress { done: said.progress, total: said.total, message };
        self.hear(said.progress_token, progress);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.list_changed.notify_one();
    }

    async fn create_elicitation(
        &self,
        asked: ElicitRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let asker = self.calls().the_one_attended();
        elicitation::ask(asker, asked, context.ct.cancelled()).await
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleClient>,
    ) -> Result<CustomResult, ErrorData> {
        Err(elicitation::not_understood(&request.method))
    }
}

impl Connection {
    /// Starts the server, or reaches it, and has it introduce itself. The error is for people.
    pub(crate) async fn open(
        way: &Way,
        config: &ServerConfig,
        guard: &Guard,
    ) -> Result<Self, String> {
        match Self::open_by(way, config, guard, ClientLifecycleMode::Initialize).await {
            // A server of the newest protocol knows no introduction: it is asked what it speaks.
            Err(NotOpened::Refused(why)) => {
                let newest = vec![ProtocolVersion::LATEST];
                let lifecycle = ClientLifecycleMode::Discover { preferred_versions: newest };
                let opened = Self::open_by(way, config, guard, lifecycle).await;
                opened.map_err(|_| why)
            }
            opened => opened.map_err(NotOpened::why),
        }
    }

    async fn open_by(
        way: &Way,
        config: &ServerConfig,
        guard: &Guard,
        lifecycle: ClientLifecycleMode,
    ) -> Result<Self, NotOpened> {
        let listener = Listener::default();
        let ending = Ending::default();
        let introduced = match way {
            Way::Command(program, arguments) => {
                let (stdout, stdin) =
                    start(program, arguments, config, guard, &ending).map_err(NotOpened::Failed)?;
                let lines = BoundedLines::of(stdout, Arc::clone(&ending.flooded));
                let transport = AsyncRwTransport::new_client(lines, stdin);
                listener.clone().serve_with_lifecycle(transport, lifecycle).await
            }
            Way::Url(url) => {
                let transport = http(url, config).map_err(NotOpened::Failed)?;
                listener.clone().serve_with_lifecycle(transport, lifecycle).await
            }
        };
        let service = match introduced {
            Ok(service) => service,
            Err(fault) => return Err(not_introduced(&fault, &ending).await),
        };
        let connection = Self { service, listener, ending };
        connection.check_protocol().map(|()| connection)
    }

    /// Nothing is known of what a protocol means that came later, or never was.
    fn check_protocol(&self) -> Result<(), NotOpened> {
        let spoken = self.peer().peer_info().map(|said| said.protocol_version.clone());
        let known = ProtocolVersion::KNOWN_VERSIONS;
        match spoken.filter(|spoken| !known.contains(spoken)) {
            None => Ok(()),
            Some(spoken) => {
                self.end();
                let spoken: String = spoken.to_string().chars().take(VERSION_CHARS_MAX).collect();
                let known: Vec<_> = known.iter().map(ToString::to_string).collect();
                Err(NotOpened::Failed(format!(
                    "it speaks the protocol version `{spoken}`, and Baton speaks {}; use a version of \
                     the server that speaks one of them",
                    known.join(", ")
                )))
            }
        }
    }

    pub(crate) fn peer(&self) -> &Peer<RoleClient> {
        self.service.peer()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.service.is_closed() || self.service.peer().is_transport_closed()
    }

    /// Ends it, and with it the server's program.
    pub(crate) fn end(&self) {
        self.service.cancellation_token().cancel();
    }

    /// Why it has ended, as far as that is known.
    pub(crate) async fn last_words(&self) -> String {
        self.ending.told("the connection was closed").await
    }

    /// Whether it ended because the server sent more than it may.
    pub(crate) fn is_flooded(&self) -> bool {
        self.ending.flooded.load(Ordering::Acquire)
    }

    /// The progress of a call goes to its control until the guard is dropped.
    pub(crate) fn follow(&self, token: ProgressToken, control: &Control) -> Following {
        let mut calls = self.listener.calls();
        calls.followed.insert(token.clone(), control.clone());
        if let Some(said) = calls.early.remove(&token) {
            control.report(said);
        }
        drop(calls);
        Following { listener: self.listener.clone(), token }
    }

    /// What the server asks goes to the people of this call until the guard is dropped, if it is the
    /// only one.
    pub(crate) fn attend(&self, control: &Control) -> Attending {
        let mut calls = self.listener.calls();
        calls.attended_count += 1;
        let number = calls.attended_count;
        calls.attended.insert(number, control.clone());
        drop(calls);
        Attending { listener: self.listener.clone(), number }
    }

    /// Comes back when the server said that its tools have changed.
    pub(crate) fn list_changed(&self) -> Arc<Notify> {
        Arc::clone(&self.listener.list_changed)
    }

    /// What the server said of itself.
    pub(crate) fn introduction(&self) -> Introduction {
        let Some(said) = self.peer().peer_info() else { return Introduction::default() };
        let of = |server: &Implementation| format!("{} {}", server.name, server.version);
        let server = said.server_info.as_ref().map(of).unwrap_or_default();
        Introduction {
            protocol: said.protocol_version.to_string(),
            server: server.chars().take(MESSAGE_CHARS_MAX).collect(),
        }
    }

    /// Its tools; a server that pages without end is heard until there are enough.
    pub(crate) async fn tools(&self) -> Result<Vec<Tool>, String> {
        let mut tools = Vec::new();
        let mut cursor = None;
        loop {
            let page = rmcp::model::PaginatedRequestParams::default().with_cursor(cursor);
            let page = self.peer().list_tools(Some(page)).await;
            let page = page.map_err(|fault| format!("it did not tell its tools: {fault}"))?;
            let is_empty = page.tools.is_empty();
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() || is_empty || tools.len() > TOOLS_MAX {
                return Ok(tools);
            }
        }
    }
}

/// Why there is no connection, for people.
enum NotOpened {
    /// The server is there and refuses to introduce itself.
    Refused(String),
    /// Anything else.
    Failed(String),
}

impl NotOpened {
    fn why(self) -> String {
        match self {
            Self::Refused(why) | Self::Failed(why) => why,
        }
    }
}

async fn not_introduced(fault: &ClientInitializeError, ending: &Ending) -> NotOpened {
    let why = if let ClientInitializeError::TransportError { error, .. } = fault {
        cause(&*error.error)
    } else {
        fault.to_string()
    };
    let told = ending.told(&format!("it did not introduce itself: {why}")).await;
    let is_refused = matches!(fault, ClientInitializeError::JsonRpcError(_));
    if is_refused { NotOpened::Refused(told) } else { NotOpened::Failed(told) }
}

impl Calls {
    /// The call that a question can only be of, as the protocol does not say: the one that runs, or
    /// the one of those that run and do not wait for an answer already.
    fn the_one_attended(&self) -> Asker {
        let mut free = self.attended.values().filter(|control| !control.asking.is_open());
        let mut all = self.attended.values();
        match (free.next(), free.next(), all.next(), all.next()) {
            (Some(only), None, _, _) | (None, _, Some(only), None) => Asker::Call(only.clone()),
            (_, _, Some(_), _) => Asker::Unclear,
            (_, _, None, _) => Asker::Nobody,
        }
    }
}

/// A call that may ask people.
pub(crate) struct Attending {
    listener: Listener,
    number: u64,
}

impl Drop for Attending {
    fn drop(&mut self) {
        let control = self.listener.calls().attended.remove(&self.number);
        if let Some(control) = control {
            control.asking.close("the call has ended");
        }
    }
}

/// A call whose progress is followed.
pub(crate) struct Following {
    listener: Listener,
    token: ProgressToken,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.listener.calls().followed.remove(&self.token);
    }
}

impl Ending {
    /// A sentence with what the program said and did last.
    async fn told(&self, what: &str) -> String {
        if self.flooded.load(Ordering::Acquire) {
            return format!("it sent a message of more than {MESSAGE_BYTES_MAX} bytes");
        }
        // The end of its output is seen a moment before its own.
        let _ = tokio::time::timeout(STATUS_WAIT, self.status.wait()).await;
        let ended = self.status.get().map(|status| format!(", its program ended ({status})"));
        let words = self.words.last_line().map(|line| format!(", its last words: {line}"));
        format!("{what}{}{}", ended.unwrap_or_default(), words.unwrap_or_default())
    }
}

/// What lies behind an error: the outer ones name types, the innermost says what happened.
pub(crate) fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let innermost = std::iter::successors(Some(error), |error| error.source()).last();
    innermost.unwrap_or(error).to_string()
}

type Streams = (tokio::process::ChildStdout, tokio::process::ChildStdin);

fn start(
    program: &str,
    arguments: &[String],
    config: &ServerConfig,
    guard: &Guard,
    ending: &Ending,
) -> Result<Streams, String> {
    let inherited = INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut command = Command::new(&guard.program);
    command
        .args(&guard.arguments)
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs(inherited)
        .envs(&config.env)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(folder) = &config.cwd {
        command.current_dir(folder);
    }
    let mut child = command.spawn().map_err(|e| format!("`{program}` cannot be started: {e}"))?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(format!("`{program}` was started without its streams"));
    };
    let listening = tokio::spawn(ending.words.clone().listen(stderr));
    let status = Arc::clone(&ending.status);
    tokio::spawn(async move {
        if let Ok(ended) = child.wait().await {
            // Others may hold the stream open, but what the program itself said is there.
            let _ = tokio::time::timeout(STATUS_WAIT / 2, listening).await;
            // It is set once, here.
            let _ = status.set(ended.to_string());
        }
    });
    Ok((stdout, stdin))
}

fn http(
    url: &str,
    config: &ServerConfig,
) -> Result<StreamableHttpClientTransport<reqwest::Client>, String> {
    // Another part of the process may have chosen before; any choice will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|fault| format!("no HTTP client can be made: {fault}"))?;
    let mut settings = StreamableHttpClientTransportConfig::with_uri(url)
        .max_sse_event_size(MESSAGE_BYTES_MAX)
        .max_concurrent_requests(config.concurrency);
    if let Some(name) = &config.bearer_env {
        let token = std::env::var(name)
            .map_err(|_| format!("the variable `{name}` (bearer_env) is not set"))?;
        settings = settings.auth_header(token);
    }
    Ok(StreamableHttpClientTransport::with_client(client, settings))
}
