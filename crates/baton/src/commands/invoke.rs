//! `invoke`: one call of one tool, journaled as a workflow of one task.

use baton_core::body::Json;
use baton_core::definition::{InputFault, invocation, value_from_text};
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::plan::ToolSpec;
use baton_core::words::Origin;
use baton_engine::ports::Tools;
use baton_server::wire::Submission;
use serde_json::{Map, Value};

use super::run::{input_line, submit};
use super::show::all_events;
use super::stay::stay;
use crate::cli::{Common, Invoke};
use crate::config::Config;
use crate::display::say_out;
use crate::exit::{Exit, Failed};
use crate::reading::ShownEvent;
use crate::remote::Remote;
use crate::runtime::SystemClock;
use crate::session::{Session, caller_folder, read, tools};
use crate::text::clean;
use crate::toolbox::Toolbox;

/// Calls the tool and shows what it brought.
pub fn invoke(common: &Common, asked: &Invoke) -> anyhow::Result<Exit> {
    if let Some(remote) = Remote::named(common)? {
        return super::there::invoke(common, remote, asked);
    }
    let config = Config::of(common)?;
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
    let (plan, inputs) =
        invocation(&spec, input).map_err(|faults| input_refused(&spec.name, &faults))?;
    let submission = Submission {
        plan,
        inputs: Json::of(&inputs),
        origin: Origin::Invoke,
        priority: asked.priority,
        review: false,
        conversation: Some(ConversationId::new(&SystemClock::default().now().moment, 0)),
        folder: caller_folder(),
    };
    let (session, started) = submit(common, &config, &tools, &submission)?;
    stay_and_tell(common, session, started.id)
}

/// Stays with a call until it rests; as JSON, its end follows.
pub(super) fn stay_and_tell(
    common: &Common,
    session: Session,
    id: WorkflowId,
) -> anyhow::Result<Exit> {
    let exit = stay(common, session, id)?;
    if common.json {
        let of_end = |event: &&ShownEvent| {
            let ends = [".completed", ".failed"];
            event.is_call() && ends.iter().any(|end| event.kind.ends_with(end))
        };
        for event in all_events(id, read(common)?.as_mut())?.iter().filter(of_end) {
            say_out(&serde_json::to_string(event)?);
        }
    }
    Ok(exit)
}

/// What is said of an input that does not fit.
pub(super) fn input_refused(name: &str, faults: &[InputFault]) -> Failed {
    let lines: Vec<String> = faults.iter().map(input_line).collect();
    let lines = lines.join("\n");
    Failed::usage(format!(
        "{lines}\n\nthe input does not fit `{name}`; give it as `--with name=value`"
    ))
}

/// What is said of a tool that is not there.
pub(super) fn no_tool(name: &str) -> Failed {
    let name = clean(name);
    Failed::usage(format!("there is no tool `{name}`; `baton tools` lists those there are"))
}

fn find(tools: &Toolbox, name: &str) -> anyhow::Result<ToolSpec> {
    let known = |tools: &Toolbox| tools.specs().iter().find(|spec| spec.name == name).cloned();
    if tools.servers().serves(name)
        && let Some((server, _)) = name.split_once('.')
    {
        tools.learn(server).map_err(Failed::usage)?;
    }
    Ok(known(tools).ok_or_else(|| no_tool(name))?)
}

/// `name=value` pairs, or one JSON object.
pub(super) fn read_input(spec: &ToolSpec, given: &[String]) -> anyhow::Result<Value> {
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
