//! Those for whom there is no place: told so at once, and to come again.
//!
//! What they want is not read. Where very many come, the last are told nothing: telling is bounded too.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::http::code::ProblemCode;
use crate::http::problem::{Problem, RETRY_AFTER_SECONDS};

/// How many are told at a time.
const TOLD_MAX: usize = 64;
/// How long a client has to take what it is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells them.
pub(super) struct TurnedAway {
    telling: Arc<Semaphore>,
    answer: Bytes,
}

impl TurnedAway {
    pub fn new() -> Self {
        Self { telling: Arc::new(Semaphore::new(TOLD_MAX)), answer: answer().into() }
    }

    /// Turns a client away.
    pub fn turn(&self, stream: TcpStream) {
        let Ok(telling) = Arc::clone(&self.telling).try_acquire_owned() else { return };
        let answer = self.answer.clone();
        tokio::spawn(async move {
            // Whether it was heard changes nothing.
            let _ = timeout(PATIENCE, tell(stream, &answer)).await;
            drop(telling);
        });
    }
}

/// Answers, and waits for the client to hang up: who hangs up first on what was sent and not read takes
/// the answer back with it.
async fn tell(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    let mut unheard = [0; 1024];
    while stream.read(&mut unheard).await? > 0 {}
    Ok(())
}

fn answer() -> String {
    let detail = "as many connections are open as this server takes; try again shortly";
    let problem = Problem::new(ProblemCode::Overloaded, detail);
    let text = serde_json::to_string(&problem).unwrap_or_default();
    let (status, size) = (ProblemCode::Overloaded.status(), text.len());
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\nretry-after: \
         {RETRY_AFTER_SECONDS}\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n{text}"
    )
}
