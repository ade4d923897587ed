//! An answer that lasts: its head, then its body in chunks as they come, until either side has enough.
//!
//! It holds what a stream needs and nothing else, so that ten thousand may wait. What the client sends
//! meanwhile is not heard; the connection ends with the answer.

use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::Response;
use bytes::{Buf, Bytes};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// How long a client may take nothing of what it is sent; it can come back for the rest.
const STALL_MAX: Duration = Duration::from_secs(300);
/// How much of what the client sends is thrown away at a time, in bytes.
const UNHEARD_BYTES: usize = 256;

/// Marks the answer to a request as one that lasts: its body comes bit by bit, for hours.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Lasting;

/// Writes an answer as it comes; fails where the client has left.
pub(super) async fn tell<T>(mut stream: T, answer: Response<Body>) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Bytes::from(head(&answer)?);
    let mut body = answer.into_body();
    write(&mut stream, &mut head).await?;
    drop(head);
    while let Some(data) = next(&mut stream, &mut body).await? {
        let size = Bytes::from(format!("{:x}\r\n", data.len()));
        let mut chunk = size.chain(data).chain(&b"\r\n"[..]);
        write(&mut stream, &mut chunk).await?;
    }
    write(&mut stream, &mut &b"0\r\n\r\n"[..]).await?;
    stream.shutdown().await
}

async fn write<T: AsyncWrite + Unpin>(stream: &mut T, bytes: &mut impl Buf) -> io::Result<()> {
    let all = async {
        stream.write_all_buf(bytes).await?;
        stream.flush().await
    };
    timeout(STALL_MAX, all).await?
}

/// The status and the headers of an answer whose body comes in chunks.
fn head<B>(answer: &Response<B>) -> io::Result<Vec<u8>> {
    let status = answer.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = Vec::with_capacity(256);
    write!(head, "HTTP/1.1 {} {reason}\r\n", status.as_str())?;
    for (name, value) in answer.headers() {
        write!(head, "{name}: ")?;
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let now = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
    write!(head, "date: {now}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")?;
    Ok(head)
}

/// What comes next of the body, or `None` at its end. What the client sends is thrown away.
async fn next<T: AsyncRead + Unpin>(stream: &mut T, body: &mut Body) -> io::Result<Option<Bytes>> {
    poll_fn(|cx| {
        loop {
            match Pin::new(&mut *body).poll_frame(cx) {
                // What is no data has no place in these answers.
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Ok(Some(data))),
                    Ok(_) | Err(_) => continue,
                },
                Poll::Ready(Some(Err(fault))) => return Poll::Ready(Err(io::Error::other(fault))),
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Pending => {}
            }
            let mut bytes = [0; UNHEARD_BYTES];
            let mut unheard = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut unheard) {
                Poll::Ready(Ok(())) if unheard.filled().is_empty() => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}
