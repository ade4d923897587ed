//! The output of a server's program, bounded: a message that is too long ends the connection, and
//! what it says on its standard error is read and forgotten but for the end.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// The longest message a server may send, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// How much of a program's standard error is kept, in bytes.
const LAST_WORDS_BYTES_MAX: usize = 2 << 10;

/// Lines that may not be longer than [`MESSAGE_BYTES_MAX`].
pub(crate) struct BoundedLines<R> {
    inner: R,
    line_bytes: usize,
    flooded: Arc<AtomicBool>,
}

impl<R> BoundedLines<R> {
    /// Sets `flooded` when a line was too long.
    pub(crate) fn of(inner: R, flooded: Arc<AtomicBool>) -> Self {
        Self { inner, line_bytes: 0, flooded }
    }

    fn count(&mut self, read: &[u8]) -> io::Result<()> {
        self.line_bytes = match read.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => read.len() - end - 1,
            None => self.line_bytes + read.len(),
        };
        if self.line_bytes <= MESSAGE_BYTES_MAX {
            return Ok(());
        }
        self.flooded.store(true, Ordering::Release);
        Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"))
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for BoundedLines<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        let counted = this.count(read);
        if counted.is_err() {
            // Whoever fails has read nothing.
            buffer.set_filled(before);
        }
        Poll::Ready(counted)
    }
}

/// The end of what a program said on its standard error.
#[derive(Clone, Default)]
pub(crate) struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    /// Reads until the program closes the stream.
    pub(crate) async fn listen(self, mut stream: impl AsyncRead + Unpin) {
        let mut piece = [0_u8; 4096];
        while let Ok(count) = stream.read(&mut piece).await {
            if count == 0 {
                return;
            }
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(piece.get(..count).unwrap_or_default());
            let over = kept.len().saturating_sub(LAST_WORDS_BYTES_MAX);
            kept.drain(..over);
        }
    }

    /// The last line that is not empty.
    pub(crate) fn last_line(&self) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_without_an_end_ends_the_stream_and_short_ones_do_not() {
        let flooded = Arc::new(AtomicBool::new(false));
        let mut short = Vec::new();
        (0..100_000).for_each(|_| short.extend_from_slice(b"a short line\n"));
        let mut lines = BoundedLines::of(short.as_slice(), Arc::clone(&flooded));
        let mut read = Vec::new();
        lines.read_to_end(&mut read).await.unwrap();
        assert_eq!((read.len(), flooded.load(Ordering::Acquire)), (short.len(), false));
        let endless = tokio::io::repeat(b'x');
        let mut lines = BoundedLines::of(endless, Arc::clone(&flooded));
        lines.read_to_end(&mut read).await.unwrap_err();
        assert!(flooded.load(Ordering::Acquire));
    }

    #[tokio::test]
    async fn last_words_are_the_last_line_that_says_something() {
        let words = LastWords::default();
        let said = format!("{}\nfatal: no disk\n\n", "noise\n".repeat(10_000));
        words.clone().listen(said.as_bytes()).await;
        assert_eq!(words.last_line().as_deref(), Some("fatal: no disk"));
    }
}
