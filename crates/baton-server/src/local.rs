//! The local socket: lets other processes of the same user reach the owner of a store.
//!
//! One thread serves all connections; each has a task that reads and one that writes, fed through a
//! bounded line, so that a client that does not read harms nobody but itself. (A thread for each
//! cost 500 returning clients most of a second: every one had to be given memory of its own first.)
//! Reading the store is not offered here: clients read it themselves.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::body::Body;
use baton_core::codes::Code;
use baton_core::words::Role;
use baton_core::workflow::{Command, PauseCause, Verdict};
use baton_engine::exchange::{Edit, Gone, Reply, Request, Submit};
use baton_engine::loaded::Loaded;
use baton_engine::ports::{Door, Live, Tools};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};

use crate::http::ProblemCode;
use crate::wire::{Answer, Ask, Asked, Edited, LINE_BYTES_MAX, PROTOCOL, Said, Submission, Verb};

/// How many answers may wait to be written to one client before it loses some.
const BACKLOG_MAX: usize = 1024;
/// How long a server that stops lets clients take what it has to tell them.
const FAREWELL: Duration = Duration::from_secs(1);
/// The pause after a connection that could not be accepted: nothing signals free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listening socket; it stops and its file goes when this is dropped.
#[derive(Debug)]
pub struct LocalServer {
    path: PathBuf,
    over: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LocalServer {
    /// Listens at `path`, which must not exist; only the same user may connect.
    pub fn start(path: &Path, owner: Owner) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (over, stop) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name("local socket".to_owned()).spawn(move || {
                // Without a listener, clients find nobody and say so; the owner works on.
                let _ = runtime.block_on(serve(listener, owner, stop));
            })?;
        Ok(Self { path: path.to_owned(), over: Some(over), thread: Some(thread) })
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        drop(self.over.take());
        let _ = std::fs::remove_file(&self.path);
        if let Some(thread) = self.thread.take() {
            // Whether it panicked changes nothing any more.
            let _ = thread.join();
        }
    }
}

/// What clients reach through the socket.
#[derive(Clone)]
pub struct Owner {
    /// The way in.
    pub door: Arc<dyn Door>,
    /// What it calls.
    pub tools: Arc<dyn Tools>,
    /// What is said of tasks.
    pub live: Arc<dyn Live>,
}

/// Accepts until `stop`, then lets what was answered go out.
async fn serve(
    listener: UnixListener,
    owner: Owner,
    mut stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let (mut readers, mut writers) = (JoinSet::new(), JoinSet::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            // sleep: nothing signals that descriptors have become free.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (reader, writer) = stream.into_split();
        let (lines, said) = channel(BACKLOG_MAX);
        readers.spawn(hear(reader, owner.clone(), lines));
        writers.spawn(tell(writer, said));
        while readers.try_join_next().is_some() || writers.try_join_next().is_some() {}
    }
    readers.shutdown().await;
    let farewell = async { while writers.join_next().await.is_some() {} };
    // Who has not taken it by now does not read.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
    Ok(())
}

/// Writes what is said until nobody can say anything any more; then the connection ends.
async fn tell(mut writer: OwnedWriteHalf, mut said: Receiver<Said>) -> io::Result<()> {
    while let Some(said) = said.recv().await {
        let line = serde_json::to_string(&said).unwrap_or_default() + "\n";
        writer.write_all(line.as_bytes()).await?;
    }
    writer.shutdown().await
}

/// Reads requests and hands them on, until the client ends or says something else.
async fn hear(reader: OwnedReadHalf, owner: Owner, lines: Sender<Said>) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    while let Some(line) = read_line(&mut reader).await? {
        match serde_json::from_str::<Asked>(&line) {
            Ok(asked) => handle(asked, &owner, &lines).await,
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
async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let most = LINE_BYTES_MAX as u64 + 1;
    reader.take(most).read_until(b'\n', &mut line).await?;
    checked_line(line)
}

/// A line that was read, unless it is longer than [`LINE_BYTES_MAX`]; `None` at the end.
pub(crate) fn checked_line(line: Vec<u8>) -> io::Result<Option<String>> {
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() > LINE_BYTES_MAX {
        return Err(io::Error::other(format!("a line is longer than {LINE_BYTES_MAX} bytes")));
    }
    String::from_utf8(line).map(Some).map_err(io::Error::other)
}

fn say(lines: &Sender<Said>, id: u64, answer: Answer) {
    // A client that does not read its answers has lost them.
    let _ = lines.try_send(Said::Answer { id, answer });
}

async fn handle(asked: Asked, owner: &Owner, lines: &Sender<Said>) {
    let Owner { door, tools, live } = owner;
    let Asked { id, actor, ask } = asked;
    let request = match ask {
        Ask::Hello => {
            let answer =
                Answer::Hello { protocol: PROTOCOL.to_owned(), process: std::process::id() };
            say(lines, id, answer);
            return;
        }
        Ask::Follow { stream } => {
            let lines = lines.clone();
            let news = move |position| lines.try_send(Said::News { id, position }).is_ok();
            door.follow(stream, Box::new(news));
            return;
        }
        Ask::Said { workflow } => {
            let said = live.of(workflow).into_iter();
            let said = said.map(|said| (said.task, said.attempt, said)).collect();
            return say(lines, id, Answer::Said(said));
        }
        Ask::Servers => return say(lines, id, Answer::Servers(tools.servers())),
        Ask::ReleaseServer { name } => return release(owner, (id, actor, name), lines),
        // A plan may be large, and it is compiled: beside the connections of others.
        Ask::Submit(_) | Ask::Define(_) | Ask::Edit(_) => {
            let who = actor.clone();
            spawn_blocking(move || request_of(ask, &who)).await.unwrap_or_else(|panicked| {
                let message = format!("the plan could not be read: {panicked}");
                Err(Answer::Declined { code: "invalid_plan".to_owned(), message })
            })
        }
        Ask::Command { .. }
        | Ask::Open(_)
        | Ask::Converse { .. }
        | Ask::Attend { .. }
        | Ask::AwaitEnd { .. }
        | Ask::UndoEdit { .. }
        | Ask::Fork { .. }
        | Ask::TakeUpAll
        | Ask::TakeUp { .. }
        | Ask::Purge { .. }
        | Ask::CreateToken { .. }
        | Ask::RevokeToken { .. } => request_of(ask, &actor),
    };
    match request {
        Ok(request) => {
            let lines = lines.clone();
            let then = move |reply| say(&lines, id, answer(reply));
            door.ask(&actor, request, Box::new(then));
        }
        Err(answer) => say(lines, id, answer),
    }
}

/// Has a server called again once that is noted.
fn release(owner: &Owner, (id, actor, name): (u64, Actor, String), lines: &Sender<Said>) {
    let Owner { door, tools, live: _ } = owner;
    if !tools
        .servers()
        .iter()
        .any(|server| server.value().get("name").is_some_and(|it| *it == name.as_str()))
    {
        let code = ProblemCode::NoSuchServer.word().to_owned();
        let message = format!("no server `{name}` is there; `baton servers` lists them");
        return say(lines, id, Answer::Declined { code, message });
    }
    let (lines, tools) = (lines.clone(), Arc::clone(tools));
    let request = Request::ReleaseServer { name: name.clone() };
    let then = move |reply: Result<Reply, Gone>| {
        if reply.is_ok() {
            tools.release(&name);
        }
        say(&lines, id, answer(reply));
    };
    door.ask(&actor, request, Box::new(then));
}

/// The engine's request behind what a client asks; `Err` is the answer where there is none.
pub fn request_of(ask: Ask, actor: &Actor) -> Result<Request, Answer> {
    let invalid = |message: String| Answer::Declined { code: "invalid_plan".to_owned(), message };
    Ok(match ask {
        Ask::Submit(submission) => submit(*submission).map_err(invalid)?,
        Ask::Command { workflow, verb } => command(workflow, verb, actor.to_string()),
        Ask::Edit(edited) => {
            let Edited { workflow, revision, plan, inputs } = *edited;
            let loaded = Arc::new(Loaded::new(plan).map_err(|e| invalid(e.to_string()))?);
            let inputs = Body::split(inputs);
            Request::Edit(Box::new(Edit { workflow, revision, loaded, inputs }))
        }
        Ask::UndoEdit { workflow, edit } => Request::UndoEdit { workflow, edit },
        Ask::AwaitEnd { workflow } => Request::AwaitEnd { workflow },
        Ask::Fork { workflow, position } => Request::Fork { workflow, position },
        Ask::TakeUpAll => Request::TakeUpAll,
        Ask::TakeUp { workflow } => Request::TakeUp { workflow },
        Ask::Define(plan) => {
            let loaded = Loaded::new(*plan).map_err(|e| invalid(e.to_string()))?;
            Request::Define { loaded: Arc::new(loaded), source: None }
        }
        Ask::Purge { workflows } => Request::Purge { workflows },
        Ask::CreateToken { name, role, hash } => Request::CreateToken { name, role, hash },
        Ask::RevokeToken { name } => Request::RevokeToken { name },
        Ask::ReleaseServer { name } => Request::ReleaseServer { name },
        // Who reaches the socket may do what the owner of the data folder may.
        Ask::Open(opening) => Request::Open { opening, role: Role::Admin },
        Ask::Converse { conversation, word } => {
            Request::Converse { conversation, word, role: Role::Admin }
        }
        Ask::Attend { conversation } => Request::Attend { conversation },
        Ask::Hello | Ask::Servers | Ask::Said { .. } | Ask::Follow { .. } => {
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
        project: None,
        folder: folder.map(Arc::from),
    };
    Ok(Request::Submit(Box::new(submit)))
}

/// The request behind what a person tells a workflow.
pub(crate) fn command(workflow: baton_core::ids::WorkflowId, verb: Verb, by: String) -> Request {
    let (command, blob) = match verb {
        Verb::Approve { revision } => (Command::Approve { revision }, None),
        Verb::SendBack { comments } => (Command::SendBack { comments }, None),
        Verb::Pause => (Command::Pause { cause: PauseCause::Actor }, None),
        Verb::Resume => (Command::Resume, None),
        Verb::Cancel { reason } => (Command::Cancel { reason }, None),
        Verb::Retry { tasks } => (Command::Retry { tasks }, None),
        Verb::Respond { task, value, question } => {
            (Command::Respond { task, value, by, question }, None)
        }
        Verb::Decline { task, question } => (Command::Decline { task, question }, None),
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
        Ok(Reply::Conversation { id, number, revision, message, position }) => {
            Answer::Conversation { id, number, revision, message, position }
        }
        Ok(Reply::TakenUp(count) | Reply::Purged(count)) => Answer::Count(count),
        // Workers ask over HTTP alone.
        Ok(Reply::Leased(_) | Reply::Alive { .. } | Reply::Answered { .. } | Reply::Leases(_)) => {
            Answer::Done
        }
        Ok(
            Reply::Defined
            | Reply::Removed
            | Reply::KeepsTime
            | Reply::TokenCreated { .. }
            | Reply::TokenRevoked
            | Reply::ServerReleased
            | Reply::Published { .. },
        ) => Answer::Done,
        Err(gone) => Answer::Declined {
            code: ProblemCode::from(&gone).word().to_owned(),
            message: gone.to_string(),
        },
    }
}
