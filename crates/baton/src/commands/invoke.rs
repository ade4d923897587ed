//! `invoke`: one call of one tool, journaled as a workflow of one task.

use baton_core::body::Json;
use baton_core::definition::{invocation, value_from_text};
use baton_core::ids::ConversationId;
use baton_core::plan::ToolSpec;
use baton_core::words::Origin;
use baton_engine::events::{Showing, StreamName};
use baton_engine::ports::Tools;
use baton_engine::store::Views;
use baton_server::wire::{Answer, Submission};
use serde_json::{Map, Value};

use super::run::{input_line, submit};
use super::stay::stay;
use crate::cli::{Common, Invoke};
use crate::config::Config;
use crate::display::say_out;
use crate::exit::{Exit, Failed};
use crate::runtime::SystemClock;
use crate::session::{caller_folder, read, tools};
use crate::text::clean;
use crate::toolbox::Toolbox;

/// Calls the tool and shows what it brought.
pub fn invoke(common: &Common, asked: &Invoke) -> anyhow::Result<Exit> {
    let config = Config::read(common.config.as_deref())?;
    let tools = tools(common, &config)?;
    let spec = find(&tools, &asked.tool)?;
    if spec.permission > config.limits.permission {
        let (needs, most) = (spec.permission, config.limits.permission);
        let name = &spec.name;
        let message = format!(
            "`{name}` needs the permission `{needs}`, above `{most}`, the highest that is allowed here"
        );
        return Err(Failed::usage(message).into());
    }
    let input = read_input(&spec, &asked.with)?;
    let (plan, inputs) = invocation(&spec, input).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(input_line).collect();
        let name = &spec.name;
        Failed::usage(format!(
            "{}\n\nthe input does not fit `{name}`; give it as `--with name=value`",
            lines.join("\n")
        ))
    })?;
    let submission = Submission {
        plan,
        inputs: Json::of(&inputs),
        origin: Origin::Invoke,
        priority: asked.priority,
        review: false,
        conversation: Some(ConversationId::new(&SystemClock::default().now().moment, 0)),
        folder: caller_folder(),
    };
    let (session, answer) = submit(common, &config, &tools, &submission)?;
    let number = match &answer {
        Answer::Workflow { number, .. } => Some(*number),
        Answer::Hello { .. }
        | Answer::Ended { .. }
        | Answer::Count(_)
        | Answer::Done
        | Answer::Declined { .. } => None,
    };
    let exit = stay(common, session, answer)?;
    if let Some(number) = number.filter(|_| common.json) {
        tell_ends(read(common)?.as_mut(), number)?;
    }
    Ok(exit)
}

/// Prints how the calls of a workflow ended, as the events that streams tell.
fn tell_ends(views: &mut dyn Views, number: u64) -> anyhow::Result<()> {
    let mut showing = Showing::default();
    for record in views.stream(number)? {
        for (name, event) in showing.show(&record, views)?.messages() {
            if matches!(name, StreamName::ToolCompleted | StreamName::ToolFailed) {
                say_out(&serde_json::to_string(&event)?);
            }
        }
    }
    Ok(())
}

fn find(tools: &Toolbox, name: &str) -> anyhow::Result<ToolSpec> {
    let known = |tools: &Toolbox| tools.specs().iter().find(|spec| spec.name == name).cloned();
    if tools.servers().serves(name)
        && let Some((server, _)) = name.split_once('.')
    {
        tools.learn(server).map_err(Failed::usage)?;
    }
    let missing =
        || format!("there is no tool `{}`; `baton tools` lists those there are", clean(name));
    Ok(known(tools).ok_or_else(|| Failed::usage(missing()))?)
}

/// `name=value` pairs, or one JSON object.
fn read_input(spec: &ToolSpec, given: &[String]) -> anyhow::Result<Value> {
    let mut input = Map::new();
    for text in given {
        if text.trim_start().starts_with('{') {
            let fields: Map<String, Value> = serde_json::from_str(text)
                .map_err(|fault| Failed::usage(format!("`--with` is no JSON object: {fault}")))?;
            input.extend(fields);
        } else if let Some((name, text)) = text.split_once('=') {
            input.insert(name.to_owned(), value_from_text(Some(&spec.input), name, text));
        } else {
            let shown = clean(text);
            let message = format!("`--with {shown}` is neither `name=value` nor a JSON object");
            return Err(Failed::usage(message).into());
        }
    }
    Ok(Value::Object(input))
}
