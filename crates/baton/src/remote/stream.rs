//! The events of one workflow by server-sent events: from the first on, again from the last one that
//! came whenever the connection ends, each once and none left out.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use baton_core::ids::WorkflowId;
use baton_core::spoken::span;
use baton_engine::chunks::Chunk;
use serde::Deserialize;

use super::answers::{Fault, Problem};
use super::client::Client;
use super::messages::Messages;
use crate::display::say;
use crate::exit::Failed;
use crate::follow::{Feed, News};
use crate::reading::ShownEvent;

/// How long a server that went away is waited for.
const AWAY_MAX: Duration = Duration::from_secs(5 * 60);
/// The pause before the first new connection; each one after it is twice as long.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How many events wait to be shown before the stream is held back.
const WAITING_MAX: usize = 1_000;

/// What the reading thread hands over.
type Came = Result<Item, Fault>;

/// What a stream tells.
enum Item {
    Event(Box<ShownEvent>),
    Text(Chunk),
}

/// A workflow's events, as a thread of its own reads them.
pub(super) struct Stream {
    client: Client,
    came: Receiver<Came>,
    /// What came and was not taken yet: what is of another kind than what came before it.
    next: Option<Came>,
    /// Whether nobody takes events any more.
    left: Arc<AtomicBool>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Release);
        self.client.hang_up();
    }
}

impl Stream {
    /// Follows a workflow from its first event on.
    pub(super) fn open(client: &Client, id: WorkflowId) -> Self {
        let client = client.apart();
        let (sender, came) = sync_channel(WAITING_MAX);
        let left = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            client: client.clone(),
            path: format!("/workflows/{id}/stream"),
            last_id: None,
            told: 0,
            sender: sender.clone(),
            left: Arc::clone(&left),
        };
        let told = sender;
        let thread = std::thread::Builder::new().name("stream".to_owned());
        let begun = thread.spawn(move || reader.run());
        if let Err(cause) = begun {
            // Nobody else sends here, and there is room.
            let _ = told.try_send(Err(Fault::Lost(format!("no thread can be made: {cause}"))));
        }
        Self { client, came, next: None, left }
    }
}

impl Feed for Stream {
    fn next(&mut self, wait: Duration) -> anyhow::Result<News> {
        let first = match self.next.take() {
            Some(first) => first,
            None => match self.came.recv_timeout(wait) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => return Ok(News::Nothing),
                Err(RecvTimeoutError::Disconnected) => {
                    let message = "the stream of events has ended; `baton watch` follows it again";
                    return Err(Failed::unreachable(anyhow!(message)).into());
                }
            },
        };
        let first = first.map_err(|fault| fault.failed(self.client.base()))?;
        Ok(match first {
            Item::Event(first) => News::Events(self.more(*first, |item| match item {
                Item::Event(event) => Ok(*event),
                text @ Item::Text(_) => Err(text),
            })),
            Item::Text(first) => News::Texts(self.more(first, |item| match item {
                Item::Text(text) => Ok(text),
                event @ Item::Event(_) => Err(event),
            })),
        })
    }
}

impl Stream {
    /// What has come already of one kind, and no more than may wait.
    fn more<T>(&mut self, first: T, of_kind: impl Fn(Item) -> Result<T, Item>) -> Vec<T> {
        let mut all = vec![first];
        while all.len() < WAITING_MAX
            && let Ok(came) = self.came.try_recv()
        {
            match came.map(&of_kind) {
                Ok(Ok(item)) => all.push(item),
                Ok(Err(other)) => self.next = Some(Ok(other)),
                Err(fault) => self.next = Some(Err(fault)),
            }
            if self.next.is_some() {
                break;
            }
        }
        all
    }
}

/// The thread's part.
struct Reader {
    client: Client,
    path: String,
    /// What names the place of the last message, as the server wrote it.
    last_id: Option<String>,
    /// The position of the last event that was handed over.
    told: u64,
    sender: SyncSender<Came>,
    left: Arc<AtomicBool>,
}

/// Nobody takes events any more.
struct Left;

/// How a connection ended.
enum Ended {
    /// With everything told, as the run has ended; a next run may come.
    Done,
    /// In the middle.
    Cut(Fault),
    /// Before it was one.
    NotMade(Fault),
}

impl Reader {
    fn run(mut self) {
        let mut away: Option<Instant> = None;
        let mut pause = PAUSE;
        loop {
            let before = self.told;
            let Ok(ended) = self.connect() else { return };
            if self.left.load(Ordering::Acquire) {
                return;
            }
            if self.told != before {
                pause = PAUSE;
            }
            let borne = match ended {
                Ended::Done => Ok(()),
                Ended::Cut(fault) => {
                    away = None;
                    if fault.may_pass() { Ok(()) } else { Err(fault) }
                }
                Ended::NotMade(fault) => bear(fault, &mut away),
            };
            if let Err(fault) = borne {
                // Whoever followed may have left.
                let _ = self.sender.send(Err(fault));
                return;
            }
            // sleep: nothing signals that a server can be reached again.
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn connect(&mut self) -> Result<Ended, Left> {
        match self.client.stream(&self.path, self.last_id.as_deref()) {
            Ok(body) => self.read(body),
            Err(fault) => Ok(Ended::NotMade(fault)),
        }
    }

    /// Hands over what a connection brings, until it ends.
    fn read(&mut self, body: impl Read) -> Result<Ended, Left> {
        let mut messages = Messages::of(body);
        loop {
            let message = match messages.next() {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(Ended::Cut(Fault::Lost("the stream has ended".to_owned()))),
                Err(fault) => return Ok(Ended::Cut(fault)),
            };
            match (message.id, message.name.as_str()) {
                (Some(id), _) => {
                    let event = serde_json::from_str::<ShownEvent>(&message.data);
                    let Some(event) = event.ok().filter(|event| event.position() > 0) else {
                        let what = "sends an event that cannot be read here".to_owned();
                        return Ok(Ended::Cut(Fault::Strange(what)));
                    };
                    self.last_id = Some(id);
                    // Whatever a server sends again is told once. A call's message stands at the
                    // position of the task's event, which says the same.
                    if !event.is_call() && event.position() > self.told {
                        self.told = event.position();
                        self.sender.send(Ok(Item::Event(Box::new(event)))).map_err(|_| Left)?;
                    }
                }
                (None, "text.delta") => {
                    // What cannot be read is in the answer.
                    if let Some(chunk) = chunk(&message.data) {
                        self.sender.send(Ok(Item::Text(chunk))).map_err(|_| Left)?;
                    }
                }
                (None, "done") => return Ok(Ended::Done),
                (None, "problem") => return Ok(Ended::Cut(self.problem(&message.data))),
                // `lagged`, and what a later version says: what was missed comes by itself.
                (None, _) => {}
            }
        }
    }

    fn problem(&self, text: &str) -> Fault {
        match serde_json::from_str::<Problem>(text) {
            Ok(problem) => {
                Fault::Refused(Problem { detail: self.client.said(&problem.detail), ..problem })
            }
            Err(_) => {
                Fault::Strange("ends the stream without a reason that can be read".to_owned())
            }
        }
    }
}

/// A piece of a model's text.
fn chunk(text: &str) -> Option<Chunk> {
    #[derive(Deserialize)]
    struct Delta {
        stream: String,
        offset: u64,
        text: String,
    }
    let Delta { stream, offset, text } = serde_json::from_str(text).ok()?;
    // The number of the workflow is the server's own.
    Some(Chunk { stream: 0, turn: stream.parse().ok()?, offset, text })
}

/// Whether to go on after a fault: a server that went away is waited for, for a while, and whoever
/// follows is told once.
fn bear(fault: Fault, away: &mut Option<Instant>) -> Result<(), Fault> {
    if !fault.may_pass() || away.is_some_and(|since| since.elapsed() > AWAY_MAX) {
        return Err(fault);
    }
    if away.is_none() {
        *away = Some(Instant::now());
        let most = span(AWAY_MAX);
        say(&format!("the server does not answer; it is asked again for up to {most}"));
    }
    Ok(())
}
