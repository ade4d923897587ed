//! One call of one tool: it waits for its turn, is leased, sent, followed, and judged.
//!
//! Whatever a server does or fails to do ends as one classified failure of this call alone.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use baton_engine::ports::{Call, Control};
use rmcp::RoleClient;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, ErrorCode, RequestMetaObject,
    ServerResult,
};
use rmcp::service::{PeerRequestOptions, RequestHandle, ServiceError};
use serde_json::{Map, Value};
use tokio::time::{interval, sleep_until, timeout};

use crate::connection::{Connection, cause};
use crate::output::judge;
use crate::record::now;
use crate::server::{NotReached, Server};
use crate::state::{Change, Lease};
use crate::toolset::Toolset;

/// The key of the idempotency key in `_meta`.
const IDEMPOTENCY_KEY: &str = "baton/idempotencyKey";
/// How often a call looks whether it was told to end.
const LOOK: Duration = Duration::from_millis(50);
/// How long telling the server of a cancellation may take.
const TELL: Duration = Duration::from_secs(1);

/// When and why a call must end.
struct Bounds<'c> {
    control: &'c Control,
    span: Duration,
    until: tokio::time::Instant,
}

impl Bounds<'_> {
    /// Ends when the call's time is over, which stands still while people are asked.
    async fn late(&self) {
        let asking = &self.control.asking;
        loop {
            let until = self.until + asking.waited();
            let now = tokio::time::Instant::now();
            if !asking.is_open() && until <= now {
                return;
            }
            sleep_until(until.max(now + LOOK)).await;
        }
    }

    /// The result, unless the call must end before it is there.
    async fn keep<T>(&self, work: impl Future<Output = T>) -> Result<T, FailureKind> {
        let told = async {
            let mut look = interval(LOOK);
            while !self.control.is_cancelled() {
                look.tick().await;
            }
        };
        tokio::select! {
            done = work => Ok(done),
            () = told => Err(FailureKind::Cancelled),
            () = self.late() => Err(FailureKind::TimedOut),
        }
    }

    fn sentence(&self, tool: &str, kind: FailureKind) -> String {
        if kind == FailureKind::Cancelled {
            return format!("{tool} was told to stop");
        }
        let span = self.span;
        format!(
            "{tool} did not answer within {span:?}; raise the task's `timeout`, or look at `baton servers`"
        )
    }
}

/// Calls a tool of a server, which must be one of its own.
pub(crate) async fn call(
    server: &Arc<Server>,
    tool: &str,
    call: &Call,
    control: &Control,
) -> Result<Json, CallFailure> {
    let most = server.config.timeout.map_or(control.timeout, |most| most.0.min(control.timeout));
    let until = Instant::now().checked_add(most).unwrap_or_else(|| Instant::now() + TELL);
    let bounds = Bounds { control, span: most, until: until.into() };
    let refused = |kind: FailureKind| {
        let message = bounds.sentence(&call.tool, kind);
        CallFailure {
            retryable: kind == FailureKind::TimedOut,
            ..CallFailure::refused(kind, message)
        }
    };
    let permit = bounds.keep(server.permits.acquire()).await.map_err(refused)?;
    let connected = bounds.keep(server.connected()).await.map_err(refused)?;
    let connection = connected.map_err(|why| not_reached(server, &why))?;
    let tools = server.tools().unwrap_or_default();
    if tools.get(tool).is_none() {
        let message = format!("the server `{}` has no tool `{tool}` (any more)", server.name);
        return Err(CallFailure::refused(FailureKind::NotFound, message));
    }
    let lease = server.record().lease(Lease {
        number: 0,
        locked_by: call.tool.clone(),
        lease_until: now().plus(most),
        conversation_id: call.context.as_ref().map(|context| context.conversation),
        task_id: call.context.as_ref().map(|context| context.task),
    });
    let begun = Instant::now();
    let leased = Leased { server, lease };
    let answered = exchange(&leased, &connection, tool, call, &bounds).await;
    let result = answered.and_then(|result| judged(&tools, tool, result));
    drop(permit);
    match &result {
        Ok(_) => server.record().served(lease, begun.elapsed()),
        Err(failure) => server.record().failed(&failure.message),
    }
    result
}

/// A lease that is given back however the call ends.
struct Leased<'s> {
    server: &'s Arc<Server>,
    lease: u64,
}

impl Drop for Leased<'_> {
    fn drop(&mut self) {
        self.server.record().change(Change::Released(self.lease));
    }
}

fn not_reached(server: &Server, why: &NotReached) -> CallFailure {
    let failure = CallFailure::passing(FailureKind::Unavailable, why.message(&server.name));
    match why {
        NotReached::Quarantined(left, _) => CallFailure {
            retry_after_ms: Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            ..failure
        },
        NotReached::Failed(_) => failure,
    }
}

/// Sends the call and waits for what comes back.
async fn exchange(
    leased: &Leased<'_>,
    connection: &Arc<Connection>,
    tool: &str,
    call: &Call,
    bounds: &Bounds<'_>,
) -> Result<ServerResult, CallFailure> {
    let request = request(tool, call)?;
    let options = PeerRequestOptions::no_options().with_meta(meta(call));
    let _attending = connection.attend(bounds.control);
    let sent = bounds.keep(connection.peer().send_request_with_option(request, options)).await;
    let doubt = |kind, message: String| Err(CallFailure::in_doubt(kind, message));
    let mut handle = match sent {
        Ok(Ok(handle)) => handle,
        Ok(Err(fault)) => return doubt(FailureKind::Lost, format!("{}: {fault}", call.tool)),
        Err(kind) => {
            suspect(leased.server, bounds.sentence(&call.tool, kind));
            return doubt(kind, bounds.sentence(&call.tool, kind));
        }
    };
    let following = connection.follow(handle.progress_token.clone(), bounds.control);
    let answer = bounds.keep(&mut handle.rx).await;
    drop(following);
    match answer {
        Ok(Ok(Ok(result))) => Ok(result),
        Ok(Ok(Err(ServiceError::McpError(error)))) => Err(protocol_error(&call.tool, &error)),
        Ok(Ok(Err(ServiceError::TransportClosed)) | Err(_)) => {
            Err(lost(&call.tool, connection).await)
        }
        Ok(Ok(Err(ServiceError::TransportSend(fault)))) => {
            doubt(FailureKind::Lost, format!("{} was lost: {}", call.tool, cause(&*fault.error)))
        }
        Ok(Ok(Err(fault))) => doubt(FailureKind::Lost, format!("{}: {fault}", call.tool)),
        Err(kind) => {
            tell(handle, kind).await;
            if kind == FailureKind::TimedOut {
                suspect(leased.server, bounds.sentence(&call.tool, kind));
            }
            doubt(kind, bounds.sentence(&call.tool, kind))
        }
    }
}

fn request(tool: &str, call: &Call) -> Result<ClientRequest, CallFailure> {
    let arguments: Map<String, Value> =
        serde_json::from_str(call.input.as_str()).map_err(|fault| {
            let message = format!("the input of {} is no object: {fault}", call.tool);
            CallFailure::refused(FailureKind::InvalidInput, message)
        })?;
    let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
    Ok(ClientRequest::CallToolRequest(CallToolRequest::new(params)))
}

fn meta(call: &Call) -> RequestMetaObject {
    let mut meta = RequestMetaObject::new();
    if !call.idempotency_key.is_empty() {
        meta.insert(IDEMPOTENCY_KEY.to_owned(), Value::String(call.idempotency_key.clone()));
    }
    if let Some(context) = &call.context {
        meta.set_traceparent(&context.traceparent);
    }
    meta
}

fn judged(tools: &Toolset, tool: &str, result: ServerResult) -> Result<Json, CallFailure> {
    let known = tools.get(tool);
    if let (ServerResult::CallToolResult(result), Some(known)) = (result, known) {
        return judge(known, result);
    }
    let message = format!("`{tool}` was answered with something that is no tool's result");
    Err(CallFailure {
        retryable: false,
        ..CallFailure::in_doubt(FailureKind::InvalidOutput, message)
    })
}

/// An error of the protocol. Those that say that the call was not understood had no effect.
fn protocol_error(tool: &str, error: &rmcp::model::ErrorData) -> CallFailure {
    let message = format!("{tool} was refused ({}): {}", error.code.0, error.message);
    match error.code {
        ErrorCode::INVALID_PARAMS | ErrorCode::INVALID_REQUEST | ErrorCode::PARSE_ERROR => {
            CallFailure::refused(FailureKind::InvalidInput, message)
        }
        ErrorCode::METHOD_NOT_FOUND => CallFailure::refused(FailureKind::NotFound, message),
        ErrorCode(_) => CallFailure::in_doubt(FailureKind::Refused, message),
    }
}

async fn lost(tool: &str, connection: &Connection) -> CallFailure {
    let words = connection.last_words().await;
    let kind = if connection.is_flooded() { FailureKind::TooLarge } else { FailureKind::Lost };
    CallFailure::in_doubt(kind, format!("{tool} was lost: {words}"))
}

/// Tells the server that nobody waits for the call any more.
async fn tell(handle: RequestHandle<RoleClient>, kind: FailureKind) {
    let reason = format!("baton: {}", baton_core::codes::Code::word(kind));
    // A server that takes nothing in learns it from the end of the connection.
    let _ = timeout(TELL, handle.cancel(Some(reason))).await;
}

/// A server that was late is not called again before it has answered something.
fn suspect(server: &Arc<Server>, why: String) {
    server.record().change(Change::Silent(why));
    let server = Arc::clone(server);
    tokio::spawn(async move { server.examine().await });
}
