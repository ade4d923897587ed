//! Turns of an agent: what a model's answer leads to. Its calls are tasks, and follow the rules of
//! [`attempts`](super::attempts).

use super::{Decision, completed, one};
use crate::agent::{Digest, Message, RequestHead, offered};
use crate::body::{Body, Json};
use crate::failure::CallFailure;
use crate::ids::Ordinal;
use crate::plan::{AgentCall, Ends, WORKFLOW_TASKS_MAX};
use crate::time::Moment;
use crate::words::{AttemptStatus, FailureKind, Happened};
use crate::workflow::accounts::{Amount, RoomFor};
use crate::workflow::command::{Refusal, TurnAnswer};
use crate::workflow::event::{Event, ModelCall, TaskAnswered};
use crate::workflow::state::{AgentRun, AskedCall, WorkflowState};

/// How often in a row the same call may bring the same before its agent is stopped.
pub const REPEATS_MAX: u32 = 3;
/// The most calls that one answer may ask for.
pub const CALLS_AT_ONCE_MAX: usize = 64;

impl WorkflowState {
    /// The call of a model that the task's next turn is, if it is an agent's; `prompt` is what it is
    /// asked where this is its first. `Err` is what happens instead: something is left out of the
    /// transcript first, or a budget has no room.
    pub(super) fn next_turn(
        &self,
        ordinal: Ordinal,
        prompt: Option<&Body>,
        room: &RoomFor,
    ) -> Result<Option<ModelCall>, Decision> {
        let one_call = Amount { calls: 1, ..Amount::default() };
        let (Some(agent), Some(model)) = (self.agent_call(ordinal), self.model_of(ordinal)) else {
            if self.asked_call(ordinal).is_some() {
                self.make_room(ordinal, one_call, (None, room))?;
            }
            return Ok(None);
        };
        let head = request_head(agent, &model.name);
        if let Some(compacted) = self.compaction(ordinal, prompt, &head) {
            return Err(Ok(one(compacted)));
        }
        let read = self.input_tokens_max(ordinal, prompt, head.bytes());
        let read = room.counted.map_or(read, |counted| counted.min(read));
        let written = u64::from(agent.limits.output_tokens_max);
        let tokens_max = read.saturating_add(written);
        let cost_max = model.price.map(|price| price.at_most(read, written));
        let need = Amount { tokens: tokens_max, cost: cost_max.unwrap_or_default(), ..one_call };
        self.make_room(ordinal, need, (Some(model), room))?;
        let (messages, digest) = self.request_of(ordinal, prompt);
        let (model, digest) = (model.name.clone(), digest.request(&head));
        Ok(Some(ModelCall { model, messages, digest, tokens_max, cost_max }))
    }

    /// How many messages an agent's next request has, and their digest.
    fn request_of(&self, ordinal: Ordinal, prompt: Option<&Body>) -> (u32, Digest) {
        let run = self.agent_run(ordinal);
        let (digest, known) =
            run.map_or_else(Default::default, |run| (run.digest, run.transcript.len()));
        let asked = prompt.filter(|_| known == 0);
        let digest = asked.map_or(digest, |prompt| digest.then("user", [prompt]));
        let messages = u32::try_from(known + usize::from(asked.is_some())).unwrap_or(u32::MAX);
        (messages, digest)
    }

    /// Whether an agent's next model may succeed where this one failed.
    pub(super) fn has_next_model(&self, ordinal: Ordinal, failure: &CallFailure) -> bool {
        let about_the_agent = matches!(
            failure.kind,
            FailureKind::Loop | FailureKind::Cancelled | FailureKind::Template
        );
        let used = self.agent_run(ordinal).map_or(0, |run| run.model as usize);
        let models = self.agent_call(ordinal).map_or(0, |agent| agent.models.len());
        !about_the_agent && used + 1 < models
    }

    pub(super) fn answer(
        &self,
        ordinal: Ordinal,
        attempt: u32,
        answer: &TurnAnswer,
        moment: &Moment,
    ) -> Decision {
        self.executing_attempt(ordinal, attempt)?;
        let (Some(agent), Some(run)) = (self.agent_call(ordinal), self.agent_run(ordinal)) else {
            return Err(Refusal::NotReady);
        };
        let answered = TaskAnswered {
            task: ordinal,
            attempt,
            message: answer.message.clone(),
            usage: answer.usage,
            first: None,
            calls: Vec::new(),
            again: None,
        };
        let give_up = |failure: &CallFailure| {
            let status = AttemptStatus::Failed;
            let end = self.after_failure(ordinal, attempt, status, failure, moment);
            Ok(vec![answered.clone().into(), end])
        };
        if answer.calls.is_empty() {
            return match &answer.output {
                Ok(output) => Ok(vec![answered.into(), completed(ordinal, output.clone()).into()]),
                Err(why) if run.asked_again < agent.limits.asks_max => {
                    match spent(agent, run, answer) {
                        None => Ok(one(TaskAnswered { again: Some(ask_again(why)), ..answered })),
                        Some(failure) => give_up(&failure),
                    }
                }
                Err(why) => give_up(&at_end(FailureKind::InvalidOutput, why.clone())),
            };
        }
        if let Some(failure) = spent(agent, run, answer).or_else(|| repeated(run, &answer.calls)) {
            return give_up(&failure);
        }
        if self.tasks.len() + answer.calls.len() > WORKFLOW_TASKS_MAX {
            let message = format!("the workflow would have more than {WORKFLOW_TASKS_MAX} tasks");
            return give_up(&at_end(FailureKind::TooLarge, message));
        }
        let first = Some(Ordinal(u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)));
        Ok(one(TaskAnswered { first, calls: answer.calls.clone(), ..answered }))
    }

    /// The end of an agent's task with the calls of its last answer, if they end it.
    pub(super) fn end_agent(&self, task: Ordinal, moment: &Moment) -> Option<Event> {
        let attempt = self.task(task)?.attempts;
        let status = AttemptStatus::Failed;
        Some(match self.end_of_agent(task)? {
            Ok(output) => completed(task, output).into(),
            Err(failure) => self.after_failure(task, attempt, status, &failure, moment),
        })
    }
}

/// What a request to this model says beside its messages.
pub fn request_head<'a>(agent: &'a AgentCall, model: &'a str) -> RequestHead<'a> {
    RequestHead {
        model,
        instructions: agent.instructions.as_deref(),
        tools: &agent.tools,
        output: agent.output.as_ref(),
        output_tokens_max: agent.limits.output_tokens_max,
    }
}

/// Why an agent that wants to go on may not.
fn spent(agent: &AgentCall, run: &AgentRun, answer: &TurnAnswer) -> Option<CallFailure> {
    let limits = &agent.limits;
    let calls = u32::try_from(answer.calls.len()).unwrap_or(u32::MAX);
    let ends = |call: &AskedCall| {
        let tool = offered(agent, &call.tool).filter(|_| call.refused.is_none());
        tool.is_some_and(|tool| tool.ends == Ends::Task)
    };
    // A call that ends the task needs no turn after this one; should it fail, there is none.
    let is_last = run.turns.saturating_add(1) >= limits.turns_max;
    if is_last && !answer.calls.iter().any(ends) {
        return Some(out_of_turns(agent));
    }
    let over = if run.calls.saturating_add(calls) > limits.calls_max {
        format!("{} calls (`calls`)", limits.calls_max)
    } else if answer.calls.len() > CALLS_AT_ONCE_MAX {
        format!("{CALLS_AT_ONCE_MAX} calls in one answer, and this one asks for {calls}")
    } else {
        return None;
    };
    Some(goes_too_far(agent, &over))
}

/// Why an agent that wants to go on has no turn for it.
pub fn out_of_turns(agent: &AgentCall) -> CallFailure {
    goes_too_far(agent, &format!("{} turns (`turns`)", agent.limits.turns_max))
}

fn goes_too_far(agent: &AgentCall, over: &str) -> CallFailure {
    let message = format!("the agent `{}` wants to go on, and has at most {over}", agent.agent);
    at_end(FailureKind::Loop, message)
}

fn repeated(run: &AgentRun, calls: &[AskedCall]) -> Option<CallFailure> {
    let call = calls.iter().find(|call| run.repeats(call) >= REPEATS_MAX)?;
    let message = format!(
        "the agent asks for the same call of `{}` again, which brought the same {REPEATS_MAX} times",
        call.tool
    );
    Some(at_end(FailureKind::Loop, message))
}

/// The model was called and has answered: the same call would bring nothing better.
fn at_end(kind: FailureKind, message: String) -> CallFailure {
    CallFailure { happened: Happened::Yes, ..CallFailure::refused(kind, message) }
}

fn ask_again(why: &str) -> Body {
    let text = format!(
        "Your answer does not fit: {why}\nAnswer again, with nothing but JSON that fits the schema."
    );
    let json = Json::from_serialize(&Message::user(text)).unwrap_or_else(|_| Json::null());
    Body::Inline(json)
}
