//! `/api/v1/events`: taking events in, one or many, and reading what has happened.
//!
//! Source of the forms: the HTTP binding of CloudEvents 1.0,
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use baton_core::base64::base64;
use baton_core::envelope::{self, Data, EnvelopeFault, Read};
use baton_core::ids::WorkflowId;
use baton_core::workflow::Event;
use baton_engine::events::Showing;
use baton_engine::exchange::{Reply, Request};
use baton_engine::live::read_event;
use baton_engine::store::{StoreError, Views};
use baton_engine::wording::Wordings;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::caller::Caller;
use super::code::ProblemCode;
use super::extract::Asked;
use super::page::{Page, cursor_of, limit_of};
use super::problem::{FieldError, Problem};
use super::schema::{Any, EventSchema, Problems};
use super::streams::batch::{fits, one_line};
use super::streams::patterns;
use super::workflows::found;

/// The most events that are sent at once.
const BATCH_MAX: usize = 1_000;
/// How many events are looked through for a page of some types.
const SCANNED_MAX: u32 = 10_000;
/// Within how many events behind one its firings are looked for.
const FIRINGS_WITHIN: u32 = 5_000;

/// A CloudEvent 1.0. Attributes of other names (`a-z 0-9`, at most 20 characters) are its extensions.
#[expect(dead_code, reason = "read by the generator, never built")]
#[derive(ToSchema)]
struct CloudEvent {
    /// `1.0`.
    #[schema(pattern = "^1\\.0$")]
    specversion: String,
    /// Unique for the source; both together are taken in once.
    #[schema(min_length = 1, max_length = 500, pattern = "^[!-~]+$")]
    id: String,
    /// Where it comes from: a URI reference.
    #[schema(min_length = 1, max_length = 500, pattern = "^[!-~]+$")]
    source: String,
    /// Its type.
    #[schema(min_length = 1, max_length = 200, pattern = "^[!-)+-~]+$")]
    r#type: String,
    /// What it is about.
    #[schema(min_length = 1, max_length = 500, pattern = "^[!-~]+$")]
    subject: Option<String>,
    /// When it happened.
    #[schema(format = DateTime)]
    time: Option<String>,
    /// The media type of its data.
    #[schema(min_length = 1, max_length = 500, pattern = "^[!-~]+$")]
    datacontenttype: Option<String>,
    /// Its data.
    data: Option<Any>,
    /// In the place of `data`: bytes, in Base64 with padding.
    #[schema(content_encoding = "base64")]
    data_base64: Option<String>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Taken {
    /// Its position in the journal.
    position: u64,
    /// It had been taken in before: nothing was done now.
    duplicate: bool,
    /// The workflows that it started, now or when it was first taken in.
    #[schema(value_type = Vec<String>)]
    started: Vec<WorkflowId>,
}

/// What became of the events that were sent.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct AllTaken {
    /// In the order in which they were sent.
    items: Vec<Taken>,
}

/// Takes events in: a CloudEvent as JSON, a batch of them, or one whose attributes are `ce-` headers.
#[utoipa::path(post, path = "/events", tag = "events", operation_id = "publish_events",
    request_body(content((CloudEvent = "application/cloudevents+json"), (Vec<CloudEvent> = "application/cloudevents-batch+json"), (CloudEvent = "application/json"))),
    responses((status = 200, description = "What became of them", body = AllTaken), Problems))]
pub(super) async fn publish(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<AllTaken>, Problem> {
    let mut items = Vec::new();
    for (event, blob) in read(&headers, &body)? {
        let request = Request::Publish { event: Box::new(event), blob };
        let reply = api.ask(&caller.actor, request).await?;
        let Reply::Published { position, duplicate, mut started } = reply else {
            let detail = "the owner answered an event with something else";
            return Err(Problem::new(ProblemCode::Internal, detail));
        };
        if duplicate {
            started = started_before(&api, position).await?;
        }
        items.push(Taken { position, duplicate, started });
    }
    Ok(Json(AllTaken { items }))
}

/// What an event that came before had started: the firings that follow it in its commit.
async fn started_before(api: &Api, position: u64) -> Result<Vec<WorkflowId>, Problem> {
    let read = move |views: &mut dyn Views| {
        let mut started = Vec::new();
        let records = views.events(position.saturating_sub(1), None, FIRINGS_WITHIN)?;
        let at = records.first().map(|record| record.at);
        let of_turn = records.iter().take_while(|record| Some(record.at) == at);
        for record in of_turn.filter(|record| record.cause == position) {
            if let Event::TriggerFired(fired) = read_event(record)? {
                started.extend(fired.workflow);
            }
        }
        Ok(started)
    };
    api.readers.read(read).await
}

/// What has happened in the store or to one workflow, oldest first.
///
/// Where `type` is given, a page may hold fewer events than were asked for, or none: `next_cursor` says
/// whether there is more to look through.
#[utoipa::path(get, path = "/events", tag = "events", operation_id = "list_all_events", params(PartOfAll),
    responses((status = 200, description = "A page of events", body = Page<EventSchema>), Problems))]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(PartOfAll { cursor, limit, r#type, workflow }): Asked<PartOfAll>,
) -> Result<Json<Page<Box<RawValue>>>, Problem> {
    let wanted = Listing::of(Part { cursor, limit, r#type })?;
    let wordings = api.wordings.clone();
    let read = move |views: &mut dyn Views| {
        let stream = workflow.map(|id| Ok::<_, Problem>(found(id, views)?.0.number));
        Ok(wanted.page(stream.transpose()?, wordings, views)?)
    };
    api.readers.read(read).await.map(Json)
}

/// Which events are listed.
pub(super) struct Listing {
    after: u64,
    limit: u32,
    types: Box<[Box<str>]>,
}

impl Listing {
    /// As a request asks for them.
    pub fn of(part: Part) -> Result<Self, Problem> {
        let after = cursor_of(part.cursor.as_deref())?.unwrap_or(0);
        let types = patterns(part.r#type.as_deref());
        Ok(Self { after, limit: limit_of(part.limit)?, types })
    }

    /// A page of them, of one stream or of all, byte for byte as streams tell them.
    pub fn page(
        &self,
        stream: Option<u64>,
        wordings: Arc<Wordings>,
        views: &mut dyn Views,
    ) -> Result<Page<Box<RawValue>>, StoreError> {
        let most = if self.types.is_empty() { self.limit + 1 } else { SCANNED_MAX };
        let records = views.events(self.after, stream, most)?;
        let mut more = records.len() == most as usize;
        let mut showing = Showing::with(wordings);
        let (mut items, mut cursor) = (Vec::new(), self.after);
        for record in &records {
            if items.len() >= self.limit as usize {
                more = true;
                break;
            }
            cursor = record.position;
            for (name, view) in showing.show(record, views)?.messages() {
                if fits(&self.types, &view.kind, name.word()) {
                    items.extend(RawValue::from_string(one_line(&view)?).ok());
                }
            }
        }
        Ok(Page { items, next_cursor: more.then(|| cursor.to_string()) })
    }
}

/// Which part of the journal.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// The `next_cursor` of the page before: a position, and those behind it follow.
    #[param(pattern = "^[0-9]+$")]
    cursor: Option<String>,
    /// At most this many, and one more where the last two belong together: a page never parts the
    /// call of a tool from the task's event.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
    /// Only these, divided by commas: types such as `task.completed` or `tool.*`, or the names under
    /// which streams tell them; `*` stands for any run of characters. A page may then have fewer
    /// than there are: `next_cursor` says whether to go on.
    r#type: Option<String>,
}

/// Which part of the journal, and perhaps of which workflow.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PartOfAll {
    /// As of a workflow's events.
    #[param(pattern = "^[0-9]+$")]
    cursor: Option<String>,
    /// As of a workflow's events.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
    /// As of a workflow's events.
    r#type: Option<String>,
    /// Only those of this workflow.
    #[param(value_type = Option<String>, format = "uuid")]
    workflow: Option<WorkflowId>,
}

/// The events of a request in one of the three forms.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Read>, Problem> {
    let written = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let media = written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if headers.contains_key("ce-specversion") {
        let attributes = attributes(headers, written);
        let event = if is_text(&media) {
            envelope::binary(attributes, Data::Json(&data_of(&media, body)?))
        } else {
            envelope::binary(attributes, Data::Base64(&base64(body)))
        };
        return event.map(|event| vec![event]).map_err(|faults| refused("", &faults));
    }
    match media.as_str() {
        "application/cloudevents+json" | "application/json" => {
            let event = envelope::structured(&json_of(body)?);
            event.map(|event| vec![event]).map_err(|faults| refused("", &faults))
        }
        "application/cloudevents-batch+json" => batch(&json_of(body)?),
        _ => {
            let detail = "send `application/cloudevents+json`, a batch of it \
                          (`application/cloudevents-batch+json`), or attributes as `ce-` headers";
            Err(Problem::new(ProblemCode::InvalidEvent, detail))
        }
    }
}

/// All of a batch, or every fault of it.
fn batch(value: &Value) -> Result<Vec<Read>, Problem> {
    let wrong = |detail: String| Problem::new(ProblemCode::InvalidEvent, detail);
    let list = value.as_array().ok_or_else(|| wrong("a batch is a list of events".to_owned()))?;
    if list.len() > BATCH_MAX {
        return Err(wrong(format!("a batch has at most {BATCH_MAX} events")));
    }
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    for (index, value) in list.iter().enumerate() {
        match envelope::structured(value) {
            Ok(event) => events.push(event),
            Err(faults) => errors.extend(refused(&format!("/{index}"), &faults).errors),
        }
    }
    if errors.is_empty() {
        return Ok(events);
    }
    Err(wrong(format!("the batch has {} faults; nothing was taken in", errors.len()))
        .with_errors(errors))
}

fn refused(within: &str, faults: &[EnvelopeFault]) -> Problem {
    let errors: Vec<FieldError> = faults
        .iter()
        .map(|fault| {
            let slash = if fault.attribute.is_empty() { "" } else { "/" };
            let pointer = format!("{within}{slash}{}", fault.attribute);
            FieldError { pointer, detail: fault.to_string(), line: None, column: None }
        })
        .collect();
    let detail = format!("the event has {} faults; it was not taken in", errors.len());
    Problem::new(ProblemCode::InvalidEvent, detail).with_errors(errors)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn attributes(headers: &HeaderMap, content_type: &str) -> Map<String, Value> {
    let named = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("ce-")?;
        // What is no text is a fault of the attribute, which then is no string.
        let value = value.to_str().map_or(Value::Array(Vec::new()), |text| decoded(text).into());
        Some((name.to_owned(), value))
    });
    let mut attributes: Map<String, Value> = named.collect();
    if !content_type.is_empty() {
        attributes.insert("datacontenttype".to_owned(), content_type.into());
    }
    attributes
}

/// Undoes the percent-encoding of a header; what is not encoded soundly stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(before.bytes());
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(b'%'));
        rest = byte.and_then(|_| after.get(2..)).unwrap_or(after);
    }
    bytes.extend(rest.bytes());
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn json_of(body: &[u8]) -> Result<Value, Problem> {
    let wrong = |fault| Problem::new(ProblemCode::InvalidEvent, format!("no JSON: {fault}"));
    serde_json::from_slice(body).map_err(wrong)
}

/// Whether data of this media type is kept as it is; all other is bytes.
fn is_text(media: &str) -> bool {
    let is_json = media == "application/json" || media.ends_with("+json");
    media.is_empty() || is_json || media.starts_with("text/")
}

/// The data of an event whose attributes are headers: JSON, or a text as a string.
fn data_of(media: &str, body: &[u8]) -> Result<Value, Problem> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    if media.starts_with("text/") {
        let wrong = |_| Problem::new(ProblemCode::InvalidEvent, "the text is not UTF-8");
        return String::from_utf8(body.to_vec()).map(Value::from).map_err(wrong);
    }
    json_of(body)
}
