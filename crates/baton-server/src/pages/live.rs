//! News for open pages: that something was committed, not what. A page reads itself again then.
//!
//! One message stands for all that came before it was read, so a slow page is never behind. The page of
//! a conversation also hears of the workflows that run for it, from the moment they are part of it.

use std::collections::BTreeSet;
use std::convert::Infallible;

use axum::extract::{Query, State};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use baton_core::ids::{ConversationId, WorkflowId};
use baton_engine::store::Views;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::watch;

use super::Pages;
use crate::http::{Api, Problem};

/// What to hear of.
#[derive(Debug, Deserialize)]
pub(super) struct Of {
    /// The number of a workflow; all where none is given.
    stream: Option<u64>,
    /// Its id, to hear also when its tasks say how far they are.
    workflow: Option<WorkflowId>,
    /// Instead of these a conversation, with all that runs for it.
    conversation: Option<ConversationId>,
}

/// The newest position after each commit, until the server stops or the page leaves.
pub(super) async fn stream(
    State(pages): State<Pages>,
    Query(of): Query<Of>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = watch::channel(0_u64);
    let mut heard = Heard { api: pages.api.clone(), sender, known: BTreeSet::new(), of };
    heard.begin().await;
    let stop = pages.api.stop.clone();
    let changes =
        unfold((receiver, stop, heard), |(mut receiver, mut stop, mut heard)| async move {
            tokio::select! {
                changed = receiver.changed() => changed.ok()?,
                _ = stop.wait_for(|stop| *stop) => return None,
            }
            // What joins now is followed before the page reads itself again: nothing is missed between.
            heard.join().await;
            let position = *receiver.borrow_and_update();
            let event = Event::default().event("changed").data(position.to_string());
            Some((Ok(event), (receiver, stop, heard)))
        });
    Sse::new(changes).keep_alive(KeepAlive::default())
}

/// What one page hears of.
struct Heard {
    api: Api,
    sender: watch::Sender<u64>,
    /// The streams that are followed.
    known: BTreeSet<u64>,
    of: Of,
}

impl Heard {
    async fn begin(&mut self) {
        if self.of.conversation.is_some() {
            return self.join().await;
        }
        if let Some(workflow) = self.of.workflow {
            self.hear_tasks(workflow);
        }
        self.follow(self.of.stream);
    }

    /// Follows the conversation and those of its workflows that are not followed yet. What cannot be
    /// read now is read with the next news.
    async fn join(&mut self) {
        let Some(id) = self.of.conversation else { return };
        let read = move |views: &mut dyn Views| streams(id, views);
        for (number, workflow) in self.api.readers.read(read).await.unwrap_or_default() {
            if self.known.insert(number) {
                self.follow(Some(number));
                if let Some(workflow) = workflow {
                    self.hear_tasks(workflow);
                }
            }
        }
    }

    fn follow(&self, stream: Option<u64>) {
        let sender = self.sender.clone();
        let news = move |position| sender.send(position).is_ok();
        self.api.door.follow(stream, Box::new(news));
    }

    fn hear_tasks(&self, workflow: WorkflowId) {
        let said = self.sender.clone();
        // The position is as it was: only what is not in the journal has changed.
        let news = move || {
            said.send_modify(|_| {});
            !said.is_closed()
        };
        self.api.live.follow(Some(workflow), Box::new(news));
    }
}

/// The numbers of a conversation's stream and of those of its open workflows.
fn streams(
    id: ConversationId,
    views: &mut dyn Views,
) -> Result<Vec<(u64, Option<WorkflowId>)>, Problem> {
    let Some(row) = views.conversation(id)? else { return Ok(Vec::new()) };
    let mut all = vec![(row.number, None)];
    for workflow in row.face.open {
        all.extend(views.workflow(workflow)?.map(|(card, _)| (card.number, Some(workflow))));
    }
    Ok(all)
}
