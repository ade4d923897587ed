//! One connection: requests one after the other, by hyper, until it ends or is left to a lasting
//! answer.
//!
//! hyper keeps 16 KiB of buffers for a connection, and more around them. A stream that says little for
//! hours needs none of that: when its answer is there, hyper is let go of and the rest is
//! [`lasting`]'s.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tower::ServiceExt;

use super::Ground;
use super::lasting::{self, Lasting};

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Serves a connection to its end. Its place is kept as long as it is open, whoever has it then.
pub(super) async fn serve<T>(stream: T, place: OwnedSemaphorePermit, ground: Ground)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let exit = Arc::new(Exit::default());
    let stream = Watched { stream, exit: Arc::clone(&exit), _place: place };
    if let Some((stream, answer)) = until_lasting(stream, exit, ground).await {
        // It fails where the client has left.
        let _ = lasting::tell(stream, answer).await;
    }
}

/// Answers requests. Where an answer lasts, gives the connection back for it.
async fn until_lasting<T>(
    stream: Watched<T>,
    exit: Arc<Exit>,
    ground: Ground,
) -> Option<(Watched<T>, Response<Body>)>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Ground { router, mut stop, patience, .. } = ground;
    let leave_by = Arc::clone(&exit);
    let service = service_fn(move |request: Request<Incoming>| {
        answer(router.clone(), Arc::clone(&leave_by), request.map(Body::new))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience.head);
    builder.max_header_size(HEAD_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    // Boxed, so that nothing of it is left in this task when it is let go of.
    let mut connection = Box::new(connection);
    let mut stopping = Box::pin(async move {
        // An error says that nobody is left who could say it.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    let mut is_stopping = false;
    let mut stall = Stall { patience: patience.stall, since: None };
    let answer = std::future::poll_fn(|cx| {
        if !is_stopping && stopping.as_mut().poll(cx).is_ready() {
            is_stopping = true;
            Pin::new(&mut *connection).graceful_shutdown();
        }
        match Pin::new(&mut *connection).poll(cx) {
            // A fault is the client's, or its leaving.
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending if stall.is_over(exit.stuck_at(), cx) => Poll::Ready(None),
            Poll::Pending => exit.take().map_or(Poll::Pending, |answer| Poll::Ready(Some(answer))),
        }
    });
    let answer = answer.await?;
    let parts = connection.into_parts()?;
    Some((parts.io.into_inner(), answer))
}

/// Answers a request, except by what lasts: that leaves by the exit.
async fn answer(
    router: Router,
    exit: Arc<Exit>,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    let can_last = request.method() == Method::GET && request.version() == Version::HTTP_11;
    let answer = router.oneshot(request).await?;
    if can_last && answer.extensions().get::<Lasting>().is_some() {
        exit.leave(answer);
        return pending().await;
    }
    Ok(answer)
}

/// Where an answer that lasts leaves a connection's usual way.
#[derive(Debug, Default)]
struct Exit {
    answer: Mutex<Option<Response<Body>>>,
    /// Whether something of an earlier answer has not been written yet.
    is_stuck: AtomicBool,
    /// How often something was written.
    writes: AtomicU64,
}

impl Exit {
    fn leave(&self, answer: Response<Body>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// The answer, once everything before it is written.
    fn take(&self) -> Option<Response<Body>> {
        if self.is_stuck.load(Ordering::Relaxed) {
            return None;
        }
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Where writing stands that waits for the client.
    fn stuck_at(&self) -> Option<u64> {
        self.is_stuck.load(Ordering::Relaxed).then(|| self.writes.load(Ordering::Relaxed))
    }
}

/// Watches over a client that takes nothing of its answer.
struct Stall {
    patience: Duration,
    since: Option<(u64, Pin<Box<Sleep>>)>,
}

impl Stall {
    /// Whether writing has stood still for too long; who asks is woken when it has.
    fn is_over(&mut self, stuck_at: Option<u64>, cx: &mut Context<'_>) -> bool {
        let Some(writes) = stuck_at else {
            self.since = None;
            return false;
        };
        let patience = self.patience;
        let begin = || (writes, Box::pin(sleep(patience)));
        let since = self.since.get_or_insert_with(begin);
        if since.0 != writes {
            *since = begin();
        }
        since.1.as_mut().poll(cx).is_ready()
    }
}

/// A connection that says whether its last write had to wait.
#[derive(Debug)]
pub(super) struct Watched<T> {
    stream: T,
    exit: Arc<Exit>,
    _place: OwnedSemaphorePermit,
}

impl<T> Watched<T> {
    fn note<R>(&self, written: Poll<R>) -> Poll<R> {
        // Whoever asks is the task that writes.
        self.exit.is_stuck.store(written.is_pending(), Ordering::Relaxed);
        self.exit.writes.fetch_add(u64::from(written.is_ready()), Ordering::Relaxed);
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
