//! `cancel`, `pause`: commands that tell a workflow something and are done.

use baton_core::words::WorkflowStatus;
use baton_server::wire::{Ask, Verb};

use crate::cli::Common;
use crate::display::{say, say_out};
use crate::exit::Exit;
use crate::reading::find_workflow;
use crate::session::{Purpose, Session, Stand, read};

/// Stops a workflow.
pub fn cancel(common: &Common, id: &str, reason: Option<String>) -> anyhow::Result<Exit> {
    tell_workflow(common, id, Verb::Cancel { reason })
}

/// Lets running tasks end and starts nothing more.
pub fn pause(common: &Common, id: &str) -> anyhow::Result<Exit> {
    tell_workflow(common, id, Verb::Pause)
}

fn tell_workflow(common: &Common, id: &str, verb: Verb) -> anyhow::Result<Exit> {
    let workflow = find_workflow(read(common)?.as_mut(), id)?.id;
    tell(common, Ask::Command { workflow, verb })
}

/// Tells a workflow something, prints where it stands then, and leaves.
pub fn tell(common: &Common, ask: Ask) -> anyhow::Result<Exit> {
    let mut session = Session::open(common, Purpose::Tell)?;
    let owned = session.is_owner();
    let told = session.change(ask);
    let closed = session.close();
    let stand = told?;
    closed?;
    Ok(self::told(common, stand, owned))
}

/// Prints where a workflow stands after it was told something; `owned` says that this process was the
/// owner of its store.
pub(super) fn told(common: &Common, stand: Stand, owned: bool) -> Exit {
    let Stand { id, status, revision } = stand;
    if common.json {
        let line = serde_json::json!({ "workflow_id": id, "status": status, "revision": revision });
        say_out(&line.to_string());
        return Exit::Done;
    }
    say(&format!("{id} is {status} now"));
    let goes_on = matches!(
        status,
        WorkflowStatus::Queued | WorkflowStatus::Running | WorkflowStatus::Cancelling
    );
    if owned && goes_on {
        say(&format!("nobody is working on it: `baton resume {id}` takes it up"));
    }
    Exit::Done
}
