//! Whether agents have a model that can be asked here, before anything is started: without one, their
//! task would only fail.
//!
//! Nothing is asked to find out; a model that may be tried counts as there.

use baton_core::plan::{AgentCall, Work};
use baton_engine::ports::Models;
use baton_models::ModelSet;
use baton_server::wire::Submission;

use crate::config::Config;
use crate::exit::Failed;
use crate::session::Session;

/// Why none of an agent's models can be asked here, as its first says it; `None` where every one of
/// these agents has a model that may be tried.
pub(super) fn missing<'p>(
    config: &Config,
    agents: impl Iterator<Item = &'p AgentCall>,
) -> anyhow::Result<Option<String>> {
    let mut agents = agents.peekable();
    if agents.peek().is_none() {
        return Ok(None);
    }
    let models = ModelSet::new(config.models.clone());
    let models = models.map_err(|fault| Failed::usage(fault.to_string()))?;
    let first_missing = |agent: &AgentCall| {
        let missing: Option<Vec<String>> =
            agent.models.iter().map(|model| models.missing(&model.name)).collect();
        missing?.into_iter().next()
    };
    Ok(agents.find_map(first_missing))
}

/// Ends a session that would start this plan here, where one of its agents has no model that can be
/// asked. Another owner asks its own models, of which nothing is known here; and a plan that goes to
/// review starts nothing yet.
pub(super) fn require(
    session: Session,
    config: &Config,
    Submission { plan, review, .. }: &Submission,
) -> anyhow::Result<Session> {
    if !session.is_owner() || *review {
        return Ok(session);
    }
    let agents = plan.tasks.iter().filter_map(|task| agent_in(&task.work));
    match missing(config, agents)? {
        Some(missing) => Err(refused(session, &missing)),
        None => Ok(session),
    }
}

/// Ends a session, and says why nothing is started.
pub(super) fn refused(session: Session, missing: &str) -> anyhow::Error {
    let message = format!("{missing}; nothing was started");
    session.close().err().unwrap_or_else(|| Failed::usage(message).into())
}

/// The agent that does a task, where one does.
pub(super) fn agent_in(work: &Work) -> Option<&AgentCall> {
    match work {
        Work::Agent(agent) => Some(agent),
        Work::Tool(_)
        | Work::Human(_)
        | Work::Wait(_)
        | Work::Emit(_)
        | Work::Workflow(_)
        | Work::Worker(_) => None,
    }
}
