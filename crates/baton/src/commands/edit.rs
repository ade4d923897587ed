//! `edit`: the plan of a workflow in review, changed from a file or in an editor.
//!
//! The text is read as a definition is; whether the plan may still be edited is the workflow's to say.
//! What cannot be applied is not lost: its file is kept, and named.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::Context;
use baton_core::codes::Code;
use baton_core::definition::{self, InputFault, SOURCE_BYTES_MAX, input_faults, written, yaml};
use baton_core::ids::WorkflowId;
use baton_core::plan::Plan;
use baton_engine::edits::{EditView, editable, edits, out_of_reach};
use baton_engine::ports::Tools;
use baton_server::wire::{Ask, Edited};
use serde_json::{Value, json};

use super::answer::prompt;
use super::run::{faults_in, input_line};
use super::tell::{tell, told};
use super::there::faults_of;
use crate::catalog::{LocalCatalog, read_source};
use crate::cli::{Common, Edit};
use crate::config::Config;
use crate::display::{say, say_out};
use crate::exit::{Exit, Failed};
use crate::reading::{Reading, find_workflow};
use crate::remote::Started;
use crate::session::{Purpose, Session, Stand, read, read_store, tools};
use crate::text::clean;

/// What is called where neither $VISUAL nor $EDITOR is set.
const EDITOR_DEFAULT: &str = "vi";

/// Edits a plan, shows it as a definition, lists its edits, or takes one back.
pub fn edit(common: &Common, asked: &Edit) -> anyhow::Result<Exit> {
    let mut reading = read(common)?;
    let id = find_workflow(reading.as_mut(), &asked.id)?.id;
    if asked.show {
        return show(common, Under::of(id, reading.as_mut())?);
    }
    if let Some(edit) = asked.undo {
        return tell(common, Ask::UndoEdit { workflow: id, edit });
    }
    let mut session = Session::open(common, Purpose::Tell)?;
    let done = if asked.list {
        list(common, &session, id).map(|()| None)
    } else {
        match &asked.file {
            Some(file) => from_file(common, &mut session, (id, asked.revision), file).map(Some),
            None => in_editor(common, &mut session, id),
        }
    };
    let owned = session.is_owner();
    let closed = session.close();
    let stand = done?;
    closed?;
    Ok(stand.map_or(Exit::Done, |stand| told(common, stand, owned)))
}

/// Has the person at this terminal edit a plan until it is valid, and applies it; `None` where they leave
/// it as it is.
pub(super) fn in_editor(
    common: &Common,
    session: &mut Session,
    id: WorkflowId,
) -> anyhow::Result<Option<Stand>> {
    let under = Under::of(id, session.reading()?.as_mut())?;
    // Nobody else may look into it, nor at what an editor leaves beside the file.
    let folder = tempfile::Builder::new().prefix("baton-edit-").tempdir();
    let folder = folder.context("no private folder can be made for the editor")?;
    let file = folder.path().join("plan.yaml");
    let first = under.text();
    let mut made =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).context("edit")?;
    made.write_all(first.as_bytes())?;
    drop(made);
    loop {
        call_editor(&file)?;
        let source = read_source(&file).context("the edited plan cannot be read")?;
        if source == first || is_blank(&source) {
            say("nothing was changed");
            return Ok(None);
        }
        match under.apply(common, session, &source, "plan.yaml") {
            Ok(Ok(stand)) => return Ok(Some(stand)),
            Ok(Err(faults)) => {
                faults.lines().for_each(|line| say(&clean(line)));
                let again = prompt("[e]dit again, or [d]rop what you changed: ")?;
                if !matches!(again.as_deref(), Some("e" | "edit")) {
                    say("nothing was changed");
                    return Ok(None);
                }
            }
            Err(fault) => {
                let kept = folder.keep().join("plan.yaml");
                return Err(fault.context(format!("what you wrote is kept in {}", kept.display())));
            }
        }
    }
}

fn from_file(
    common: &Common,
    session: &mut Session,
    (id, revision): (WorkflowId, Option<u64>),
    file: &Path,
) -> anyhow::Result<Stand> {
    let shown = clean(&file.display().to_string());
    let unread = |cause| Failed::usage(format!("{shown} cannot be read: {cause}"));
    let source = if file == Path::new("-") { from_stdin() } else { read_source(file) };
    let source = source.map_err(unread)?;
    let under = Under::of(id, session.reading()?.as_mut())?;
    let under = Under { revision: revision.unwrap_or(under.revision), ..under };
    let applied = under.apply(common, session, &source, &shown)?;
    applied.map_err(|faults| Failed::usage(format!("{faults}; nothing was edited")).into())
}

fn from_stdin() -> std::io::Result<String> {
    let mut source = String::new();
    std::io::stdin().lock().take(SOURCE_BYTES_MAX as u64 + 1).read_to_string(&mut source)?;
    Ok(source)
}

/// A plan that is being edited.
struct Under {
    id: WorkflowId,
    /// The workflow's, when the plan was read.
    revision: u64,
    plan: Plan,
}

impl Under {
    /// The plan as it is now. The revision is read first: an edit in between makes this one stale.
    fn of(id: WorkflowId, reading: &mut dyn Reading) -> anyhow::Result<Self> {
        let workflow = reading.brief(id)?.with_context(|| format!("the workflow {id} is gone"))?;
        Ok(Self { id, revision: workflow.revision, plan: reading.plan(id)? })
    }

    /// As it is opened in an editor.
    fn text(&self) -> String {
        let name = &self.plan.name;
        format!(
            "# The plan of {name} as it is in review. Change it, save it and leave the editor.\n\
             # Left as it is, or empty, nothing is changed.\n{}",
            yaml(&written(&self.plan))
        )
    }

    /// Has it replaced by what a text says; the inner error is what is wrong with that text.
    fn apply(
        &self,
        common: &Common,
        session: &mut Session,
        source: &str,
        file: &str,
    ) -> anyhow::Result<Result<Stand, String>> {
        if let Some(server) = session.server() {
            return Ok(match server.edit(self.id, self.revision, source)? {
                Started::Yes(stand) => Ok(stand),
                Started::Refused(problem) if problem.code == "invalid_definition" => {
                    Err(faults_in(&faults_of(&problem.errors, "/plan"), file, source))
                }
                Started::Refused(problem) => return Err(server.refused(problem).into()),
            });
        }
        let plan = match self.read(common, session, source)? {
            Ok(plan) => plan,
            Err(faults) => return Ok(Err(faults_in(&faults, file, source))),
        };
        let inputs = match self.inputs(session, &plan)? {
            Ok(inputs) => baton_core::body::Json::of(&inputs),
            Err(faults) => {
                let lines: Vec<String> = faults.iter().map(input_line).collect();
                let lines = lines.join("\n");
                return Ok(Err(format!("{lines}\n\nthe inputs that it has do not fit the plan")));
            }
        };
        let (workflow, revision) = (self.id, self.revision);
        let edited = Edited { workflow, revision, plan, inputs };
        session.change(Ask::Edit(Box::new(edited))).map(Ok)
    }

    fn read(
        &self,
        common: &Common,
        session: &Session,
        source: &str,
    ) -> anyhow::Result<Result<Plan, Vec<definition::Fault>>> {
        let config = Config::of(common)?;
        let at_hand: Arc<dyn Tools> = match session.tools() {
            Some(own) => Arc::clone(own),
            None => Arc::new(tools(common, &config)?),
        };
        let folder = Some(Path::new("."));
        let catalog = LocalCatalog::new(at_hand, &config, folder, read_store(common).ok());
        let catalog = catalog.with_agents_of(folder);
        Ok(definition::edited(source, &self.plan, &catalog))
    }

    /// The workflow's inputs, with the defaults of the edited plan.
    fn inputs(
        &self,
        session: &Session,
        plan: &Plan,
    ) -> anyhow::Result<Result<Value, Vec<InputFault>>> {
        let mut views = session.views()?;
        let found = views.workflow(self.id)?;
        let (card, row) = found.with_context(|| format!("the workflow {} is gone", self.id))?;
        let of = editable(&card, self.revision, views.as_mut())?;
        let stale = || Failed::declined(out_of_reach(row.status).word(), String::new());
        let inputs: Value = serde_json::from_str(of.ok_or_else(stale)?.inputs.as_str())?;
        Ok(input_faults(plan, &inputs))
    }
}

/// Whether there is nothing but comments.
fn is_blank(source: &str) -> bool {
    source.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// Waits until the editor has ended. It has the terminal even where what is printed goes elsewhere.
fn call_editor(file: &Path) -> anyhow::Result<()> {
    let set = |name| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR"));
    let editor = editor.unwrap_or_else(|| EDITOR_DEFAULT.to_owned());
    // Such variables hold a command with its options, to be read by a shell.
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor).arg(file);
    if !std::io::stdin().is_terminal() {
        command.stdin(Stdio::null());
    }
    if !std::io::stdout().is_terminal() {
        command.stdout(Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?));
    }
    let ended = command.status().context("no shell can be called for the editor")?;
    if ended.success() {
        return Ok(());
    }
    let editor = clean(&editor);
    let message =
        format!("the editor `{editor}` failed ({ended}); set $VISUAL or $EDITOR to another one");
    Err(Failed::usage(message).into())
}

fn show(common: &Common, under: Under) -> anyhow::Result<Exit> {
    let definition = written(&under.plan);
    if common.json {
        let line = json!({ "revision": under.revision, "definition": definition });
        say_out(&line.to_string());
    } else {
        say_out(yaml(&definition).trim_end());
    }
    Ok(Exit::Done)
}

fn list(common: &Common, session: &Session, id: WorkflowId) -> anyhow::Result<()> {
    let all = match session.server() {
        Some(server) => server.edits(id)?,
        None => {
            let mut views = session.views()?;
            let found = views.workflow(id)?;
            let (card, _) = found.with_context(|| format!("the workflow {id} is gone"))?;
            edits(&card, views.as_mut())?
        }
    };
    for edit in &all {
        let line = if common.json { serde_json::to_string(edit)? } else { clean(&line_of(edit)) };
        say_out(&line);
    }
    if all.is_empty() && !common.json {
        say("its plan was not edited");
    }
    Ok(())
}

/// `edit 2  applied  user:ada  + second, ~ first, - third, output`.
fn line_of(edit: &EditView) -> String {
    let by = edit.by.as_deref().unwrap_or("somebody");
    let of = |sign: &str, keys: &[String]| {
        keys.iter().map(|key| format!("{sign}{key}")).collect::<Vec<_>>()
    };
    let changes = &edit.changes;
    let parts = [
        of("+ ", &changes.added),
        of("~ ", &changes.changed),
        of("- ", &changes.removed),
        of("", &changes.fields),
    ];
    format!("edit {}  {:<7}  {by}  {}", edit.edit, edit.status.word(), parts.concat().join(", "))
}
