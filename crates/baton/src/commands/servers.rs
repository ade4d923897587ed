//! `servers`, `tools`: what can be called, and how those stand who are called.

use baton_core::body::Json;
use baton_core::codes::Code;
use baton_core::ids::TaskId;
use baton_core::plan::ToolSpec;
use baton_core::spoken::{cut, many};
use baton_core::time::Timestamp;
use baton_engine::ports::Tools;
use baton_mcp::ServerStatus;
use baton_server::client::LocalClient;
use baton_server::wire::{Answer, Ask};
use serde::Deserialize;

use crate::cli::{Common, Servers};
use crate::config::Config;
use crate::display::{say, say_out};
use crate::exit::{Exit, Failed};
use crate::place::{Owned, Place};
use crate::remote::Remote;
use crate::session;
use crate::text::clean;
use crate::toolbox::Toolbox;

/// Names longer than this are not padded to.
const NAME_WIDTH_MAX: usize = 40;
/// How much of a description is shown, in characters.
const ABOUT_CHARS_MAX: usize = 100;

/// A server as it is shown, as far as its line tells.
#[derive(Deserialize)]
struct Server {
    name: String,
    transport: String,
    enabled: bool,
    status: ServerStatus,
    why: Option<String>,
    last_error: Option<Trouble>,
    attempts: u64,
    failures: u64,
    leases: Vec<Lease>,
    protocol_version: Option<String>,
    server: Option<String>,
    tools: u64,
}

/// Somebody's use of a server.
#[derive(Deserialize)]
struct Lease {
    locked_by: String,
    lease_until: Timestamp,
    task_id: Option<TaskId>,
}

#[derive(Deserialize)]
struct Trouble {
    message: String,
}

/// Lists the tools that definitions can use; servers that have not told theirs are started for it.
pub fn tools(common: &Common) -> anyhow::Result<Exit> {
    if let Some(remote) = Remote::named(common)? {
        print_tools(common, &remote.tools()?)?;
        return print_silent(&remote.servers()?);
    }
    let config = Config::read(common.config.as_deref())?;
    let tools = session::tools(common, &config)?;
    tools.servers().learn_all();
    print_tools(common, &tools.specs())?;
    print_silent(&as_shown(&tools)?)
}

fn print_tools(common: &Common, specs: &[ToolSpec]) -> anyhow::Result<()> {
    let widest = specs.iter().map(|spec| spec.name.len()).max().unwrap_or(0).min(NAME_WIDTH_MAX);
    for spec in specs.iter() {
        if common.json {
            say_out(&serde_json::to_string(spec)?);
        } else {
            let effect = format!("{}, {}", spec.effect.word(), spec.permission.word());
            let about = spec.description.lines().next().unwrap_or_default();
            let about = cut(about, ABOUT_CHARS_MAX);
            say_out(&clean(&format!("{:<widest$} {effect:<23} {about}", spec.name)));
        }
    }
    Ok(())
}

/// Names the servers that tell of no tools.
fn print_silent(servers: &[Json]) -> anyhow::Result<Exit> {
    for server in servers {
        let server: Server = serde_json::from_str(server.as_str())?;
        if server.tools == 0 {
            let trouble = server.last_error.as_ref().map(|trouble| trouble.message.as_str());
            let why = trouble.unwrap_or("it is turned off");
            say(&clean(&format!("the server `{}` tells of no tools: {why}", server.name)));
        }
    }
    Ok(Exit::Done)
}

/// The servers as the API shows them.
fn as_shown(tools: &Toolbox) -> anyhow::Result<Vec<Json>> {
    let servers = tools.servers().views();
    servers.iter().map(|server| Ok(Json::parse(serde_json::to_string(server)?)?)).collect()
}

/// Lists the servers as those see them who call them: a server that was named, or the owner of the
/// store. Where there is neither, each is started to see how it is.
pub fn servers(common: &Common, asked: &Servers) -> anyhow::Result<Exit> {
    let mut calling = Calling::of(common)?;
    if let Some(name) = asked.name.as_deref().filter(|_| asked.release) {
        calling.release(name)?;
    }
    let mut servers = calling.servers(common)?;
    if servers.is_empty() && !common.json {
        say("no server is configured; `[servers.NAME]` in baton.toml declares one");
    }
    if let Some(name) = &asked.name {
        servers.retain(|server| server.value().get("name").is_some_and(|it| *it == name.as_str()));
        if servers.is_empty() {
            let message =
                format!("there is no server `{}`; `baton servers` lists them", clean(name));
            return Err(Failed::usage(message).into());
        }
    }
    for server in servers {
        if common.json {
            say_out(server.as_str());
        } else {
            say_out(&text(&serde_json::from_str(server.as_str())?));
        }
    }
    Ok(Exit::Done)
}

/// Who calls the servers, and knows how they stand.
enum Calling {
    Remote(Box<Remote>),
    Owner(Box<LocalClient>),
    Nobody,
}

impl Calling {
    fn of(common: &Common) -> anyhow::Result<Self> {
        if let Some(remote) = Remote::named(common)? {
            return Ok(Self::Remote(Box::new(remote)));
        }
        let place = Place::new(common)?;
        if !place.has_store() {
            return Ok(Self::Nobody);
        }
        let owned = place.own_or_reach(&session::local_actor()).map_err(Failed::unreachable)?;
        Ok(match owned {
            Owned::Elsewhere(client) => Self::Owner(client),
            Owned::Here(_) => Self::Nobody,
        })
    }

    fn servers(&mut self, common: &Common) -> anyhow::Result<Vec<Json>> {
        match self {
            Self::Remote(remote) => remote.servers(),
            Self::Owner(client) => match ask(client, Ask::Servers)? {
                Answer::Servers(servers) => Ok(servers),
                other @ (Answer::Hello { .. }
                | Answer::Workflow { .. }
                | Answer::Conversation { .. }
                | Answer::Ended { .. }
                | Answer::Count(_)
                | Answer::Said(_)
                | Answer::Done
                | Answer::Declined { .. }) => {
                    let message = format!("the owner answered with something else: {other:?}");
                    Err(Failed::unreachable(anyhow::anyhow!(message)).into())
                }
            },
            Self::Nobody => {
                let config = Config::read(common.config.as_deref())?;
                let tools = session::tools(common, &config)?;
                tools.servers().learn_all();
                as_shown(&tools)
            }
        }
    }

    fn release(&mut self, name: &str) -> anyhow::Result<()> {
        match self {
            Self::Remote(remote) => remote.release(name),
            Self::Owner(client) => {
                ask(client, Ask::ReleaseServer { name: name.to_owned() }).map(drop)
            }
            Self::Nobody => {
                let message = "nobody calls servers here just now, so none is quarantined: whoever \
                               owns the store next tries each anew";
                Err(Failed::usage(message).into())
            }
        }
    }
}

fn ask(client: &mut LocalClient, ask: Ask) -> anyhow::Result<Answer> {
    match client.call(ask).map_err(Failed::owner_left)? {
        Answer::Declined { code, message } => Err(Failed::declined(&code, message).into()),
        answer @ (Answer::Hello { .. }
        | Answer::Workflow { .. }
        | Answer::Conversation { .. }
        | Answer::Ended { .. }
        | Answer::Count(_)
        | Answer::Servers(_)
        | Answer::Said(_)
        | Answer::Done) => Ok(answer),
    }
}

/// A line about a server, and one for each use of it.
fn text(server: &Server) -> String {
    let uses = server.leases.iter().map(|lease| {
        let task = lease.task_id.map(|task| format!(", for the task {task}")).unwrap_or_default();
        clean(&format!("  {} until {}{task}", lease.locked_by, lease.lease_until))
    });
    std::iter::once(clean(&line(server))).chain(uses).collect::<Vec<_>>().join("\n")
}

fn line(server: &Server) -> String {
    let status = if server.enabled { server.status.word() } else { "off" };
    let mut about = vec![server.transport.clone()];
    about.extend(server.server.clone().filter(|name| !name.is_empty()));
    about.extend(server.protocol_version.as_ref().map(|version| format!("protocol {version}")));
    about.push(many(server.tools, "tool"));
    if server.attempts > 0 {
        about.push(format!("{}, {} failed", many(server.attempts, "call"), server.failures));
    }
    let trouble = server.last_error.as_ref().map(|trouble| trouble.message.clone());
    about.extend(server.why.clone().or(trouble));
    format!("{:<16} {status:<12} {}", server.name, about.join(" · "))
}
