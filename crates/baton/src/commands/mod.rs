//! One command, one function: what each word of the command line does.

mod admin;
mod again;
mod answer;
mod chaos;
mod invoke;
mod list;
mod reference;
mod run;
mod serve;
mod servers;
mod show;
mod stay;
mod tell;
mod token;

use crate::cli::{Cli, Command, SchemaOf};
use crate::display::say_out;
use crate::exit::Exit;

/// Carries a command out.
pub fn carry_out(cli: Cli) -> anyhow::Result<Exit> {
    let Cli { common, command } = cli;
    crate::log::set(common.log_level, common.log_format);
    match command {
        Command::Serve(serve) => serve::serve(&common, &serve),
        Command::Run(run) => run::run(&common, &run),
        Command::Watch { id } => again::watch(&common, &id),
        Command::Resume { id, .. } => again::resume(&common, id.as_deref()),
        Command::Retry { id, tasks } => again::retry(&common, &id, &tasks),
        Command::Fork { id, position } => again::fork(&common, &id, position),
        Command::List(list) => list::list(&common, &list),
        Command::Inbox => list::inbox(&common),
        Command::Show(show) => show::show(&common, &show),
        Command::Approve(answer) => answer::approve(&common, &answer),
        Command::Reject(answer) => answer::reject(&common, &answer),
        Command::Respond(respond) => answer::respond(&common, &respond),
        Command::Settle(settle) => answer::settle(&common, &settle),
        Command::Token(command) => token::token(&common, &command),
        Command::Cancel { id, reason } => tell::cancel(&common, &id, reason),
        Command::Pause { id } => tell::pause(&common, &id),
        Command::Tools { markdown: true } => reference::tools_page(),
        Command::Tools { markdown: false } => servers::tools(&common),
        Command::Servers => servers::servers(&common),
        Command::Invoke(asked) => invoke::invoke(&common, &asked),
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
        Command::Doctor { rebuild } => admin::doctor_or_rebuild(&common, rebuild),
        Command::Chaos(chaos) => chaos::chaos(&common, &chaos),
        Command::Bench(bench) => crate::bench::bench(&common, &bench),
    }
}
