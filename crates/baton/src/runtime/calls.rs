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
use baton_engine::ports::{self, Control, Tools};
use baton_engine::store::Views;

/// Makes calls.
pub(super) struct Caller {
    tools: Arc<dyn Tools>,
    views: Mutex<Box<dyn Views>>,
    output_bytes_max: usize,
}

impl Caller {
    /// Of these tools, with inputs from this store.
    pub(super) fn new(
        tools: Arc<dyn Tools>,
        views: Box<dyn Views>,
        output_bytes_max: usize,
    ) -> Self {
        Self { tools, views: Mutex::new(views), output_bytes_max }
    }

    pub(super) fn make(&self, call: &Call, control: &Control) -> Result<Split, CallFailure> {
        let tool = tool_of(call).ok_or_else(|| refused("the plan has no such call"))?;
        let input = match &call.input {
            Some(Body::Inline(json)) => json.clone(),
            Some(Body::Blob { hash, .. }) => self.blob(*hash)?,
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
        let mut scope = job.ingredients.resolve(&mut |hash| self.blob(hash))?;
        let program = &job.loaded.program;
        let call =
            program.probe(job.of, &scope)?.ok_or_else(|| refused("the task has no probe"))?;
        let port_call = ports::Call {
            tool: call.tool,
            input: call.input,
            folder: job.folder.clone(),
            idempotency_key: String::new(),
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

    pub(super) fn blob(&self, hash: BlobHash) -> Result<Json, CallFailure> {
        let lost = |detail: String| CallFailure::passing(FailureKind::Unavailable, detail);
        let blob = self
            .views
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blob(hash)
            .map_err(|e| lost(e.to_string()))?;
        let blob = blob.ok_or_else(|| {
            lost(format!("the blob {hash} is not in the store; run `baton doctor`"))
        })?;
        blob.unpack().map_err(|e| lost(e.to_string()))
    }
}

pub(super) fn tool_of(call: &Call) -> Option<&str> {
    let plan = call.loaded.plan.task(call.of)?;
    match call.rung.checked_sub(1) {
        Some(fallback) => plan.fallback.get(fallback as usize).map(|call| call.tool.as_str()),
        None => match &plan.work {
            Work::Tool(call) => Some(&call.tool),
            Work::Human(_) | Work::Wait(_) | Work::Emit(_) | Work::Workflow(_) => None,
        },
    }
}

fn refused(message: &str) -> CallFailure {
    CallFailure::refused(FailureKind::InvalidInput, message)
}

/// The result of a computation; a panic in it is a failure like another.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, CallFailure>) -> Result<T, CallFailure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(ToString::to_string);
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(CallFailure::in_doubt(FailureKind::Panicked, format!("the tool panicked: {said}")))
    })
}
