//! `run`, `forecast` and `invoke` at a server: a definition's file is read here and checked there.
//!
//! Tools run where the server is, so that relative paths in inputs begin at its folder; child workflows
//! are those that it knows.

use std::path::Path;

use baton_core::definition::{Fault, InputFault};
use baton_core::ids::ConversationId;
use baton_engine::forecast::Forecast;
use serde_json::json;

use super::invoke::{input_refused, no_tool, read_input, stay_and_tell};
use super::run::{fault_text, inputs_refused, no_definition, typed};
use super::stay::stay;
use crate::catalog::read_source;
use crate::cli::{Common, Invoke, Run};
use crate::exit::{Exit, Failed};
use crate::remote::{Described, FieldError, Problem, Remote, Started};
use crate::runtime::SystemClock;
use crate::session::Session;
use crate::text::clean;

/// Has a definition checked and run, and shows it until it rests.
pub(super) fn run(common: &Common, remote: Remote, run: &Run) -> anyhow::Result<Exit> {
    if common.model.is_some() {
        let message = "a server asks its own models: start it with `--model`, or call this without";
        return Err(Failed::usage(message).into());
    }
    let source = source_of(&run.definition)?;
    let described = match &source {
        Some(source) => checked(&remote, &run.definition, source)?,
        None => {
            let found = remote.definition(&run.definition)?;
            found.ok_or_else(|| Failed::usage(no_definition(&run.definition)))?
        }
    };
    let body = json!({
        "definition": source.as_deref().unwrap_or(&run.definition),
        "inputs": typed(described.inputs.as_ref(), &run.inputs)?,
        "priority": run.priority,
        "review": run.review,
        "conversation_id": ConversationId::new(&SystemClock::default().now().moment, 0),
    });
    let started = match remote.start(&body)? {
        Started::Yes(started) => started,
        Started::Refused(problem) => {
            let failed = match (problem.code.as_str(), &source) {
                ("invalid_inputs", _) => {
                    inputs_refused(&described.name, &input_faults(&problem, "/inputs"))
                }
                ("invalid_definition", Some(source)) => {
                    let faults = faults_of(&problem.errors, "/definition");
                    Failed::usage(fault_text(&faults, &run.definition, source))
                }
                (_, _) => remote.refused(problem),
            };
            return Err(failed.into());
        }
    };
    stay(common, Session::remote(remote), started.id)
}

/// What a definition will probably use, as the server has its earlier runs.
pub(super) fn forecast(remote: &Remote, named: &str) -> anyhow::Result<Forecast> {
    let Some(source) = source_of(named)? else {
        let found = remote.forecast(named)?;
        return Ok(found.ok_or_else(|| Failed::usage(no_definition(named)))?);
    };
    let checked = remote.check_ahead(&source)?;
    if checked.definition.is_none() {
        let faults = faults_of(&checked.errors, "");
        return Err(Failed::usage(fault_text(&faults, named, &source)).into());
    }
    Ok(checked.forecast.ok_or_else(|| {
        Failed::usage("this server forecasts only what it has by name; give a definition's name")
    })?)
}

/// Has a tool called, and shows what it brought.
pub(super) fn invoke(common: &Common, remote: Remote, asked: &Invoke) -> anyhow::Result<Exit> {
    let tools = remote.tools()?;
    let spec = tools.iter().find(|spec| spec.name == asked.tool);
    let spec = spec.ok_or_else(|| no_tool(&asked.tool))?;
    let body = json!({
        "tool": spec.name,
        "with": read_input(spec, &asked.with)?,
        "priority": asked.priority,
        // It is followed instead.
        "wait": "0s",
    });
    match remote.invoke(&body)? {
        Started::Yes(started) => stay_and_tell(common, Session::remote(remote), started.id),
        Started::Refused(problem) if problem.code == "invalid_inputs" => {
            Err(input_refused(&spec.name, &input_faults(&problem, "/with")).into())
        }
        Started::Refused(problem) => Err(remote.refused(problem).into()),
    }
}

/// The text of a definition's file, with a line's end, by which a server tells it from a name; `None`
/// where there is no such file.
fn source_of(named: &str) -> anyhow::Result<Option<String>> {
    let path = Path::new(named);
    if !path.exists() || path.is_dir() {
        return Ok(None);
    }
    let unreadable = |cause| Failed::usage(format!("{} cannot be read: {cause}", clean(named)));
    let mut source = read_source(path).map_err(unreadable)?;
    if !source.ends_with('\n') {
        source.push('\n');
    }
    Ok(Some(source))
}

/// What the server says of a definition's file that has no faults.
fn checked(remote: &Remote, file: &str, source: &str) -> anyhow::Result<Described> {
    let checked = remote.check(source)?;
    let faults = faults_of(&checked.errors, "");
    Ok(checked.definition.ok_or_else(|| Failed::usage(fault_text(&faults, file, source)))?)
}

/// Faults of a definition as they are shown at their lines.
pub(super) fn faults_of(errors: &[FieldError], within: &str) -> Vec<Fault> {
    let fault = |error: &FieldError| Fault {
        path: error.pointer.strip_prefix(within).unwrap_or(&error.pointer).to_owned(),
        line: error.line.unwrap_or(1),
        column: error.column.unwrap_or(1),
        length: 1,
        message: error.detail.clone(),
        help: None,
    };
    errors.iter().map(fault).collect()
}

fn input_faults(problem: &Problem, within: &str) -> Vec<InputFault> {
    let fault = |error: &FieldError| InputFault {
        pointer: error.pointer.strip_prefix(within).unwrap_or(&error.pointer).to_owned(),
        message: error.detail.clone(),
        help: None,
    };
    problem.errors.iter().map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(pointer: &str) -> FieldError {
        let detail = "is wrong".to_owned();
        FieldError { pointer: pointer.to_owned(), detail, line: None, column: Some(3) }
    }

    #[test]
    fn a_pointer_into_what_was_sent_becomes_one_into_what_was_meant() {
        let errors = vec![error("/inputs/since"), error("/priority")];
        let problem = Problem { status: 422, code: String::new(), detail: String::new(), errors };
        let pointers: Vec<String> =
            input_faults(&problem, "/inputs").into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/since", "/priority"]);
    }
}
