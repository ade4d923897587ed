//! Connections: taken up to a bound, each served by a task of its own, and ended when the server stops.
//!
//! What is answered is the router's business.

mod connection;
mod lasting;
mod tls;
mod turned_away;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::Report;
use turned_away::TurnedAway;

pub(super) use lasting::Lasting;
pub use tls::{Certificate, CertificateFault};

/// How many connections the system keeps until they are taken. Whoever comes when there are more asks
/// again after a second: all clients of a server that starts anew come at once.
const WAITING_MAX: i32 = 4_096;
/// The pause after a connection that could not be accepted: nothing signals free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a server listens, and for how many.
#[derive(Debug)]
pub struct Listening {
    /// It must not block.
    pub listener: std::net::TcpListener,
    /// How many connections are open at a time; who comes then is turned away.
    pub connections_max: u32,
    /// What connections are encrypted with; without it they are in the clear.
    pub tls: Option<Certificate>,
}

impl Listening {
    /// How many connections are open at a time, where nothing else is said.
    pub const CONNECTIONS_MAX: u32 = 16_384;

    /// Has the system keep many connections until they are taken, from now on.
    pub fn open_wide(&self) -> io::Result<()> {
        Ok(rustix::net::listen(&self.listener, WAITING_MAX)?)
    }
}

impl From<std::net::TcpListener> for Listening {
    /// In the clear, for as many as is usual.
    fn from(listener: std::net::TcpListener) -> Self {
        Self { listener, connections_max: Self::CONNECTIONS_MAX, tls: None }
    }
}

/// What all connections of a server share.
#[derive(Clone)]
struct Ground {
    router: Router,
    tls: Option<Certificate>,
    /// Becomes true when the server stops.
    stop: watch::Receiver<bool>,
    report: Report,
    patience: Patience,
}

/// How long clients are waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// For the head of a request, and between two.
    head: Duration,
    /// For anything of an answer to be taken.
    stall: Duration,
    /// For requests under way, when the server stops.
    farewell: Duration,
}

const PATIENCE: Patience = Patience {
    head: Duration::from_secs(30),
    stall: Duration::from_secs(60),
    farewell: Duration::from_secs(2),
};

/// Serves until `stop` becomes true, then lets what is under way be answered.
pub async fn serve(
    listening: Listening,
    router: Router,
    stop: watch::Receiver<bool>,
    report: Report,
) -> io::Result<()> {
    let Listening { listener, connections_max, tls } = listening;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let ground = Ground { router, tls, stop, report, patience: PATIENCE };
    accept(listener, connections_max, ground).await;
    Ok(())
}

/// Takes connections until the server stops, then waits a little for their ends.
async fn accept(listener: TcpListener, connections_max: u32, ground: Ground) {
    let places = Arc::new(Semaphore::new(connections_max as usize));
    let away = TurnedAway::new();
    let mut stop = ground.stop.clone();
    let mut is_failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error says that nobody is left who could say it.
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted.map(|(stream, _)| (stream, Arc::clone(&places).try_acquire_owned())) {
            Ok((stream, Ok(place))) => drop(tokio::spawn(take(stream, place, ground.clone()))),
            // Who expects encryption would not understand.
            Ok((stream, Err(_))) if ground.tls.is_none() => away.turn(stream),
            Ok((_, Err(_))) => {}
            Err(fault) => {
                if !is_failing {
                    let sentence = "connections cannot be accepted; it is tried again";
                    ground.report.warn(sentence, &fault);
                }
                is_failing = true;
                // sleep: nothing signals that there are descriptors again.
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        }
        is_failing = false;
    }
    drop(listener);
    // Who has not gone by then is cut off with the threads that serve.
    let _ = timeout(ground.patience.farewell, places.acquire_many(connections_max)).await;
}

/// Serves one connection.
async fn take(stream: TcpStream, place: OwnedSemaphorePermit, ground: Ground) {
    // Small messages go out at once; where that cannot be had, they go out a little later.
    let _ = stream.set_nodelay(true);
    let Some(certificate) = ground.tls.clone() else {
        return connection::serve(stream, place, ground).await;
    };
    let mut stop = ground.stop.clone();
    let agreed = tokio::select! {
        agreed = certificate.accept(stream, &ground.report) => agreed,
        _ = stop.wait_for(|stop| *stop) => None,
    };
    if let Some(stream) = agreed {
        // Boxed: it is large, and only those who encrypt pay for it.
        Box::pin(connection::serve(Box::new(stream), place, ground)).await;
    }
}

#[cfg(test)]
mod tests;
