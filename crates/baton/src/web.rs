//! The HTTP server of an owner, on threads of its own: what it stands on is put together here.
//!
//! What is answered, and how, is the server's business; who may listen where is the command's.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use baton_server::http::{
    self, Api, Base, Broadcaster, Broadcasting, Listening, Readers, Report, Streams,
};
use baton_store::StoreUrl;
use tokio::sync::watch;

use crate::log::{Level, log};
use crate::runtime::Handle;

/// How many threads read the store for the API.
const READERS_MAX: usize = 4;

/// A server that answers.
pub struct Web {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    thread: JoinHandle<io::Result<()>>,
    broadcasting: Broadcasting,
}

impl Web {
    /// Answers on a listener, for an owner and its store; `compose` says what is offered.
    pub fn start(
        listening: impl Into<Listening>,
        owner: &Handle,
        store: &StoreUrl,
        compose: impl FnOnce(Base) -> Api,
    ) -> anyhow::Result<Self> {
        let listening = listening.into();
        listening.open_wide().context("the listener does not listen")?;
        let address = listening.listener.local_addr().context("the listener has no address")?;
        let views = baton_store::open_views(store)?;
        let broadcasting = Broadcaster::start(owner, owner.live(), views, report())?;
        let store = store.clone();
        let readers = Readers::new(Box::new(move || baton_store::open_views(&store)), READERS_MAX);
        let streams = Streams::new(broadcasting.broadcaster().clone(), readers.clone());
        let (stopping, stop) = watch::channel(false);
        let (door, meters, live) = (Arc::new(owner.clone()), owner.meters(), owner.live());
        let api = compose(Base { door, readers, streams, meters, live, stop: stop.clone() });
        let thread = start(listening, api, stop)?;
        Ok(Self { address, stopping, thread, broadcasting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What streams are fed by.
    pub fn broadcaster(&self) -> &Broadcaster {
        self.broadcasting.broadcaster()
    }

    /// Ends every stream, lets what is under way be answered, and stops.
    pub fn stop(self) -> anyhow::Result<()> {
        drop(self.broadcasting);
        // Nobody is left to tell where the server has ended by itself.
        let _ = self.stopping.send(true);
        let served = self.thread.join();
        served.map_err(|_| anyhow::anyhow!("the server panicked"))??;
        Ok(())
    }
}

/// Serves on a thread with a runtime of its own.
fn start(
    listening: Listening,
    api: Api,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<JoinHandle<io::Result<()>>> {
    listening.listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from))
        .thread_name("http")
        .enable_all()
        .build()
        .context("no threads for the server")?;
    let thread = std::thread::Builder::new().name("server".to_owned());
    Ok(thread.spawn(move || {
        runtime.block_on(http::serve(listening, http::router(api), stop, report()))
    })?)
}

/// What the server has to report goes to the log.
fn report() -> Report {
    Report::to(|sentence, cause| log(Level::Warn, sentence, &[("cause", cause.into())]))
}
