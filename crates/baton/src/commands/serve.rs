//! `serve`: owns the store, takes up everything that has not ended, and answers over HTTP until a
//! signal comes.
//!
//! What is answered, and how, is the server's business.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::bail;
use baton_core::actor::Actor;
use baton_core::spoken::{many, span};
use baton_engine::exchange::Request;
use baton_engine::ports::Door;
use baton_server::http::Api;
use baton_server::wire::{Answer, Ask};
use baton_store::StoreUrl;

use super::listening;
use super::run::tell_script;
use super::stay::leave;
use crate::cli::{Common, Serve};
use crate::config::Config;
use crate::definitions::ServedDefinitions;
use crate::display::{say, say_out};
use crate::exit::{Exit, Failed};
use crate::place::Place;
use crate::runtime::Handle;
use crate::session::{Purpose, Session, tools};
use crate::signals::{self, Role};
use crate::tokens::{Reach, Tokens};
use crate::toolbox::Toolbox;
use crate::web::Web;

/// How long servers have to tell their tools before others are served.
const LEARN_MAX: Duration = Duration::from_secs(10);

/// Serves until a signal comes.
pub fn serve(common: &Common, serve: &Serve) -> anyhow::Result<Exit> {
    let config = Config::of(common)?;
    tell_script(common);
    let listening = listening::listen(&config.server, serve)?;
    let scheme = if listening.tls.is_some() { "https" } else { "http" };
    let toolbox = tools(common, &config)?;
    learn(&toolbox)?;
    let mut session = Session::open_with(common, &config, Purpose::Work, toolbox)?;
    let (Some(owner), Some(tools)) = (session.owner().cloned(), session.tools().cloned()) else {
        let message =
            "another process owns this store; end it first, or serve another one by `--data DIR`";
        bail!(Failed::unreachable(anyhow::anyhow!(message)));
    };
    signals::act_as(Role::Owner(owner.clone()))?;
    let store = Place::new(common)?.store().clone();
    let definitions = ServedDefinitions::new(Arc::clone(&tools), config.clone(), store.clone());
    let found = (tools.specs().len(), tools.servers().len(), definitions.files_count());
    let identity = identity(&session, &owner, listening::address(&config.server, serve))?;
    let news = listen_for_end(&owner)?;
    let web = Web::start(listening, &owner, &store, |base| {
        let mut api = Api::new(base, tools, Arc::new(definitions));
        api.identity = Some(Arc::new(identity));
        api.hosts = [config.server.hosts.as_slice(), &serve.hosts].concat().into();
        api.bounds = config.server.bounds;
        api
    })?;
    let taken_up = session.ask(Ask::TakeUpAll)?;
    owner.ask(&Actor::system(), Request::KeepTime, Box::new(drop));
    tell(common, &store, (&format!("{scheme}://{}", web.address()), &taken_up), found);
    wait(&owner, &news, config.limits.cancel_deadline.0);
    let served = web.stop();
    leave(session, None)?;
    served?;
    Ok(Exit::Done)
}

/// Has every server tell its tools. One that takes long is not waited for.
fn learn(toolbox: &Toolbox) -> anyhow::Result<()> {
    let (told, all) = channel();
    let servers = Arc::clone(toolbox.servers());
    std::thread::Builder::new().name("learn".to_owned()).spawn(move || {
        servers.learn_all();
        told.send(())
    })?;
    // What is told later is known from then on.
    let _ = all.recv_timeout(LEARN_MAX);
    Ok(())
}

/// Who may call. Without tokens, whoever can connect may do everything: only this machine may.
fn identity(session: &Session, owner: &Handle, listen: SocketAddr) -> anyhow::Result<Tokens> {
    let reach = if listen.ip().is_loopback() { Reach::Loopback } else { Reach::Beyond };
    let tokens = Tokens::follow(session.views()?, owner, reach)?;
    if reach == Reach::Beyond && tokens.is_empty() {
        let message = format!(
            "{listen} can be reached from other machines, and there are no tokens to tell who \
             calls; make one with `baton token create --role admin`, or listen on 127.0.0.1"
        );
        return Err(Failed::usage(message).into());
    }
    Ok(tokens)
}

/// What ends the wait of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// The first signal came, and the owner was told to leave.
    Signal,
    /// The owner has ended.
    OwnerEnded,
}

/// Says that the owner has ended when it lets go of this.
struct Held(Sender<News>);

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever does not wait any more knows.
        let _ = self.0.send(News::OwnerEnded);
    }
}

/// Hears of the first signal and of the owner's end.
fn listen_for_end(owner: &Handle) -> anyhow::Result<Receiver<News>> {
    let (sender, news) = channel();
    let held = Held(sender.clone());
    let hold = move |_| {
        let _ = &held;
        true
    };
    owner.follow(None, Box::new(hold));
    std::thread::Builder::new().name("signal".to_owned()).spawn(move || {
        signals::wait();
        sender.send(News::Signal)
    })?;
    Ok(news)
}

/// Says where to look and what was found.
fn tell(
    common: &Common,
    store: &StoreUrl,
    (url, taken_up): (&str, &Answer),
    (tools, servers, definitions): (usize, usize, usize),
) {
    let store = match store {
        StoreUrl::Sqlite(path) => path.display().to_string(),
        StoreUrl::Postgres(_) => "PostgreSQL".to_owned(),
    };
    let count = match taken_up {
        Answer::Count(count) => *count,
        Answer::Hello { .. }
        | Answer::Workflow { .. }
        | Answer::Conversation { .. }
        | Answer::Ended { .. }
        | Answer::Done
        | Answer::Servers(_)
        | Answer::Said(_)
        | Answer::Declined { .. } => 0,
    };
    if common.json {
        let line = serde_json::json!({
            "url": url, "store": store, "taken_up": count,
            "tools": tools, "servers": servers, "definitions": definitions,
        });
        say_out(&line.to_string());
        return;
    }
    say(&format!("serving {url}/ (pages), the API beneath /api/v1"));
    say(&format!("  store        {store}, {} taken up", many(count.into(), "workflow")));
    say(&format!("  tools        {tools}; `baton tools` lists them"));
    if servers > 0 {
        say(&format!("  servers      {servers}; `baton servers` shows how they are"));
    }
    say(&format!("  definitions  {} here", many(definitions as u64, "file")));
    say("  Ctrl-C       lets what runs end and leaves");
}

/// Waits for the owner's end. After a signal, what runs has `deadline` to end by itself.
fn wait(owner: &Handle, news: &Receiver<News>, deadline: Duration) {
    let heard = match news.recv() {
        Ok(News::Signal) => news.recv_timeout(deadline),
        Ok(News::OwnerEnded) | Err(_) => return,
    };
    if heard.is_err() {
        say(&format!("what runs did not end within {}; it is cut off", span(deadline)));
        owner.abandon();
        // Only the owner's end can come now.
        let _ = news.recv();
    }
}
