//! A server whose broadcaster hears of commits when the test says so: time to do something to the store.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use baton::runtime::Handle;
use baton_core::actor::Actor;
use baton_engine::exchange::Request;
use baton_engine::ports::{Door, Then};
use baton_server::http::{self, Api, Base, Broadcaster, Broadcasting, Readers, Report, Streams};
use baton_store::StoreUrl;
use rusqlite::Connection;
use tokio::sync::watch;

use super::ground::{Ground, Nothing};

type News = Box<dyn FnMut(u64) -> bool + Send>;

/// A door that keeps the news of all streams to itself.
struct Late {
    handle: Handle,
    news: Mutex<Option<News>>,
}

impl Door for Late {
    fn ask(&self, actor: &Actor, request: Request, then: Then) {
        self.handle.ask(actor, request, then);
    }

    fn follow(&self, stream: Option<u64>, news: News) {
        match stream {
            None => *self.news.lock().unwrap() = Some(news),
            Some(_) => self.handle.follow(stream, news),
        }
    }
}

pub struct LateSite {
    pub address: SocketAddr,
    /// What was reported.
    pub reports: Receiver<String>,
    store: StoreUrl,
    door: Arc<Late>,
    _broadcasting: Broadcasting,
    _stopping: watch::Sender<bool>,
    _runtime: tokio::runtime::Runtime,
}

impl LateSite {
    pub fn new(ground: &Ground) -> Self {
        let door = Arc::new(Late { handle: ground.handle.clone(), news: Mutex::default() });
        let (sender, reports) = channel();
        let report = Report::to(move |sentence, cause| {
            sender.send(format!("{sentence}: {cause}")).expect("the test listens");
        });
        let store = ground.url.clone();
        let views = baton_store::open_views(&store).expect("a reader");
        let live = ground.handle.live();
        let following = Broadcaster::start(door.as_ref(), Arc::clone(&live), views, report.clone());
        let broadcasting = following.expect("one");
        let of = store.clone();
        let readers = Readers::new(Box::new(move || baton_store::open_views(&of)), 1);
        let streams = Streams::new(broadcasting.broadcaster().clone(), readers.clone());
        let (stopping, stop) = watch::channel(false);
        let meters = ground.handle.meters();
        let base = Base { door: door.clone(), readers, streams, meters, live, stop: stop.clone() };
        let api = Api::new(base, Arc::clone(&ground.tools), Arc::new(Nothing));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.spawn(http::serve(listener.into(), http::router(api), stop, report));
        let (_broadcasting, _stopping, _runtime) = (broadcasting, stopping, runtime);
        Self { address, reports, store, door, _broadcasting, _stopping, _runtime }
    }

    /// Tells the broadcaster that everything up to a position is committed.
    pub fn tell(&self, position: u64) {
        let mut news = self.door.news.lock().unwrap();
        assert!(news.as_mut().expect("it follows")(position));
    }

    /// Does something to the store's file.
    pub fn change(&self, statement: &str) {
        let StoreUrl::Sqlite(path) = &self.store else { panic!("{:?}", self.store) };
        let store = Connection::open(path).expect("the store");
        store.execute_batch(statement).expect(statement);
    }
}
