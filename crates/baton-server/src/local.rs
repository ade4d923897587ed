//! The local socket: lets other processes of the same user reach the owner of a store.
//!
//! One thread a connection, which only reads; answers are written from the owner's thread through
//! a bounded line, so that a client that does not read harms nobody but itself. Reading the store
//! is not offered here: clients read it themselves.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use baton_core::actor::Actor;
use baton_core::body::Body;
use baton_core::workflow::{Command, PauseCause, Verdict};
use baton_engine::exchange::{Declined, Gone, Reply, Request, Submit};
use baton_engine::loaded::Loaded;
use baton_engine::ports::Door;

use crate::wire::{Answer, Ask, Asked, LINE_BYTES_MAX, PROTOCOL, Said, Submission, Verb};

/// How many answers may wait to be written to one client before it is cut off.
const BACKLOG_MAX: usize = 1024;
/// The stack of a connection's threads: they hold a line at a time.
const STACK_BYTES: usize = 256 * 1024;

/// A listening socket; it stops and its file goes when this is dropped.
#[derive(Debug)]
pub struct LocalServer {
    path: PathBuf,
    over: Arc<AtomicBool>,
}

impl LocalServer {
    /// Listens at `path`, which must not exist; only the same user may connect.
    pub fn start(path: &Path, door: Arc<dyn Door>) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let over = Arc::new(AtomicBool::new(false));
        let server = Self { path: path.to_owned(), over: Arc::clone(&over) };
        thread("local socket", move || accept(&listener, &door, &over))?;
        Ok(server)
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // Wakes the accepting thread; it is over either way.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    builder.spawn(work).map(drop)
}

fn accept(listener: &UnixListener, door: &Arc<dyn Door>, over: &AtomicBool) {
    for stream in listener.incoming() {
        if over.load(Ordering::Acquire) {
            return;
        }
        let door = Arc::clone(door);
        if let Ok(stream) = stream {
            // Without a thread for it the connection is dropped, and the client sees that.
            let _ = thread("local client", move || drop(serve(&stream, &door)));
        }
    }
}

fn serve(stream: &UnixStream, door: &Arc<dyn Door>) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let (lines, written) = sync_channel::<Said>(BACKLOG_MAX);
    thread("local answers", move || {
        for said in written {
            let line = serde_json::to_string(&said).unwrap_or_default() + "\n";
            if writer.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
        // The reader has gone: so does the connection.
        let _ = writer.shutdown(std::net::Shutdown::Both);
    })?;
    let mut reader = BufReader::new(stream);
    while let Some(line) = read_line(&mut reader)? {
        match serde_json::from_str::<Asked>(&line) {
            Ok(asked) => handle(asked, door, &lines),
            Err(fault) => {
                let message = format!("the line is not a request of {PROTOCOL}: {fault}");
                say(&lines, 0, Answer::Declined { code: "bad_request".to_owned(), message });
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The next line, at most [`LINE_BYTES_MAX`] long; `None` at the end.
pub(crate) fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let most = LINE_BYTES_MAX as u64 + 1;
    reader.by_ref().take(most).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() as u64 >= most {
        return Err(io::Error::other(format!("a line is longer than {LINE_BYTES_MAX} bytes")));
    }
    String::from_utf8(line).map(Some).map_err(io::Error::other)
}

fn say(lines: &SyncSender<Said>, id: u64, answer: Answer) -> bool {
    lines.try_send(Said::Answer { id, answer }).is_ok()
}

fn handle(asked: Asked, door: &Arc<dyn Door>, lines: &SyncSender<Said>) {
    let Asked { id, actor, ask } = asked;
    match ask {
        Ask::Hello => {
            let answer =
                Answer::Hello { protocol: PROTOCOL.to_owned(), process: std::process::id() };
            say(lines, id, answer);
        }
        Ask::Follow { stream } => {
            let lines = lines.clone();
            let news = move |position| lines.try_send(Said::News { id, position }).is_ok();
            door.follow(stream, Box::new(news));
        }
        Ask::Submit(_)
        | Ask::Command { .. }
        | Ask::AwaitEnd { .. }
        | Ask::Fork { .. }
        | Ask::TakeUpAll
        | Ask::TakeUp { .. }
        | Ask::Define(_)
        | Ask::Purge { .. } => match request_of(ask, &actor) {
            Ok(request) => {
                let lines = lines.clone();
                let then = move |reply| {
                    // A client that does not read its answers has lost them.
                    let _ = say(&lines, id, answer(reply));
                };
                door.ask(&actor, request, Box::new(then));
            }
            Err(answer) => {
                say(lines, id, answer);
            }
        },
    }
}

/// The engine's request behind what a client asks; `Err` is the answer where there is none.
pub fn request_of(ask: Ask, actor: &Actor) -> Result<Request, Answer> {
    let invalid = |message: String| Answer::Declined { code: "invalid_plan".to_owned(), message };
    Ok(match ask {
        Ask::Submit(submission) => submit(*submission).map_err(invalid)?,
        Ask::Command { workflow, verb } => command(workflow, verb, actor.to_string()),
        Ask::AwaitEnd { workflow } => Request::AwaitEnd { workflow },
        Ask::Fork { workflow, position } => Request::Fork { workflow, position },
        Ask::TakeUpAll => Request::TakeUpAll,
        Ask::TakeUp { workflow } => Request::TakeUp { workflow },
        Ask::Define(plan) => {
            let loaded = Loaded::new(*plan).map_err(|e| invalid(e.to_string()))?;
            Request::Define(Arc::new(loaded))
        }
        Ask::Purge { workflows } => Request::Purge { workflows },
        Ask::Hello | Ask::Follow { .. } => {
            return Err(Answer::Declined {
                code: "bad_request".to_owned(),
                message: "not a request to the engine".to_owned(),
            });
        }
    })
}

fn submit(submission: Submission) -> Result<Request, String> {
    let Submission { plan, inputs, origin, priority, review, conversation, folder } = submission;
    let loaded = Loaded::new(plan).map_err(|e| e.to_string())?;
    let inputs = Body::split(inputs);
    let submit = Submit {
        loaded: Arc::new(loaded),
        inputs,
        origin,
        priority,
        review,
        conversation,
        folder: folder.map(Arc::from),
    };
    Ok(Request::Submit(Box::new(submit)))
}

/// The request behind what a person tells a workflow.
fn command(workflow: baton_core::ids::WorkflowId, verb: Verb, by: String) -> Request {
    let (command, blob) = match verb {
        Verb::Approve { revision } => (Command::Approve { revision }, None),
        Verb::SendBack { comments } => (Command::SendBack { comments }, None),
        Verb::Pause => (Command::Pause { cause: PauseCause::Actor }, None),
        Verb::Resume => (Command::Resume, None),
        Verb::Cancel { reason } => (Command::Cancel { reason }, None),
        Verb::Retry { tasks } => (Command::Retry { tasks }, None),
        Verb::Respond { task, value } => (Command::Respond { task, value, by }, None),
        Verb::Settle { task, result: None } => {
            (Command::Settle { task, verdict: Verdict::DidNotHappen }, None)
        }
        Verb::Settle { task, result: Some(result) } => {
            let (body, blob) = Body::split(result);
            (Command::Settle { task, verdict: Verdict::Happened(body) }, blob)
        }
    };
    Request::Command { workflow, command: Box::new(command), blob }
}

/// The wire form of a reply.
pub fn answer(reply: Result<Reply, Gone>) -> Answer {
    match reply {
        Ok(Reply::Workflow { id, number, status, revision, position }) => {
            Answer::Workflow { id, number, status, revision, position }
        }
        Ok(Reply::Ended { id, outcome, revision }) => Answer::Ended { id, outcome, revision },
        Ok(Reply::TakenUp(count) | Reply::Purged(count)) => Answer::Count(count),
        Ok(Reply::Defined) => Answer::Done,
        Err(gone) => Answer::Declined { code: code(&gone).to_owned(), message: gone.to_string() },
    }
}

fn code(gone: &Gone) -> &'static str {
    use baton_core::codes::Code;
    match gone {
        Gone::OwnerEnded => "owner_ended",
        Gone::Declined(Declined::Refused(refusal)) => refusal.word(),
        Gone::Declined(Declined::NoSuchWorkflow(_)) => "no_such_workflow",
        Gone::Declined(Declined::Purged(_)) => "purged",
        Gone::Declined(Declined::StillNeeded { .. }) => "still_needed",
        Gone::Declined(Declined::OtherContent { .. }) => "other_content",
        Gone::Declined(Declined::Draining) => "draining",
        Gone::Declined(Declined::Store(_)) => "store",
    }
}
