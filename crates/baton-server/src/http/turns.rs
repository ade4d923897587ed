//! What an agent did: its turns, and what its model was asked in each of them, byte for byte.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use baton_core::ids::TaskId;
use baton_engine::prompt::{PromptFault, PromptView, prompt};
use baton_engine::store::Views;
use baton_engine::transcript::{Transcript, agent_of};
use baton_engine::turn_view::{TurnView, Whose, turn_views};
use utoipa::IntoParams;

use super::Api;
use super::code::ProblemCode;
use super::extract::{Asked, IdOf};
use super::page::Page;
use super::problem::Problem;
use super::schema::{Problems, PromptSchema, TaskInPath, TurnSchema};
use super::tasks::{Part, kept, shown, workflow_of};

/// A call of a model in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "read by the generator, never built")]
struct CallInPath {
    /// The task's id.
    #[param(format = "uuid")]
    id: String,
    /// The number of the call: that of the attempt, over all runs.
    #[param(minimum = 1, maximum = 4_294_967_295_u32)]
    n: u32,
}

/// The task and the call that a path names.
pub(super) struct CallOf(TaskId, u32);

impl<S: Send + Sync> FromRequestParts<S> for CallOf {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unreadable = |detail| Problem::new(ProblemCode::InvalidRequest, detail);
        let Path((id, call)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|fault| unreadable(format!("the path cannot be read: {fault}")))?;
        let named = id.parse().ok().zip(call.parse().ok());
        let wrong = || unreadable("`/tasks/{id}/calls/{n}` wants a UUID and a number".to_owned());
        named.map(|(id, call)| Self(id, call)).ok_or_else(wrong)
    }
}

/// The turns of a task's agent, oldest first: what its model was told and said, what came of the calls
/// it asked for, and what that used and cost. A page also ends where it gets too large.
#[utoipa::path(get, path = "/tasks/{id}/transcript", tag = "tasks", operation_id = "show_transcript", params(TaskInPath, Part),
    responses((status = 200, description = "A page of turns", body = Page<TurnSchema>), Problems))]
pub(super) async fn transcript(
    State(api): State<Api>,
    IdOf(id): IdOf<TaskId>,
    Asked(part): Asked<Part>,
) -> Result<Json<Page<TurnView>>, Problem> {
    let (skipped, limit) = part.wanted()?;
    let wanted = (usize::try_from(skipped).unwrap_or(usize::MAX), limit as usize);
    let (workflow, ordinal) = workflow_of(id)?;
    let read = move |views: &mut dyn Views| {
        let mut shown = shown(workflow, views)?;
        let task = shown.take((workflow, ordinal))?;
        let number = shown.card.number;
        let of = views.tasks(number)?.into_iter().find(|row| row.ordinal == ordinal);
        let of = of.map_or(ordinal, |row| row.of);
        let agent = agent_of(&shown.plan, of).filter(|_| task.call_of.is_none());
        let agent = agent.ok_or_else(|| no_agent(id))?;
        let whose = Whose { workflow, key: &task.key, agent };
        let transcript = Transcript::read(number, ordinal, views)?;
        let (items, next) = turn_views(whose, &transcript.turns, wanted, views)?;
        Ok(Page { items, next_cursor: next.map(|next| next.to_string()) })
    };
    api.readers.read(read).await.map(Json)
}

fn no_agent(id: TaskId) -> Problem {
    let detail = format!("the task {id} has no agent, and no transcript");
    Problem::new(ProblemCode::NotFound, detail)
}

/// What the model was asked in one call, rebuilt from the journal and checked against the digest that
/// was journaled before the call was made.
#[utoipa::path(get, path = "/tasks/{id}/calls/{n}/prompt", tag = "tasks", operation_id = "show_prompt", params(CallInPath),
    responses((status = 200, description = "The prompt", body = PromptSchema), Problems))]
pub(super) async fn show_prompt(
    State(api): State<Api>,
    CallOf(id, call): CallOf,
) -> Result<Json<PromptView>, Problem> {
    let (workflow, ordinal) = workflow_of(id)?;
    let read = move |views: &mut dyn Views| {
        let (card, _) = kept(workflow, views)?;
        prompt(card.number, (ordinal, call), views).map_err(|fault| {
            let detail = fault.to_string();
            match fault {
                PromptFault::NoSuchCall(_) => Problem::new(ProblemCode::NotFound, detail),
                PromptFault::Changed { .. } => Problem::new(ProblemCode::StoreDamaged, detail),
                PromptFault::Store(fault) => fault.into(),
            }
        })
    };
    api.readers.read(read).await.map(Json)
}
