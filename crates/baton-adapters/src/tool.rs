//! One tool: a typed input, a typed output, and the scope a call runs in.
//!
//! The blanket implementation is the only place that reads an input or writes an output as JSON.

use std::path::Path;
use std::time::{Duration, Instant};

use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::{Effect, FailureKind, Permission};
use baton_engine::ports::{Call, Control};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::beneath::{Place, Roots};
use crate::config::{Limits, ToolsConfig};

/// A tool with typed input and output.
pub(crate) trait Tool: Send + Sync {
    /// The input; refuses unknown fields.
    type Input: DeserializeOwned;
    /// The output.
    type Output: Serialize;
    /// What the tool says of itself; its schema states the bounds given.
    fn spec(&self, limits: &Limits) -> ToolSpec;
    /// Does it.
    fn run(&self, scope: &Scope<'_>, input: Self::Input) -> Result<Self::Output, CallFailure>;
}

/// A tool as the registry keeps it.
pub(crate) trait AnyTool: Send + Sync {
    /// See [`Tool::spec`].
    fn spec(&self, limits: &Limits) -> ToolSpec;
    /// Reads the input, runs the tool, writes the output.
    fn call(&self, scope: &Scope<'_>, input: &Json) -> Result<Json, CallFailure>;
}

impl<T: Tool> AnyTool for T {
    fn spec(&self, limits: &Limits) -> ToolSpec {
        Tool::spec(self, limits)
    }

    fn call(&self, scope: &Scope<'_>, input: &Json) -> Result<Json, CallFailure> {
        let input = serde_json::from_str(input.as_str()).map_err(|fault| {
            invalid(format!("the input of {} is not right: {fault}", scope.tool))
        })?;
        let output = self.run(scope, input)?;
        Json::from_serialize(&output).map_err(|fault| {
            CallFailure::in_doubt(
                FailureKind::InvalidOutput,
                format!("the output of {} is no JSON: {fault}", scope.tool),
            )
        })
    }
}

/// What one call may use.
pub(crate) struct Scope<'a> {
    /// `server.tool`, for messages.
    pub(crate) tool: &'a str,
    /// Stable over every repetition of the call.
    pub(crate) key: &'a str,
    /// W3C trace context: the span that the call is.
    pub(crate) traceparent: Option<&'a str>,
    /// Where relative paths start; the first root where none is given.
    folder: Option<&'a Path>,
    /// What was declared.
    pub(crate) config: &'a ToolsConfig,
    /// The folders the call may touch.
    pub(crate) roots: &'a Roots,
    control: &'a Control,
    until: Option<Instant>,
}

impl<'a> Scope<'a> {
    /// Starts the call's time.
    pub(crate) fn new(
        call: &'a Call,
        config: &'a ToolsConfig,
        roots: &'a Roots,
        control: &'a Control,
    ) -> Self {
        Self {
            tool: &call.tool,
            key: &call.idempotency_key,
            traceparent: call.context.as_ref().map(|context| context.traceparent.as_str()),
            folder: call.folder.as_deref().map(Path::new),
            config,
            roots,
            control,
            until: Instant::now().checked_add(control.timeout),
        }
    }

    /// The place a path of the call names: relative ones start at the caller's folder.
    pub(crate) fn place(&self, path: &str) -> Result<Place<'a>, CallFailure> {
        self.roots.place_from(self.folder, path)
    }

    /// Why the call must end now, if it must.
    pub(crate) fn stop(&self) -> Option<FailureKind> {
        if self.control.is_cancelled() {
            return Some(FailureKind::Cancelled);
        }
        (self.left() == Duration::ZERO).then_some(FailureKind::TimedOut)
    }

    /// Fails when the call must end now; for calls that have had no effect yet.
    pub(crate) fn check(&self) -> Result<(), CallFailure> {
        self.stop().map_or(Ok(()), |kind| {
            Err(CallFailure {
                retryable: kind == FailureKind::TimedOut,
                ..CallFailure::refused(kind, self.stopped(kind))
            })
        })
    }

    /// The sentence that goes with [`Scope::stop`].
    pub(crate) fn stopped(&self, kind: FailureKind) -> String {
        if kind == FailureKind::Cancelled {
            return format!("{} was told to stop", self.tool);
        }
        let limit = self.control.timeout;
        format!(
            "{} did not end within {limit:?}; raise the task's `timeout` or ask for less",
            self.tool
        )
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
    }

    /// The declared bounds.
    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }
}

/// A spec whose effect is `read`, for tasks of any permission.
pub(crate) fn reads(name: &str, description: &str, input: Value) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        effect: Effect::Read,
        permission: Permission::ReadOnly,
        input,
        output: None,
        quick: false,
    }
}

/// A spec of a tool that changes something.
pub(crate) fn writes(effect: Effect, name: &str, description: &str, input: Value) -> ToolSpec {
    ToolSpec { effect, permission: Permission::ReadWrite, ..reads(name, description, input) }
}

/// The input does not fit.
pub(crate) fn invalid(message: impl Into<String>) -> CallFailure {
    CallFailure::refused(FailureKind::InvalidInput, message)
}

/// What a call asked for, within 1 to `max`; `default`, or `max` if less, where it asked nothing.
pub(crate) fn bounded(
    name: &str,
    asked: Option<u64>,
    default: usize,
    max: usize,
) -> Result<usize, CallFailure> {
    let Some(asked) = asked else {
        return Ok(default.min(max));
    };
    usize::try_from(asked).ok().filter(|asked| (1..=max).contains(asked)).ok_or_else(|| {
        invalid(format!("`{name}` is {asked}; it must be from 1 to {max} (see `[tools.limits]`)"))
    })
}
