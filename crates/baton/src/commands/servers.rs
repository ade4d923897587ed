//! `servers`, `tools`: what can be called, and how those stand who are called.

use baton_core::codes::Code;
use baton_core::spoken::{cut, many};
use baton_engine::ports::Tools;
use baton_mcp::ServerView;

use crate::cli::Common;
use crate::config::Config;
use crate::display::{say, say_out};
use crate::exit::Exit;
use crate::session;
use crate::text::clean;

/// Names longer than this are not padded to.
const NAME_WIDTH_MAX: usize = 40;
/// How much of a description is shown, in characters.
const ABOUT_CHARS_MAX: usize = 100;

/// Lists the tools that definitions can use; servers that have not told theirs are started for it.
pub fn tools(common: &Common) -> anyhow::Result<Exit> {
    let config = Config::read(common.config.as_deref())?;
    let tools = session::tools(common, &config)?;
    tools.servers().learn_all();
    let specs = tools.specs();
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
    for server in tools.servers().views().iter().filter(|server| server.tools == 0) {
        let trouble = server.last_error.as_ref().map(|trouble| trouble.message.as_str());
        let why = trouble.unwrap_or("it is turned off");
        say(&clean(&format!("the server `{}` tells of no tools: {why}", server.name)));
    }
    Ok(Exit::Done)
}

/// Lists the servers, each started to see how it is.
pub fn servers(common: &Common) -> anyhow::Result<Exit> {
    let config = Config::read(common.config.as_deref())?;
    let tools = session::tools(common, &config)?;
    if config.servers.is_empty() && !common.json {
        say("no server is configured; `[servers.NAME]` in baton.toml declares one");
    }
    tools.servers().learn_all();
    for server in tools.servers().views() {
        if common.json {
            say_out(&serde_json::to_string(&server)?);
        } else {
            say_out(&clean(&line(&server)));
        }
    }
    Ok(Exit::Done)
}

fn line(server: &ServerView) -> String {
    let status = if server.enabled { server.status.word() } else { "off" };
    let mut about = vec![server.transport.to_owned()];
    about.extend(server.server.clone().filter(|name| !name.is_empty()));
    about.extend(server.protocol_version.as_ref().map(|version| format!("protocol {version}")));
    about.push(many(server.tools as u64, "tool"));
    let trouble = server.last_error.as_ref().map(|trouble| trouble.message.clone());
    about.extend(server.why.clone().or(trouble));
    format!("{:<16} {status:<12} {}", server.name, about.join(" · "))
}
