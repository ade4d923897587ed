//! The other end of the local socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use baton_core::actor::Actor;

use crate::local::checked_line;
use crate::wire::{Answer, Ask, Asked, LINE_BYTES_MAX, PROTOCOL, Said};

/// A connection to the owner of a store.
#[derive(Debug)]
pub struct LocalClient {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    actor: Actor,
    newest: u64,
}

impl LocalClient {
    /// Connects to the owner that listens at `path` and checks that both are of one version.
    pub fn connect(path: &Path, actor: Actor) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        let writer = stream.try_clone()?;
        let mut client = Self { reader: BufReader::new(stream), writer, actor, newest: 0 };
        match client.call(Ask::Hello)? {
            Answer::Hello { protocol, .. } if protocol == PROTOCOL => Ok(client),
            Answer::Hello { protocol, process } => Err(io::Error::other(format!(
                "the process {process} that owns the store speaks `{protocol}`, this one `{PROTOCOL}`: use the same version of baton"
            ))),
            other @ (Answer::Workflow { .. }
            | Answer::Conversation { .. }
            | Answer::Ended { .. }
            | Answer::Count(_)
            | Answer::Servers(_)
            | Answer::Said(_)
            | Answer::Done
            | Answer::Declined { .. }) => {
                Err(io::Error::other(format!("the owner answered a greeting with {other:?}")))
            }
        }
    }

    /// Asks and waits for the answer.
    pub fn call(&mut self, ask: Ask) -> io::Result<Answer> {
        let wanted = self.send(ask)?;
        loop {
            match self.read()? {
                Said::Answer { id, answer } if id == wanted => return Ok(answer),
                Said::Answer { .. } | Said::News { .. } => {}
            }
        }
    }

    /// Asks; the answer comes from [`Self::read`].
    pub fn send(&mut self, ask: Ask) -> io::Result<u64> {
        self.newest += 1;
        let asked = Asked { id: self.newest, actor: self.actor.clone(), ask };
        let line = serde_json::to_string(&asked).map_err(io::Error::other)? + "\n";
        self.writer.write_all(line.as_bytes())?;
        Ok(self.newest)
    }

    /// The next line of the owner.
    pub fn read(&mut self) -> io::Result<Said> {
        let mut line = Vec::new();
        let most = LINE_BYTES_MAX as u64 + 1;
        self.reader.by_ref().take(most).read_until(b'\n', &mut line)?;
        let line = checked_line(line)?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the owner of the store has ended")
        })?;
        serde_json::from_str(&line).map_err(io::Error::other)
    }

    /// How long [`Self::read`] waits; for ever without a limit.
    pub fn patience(&self, wait: Option<Duration>) -> io::Result<()> {
        self.writer.set_read_timeout(wait)
    }
}
