//! `token create`, `list` and `revoke`: who may call over HTTP.
//!
//! A token is printed once, when it is made; the store has its hash and nothing more.

use anyhow::Context;
use baton_core::fact::Token;
use baton_core::words::{FactKind, Role};
use baton_server::secret::{Secret, TOKEN_PREFIX};
use baton_server::wire::{Answer, Ask};

use crate::cli::{Common, TokenCommand};
use crate::display::{say, say_out};
use crate::exit::{Exit, Failed};
use crate::session::{Purpose, Session, read_store};
use crate::text::clean;

/// Makes, lists or revokes tokens.
pub fn token(common: &Common, command: &TokenCommand) -> anyhow::Result<Exit> {
    match command {
        TokenCommand::Create { role, name } => create(common, *role, name.as_deref()),
        TokenCommand::List => list(common),
        TokenCommand::Revoke { name } => {
            ask(common, Ask::RevokeToken { name: name.clone() })?;
            say(&format!("the token `{}` lets nobody in any more", clean(name)));
            Ok(Exit::Done)
        }
    }
}

fn create(common: &Common, role: Role, name: Option<&str>) -> anyhow::Result<Exit> {
    let secret =
        Secret::draw(TOKEN_PREFIX).context("the system gives no randomness for a token")?;
    let (token, hash) = (secret.text(), secret.hash());
    let name = match name {
        Some(name) => checked(name)?,
        None => format!("{role}-{}", hash.to_string().chars().take(8).collect::<String>()),
    };
    ask(common, Ask::CreateToken { name: name.clone(), role, hash })?;
    if common.json {
        say_out(&serde_json::json!({ "name": name, "role": role, "token": token }).to_string());
        return Ok(Exit::Done);
    }
    say(&format!("`{name}` is a token of the role `{role}`; it is shown this once:"));
    say_out(token);
    Ok(Exit::Done)
}

fn checked(name: &str) -> anyhow::Result<String> {
    if Token::is_name(name) {
        return Ok(name.to_owned());
    }
    let message =
        format!("`{}` is not a name; use 1 to 64 of the characters A-Z a-z 0-9 _ - .", clean(name));
    Err(Failed::usage(message).into())
}

fn list(common: &Common) -> anyhow::Result<Exit> {
    for fact in read_store(common)?.facts(FactKind::Token)? {
        let Some(grant) = Token::read(&fact.value).and_then(|token| token.grant) else {
            continue;
        };
        let name = String::from_utf8_lossy(&fact.key).into_owned();
        if common.json {
            let line =
                serde_json::json!({ "name": name, "role": grant.role, "created_at": fact.at });
            say_out(&line.to_string());
        } else {
            say_out(&format!("{:<24} {:<9} {}", clean(&name), grant.role, fact.at));
        }
    }
    Ok(Exit::Done)
}

fn ask(common: &Common, ask: Ask) -> anyhow::Result<()> {
    let mut session = Session::open(common, Purpose::Work)?;
    let answer = session.ask(ask);
    let closed = session.close();
    let answer = answer?;
    closed?;
    match answer {
        Answer::Done => Ok(()),
        Answer::Hello { .. }
        | Answer::Workflow { .. }
        | Answer::Conversation { .. }
        | Answer::Ended { .. }
        | Answer::Count(_)
        | Answer::Servers(_)
        | Answer::Said(_)
        | Answer::Declined { .. } => {
            let message = format!("the owner answered with something else: {answer:?}");
            Err(Failed::unreachable(anyhow::anyhow!(message)).into())
        }
    }
}
