//! A server that counts what it is asked, and keeps the first request waiting for as long as it lives.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};

pub struct Counter {
    pub url: String,
    asked: Arc<AtomicU32>,
    heard: Receiver<()>,
}

impl Counter {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (asked, (tell, heard)) = (Arc::new(AtomicU32::new(0)), channel());
        let count = asked.clone();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                read_head(&stream);
                let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
                if is_first {
                    kept.push(stream);
                } else {
                    // Whoever asked may be gone.
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nhere",
                    );
                }
                if tell.send(()).is_err() {
                    return;
                }
            }
        });
        Self { url, asked, heard }
    }

    /// Waits until it was asked once more.
    pub fn hear(&self) {
        self.heard.recv().unwrap();
    }

    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

fn read_head(stream: &TcpStream) {
    let lines = BufReader::new(stream).lines();
    let is_text = |line: &Result<String, _>| line.as_ref().is_ok_and(|line| !line.is_empty());
    lines.take_while(is_text).for_each(drop);
}
