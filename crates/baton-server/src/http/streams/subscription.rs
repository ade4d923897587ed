//! One subscriber: first what it has missed, from the journal; then what comes, from its line.
//!
//! The line is made before the journal is read, and says from where on it tells everything. What is
//! read up to there and what comes by the line join without a gap, and the cursor keeps either from
//! being told twice. A line that was full is closed, and the same begins again from the cursor.

use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::{ConversationId, WorkflowId};
use baton_engine::store::Views;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::batch::{Batch, End, Filter, Place};
use super::broadcaster::{Broadcaster, Line};
use super::cursor::Cursor;
use super::replay::{ended_by, kept, kept_behind, replay, rest_at};
use super::scope::Scope;
use super::text::Heard;
use crate::http::code::ProblemCode;
use crate::http::problem::Problem;
use crate::http::readers::Readers;

/// How many subscribers read the journal at once; the others wait their turn.
const REPLAYS_MAX: usize = 2;
/// The pause before a store that could not be read is read again.
const RETRY: Duration = Duration::from_secs(1);
/// After this long without anything to say, it is said that the stream lives.
const BEAT: Duration = Duration::from_secs(15);

/// What subscriptions are made of.
#[derive(Clone, Debug)]
pub struct Streams {
    broadcaster: Broadcaster,
    readers: Readers,
    replays: Arc<Semaphore>,
}

/// Whose events are asked for, and how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Whose {
    /// Everybody's, for ever.
    #[default]
    All,
    /// A workflow's, until its run ends.
    Workflow(WorkflowId),
    /// A conversation's and its workflows', for ever.
    Conversation(ConversationId),
    /// The same, until nothing is done any more or a person is needed.
    UntilRest(ConversationId),
}

impl From<Option<WorkflowId>> for Whose {
    fn from(workflow: Option<WorkflowId>) -> Self {
        workflow.map_or(Self::All, Self::Workflow)
    }
}

impl Whose {
    fn workflow(self) -> Option<WorkflowId> {
        match self {
            Self::Workflow(id) => Some(id),
            Self::All | Self::Conversation(_) | Self::UntilRest(_) => None,
        }
    }
}

/// What a subscriber asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Whose events.
    pub whose: Whose,
    /// Only events of these types; `*` stands for any run of characters.
    pub types: Box<[Box<str>]>,
    /// What comes behind this place. Without: all from now on, others from their beginning.
    pub after: Option<Cursor>,
    /// How far it has heard the turns that run. Without, and without a place: what is said from now on
    /// where everything is followed.
    pub heard: Option<Heard>,
}

/// What is said to a subscriber.
#[derive(Debug)]
pub(super) enum Said {
    /// The messages of a batch behind a place.
    Events(Arc<Batch>, Place),
    /// Its line was full. What it missed comes now, from the journal, behind this position.
    Lagged(u64),
    /// What was followed has ended, and with it this stream.
    Done(End),
    /// The stream cannot go on.
    Problem(Problem),
    /// The stream lives.
    Beat,
}

/// A subscriber's place in a stream.
pub(super) struct Subscription {
    streams: Streams,
    whose: Whose,
    filter: Filter,
    /// What was said.
    place: Place,
    phase: Phase,
    /// Whether something was told since it was looked whether the conversation rests.
    has_moved: bool,
}

enum Phase {
    /// Reads the journal up to where the line begins; something may be read already.
    Behind(Line, Option<Missed>),
    /// Takes what comes.
    Live(Line),
    /// The line was full and closed.
    Cut,
    /// Has only the end to tell.
    Ended(End),
    /// Has nothing more to tell.
    Over,
}

/// What a subscriber missed, as far as it was read.
struct Missed {
    batch: Batch,
    /// How the run of its workflow had ended by where the line begins.
    end: Option<End>,
}

impl Streams {
    /// Of a broadcaster, and the readers for what subscribers have missed.
    pub fn new(broadcaster: Broadcaster, readers: Readers) -> Self {
        Self { broadcaster, readers, replays: Arc::new(Semaphore::new(REPLAYS_MAX)) }
    }

    /// The broadcaster.
    pub fn broadcaster(&self) -> &Broadcaster {
        &self.broadcaster
    }

    /// Subscribes. What was purged is refused here, before anything is said.
    pub(super) async fn subscribe(&self, wanted: Wanted) -> Result<Subscription, Problem> {
        if self.broadcaster.is_over() {
            return Err(Problem::new(ProblemCode::Draining, "the server is shutting down"));
        }
        let Wanted { whose, types, after, heard } = wanted;
        let scope = self.scope(whose, after).await?;
        let filter = Filter { scope, types };
        let line = self.broadcaster.line(scope);
        if let Some(after) = after.filter(|after| after.position > line.from) {
            self.refuse_ahead(after.position).await?;
        }
        let beginning = if scope == Scope::All { line.from } else { 0 };
        let cursor = after.unwrap_or(Cursor::from(beginning));
        let heard = match heard {
            Some(heard) => heard,
            None if scope != Scope::All || after.is_some() => Heard::default(),
            None => self
                .broadcaster
                .texts(None, line.from)
                .iter()
                .map(|chunk| (chunk.turn, chunk.seq()))
                .collect(),
        };
        let (place, phase) = (Place { cursor, heard }, Phase::Over);
        let streams = self.clone();
        let mut new = Subscription { streams, whose, filter, place, phase, has_moved: true };
        let missed = new.missed(line.from).await?;
        new.phase = Phase::Behind(line, Some(missed));
        Ok(new)
    }

    /// Whose events are told; a problem where there is nobody, or where some were purged.
    async fn scope(&self, whose: Whose, after: Option<Cursor>) -> Result<Scope, Problem> {
        if whose == Whose::All {
            return Ok(Scope::All);
        }
        let after = after.map(|after| after.position);
        let read = move |views: &mut dyn Views| match whose {
            Whose::All => Ok(Scope::All),
            Whose::Workflow(id) => Ok(Scope::Stream(kept(id, views)?.0.number)),
            Whose::Conversation(id) | Whose::UntilRest(id) => {
                kept_behind(id, after, views).map(|()| Scope::Conversation(id))
            }
        };
        self.readers.read(read).await
    }

    /// Refuses a position that the journal has not reached: what comes up to there would never be told.
    async fn refuse_ahead(&self, after: u64) -> Result<(), Problem> {
        let newest = self.readers.read(|views| Ok(views.head()?.position)).await?;
        if after <= newest {
            return Ok(());
        }
        let detail = format!(
            "the position {after} lies ahead of the newest, {newest}: it is another store's, or this \
             one was put back; read the lists anew and follow from now on, without `after` and \
             `Last-Event-ID`"
        );
        Err(Problem::new(ProblemCode::CursorAhead, detail))
    }
}

impl Subscription {
    /// The next thing to say; `None` at the end. Nothing is lost where this is not waited for.
    pub async fn next(&mut self) -> Option<Said> {
        loop {
            let look = self.has_moved && matches!(self.whose, Whose::UntilRest(_));
            let said = match &mut self.phase {
                Phase::Over => return None,
                Phase::Ended(end) => {
                    let end = *end;
                    self.phase = Phase::Over;
                    Some(Said::Done(end))
                }
                Phase::Live(_) if look => self.look().await,
                Phase::Cut => {
                    let line = self.streams.broadcaster.line(self.filter.scope);
                    self.phase = Phase::Behind(line, None);
                    Some(Said::Lagged(self.place.cursor.position))
                }
                Phase::Live(line) => match timeout(BEAT, line.next()).await {
                    Ok(Some(batch)) => self.take(batch),
                    Ok(None) => self.cut(),
                    Err(_) => Some(Said::Beat),
                },
                Phase::Behind(line, missed) => {
                    let until = line.from;
                    match missed.take() {
                        Some(missed) => self.catch_up(missed),
                        None => match self.missed(until).await {
                            Ok(missed) => self.catch_up(missed),
                            Err(problem) => self.fail(problem).await,
                        },
                    }
                }
            };
            if said.is_some() {
                return said;
            }
        }
    }

    /// Ends where the conversation rests and all of it was told.
    async fn look(&mut self) -> Option<Said> {
        let (whose, told) = (self.whose, self.place.cursor.position);
        let read = move |views: &mut dyn Views| match whose {
            Whose::UntilRest(id) => rest_at(id, told, views),
            Whose::All | Whose::Workflow(_) | Whose::Conversation(_) => Ok(None),
        };
        match self.streams.readers.read(read).await {
            Ok(end) => {
                self.has_moved = false;
                if let Some(end) = end {
                    self.phase = Phase::Ended(end);
                }
                None
            }
            Err(problem) => self.fail(problem).await,
        }
    }

    /// A batch that came by the line.
    fn take(&mut self, batch: Arc<Batch>) -> Option<Said> {
        if let Some(end) = batch.end(&self.filter, &self.place) {
            self.phase = Phase::Ended(end);
        }
        self.say(batch)
    }

    /// The line was closed.
    fn cut(&mut self) -> Option<Said> {
        self.phase = if self.streams.broadcaster.is_over() { Phase::Over } else { Phase::Cut };
        None
    }

    /// What was read of the journal; where the line begins, the line goes on.
    fn catch_up(&mut self, missed: Missed) -> Option<Said> {
        let through = missed.batch.through;
        self.phase = match (std::mem::replace(&mut self.phase, Phase::Over), missed.end) {
            (Phase::Behind(line, _), _) if through < line.from => Phase::Behind(line, None),
            (Phase::Behind(_, _), Some(end)) => Phase::Ended(end),
            (Phase::Behind(line, _), None) => Phase::Live(line),
            (other @ (Phase::Live(_) | Phase::Cut | Phase::Ended(_) | Phase::Over), _) => other,
        };
        self.say(Arc::new(missed.batch))
    }

    /// Says what a batch holds for this subscriber behind its cursor, if anything.
    fn say(&mut self, batch: Arc<Batch>) -> Option<Said> {
        let after = self.place.clone();
        self.has_moved = true;
        self.place.cursor = after.cursor.max(Cursor::from(batch.through));
        let broadcaster = &self.streams.broadcaster;
        let runs = |turn| broadcaster.is_running(turn);
        self.place.heard.extend(batch.texts(&self.filter), runs);
        let any = batch.wanted(&self.filter, &after).next().is_some();
        any.then_some(Said::Events(batch, after))
    }

    /// What may pass is tried again; what lasts ends the stream.
    async fn fail(&mut self, problem: Problem) -> Option<Said> {
        if problem.status == 503 && !self.streams.broadcaster.is_over() {
            // sleep: nothing signals that a store can be read again.
            sleep(RETRY).await;
            return None;
        }
        self.phase = Phase::Over;
        Some(Said::Problem(problem))
    }

    /// Which events it gets.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// What was missed behind the cursor, up to a position: as much as is read at a time. Where that is
    /// all of it, also what the models have said that spoke then.
    async fn missed(&self, until: u64) -> Result<Missed, Problem> {
        let turn = self.streams.replays.acquire().await;
        let closed = |_| Problem::new(ProblemCode::Draining, "the server is shutting down");
        let _turn = turn.map_err(closed)?;
        let (whose, scope, place) = (self.whose, self.filter.scope, self.place.clone());
        let broadcaster = self.streams.broadcaster.clone();
        let read = move |views: &mut dyn Views| {
            let end = match whose.workflow() {
                Some(id) => ended_by(id, until, views)?,
                None => None,
            };
            let texts = || {
                let texts = broadcaster.texts(whose.workflow(), until).into_iter();
                texts.filter_map(|chunk| place.heard.rest(chunk)).collect()
            };
            let span = place.cursor.position..=until;
            let batch = replay(&broadcaster, (scope, span), &texts, views)?;
            Ok(Missed { batch, end })
        };
        self.streams.readers.read(read).await
    }
}
