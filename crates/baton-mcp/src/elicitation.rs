//! What a server asks people in the middle of a call (`elicitation/create`): brought into a question
//! that the engine journals, and the answer back into the protocol's words.
//!
//! Whether anybody may be asked, and who answers, is not decided here.

use baton_core::body::Json;
use baton_core::workflow::question::{Answer, Question};
use baton_engine::asking::Heard;
use baton_engine::ports::Control;
use rmcp::model::{
    ClientCapabilities, ElicitRequestParams, ElicitResult, ElicitationAction,
    ElicitationCapability, ErrorData, FormElicitationCapability, MetaObject,
    UrlElicitationCapability,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The method by which a server asks.
const CREATE: &str = "elicitation/create";

/// Whose call a question belongs to.
pub(crate) enum Asker {
    /// This one's.
    Call(Control),
    /// One of several, and nobody knows which.
    Unclear,
    /// No call's.
    Nobody,
}

/// What a server may ask: forms, and visits to an address.
pub(crate) fn capabilities() -> ClientCapabilities {
    let asks = ElicitationCapability::default()
        .with_form(FormElicitationCapability::default())
        .with_url(UrlElicitationCapability::default());
    let mut capabilities = ClientCapabilities::default();
    capabilities.elicitation = Some(asks);
    capabilities
}

/// A request that nothing else could be made of.
pub(crate) fn not_understood(method: &str) -> ErrorData {
    if method == CREATE {
        let says = "a question has a `message`, and a flat `requestedSchema` or a `url`";
        return ErrorData::invalid_params(says, None);
    }
    ErrorData::new(rmcp::model::ErrorCode::METHOD_NOT_FOUND, method.to_owned(), None)
}

/// Asks, and waits until there is an answer or the server does not want one any more.
pub(crate) async fn ask(
    asker: Asker,
    asked: ElicitRequestParams,
    taken_back: impl Future<Output = ()>,
) -> Result<ElicitResult, ErrorData> {
    let control = match asker {
        Asker::Call(control) => control,
        Asker::Unclear => {
            return Ok(nothing(
                "several calls of this server run, and a question does not say whose it is: give \
                 the server `concurrency = 1`",
            ));
        }
        Asker::Nobody => return Ok(nothing("no call of this server runs")),
    };
    let (tell, heard) = oneshot::channel();
    let hear = Box::new(move |heard| {
        // Nobody hears it where the connection has ended.
        let _ = tell.send(heard);
    });
    let ticket = control.asking.ask(question(asked)?, hear);
    let heard = tokio::select! {
        heard = heard => heard.unwrap_or(Heard::Nothing("the call has ended")),
        () = taken_back => {
            ticket.into_iter().for_each(|ticket| control.asking.take_back(ticket));
            Heard::Nothing("it was taken back")
        }
    };
    Ok(match heard {
        Heard::Said(Answer::Accepted(content)) => accepted(&content),
        Heard::Said(Answer::Declined) => ElicitResult::new(ElicitationAction::Decline),
        Heard::Nothing(why) => nothing(why),
    })
}

fn question(asked: ElicitRequestParams) -> Result<Question, ErrorData> {
    let question = if let ElicitRequestParams::UrlElicitationParams { message, url, .. } = &asked {
        Question::with_address(message, url)
    } else if let ElicitRequestParams::FormElicitationParams { message, requested_schema, .. } =
        &asked
    {
        let schema = serde_json::to_value(requested_schema).unwrap_or(Value::Null);
        Question::with_form(message, &schema)
    } else {
        return Err(not_understood(CREATE));
    };
    question.map_err(|faults| {
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        ErrorData::invalid_params(format!("this cannot be asked: {}", said.join("; ")), None)
    })
}

fn accepted(content: &Json) -> ElicitResult {
    let accepted = ElicitResult::new(ElicitationAction::Accept);
    let content = content.value();
    if content.is_null() { accepted } else { accepted.with_content(content) }
}

fn nothing(why: &str) -> ElicitResult {
    let said = json!({ "reason": why });
    let meta = said.as_object().cloned().unwrap_or_default();
    ElicitResult::new(ElicitationAction::Cancel).with_meta(MetaObject(meta))
}
