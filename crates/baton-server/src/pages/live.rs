//! News for open pages: that something was committed, not what. A page reads itself again then.
//!
//! One message stands for all that came before it was read, so a slow page is never behind.

use std::convert::Infallible;

use axum::extract::{Query, State};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use baton_core::ids::WorkflowId;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::watch;

use super::Pages;

/// What to hear of.
#[derive(Debug, Deserialize)]
pub(super) struct Of {
    /// The number of a workflow; all where none is given.
    stream: Option<u64>,
    /// Its id, to hear also when its tasks say how far they are.
    workflow: Option<WorkflowId>,
}

/// The newest position after each commit, until the server stops or the page leaves.
pub(super) async fn stream(
    State(pages): State<Pages>,
    Query(of): Query<Of>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = watch::channel(0_u64);
    if of.workflow.is_some() {
        let said = sender.clone();
        // The position is as it was: only what is not in the journal has changed.
        let news = move || {
            said.send_modify(|_| {});
            !said.is_closed()
        };
        pages.api.live.follow(of.workflow, Box::new(news));
    }
    let news = move |position| sender.send(position).is_ok();
    pages.api.door.follow(of.stream, Box::new(news));
    let stop = pages.api.stop.clone();
    let changes = unfold((receiver, stop), |(mut receiver, mut stop)| async move {
        tokio::select! {
            changed = receiver.changed() => changed.ok()?,
            _ = stop.wait_for(|stop| *stop) => return None,
        }
        let position = *receiver.borrow_and_update();
        let event = Event::default().event("changed").data(position.to_string());
        Some((Ok(event), (receiver, stop)))
    });
    Sse::new(changes).keep_alive(KeepAlive::default())
}
