//! Stands between Baton and a server, and can cut a connection when the server has answered and
//! nobody has heard it: what was asked is done then, and its asker does not know.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub struct Proxy {
    pub port: u16,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    armed: AtomicBool,
    answers: AtomicUsize,
    cuts: AtomicUsize,
}

impl Proxy {
    /// Leads to this port, and cuts each `every`th answer once it is armed.
    pub fn to(server: u16, every: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || relay(client, server, || false));
                let counts = Arc::clone(&shared);
                std::thread::spawn(move || relay(back.0, back.1, || counts.cuts_now(every)));
            }
        });
        Self { port, counts }
    }

    pub fn arm(&self) {
        self.counts.armed.store(true, Ordering::SeqCst);
    }

    /// How many connections were cut; there are no more cuts.
    pub fn disarm(&self) -> usize {
        self.counts.armed.store(false, Ordering::SeqCst);
        self.counts.cuts.load(Ordering::SeqCst)
    }
}

impl Counts {
    fn cuts_now(&self, every: usize) -> bool {
        if !self.armed.load(Ordering::SeqCst) {
            return false;
        }
        let cuts = (self.answers.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(every);
        self.cuts.fetch_add(usize::from(cuts), Ordering::SeqCst);
        cuts
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, cut: impl Fn() -> bool) {
    let mut buffer = [0_u8; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if cut() || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
