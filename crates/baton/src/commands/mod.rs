//! One command, one function: what each word of the command line does.

mod admin;
mod again;
mod agents;
mod answer;
mod askable;
mod chaos;
mod chat;
mod edit;
mod forecast;
mod invoke;
mod list;
mod listening;
mod planned;
mod reference;
mod run;
mod serve;
mod servers;
mod show;
mod stay;
mod tell;
mod there;
mod token;
mod turns;
mod usage;

use crate::admin::doctor::Trying;
use crate::cli::{Cli, Command, SchemaOf};
use crate::display::say_out;
use crate::exit::{Exit, Failed};
use crate::remote::Remote;

/// Carries a command out.
pub fn carry_out(cli: Cli) -> anyhow::Result<Exit> {
    let Cli { common, command } = cli;
    crate::log::set(common.log_level, common.log_format);
    if Remote::is_named(&common)
        && let Some(word) = of_the_store(&command)
    {
        return Err(Failed::usage(format!(
            "`baton {word}` works on the store itself; call it where the store is, without \
             `--server` and BATON_SERVER"
        ))
        .into());
    }
    match command {
        Command::Serve(serve) => serve::serve(&common, &serve),
        Command::Run(run) => run::run(&common, &run),
        Command::Chat(chat) => chat::chat(&common, &chat),
        Command::Watch { id } => again::watch(&common, &id),
        Command::Resume { id, .. } => again::resume(&common, id.as_deref()),
        Command::Retry { id, tasks } => again::retry(&common, &id, &tasks),
        Command::Fork { id, position } => again::fork(&common, &id, position),
        Command::List(list) => list::list(&common, &list),
        Command::Inbox => list::inbox(&common),
        Command::Show(show) => show::show(&common, &show),
        Command::Approve(answer) => answer::approve(&common, &answer),
        Command::Reject(answer) => answer::reject(&common, &answer),
        Command::Edit(asked) => edit::edit(&common, &asked),
        Command::Respond(respond) => answer::respond(&common, &respond),
        Command::Settle(settle) => answer::settle(&common, &settle),
        Command::Token(command) => token::token(&common, &command),
        Command::Cancel { id, reason } => tell::cancel(&common, &id, reason),
        Command::Pause { id } => tell::pause(&common, &id),
        Command::Tools { markdown: true } => reference::tools_page(),
        Command::Tools { markdown: false } => servers::tools(&common),
        Command::Agents => agents::agents(&common),
        Command::Servers(asked) => servers::servers(&common, &asked),
        Command::Invoke(asked) => invoke::invoke(&common, &asked),
        Command::Usage(asked) => usage::usage(&common, &asked),
        Command::Forecast { definition } => forecast::forecast(&common, &definition),
        Command::Openapi => reference::openapi(),
        Command::Schema { of: SchemaOf::Definition } => {
            let schema = baton_core::definition::schema();
            let text = if common.json {
                serde_json::to_string(&schema)?
            } else {
                serde_json::to_string_pretty(&schema)?
            };
            say_out(&text);
            Ok(Exit::Done)
        }
        Command::Archive(asked) => admin::archive_finished(&common, &asked),
        Command::Purge(asked) => admin::purge_finished(&common, &asked),
        Command::Doctor { rebuild: true, .. } => admin::rebuild_views(&common),
        Command::Doctor { rebuild: false, try_models } => {
            let trying = if try_models { Trying::EachRole } else { Trying::Nothing };
            admin::look_over(&common, trying)
        }
        Command::Chaos(chaos) => chaos::chaos(&common, &chaos),
        Command::Bench(bench) => crate::bench::bench(&common, &bench),
    }
}

/// The word of a command that no server carries out for others.
fn of_the_store(command: &Command) -> Option<&'static str> {
    match command {
        Command::Serve(_) => Some("serve"),
        Command::Token(_) => Some("token"),
        Command::Archive(_) => Some("archive"),
        Command::Purge(_) => Some("purge"),
        Command::Doctor { .. } => Some("doctor"),
        Command::Chaos(_) => Some("chaos"),
        Command::Bench(_) => Some("bench"),
        Command::Run(_)
        | Command::Chat(_)
        | Command::List(_)
        | Command::Show(_)
        | Command::Watch { .. }
        | Command::Inbox
        | Command::Approve(_)
        | Command::Reject(_)
        | Command::Edit(_)
        | Command::Respond { .. }
        | Command::Settle(_)
        | Command::Cancel { .. }
        | Command::Pause { .. }
        | Command::Resume { .. }
        | Command::Retry { .. }
        | Command::Fork { .. }
        | Command::Tools { .. }
        | Command::Invoke(_)
        | Command::Agents
        | Command::Servers(_)
        | Command::Usage(_)
        | Command::Forecast { .. }
        | Command::Openapi
        | Command::Schema { .. } => None,
    }
}
