//! What keeps the server standing: how much it takes on at a time, how long a request may take, and
//! what becomes of one that panics.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::Extensions;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::code::ProblemCode;
use super::problem::Problem;

/// How many requests are under way at a time; those that wait for a revision count.
const IN_FLIGHT_MAX: usize = 4_096;

/// What one request may take of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The largest body, in bytes. What a worker answers has a bound of its own.
    pub body_bytes_max: usize,
    /// How long it may take until its answer begins: longer than any wait that may be asked for.
    pub request_max: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { body_bytes_max: 4 * 1024 * 1024, request_max: Duration::from_secs(90) }
    }
}

impl Bounds {
    /// Those of a request that was let in.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// What is said of a body that is larger.
    pub(super) fn body_too_large(self) -> Problem {
        let detail = format!("a body has at most {} bytes", self.body_bytes_max);
        Problem::new(ProblemCode::BodyTooLarge, detail)
    }
}

/// A permit for each request that is under way, and what each may take.
pub(super) fn room(bounds: Bounds) -> Room {
    (Arc::new(Semaphore::new(IN_FLIGHT_MAX)), bounds)
}

type Room = (Arc<Semaphore>, Bounds);

/// Lets a request in where there is room, for a bounded time.
pub(super) async fn bounded(
    State((room, bounds)): State<Room>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let _permit = room.try_acquire().map_err(|_| {
        let detail = "more requests are under way than are taken on; try again shortly";
        Problem::new(ProblemCode::Overloaded, detail)
    })?;
    request.extensions_mut().insert(bounds);
    tokio::time::timeout(bounds.request_max, next.run(request)).await.map_err(|_| {
        let detail = "the request took too long; read the workflow before repeating a command";
        Problem::new(ProblemCode::TimedOut, detail)
    })
}

/// The answer to a request whose handler panicked.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    let detail = "a request met a fault of Baton; what was committed stands";
    Problem::new(ProblemCode::Internal, detail).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    async fn status(router: Router) -> StatusCode {
        let request = Request::builder().uri("/").body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_full_server_says_so_and_a_panic_is_answered() {
        let full = from_fn_with_state((Arc::new(Semaphore::new(0)), Bounds::default()), bounded);
        let router = Router::new().route("/", get(async || "here")).layer(full);
        assert_eq!(status(router).await, StatusCode::SERVICE_UNAVAILABLE);

        let free = from_fn_with_state(room(Bounds::default()), bounded);
        let router = Router::new().route("/", get(async || "here")).layer(free);
        assert_eq!(status(router).await, StatusCode::OK);

        async fn fault() -> &'static str {
            panic!("a fault")
        }
        let router = Router::new().route("/", get(fault)).layer(CatchPanicLayer::custom(panicked));
        assert_eq!(status(router).await, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
