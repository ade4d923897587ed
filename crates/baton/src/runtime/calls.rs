//! One call: its input is found, the tool is called, what it brought is bounded. Nothing of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::body::{Blob, BlobHash, Body, Json};
use baton_core::failure::CallFailure;
use baton_core::plan::Work;
use baton_core::words::{FailureKind, Happened};
use baton_core::workflow::Verdict;
use baton_engine::exchange::{Call, Prepare, Split};
use baton_engine::live::text_of;
use baton_engine::ports::{self, CallContext, Control, Models, Tools};
use baton_engine::scope::Unrendered;
use baton_engine::store::{StoreError, Views};
use baton_engine::turns::{self, ModelTurn};

use super::texts::Texts;

/// How often the input of a call is read while the store does not answer.
const READ_TRIES_MAX: u32 = 5;
/// The pause before the second reading; it doubles with each.
const READ_PAUSE: Duration = Duration::from_millis(50);

/// Messages of agents that are kept to be read again: a transcript of a thousand turns has some four
/// million bytes.
const TEXT_BYTES_MAX: usize = 32 << 20;

/// Makes calls.
pub(super) struct Caller {
    tools: Arc<dyn Tools>,
    models: Arc<dyn Models>,
    views: Mutex<Box<dyn Views>>,
    texts: Mutex<Texts>,
    output_bytes_max: usize,
}

impl Caller {
    /// Of these tools and models, with inputs from this store.
    pub(super) fn new(
        (tools, models): (Arc<dyn Tools>, Arc<dyn Models>),
        views: Box<dyn Views>,
        output_bytes_max: usize,
    ) -> Self {
        let (views, texts) = (Mutex::new(views), Mutex::new(Texts::new(TEXT_BYTES_MAX)));
        Self { tools, models, views, texts, output_bytes_max }
    }

    /// Has a model take its turn.
    pub(super) fn ask(
        &self,
        asking: &turns::Asking,
        control: &Control,
        told: &mut dyn FnMut(&str),
    ) -> Result<ModelTurn, CallFailure> {
        let agent = asking.agent().ok_or_else(|| refused("the plan has no such agent"))?;
        let request = asking.request(&mut |hash| self.text(hash)).map_err(unrendered)?;
        let answer = self.models.call(&request, control, told)?;
        Ok(turns::heard(agent, answer))
    }

    pub(super) fn make(&self, call: &Call, control: &Control) -> Result<Split, CallFailure> {
        let tool = tool_of(call).ok_or_else(|| refused("the plan has no such call"))?;
        let input = match &call.input {
            Some(Body::Inline(json)) => json.clone(),
            Some(Body::Blob { hash, .. }) => self.patient_blob(*hash).map_err(unread)?,
            None => {
                let constant = call.loaded.program.constant_input(call.of);
                constant.cloned().ok_or_else(|| refused("the call has no input"))?
            }
        };
        let port_call = ports::Call {
            tool: tool.to_owned(),
            input,
            folder: call.folder.clone(),
            idempotency_key: call.idempotency_key.clone(),
            context: Some(CallContext::new(
                call.workflow,
                (call.job.task, call.job.attempt),
                call.conversation,
            )),
        };
        let output = self.tools.call(&port_call, control)?;
        let (size, most) = (output.as_str().len(), self.output_bytes_max);
        if size > most {
            let message = format!(
                "the output of `{tool}` has {size} bytes, at most {most} are kept (limits.output_bytes)"
            );
            return Err(CallFailure {
                happened: Happened::Yes,
                ..CallFailure::refused(FailureKind::TooLarge, message)
            });
        }
        Ok(Body::split(output))
    }

    pub(super) fn probe(
        &self,
        job: &Prepare,
        timeout: Duration,
    ) -> Result<(Verdict, Option<Blob>), CallFailure> {
        let mut scope = job.ingredients.resolve(&mut |hash| self.blob(hash)).map_err(unread)?;
        let program = &job.loaded.program;
        let call =
            program.probe(job.of, &scope)?.ok_or_else(|| refused("the task has no probe"))?;
        let port_call = ports::Call {
            tool: call.tool,
            input: call.input,
            folder: job.folder.clone(),
            idempotency_key: String::new(),
            context: None,
        };
        match self.tools.call(&port_call, &Control::new(timeout)) {
            Ok(output) => {
                scope.output = Some(Arc::new(output.value()));
                if !program.probe_happened(job.of, &scope)? {
                    return Ok((Verdict::DidNotHappen, None));
                }
                let (body, blob) = Body::split(output);
                Ok((Verdict::Happened(body), blob))
            }
            Err(failure) if failure.kind == FailureKind::NotFound => {
                Ok((Verdict::DidNotHappen, None))
            }
            Err(failure) => Err(failure),
        }
    }

    pub(super) fn blob(&self, hash: BlobHash) -> Result<Json, StoreError> {
        text_of(hash, self.views.lock().unwrap_or_else(PoisonError::into_inner).blob(hash)?)
    }

    /// A message of a transcript, which is read anew for each turn.
    fn text(&self, hash: BlobHash) -> Result<Json, StoreError> {
        let kept = self.texts.lock().unwrap_or_else(PoisonError::into_inner).get(hash);
        if let Some(text) = kept {
            return Ok(text);
        }
        let text = self.patient_blob(hash)?;
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).put(hash, text.clone());
        Ok(text)
    }

    /// The input of a call that has been promised: it may wait a little for the store.
    fn patient_blob(&self, hash: BlobHash) -> Result<Json, StoreError> {
        let mut pause = READ_PAUSE;
        for _ in 1..READ_TRIES_MAX {
            match self.blob(hash) {
                Err(StoreError::Unavailable(_)) => {}
                read => return read,
            }
            // sleep: a passing fault of the store gives no signal when it has passed.
            std::thread::sleep(pause);
            pause *= 2;
        }
        self.blob(hash)
    }
}

pub(super) fn tool_of(call: &Call) -> Option<&str> {
    if let Some(tool) = &call.asked {
        return Some(tool);
    }
    let plan = call.loaded.plan.task(call.of)?;
    match call.rung.checked_sub(1) {
        Some(fallback) => plan.fallback.get(fallback as usize).map(|call| call.tool.as_str()),
        None => match &plan.work {
            Work::Tool(call) => Some(&call.tool),
            Work::Human(_)
            | Work::Wait(_)
            | Work::Emit(_)
            | Work::Workflow(_)
            | Work::Worker(_)
            | Work::Agent(_) => None,
        },
    }
}

fn refused(message: &str) -> CallFailure {
    CallFailure::refused(FailureKind::InvalidInput, message)
}

/// A call whose input cannot be read is not made. Where the store does not answer just now, the
/// attempt is lost and repeated, and uses up none of the task's tries.
fn unread(fault: StoreError) -> CallFailure {
    unrendered(Unrendered::from(fault))
}

fn unrendered(fault: Unrendered) -> CallFailure {
    match fault {
        Unrendered::Failed(failure) => failure,
        Unrendered::Unread(fault) => CallFailure::passing(FailureKind::Lost, fault.to_string()),
    }
}

/// The result of a computation; a panic in it is a failure like another.
pub(super) fn caught<T, E: From<CallFailure>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(ToString::to_string);
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let message = format!("the tool panicked: {said}");
        Err(CallFailure::in_doubt(FailureKind::Panicked, message).into())
    })
}
