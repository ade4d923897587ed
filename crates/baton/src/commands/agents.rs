//! `agents`: who tasks can name, with which models, tools and limits.

use baton_core::codes::Code;
use baton_core::spoken::many;
use baton_server::http::AgentItem;

use crate::agents;
use crate::cli::Common;
use crate::config::Config;
use crate::display::{say, say_out};
use crate::exit::Exit;
use crate::remote::Remote;
use crate::text::clean;

/// Names longer than this are not padded to.
const NAME_WIDTH_MAX: usize = 40;

/// Lists the agents of the server that was named, else of the configuration here.
pub fn agents(common: &Common) -> anyhow::Result<Exit> {
    let agents = match Remote::named(common)? {
        Some(remote) => remote.agents()?,
        None => agents::listed(&Config::of(common)?),
    };
    if agents.is_empty() && !common.json {
        say("no agent is configured; `[agents.NAME]` in baton.toml declares one");
    }
    let widest = agents.iter().map(|agent| agent.name.len()).max().unwrap_or(0);
    for agent in &agents {
        if common.json {
            say_out(&serde_json::to_string(agent)?);
        } else {
            say_out(&clean(&line(agent, widest.min(NAME_WIDTH_MAX))));
        }
    }
    Ok(Exit::Done)
}

fn line(agent: &AgentItem, widest: usize) -> String {
    let models: Vec<&str> = agent.models.iter().map(|model| model.name.as_str()).collect();
    let mut about = vec![match models.as_slice() {
        [] => "no model".to_owned(),
        models => models.join(", then "),
    }];
    about.push(match agent.tools.as_slice() {
        [] => "no tools".to_owned(),
        tools => tools.join(", "),
    });
    if !agent.approve.is_empty() {
        about.push(format!("approved: {}", agent.approve.join(", ")));
    }
    let limits = &agent.limits;
    about.push(many(limits.turns.into(), "turn"));
    about.push(many(limits.calls.into(), "call"));
    about.extend(limits.tokens.map(|tokens| many(tokens, "token")));
    about.extend(limits.usd.map(|usd| format!("{usd} USD")));
    about.extend(agent.trouble.as_ref().map(|why| format!("cannot be used: {why}")));
    format!("{:<widest$} {:<10} {}", agent.name, agent.permission.word(), about.join(" · "))
}
