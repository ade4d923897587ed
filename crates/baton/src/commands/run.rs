//! `run`: reads a definition and its inputs, has it admitted, and stays with it until it rests.

use std::path::Path;
use std::sync::Arc;

use baton_core::body::Json;
use baton_core::definition::{self, Fault, InputFault, input_faults, value_from_text};
use baton_core::ids::ConversationId;
use baton_core::plan::Plan;
use baton_core::words::Origin;
use baton_core::workflow::rows::WorkflowCard;
use baton_engine::turn_view::models_asked;
use baton_models::script_file;
use baton_server::wire::{Ask, Submission};
use serde_json::{Map, Value};

use super::askable;
use super::stay::stay;
use crate::catalog::{LocalCatalog, read_source};
use crate::cli::{Common, Run};
use crate::config::Config;
use crate::display::say;
use crate::exit::{Exit, Failed};
use crate::remote::Remote;
use crate::runtime::SystemClock;
use crate::session::{Purpose, Session, Stand, caller_folder, read_store, tools};
use crate::text::clean;
use crate::toolbox::Toolbox;

/// How many faults of a definition are shown with their source.
const FAULTS_SHOWN_MAX: usize = 20;
/// How many leaving owners a workflow is offered to.
const SUBMIT_TRIES_MAX: u32 = 10;
/// How far back a workflow is looked for that a leaving owner may have taken.
const SUBMITTED_LOOKED_AT_MAX: u32 = 10_000;

/// Checks a definition, runs it, and shows it until it rests.
pub fn run(common: &Common, run: &Run) -> anyhow::Result<Exit> {
    if let Some(remote) = Remote::named(common)? {
        return super::there::run(common, remote, run);
    }
    let config = Config::of(common)?;
    tell_script(common);
    let tools = tools(common, &config)?;
    let plan = read_definition(common, &config, &tools, &run.definition)?;
    tell_models(&config, &plan);
    let inputs = read_inputs(&plan, &run.inputs)?;
    let submission = Submission {
        plan,
        inputs: Json::of(&inputs),
        origin: Origin::Cli,
        priority: run.priority,
        review: run.review,
        conversation: Some(ConversationId::new(&SystemClock::default().now().moment, 0)),
        folder: caller_folder(),
    };
    let (session, started) = submit(common, &config, &tools, &submission)?;
    stay(common, session, started.id)
}

/// Says that no model is asked, where that is so.
pub(super) fn tell_script(common: &Common) {
    if let Some(file) = common.model.as_deref().and_then(script_file) {
        say(&format!("scripted answers from {}: no model is asked", file.display()));
    }
}

/// Says which models are asked where nobody chose one.
fn tell_models(config: &Config, plan: &Plan) {
    if config.models.only.is_some() || !config.models.worker.is_empty() {
        return;
    }
    let names: Vec<&str> = models_asked(plan).into_iter().collect();
    if !names.is_empty() {
        say(&clean(&format!("agents ask {}", names.join(", "))));
    }
}

/// Has a workflow admitted, once, also when the owner it goes to is just leaving: its conversation
/// tells whether that owner had taken it.
pub(super) fn submit(
    common: &Common,
    config: &Config,
    tools: &Toolbox,
    submission: &Submission,
) -> anyhow::Result<(Session, Stand)> {
    for _ in 1..SUBMIT_TRIES_MAX {
        let session = open(common, config, tools)?;
        let mut session = askable::require(session, config, submission)?;
        let asked = session.change(Ask::Submit(Box::new(submission.clone())));
        let left = |fault: &anyhow::Error| {
            let failed = fault.downcast_ref::<Failed>();
            failed.is_some_and(Failed::is_owner_leaving)
        };
        match asked {
            Err(fault) if !session.is_owner() && left(&fault) => drop(session),
            asked => return asked.map(|started| (session, started)),
        }
        let mut session = open(common, config, tools)?;
        let newest = session.views()?.list(&baton_engine::store::Filter {
            limit: SUBMITTED_LOOKED_AT_MAX,
            ..Default::default()
        })?;
        let mine = |card: &WorkflowCard| Some(card.conversation) == submission.conversation;
        if let Some((card, _)) = newest.iter().find(|(card, _)| mine(card)) {
            let started = session.change(Ask::TakeUp { workflow: card.id })?;
            return Ok((session, started));
        }
        if session.is_owner() {
            session = askable::require(session, config, submission)?;
            let started = session.change(Ask::Submit(Box::new(submission.clone())))?;
            return Ok((session, started));
        }
    }
    let message = "every owner of the store left before it answered; try again";
    Err(Failed::unreachable(anyhow::anyhow!(message)).into())
}

fn open(common: &Common, config: &Config, tools: &Toolbox) -> anyhow::Result<Session> {
    Session::open_with(common, config, Purpose::Work, tools.clone())
}

/// The plan of a definition: a file, or a name.
pub(super) fn read_definition(
    common: &Common,
    config: &Config,
    tools: &Toolbox,
    named: &str,
) -> anyhow::Result<Plan> {
    let path = Path::new(named);
    let views = read_store(common).ok();
    // A bare file name has an empty parent, which no folder can be opened by.
    let parent = path.parent().map(|parent| Path::new(".").join(parent));
    // A pipe is read as a file is, and has nothing beside it.
    let folder = parent.as_deref().filter(|_| path.is_file());
    let catalog = LocalCatalog::new(Arc::new(tools.clone()), config, folder, views);
    let catalog = catalog.with_agents_of(folder);
    let (file, source) = if path.exists() && !path.is_dir() {
        let source = read_source(path)
            .map_err(|cause| Failed::usage(format!("{} cannot be read: {cause}", clean(named))))?;
        (named.to_owned(), source)
    } else if let Some((path, source)) = catalog.in_folders(named) {
        (path.display().to_string(), source)
    } else {
        use baton_core::plan::Catalog;
        let registered = catalog.definition(named).transpose().map_err(Failed::usage)?;
        return registered.ok_or_else(|| Failed::usage(no_definition(named)).into());
    };
    definition::read(&source, &catalog)
        .map_err(|faults| Failed::usage(fault_text(&faults, &file, &source)).into())
}

pub(super) fn no_definition(named: &str) -> String {
    let path = Path::new(named);
    let shown = clean(named);
    if path.is_dir() {
        return format!("{shown} is a folder; name a definition's file in it");
    }
    let is_path = named.contains('/') || path.extension().is_some();
    if is_path {
        format!("there is no file {shown}")
    } else {
        format!(
            "there is no file {shown}, and no definition of this name; give the path of its file, \
             or name its folder under `[definitions] folders`"
        )
    }
}

pub(super) fn fault_text(faults: &[Fault], file: &str, source: &str) -> String {
    faults_in(faults, file, source) + "; nothing was started"
}

/// What is wrong with a text, each fault at its line.
pub(super) fn faults_in(faults: &[Fault], file: &str, source: &str) -> String {
    let shown =
        faults.iter().take(FAULTS_SHOWN_MAX).map(|fault| definition::render(fault, file, source));
    let shown: Vec<String> = shown.map(|fault| fault.trim_end().to_owned()).collect();
    let mut text = shown.join("\n\n");
    let (count, more) = (faults.len(), faults.len().saturating_sub(FAULTS_SHOWN_MAX));
    if more > 0 {
        text.push_str(&format!("\n\n… and {more} more"));
    }
    let word = if count == 1 { "fault" } else { "faults" };
    format!("{text}\n\n{file} has {count} {word}")
}

/// The inputs as given on the command line, defaults filled in.
pub(super) fn read_inputs(plan: &Plan, given: &[String]) -> anyhow::Result<Value> {
    let inputs = Value::Object(typed(plan.inputs.as_ref(), given)?);
    input_faults(plan, &inputs).map_err(|faults| inputs_refused(&plan.name, &faults).into())
}

/// `name=value` pairs, each as the type that the schema of the inputs declares.
pub(super) fn typed(
    schema: Option<&Value>,
    given: &[String],
) -> anyhow::Result<Map<String, Value>> {
    let mut inputs = Map::new();
    for pair in given {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(
                Failed::usage(format!("`--input {}` is not `name=value`", clean(pair))).into()
            );
        };
        if inputs.insert(name.to_owned(), value_from_text(schema, name, text)).is_some() {
            let message = format!("the input `{}` is given twice", clean(name));
            return Err(Failed::usage(message).into());
        }
    }
    Ok(inputs)
}

/// What is said of inputs that do not fit.
pub(super) fn inputs_refused(name: &str, faults: &[InputFault]) -> Failed {
    let lines: Vec<String> = faults.iter().map(input_line).collect();
    let (lines, name) = (lines.join("\n"), clean(name));
    Failed::usage(format!(
        "{lines}\n\nthe inputs of `{name}` do not fit; give them as `--input name=value`"
    ))
}

pub(super) fn input_line(fault: &InputFault) -> String {
    let name = fault.pointer.trim_start_matches('/');
    let named = name.is_empty() || fault.message.contains(&format!("`{name}`"));
    let whose = if named { String::new() } else { format!("the input `{name}`: ") };
    let help = fault.help.iter().map(|help| format!(" ({help})"));
    clean(&format!("error: {whose}{}{}", fault.message, help.collect::<String>()))
}
