//! Waiting for a revision of a workflow or a conversation: by the owner's news, without asking the store
//! again and again.
//!
//! For each of them that is waited for there is one follower, however many wait.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::ids::{ConversationId, WorkflowId};
use baton_engine::ports::Door;
use baton_engine::store::Views;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Api;
use super::code::ProblemCode;
use super::conversations;
use super::problem::Problem;
use super::workflows::found;

type Followed = Mutex<HashMap<u64, watch::Sender<()>>>;

/// What has revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A workflow.
    Workflow(WorkflowId),
    /// A conversation.
    Conversation(ConversationId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workflow(id) => write!(f, "the workflow {id}"),
            Self::Conversation(id) => write!(f, "the conversation {id}"),
        }
    }
}

impl Subject {
    /// The number of its stream, and its revision.
    fn now(self, views: &mut dyn Views) -> Result<(u64, u64), Problem> {
        match self {
            Self::Workflow(id) => found(id, views).map(|(card, row)| (card.number, row.revision)),
            Self::Conversation(id) => {
                conversations::found(id, views).map(|row| (row.number, row.revision))
            }
        }
    }
}

/// What is waited for, by the numbers of streams.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Followed>);

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

impl Waiting {
    /// Changes with each commit that touches the stream of this number.
    fn follow(&self, number: u64, door: &dyn Door) -> watch::Receiver<()> {
        let mut followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = followed.get(&number) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(());
        followed.insert(number, sender.clone());
        // The owner calls its followers under a lock of its own, and they take this one.
        drop(followed);
        let of = Arc::clone(&self.0);
        door.follow(Some(number), Box::new(move |_| tell(&of, number)));
        // Whoever came in between must look again.
        let _ = sender.send(());
        receiver
    }
}

/// Tells those who wait; `false` where nobody does any more.
fn tell(followed: &Followed, number: u64) -> bool {
    let mut followed = followed.lock().unwrap_or_else(PoisonError::into_inner);
    let heard = followed.get(&number).is_some_and(|sender| sender.send(()).is_ok());
    if !heard {
        followed.remove(&number);
    }
    heard
}

/// Returns when the subject is at the revision; a problem after `wait`.
pub(super) async fn reach(
    api: &Api,
    subject: Subject,
    revision: u64,
    wait: Duration,
) -> Result<(), Problem> {
    let deadline = Instant::now() + wait;
    let mut stop = api.stop.clone();
    let mut news = None;
    loop {
        let (number, now) = api.readers.read(move |views| subject.now(views)).await?;
        if now >= revision {
            return Ok(());
        }
        let Some(news) = &mut news else {
            // Whatever is committed from here on is heard: look once more, then wait.
            news = Some(api.waiting.follow(number, api.door.as_ref()));
            continue;
        };
        tokio::select! {
            heard = timeout_at(deadline, news.changed()) => match heard {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(not_reached(subject, revision, now)),
            },
            _ = stop.wait_for(|stop| *stop) => {
                return Err(Problem::new(ProblemCode::Draining, "this server is shutting down"));
            }
        }
    }
}

fn not_reached(subject: Subject, revision: u64, now: u64) -> Problem {
    let detail = format!("{subject} is at revision {now}, not at {revision} yet; ask again");
    Problem::new(ProblemCode::NotReached, detail)
}
