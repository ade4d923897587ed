//! Connections on a real listener, spoken to byte by byte.

use std::convert::Infallible;

use axum::Extension;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream::unfold;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};

use super::*;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);
/// So much that no socket takes it at once.
const LARGE: usize = 32 * 1024 * 1024;

/// A server of a small router.
struct Site {
    address: std::net::SocketAddr,
    stopping: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
    /// What the lasting answers say next.
    say: mpsc::UnboundedSender<&'static str>,
    /// Lets the request to `/held` be answered; told when it is there.
    held: Arc<Notify>,
    release: Arc<Notify>,
}

impl Site {
    async fn open(connections_max: u32, patience: Patience) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stopping, stop) = watch::channel(false);
        let (say, said) = mpsc::unbounded_channel();
        let (held, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let router = router(said, (Arc::clone(&held), Arc::clone(&release)));
        let report = Report::to(|sentence, cause| panic!("{sentence}: {cause}"));
        let ground = Ground { router, tls: None, stop, report, patience };
        let serving = tokio::spawn(accept(listener, connections_max, ground));
        Self { address, stopping, serving, say, held, release }
    }

    /// A connection on which something was said.
    async fn say(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn get(&self, path: &str) -> TcpStream {
        self.say(&format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")).await
    }

    /// Waits until a connection is taken.
    async fn until_place(&self) {
        let taken = async {
            loop {
                let mut stream = self.get("/").await;
                let mut status = [0; 12];
                stream.read_exact(&mut status).await.unwrap();
                if &status == b"HTTP/1.1 200" {
                    return;
                }
            }
        };
        timeout(LONG, taken).await.expect("a place comes back");
    }

    /// Stops, and waits for the end.
    async fn stop(self) {
        self.stopping.send_replace(true);
        timeout(LONG, self.serving).await.expect("it ends").unwrap();
    }
}

fn router(
    said: mpsc::UnboundedReceiver<&'static str>,
    (held, release): (Arc<Notify>, Arc<Notify>),
) -> Router {
    let said = Arc::new(tokio::sync::Mutex::new(said));
    let lasting = get(async move || {
        let parts = unfold(said, async |said| {
            let part = said.lock().await.recv().await?;
            Some((Ok::<_, Infallible>(Bytes::from_static(part.as_bytes())), said))
        });
        (Extension(Lasting), [("x-kind", "lasting")], Body::from_stream(parts)).into_response()
    });
    let held = get(async move || {
        held.notify_one();
        release.notified().await;
        "released"
    });
    Router::new()
        .route("/", get(async || "here"))
        .route("/large", get(async || vec![b'x'; LARGE]))
        .route("/lasting", lasting)
        .route("/held", held)
}

/// Reads until the text ends so.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        let byte = timeout(LONG, stream.read_u8()).await.expect("an answer");
        all.push(byte.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&all))));
    }
    String::from_utf8(all).unwrap()
}

async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // Who is cut off may be told so by a fault.
    let _ = timeout(LONG, stream.read_to_end(&mut all)).await.expect("an end");
    all
}

const LASTS: &str = "GET /lasting HTTP/1.1\r\nHost: here\r\n\r\n";

#[tokio::test]
async fn an_answer_that_lasts_comes_bit_by_bit_and_ends_whole() {
    let site = Site::open(4, PATIENCE).await;
    let mut stream = site.get("/lasting").await;
    let head = until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nx-kind: lasting\r\n"), "{head}");
    assert!(head.contains("\r\ntransfer-encoding: chunked\r\nconnection: close\r\n"), "{head}");
    assert!(head.contains("\r\ndate: ") && head.contains(" GMT\r\n"), "{head}");
    for text in ["first", "second, longer than fifteen"] {
        site.say.send(text).unwrap();
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        assert_eq!(until(&mut stream, &chunk).await, chunk);
    }
    // What a client says meanwhile is not heard, and harms nothing.
    stream.write_all(&[b'x'; 4096]).await.unwrap();
    let Site { say, serving, stopping, .. } = site;
    drop(say);
    assert_eq!(rest(&mut stream).await, b"0\r\n\r\n");
    stopping.send_replace(true);
    serving.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_lasts_waits_for_those_before_it() {
    let site = Site::open(4, PATIENCE).await;
    let both = format!("GET /large HTTP/1.1\r\nHost: here\r\n\r\n{LASTS}");
    let mut stream = site.say(&both).await;
    site.say.send("behind").unwrap();
    until(&mut stream, "\r\n\r\n").await;
    let mut large = vec![0; LARGE];
    timeout(LONG, stream.read_exact(&mut large)).await.unwrap().unwrap();
    assert!(large.iter().all(|byte| *byte == b'x'));
    let head = until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nx-kind: lasting"), "{head}");
    assert_eq!(until(&mut stream, "behind\r\n").await, "6\r\nbehind\r\n");
}

#[tokio::test]
async fn who_asks_for_the_head_or_speaks_an_older_http_is_answered_as_usual() {
    let site = Site::open(4, PATIENCE).await;
    let mut stream = site.say("HEAD /lasting HTTP/1.1\r\nHost: here\r\n\r\n").await;
    until(&mut stream, "\r\n\r\n").await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
    until(&mut stream, "here").await;

    let mut older = site.say("GET /lasting HTTP/1.0\r\n\r\n").await;
    site.say.send("bare").unwrap();
    let text = until(&mut older, "bare").await;
    assert!(!text.contains("chunked") && text.ends_with("\r\n\r\nbare"), "{text}");
}

#[tokio::test]
async fn who_finds_no_place_is_told_to_come_again_and_a_place_comes_back() {
    let site = Site::open(2, PATIENCE).await;
    let mut idle = site.get("/").await;
    until(&mut idle, "here").await;
    let mut lasts = site.get("/lasting").await;
    until(&mut lasts, "\r\n\r\n").await;

    let mut away = site.get("/").await;
    let text = String::from_utf8(rest(&mut away).await).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{text}");
    assert!(text.contains("\r\nretry-after: 1\r\n") && text.contains("\"overloaded\""), "{text}");

    // A stream keeps its place and gives it back when its client has gone.
    drop(lasts);
    site.until_place().await;
}

#[tokio::test]
async fn who_takes_long_for_a_head_is_hung_up_on() {
    let patience = Patience { head: Duration::from_millis(50), ..PATIENCE };
    let site = Site::open(4, patience).await;
    for begun in ["", "GET / HTT", "GET / HTTP/1.1\r\nHost: here\r\nx: "] {
        let mut stream = site.say(begun).await;
        let text = String::from_utf8(rest(&mut stream).await).unwrap();
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    }
    // Whoever listens is not hurried.
    let mut lasts = site.get("/lasting").await;
    until(&mut lasts, "\r\n\r\n").await;
    // sleep: that nothing happens gives no signal.
    sleep(patience.head * 4).await;
    site.say.send("still here").unwrap();
    until(&mut lasts, "still here\r\n").await;
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_does_not_keep_its_place() {
    let patience = Patience { stall: Duration::from_millis(50), ..PATIENCE };
    let site = Site::open(1, patience).await;
    let mut silent = site.get("/large").await;
    until(&mut silent, "\r\n\r\n").await;
    site.until_place().await;
    assert!(rest(&mut silent).await.len() < LARGE, "it was cut off");
}

#[tokio::test]
async fn a_server_that_stops_answers_what_is_under_way_and_hangs_up_on_the_idle() {
    let patience = Patience { farewell: LONG, ..PATIENCE };
    let site = Site::open(4, patience).await;
    let mut idle = site.get("/").await;
    until(&mut idle, "here").await;
    let mut held = site.get("/held").await;
    site.held.notified().await;
    site.stopping.send_replace(true);
    assert!(rest(&mut idle).await.is_empty());
    site.release.notify_one();
    let text = String::from_utf8(rest(&mut held).await).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("released"), "{text}");
    site.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_ever() {
    let patience = Patience { farewell: Duration::from_millis(50), ..PATIENCE };
    let site = Site::open(4, patience).await;
    let _held = site.get("/held").await;
    site.held.notified().await;
    site.stop().await;
}
