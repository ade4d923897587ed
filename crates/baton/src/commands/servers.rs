//! `servers`, `tools`: what can be called, and how those stand who are called.

use baton_core::body::Json;
use baton_core::codes::Code;
use baton_core::plan::ToolSpec;
use baton_engine::ports::Tools;
use baton_mcp::ServerStatus;
use serde::Deserialize;

use crate::cli::Common;
use crate::config::Config;
use crate::display::{say, say_out};
use crate::exit::Exit;
use crate::remote::Remote;
use crate::session;
use crate::text::{clean, cut, many};
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
    protocol_version: Option<String>,
    server: Option<String>,
    tools: u64,
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

/// Lists the servers, each started to see how it is.
pub fn servers(common: &Common) -> anyhow::Result<Exit> {
    let servers = match Remote::named(common)? {
        Some(remote) => remote.servers()?,
        None => {
            let config = Config::read(common.config.as_deref())?;
            let tools = session::tools(common, &config)?;
            tools.servers().learn_all();
            as_shown(&tools)?
        }
    };
    if servers.is_empty() && !common.json {
        say("no server is configured; `[servers.NAME]` in baton.toml declares one");
    }
    for server in servers {
        if common.json {
            say_out(server.as_str());
        } else {
            say_out(&clean(&line(&serde_json::from_str(server.as_str())?)));
        }
    }
    Ok(Exit::Done)
}

fn line(server: &Server) -> String {
    let status = if server.enabled { server.status.word() } else { "off" };
    let mut about = vec![server.transport.clone()];
    about.extend(server.server.clone().filter(|name| !name.is_empty()));
    about.extend(server.protocol_version.as_ref().map(|version| format!("protocol {version}")));
    about.push(many(server.tools, "tool"));
    let trouble = server.last_error.as_ref().map(|trouble| trouble.message.clone());
    about.extend(server.why.clone().or(trouble));
    format!("{:<16} {status:<12} {}", server.name, about.join(" · "))
}
