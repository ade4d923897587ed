//! `shell.run`: a command beneath a root, under guard, where the operator allows it.
//!
//! It confines where a command starts and what it inherits, not what it does: that is why it is off
//! by default.

use std::ffi::OsString;
use std::path::PathBuf;

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::{Effect, FailureKind, Happened};
use serde::{Deserialize, Serialize};

use crate::child::{Ended, Guarded, Program, find_program, inherited};
use crate::config::Limits;
use crate::schema::{integer, list, object, optional, text, texts};
use crate::tool::{Scope, Tool, bounded, invalid, writes};

/// Bytes of each stream that are returned when the call does not say.
const OUTPUT_BYTES: usize = 256 << 10;
/// Bytes of input; the guard holds them in memory.
const INPUT_BYTES_MAX: usize = 1 << 20;

/// `shell.run`.
pub(crate) struct Run {
    guarded: Guarded,
}

impl Run {
    pub(crate) fn under(guarded: &Guarded) -> Self {
        let guarded = guarded.clone();
        Self { guarded }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunInput {
    program: Option<String>,
    args: Option<Vec<String>>,
    script: Option<String>,
    cwd: Option<String>,
    env: Option<std::collections::BTreeMap<String, String>>,
    stdin: Option<String>,
    ok_codes: Option<Vec<u8>>,
    max_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RunOutput {
    exit_code: i32,
    stdout: String,
    stderr: String,
    truncated: bool,
}

impl Tool for Run {
    type Input = RunInput;
    type Output = RunOutput;

    fn spec(&self, limits: &Limits) -> ToolSpec {
        let max = limits.output_bytes_max;
        let code = integer(0, 255, "An exit code.");
        writes(
            Effect::Once,
            "shell.run",
            "Runs a program, or a script of `sh`; returns `{exit_code, stdout, stderr, \
             truncated}`, and fails on an exit code that is not among `ok_codes`.",
            object([
                optional("program", text("A name in PATH or a path; or else `script`.")),
                optional("args", list(text("One argument."), "The program's arguments.")),
                optional("script", text("Given to `sh -c`.")),
                optional("cwd", text("A folder beneath a root; the first root.")),
                optional("env", texts("Variables on top of `[tools.shell] env`.")),
                optional("stdin", text("What the command reads; at most 1 MiB.")),
                optional("ok_codes", list(code, "Exit codes that are no failure; 0.")),
                optional("max_bytes", integer(1, max, "Of each stream; beyond is cut; 256 KiB.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: RunInput) -> Result<RunOutput, CallFailure> {
        let max = scope.limits().output_bytes_max;
        let output_bytes_max = bounded("max_bytes", input.max_bytes, OUTPUT_BYTES, max)?;
        let place = scope.place(input.cwd.as_deref().unwrap_or("."))?;
        let folder = place.folder()?;
        let (program, arguments) = command(&input)?;
        let stdin = input.stdin.as_deref().unwrap_or_default();
        if stdin.len() > INPUT_BYTES_MAX {
            let message = format!("`stdin` has more than {INPUT_BYTES_MAX} bytes; use a file");
            return Err(CallFailure::refused(FailureKind::TooLarge, message));
        }
        let ended = self.guarded.run(
            scope,
            &Program {
                program,
                arguments,
                environment: environment(scope, &input)?,
                folder: &folder,
                input: stdin.as_bytes(),
                output_bytes_max,
            },
        )?;
        judged(scope, &ended, input.ok_codes.as_deref().unwrap_or(&[0]))
    }
}

fn command(input: &RunInput) -> Result<(PathBuf, Vec<OsString>), CallFailure> {
    let (program, arguments): (_, Vec<&str>) = match (&input.program, &input.script) {
        (Some(program), None) => {
            let arguments = input.args.iter().flatten();
            (program.as_str(), arguments.map(String::as_str).collect())
        }
        // Arguments become $1, $2, … of the script.
        (None, Some(script)) => {
            let arguments = input.args.iter().flatten().map(String::as_str);
            ("sh", ["-c", script, "sh"].into_iter().chain(arguments).collect())
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid("give either `program` or `script`"));
        }
    };
    if arguments.iter().any(|argument| argument.contains('\0')) {
        return Err(invalid("an argument has a NUL character in it"));
    }
    if program.contains('/') && !program.starts_with('/') {
        return Err(invalid(
            "`program` must be a name or an absolute path; use `script` for others",
        ));
    }
    Ok((find_program(program)?, arguments.into_iter().map(OsString::from).collect()))
}

fn environment(
    scope: &Scope<'_>,
    input: &RunInput,
) -> Result<Vec<(OsString, OsString)>, CallFailure> {
    let mut environment: Vec<_> = scope.config.shell.env.iter().filter_map(inherited).collect();
    for (name, value) in input.env.iter().flatten() {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(invalid(format!("`env` has `{name}`, which is no variable")));
        }
        environment.push((name.into(), value.into()));
    }
    environment.push(("BATON_IDEMPOTENCY_KEY".into(), scope.key.into()));
    Ok(environment)
}

fn judged(scope: &Scope<'_>, ended: &Ended, ok_codes: &[u8]) -> Result<RunOutput, CallFailure> {
    if let Some(kind) = ended.cut {
        return Err(CallFailure {
            retryable: kind == FailureKind::TimedOut,
            ..CallFailure::in_doubt(kind, scope.stopped(kind))
        });
    }
    let code = ended.status.code();
    let fine = code.filter(|code| ok_codes.iter().any(|ok| i32::from(*ok) == *code));
    let Some(exit_code) = fine else {
        // It ran and ended: that is known, and running it again would be a second time.
        let message = format!("the command ended with {}: {}", ended.status, ended.stderr.tail());
        return Err(CallFailure {
            happened: Happened::Yes,
            ..CallFailure::refused(FailureKind::Refused, message)
        });
    };
    Ok(RunOutput {
        exit_code,
        stdout: ended.stdout.text(),
        stderr: ended.stderr.text(),
        truncated: ended.stdout.truncated || ended.stderr.truncated,
    })
}
