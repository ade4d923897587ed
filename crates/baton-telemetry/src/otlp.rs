//! Spans as OTLP has them, and the envelopes of what is sent.
//!
//! It decides nothing about what is told.

use baton_core::time::Timestamp;

use crate::settings::Settings;
use crate::span::{Kind, Span, Value};
use crate::wire;

/// Nanoseconds of a millisecond.
const NANOS: u64 = 1_000_000;

/// A batch of spans.
pub fn traces(settings: &Settings, spans: &[Span]) -> wire::Traces {
    let spans = spans.iter().map(span).collect();
    let scope_spans = vec![wire::ScopeSpans { scope: Some(scope()), spans }];
    let resource = Some(resource(settings));
    wire::Traces { resource_spans: vec![wire::ResourceSpans { resource, scope_spans }] }
}

/// A reading of figures.
pub fn metrics(settings: &Settings, metrics: Vec<wire::Metric>) -> wire::Metrics {
    let scope_metrics = vec![wire::ScopeMetrics { scope: Some(scope()), metrics }];
    let resource = Some(resource(settings));
    wire::Metrics { resource_metrics: vec![wire::ResourceMetrics { resource, scope_metrics }] }
}

/// Nanoseconds since 1970; what is before is taken as then.
pub fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0).saturating_mul(NANOS)
}

/// Attributes in their order.
pub fn attributes<'a>(
    all: impl IntoIterator<Item = &'a (&'static str, Value)>,
) -> Vec<wire::KeyValue> {
    all.into_iter().map(|(name, value)| attribute(name, value.clone())).collect()
}

fn attribute(name: &str, value: Value) -> wire::KeyValue {
    let value = match value {
        Value::Text(text) => wire::Any::Text(text),
        Value::Whole(whole) => wire::Any::Whole(whole),
    };
    wire::KeyValue { key: name.to_owned(), value: Some(wire::AnyValue { value: Some(value) }) }
}

fn resource(settings: &Settings) -> wire::Resource {
    let own = [
        ("service.name", settings.service.clone()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let own = own.into_iter().map(|(name, text)| attribute(name, Value::Text(text)));
    let others = settings.resource.iter();
    let others = others.map(|(name, text)| attribute(name, Value::Text(text.clone())));
    wire::Resource { attributes: own.chain(others).collect() }
}

fn scope() -> wire::Scope {
    wire::Scope { name: "baton".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

fn span(span: &Span) -> wire::Span {
    let link = |(trace, id): (_, u64)| wire::Link { trace_id: bytes(&trace), span_id: span_id(id) };
    let status =
        |message: &String| wire::Status { message: message.clone(), code: wire::STATUS_ERROR };
    wire::Span {
        trace_id: bytes(&span.trace),
        span_id: span_id(span.id),
        parent_span_id: span.parent.map(span_id).unwrap_or_default(),
        name: span.name.clone(),
        kind: match span.kind {
            Kind::Internal => wire::KIND_INTERNAL,
            Kind::Client => wire::KIND_CLIENT,
        },
        start_time_unix_nano: nanos(span.began),
        end_time_unix_nano: nanos(span.ended),
        attributes: attributes(&span.attributes),
        links: span.link.into_iter().map(link).collect(),
        status: span.failed.as_ref().map(status),
        flags: wire::FLAG_SAMPLED,
    }
}

fn bytes(trace: &[u8; 16]) -> Vec<u8> {
    trace.to_vec()
}

fn span_id(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}
