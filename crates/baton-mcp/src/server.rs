//! One server: reached when it is needed, watched while it is there, left alone when it fails.
//!
//! How one call goes is `call.rs`; what follows what is `state.rs`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rmcp::model::{ClientRequest, PingRequest};
use rmcp::service::ServiceError;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::config::{ServerConfig, ServerFault, Way};
use crate::connection::{Connection, Guard};
use crate::record::{Record, ServerView};
use crate::state::{Change, ServerStatus};
use crate::toolset::Toolset;

/// The pause before the start that follows a failure; it doubles with each.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
/// How often a changed list is asked for at most.
const REFRESH_EVERY: Duration = Duration::from_millis(500);

/// One server.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) config: ServerConfig,
    pub(crate) permits: Semaphore,
    way: Way,
    guard: Guard,
    record: Mutex<Record>,
    /// Held while the server is started, so that it is started once.
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    tools: Mutex<Option<Arc<Toolset>>>,
}

/// Why there is no connection.
pub(crate) enum NotReached {
    /// It failed too often and is left alone for this long.
    Quarantined(Duration, String),
    /// It could not be started, and why.
    Failed(String),
}

impl NotReached {
    /// For people.
    pub(crate) fn message(&self, name: &str) -> String {
        match self {
            Self::Quarantined(left, why) => format!(
                "the server `{name}` is quarantined for another {left:.1?}: {why}; \
                 `baton servers` shows it"
            ),
            Self::Failed(why) => format!("the server `{name}` is not there: {why}"),
        }
    }
}

impl Server {
    pub(crate) fn new(
        name: &str,
        config: ServerConfig,
        guard: Guard,
    ) -> Result<Arc<Self>, ServerFault> {
        Ok(Arc::new(Self {
            way: config.way(name)?,
            name: name.to_owned(),
            permits: Semaphore::new(config.concurrency),
            config,
            guard,
            record: Mutex::default(),
            connection: tokio::sync::Mutex::default(),
            tools: Mutex::default(),
        }))
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has told of its tools.
    pub(crate) fn tools(&self) -> Option<Arc<Toolset>> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn view(&self) -> ServerView {
        let transport = match &self.way {
            Way::Command(..) => "stdio",
            Way::Url(_) => "http",
        };
        let tools = self.tools().map_or(0, |tools| tools.len());
        self.record().view(&self.name, transport, tools)
    }

    /// A connection, made where there is none, with its tools told.
    pub(crate) async fn connected(self: &Arc<Self>) -> Result<Arc<Connection>, NotReached> {
        let mut kept = self.connection.lock().await;
        self.settle(&mut kept).await;
        if let Some(connection) = kept.take() {
            if !connection.is_closed() {
                return Ok(Arc::clone(kept.insert(connection)));
            }
            let words = connection.last_words().await;
            self.record().crashed(&words);
        }
        if let Some((left, why)) = self.record().quarantine() {
            return Err(NotReached::Quarantined(left, why));
        }
        let crashes = self.record().crashes;
        if crashes > 0 {
            // sleep: the pause itself is what is wanted.
            sleep(RESTART_PAUSE.saturating_mul(2_u32.saturating_pow(crashes.min(5)))).await;
        }
        match timeout(self.config.start_timeout.0, self.start()).await {
            Ok(Ok(connection)) => Ok(Arc::clone(kept.insert(connection))),
            Ok(Err(why)) => Err(self.not_started(why)),
            Err(_) => {
                let span = self.config.start_timeout;
                Err(self.not_started(format!("it was not ready within {span} (start_timeout)")))
            }
        }
    }

    fn not_started(&self, why: String) -> NotReached {
        self.record().crashed(&why);
        NotReached::Failed(why)
    }

    async fn start(self: &Arc<Self>) -> Result<Arc<Connection>, String> {
        let connection = Connection::open(&self.way, &self.config, &self.guard).await?;
        let connection = Arc::new(connection);
        self.learn(&connection).await?;
        self.record().started(connection.introduction());
        tokio::spawn(watch_health(Arc::downgrade(self), Arc::downgrade(&connection)));
        tokio::spawn(watch_list(Arc::downgrade(self), Arc::downgrade(&connection)));
        Ok(connection)
    }

    /// Asks for its tools and keeps what it tells.
    async fn learn(&self, connection: &Connection) -> Result<(), String> {
        let told = connection.tools().await?;
        let tools = Toolset::of(&self.name, told, &self.config.tools);
        if !tools.left_out.is_empty() {
            self.record().trouble(&format!("left out: {}", tools.left_out.join("; ")));
        }
        *self.tools.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tools));
        Ok(())
    }

    /// Finds out about a server that was late: it answers after all, or, once nobody waits for it
    /// any more, is ended and started again when it is needed.
    pub(crate) async fn examine(&self) {
        let mut kept = self.connection.lock().await;
        self.settle(&mut kept).await;
    }

    /// Lets nobody call a server that does not answer.
    async fn settle(&self, kept: &mut Option<Arc<Connection>>) {
        while let Some(connection) = kept.as_ref().filter(|kept| !kept.is_closed()) {
            let is_stalled = self.record().state.status() == ServerStatus::Stalled;
            if !is_stalled || self.is_well(connection).await {
                return;
            }
            // A server that is only slow must not cost those who wait for it their calls.
            if self.record().state.leases().is_empty() {
                connection.end();
                *kept = None;
                self.record().crashed("it did not answer, and was ended");
            }
        }
    }

    /// Asks whether the server is well, and notes what comes.
    pub(crate) async fn is_well(&self, connection: &Connection) -> bool {
        let patience = self.config.health_every.0 / 2;
        let ping = ClientRequest::PingRequest(PingRequest::default());
        match timeout(patience, connection.peer().send_request(ping)).await {
            // A server that knows no ping has answered as well.
            Ok(Ok(_) | Err(ServiceError::McpError(_))) => {
                self.record().change(Change::Answered);
                true
            }
            Ok(Err(_)) => false,
            Err(_) => {
                let why = format!("it did not answer a ping within {patience:?}");
                self.record().trouble(&why);
                self.record().change(Change::Silent(why));
                false
            }
        }
    }
}

async fn watch_health(server: Weak<Server>, connection: Weak<Connection>) {
    loop {
        let Some(every) = server.upgrade().map(|server| server.config.health_every.0) else {
            return;
        };
        // sleep: this is how often the server is asked.
        sleep(every).await;
        let (Some(server), Some(connection)) = (server.upgrade(), connection.upgrade()) else {
            return;
        };
        if connection.is_closed() {
            return;
        }
        server.is_well(&connection).await;
    }
}

async fn watch_list(server: Weak<Server>, connection: Weak<Connection>) {
    loop {
        let Some(changed) = connection.upgrade().map(|connection| connection.list_changed()) else {
            return;
        };
        changed.notified().await;
        let (Some(server), Some(connection)) = (server.upgrade(), connection.upgrade()) else {
            return;
        };
        let patience = server.config.start_timeout.0;
        let learned = timeout(patience, server.learn(&connection)).await;
        if let Ok(Err(why)) = learned {
            server.record().trouble(&why);
        }
        drop((server, connection));
        // sleep: a server that says so without end is not asked without end.
        sleep(REFRESH_EVERY).await;
    }
}
