//! Whether the server lives, whether it is ready, and what it counts, for those who watch over it.
//!
//! Metrics are Prometheus text; their names and labels are closed sets, and no workflow, user or
//! input ever is a label.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use baton_core::codes::Code;
use baton_engine::meters::{BOUNDS_MICROS, Histogram, ModelMeter};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;

/// Whether the server can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether nothing is missing.
    ready: bool,
    /// What is missing, and why.
    not_ready: Vec<Missing>,
}

/// Something that is not ready.
#[derive(Debug, Serialize, ToSchema)]
struct Missing {
    /// `store`, `owner` or `streams`.
    what: &'static str,
    /// Why.
    detail: String,
}

/// Whether the server answers.
#[utoipa::path(get, path = "/healthz", tag = "watching", responses((status = 200, body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the store can be read and its owner works; what is not ready where not.
#[utoipa::path(get, path = "/readyz", tag = "watching",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(super) async fn readyz(State(api): State<Api>) -> (StatusCode, Json<Readiness>) {
    let mut not_ready = Vec::new();
    if let Err(problem) = api.readers.read(|views| Ok(views.head()?)).await {
        not_ready.push(Missing { what: "store", detail: problem.detail });
    }
    if api.streams.broadcaster().is_over() {
        let detail = "the owner of the store has ended; start the server again".to_owned();
        not_ready.push(Missing { what: "owner", detail });
    }
    if let Some(fault) = api.streams.broadcaster().fault() {
        let detail = format!("the events for streams cannot be read: {fault}; it is tried again");
        not_ready.push(Missing { what: "streams", detail });
    }
    let ready = not_ready.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, not_ready }))
}

/// What the server counts, as Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "watching",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], exposition(&api))
}

fn exposition(api: &Api) -> String {
    let (meters, streams) = (&api.meters, api.streams.broadcaster());
    let mut page = Page(String::new());
    let of = |what: &str, unit: &str| format!("{what}, in {unit}.");
    page.histogram("baton_commit_seconds", &of("Writing a commit", "seconds"), &meters.commit);
    page.histogram("baton_step_seconds", &of("A step's call", "seconds"), &meters.step);
    let progress = of("From an arrival to its progress on disk", "seconds");
    page.histogram("baton_progress_seconds", &progress, &meters.progress);
    let mismatches = meters.mismatches.load(Ordering::Relaxed);
    let help = "Rows that the self-check found to differ from their events.";
    page.single("baton_progress_mismatch_total", "counter", help, mismatches);
    let depth = meters.queue_depth.load(Ordering::Relaxed);
    page.single("baton_queue_depth", "gauge", "Tasks that wait for a place to execute.", depth);
    let leases = meters.leases.load(Ordering::Relaxed);
    page.single("baton_leases", "gauge", "Tasks that workers outside hold.", leases);
    let live = meters.live.load(Ordering::Relaxed);
    page.single("baton_workflows_live", "gauge", "Workflows that have not ended.", live);
    let subscribers = streams.subscribers() as u64;
    page.single("baton_stream_subscribers", "gauge", "Open streams.", subscribers);
    let help = "Times that a stream's line was full.";
    page.single("baton_stream_lagged_total", "counter", help, streams.lagged());
    page.head("baton_tool_calls_total", "counter", "Ended calls by tool and outcome.");
    for (tool, outcome, count) in meters.calls() {
        let (tool, outcome) = (escaped(&tool), outcome.word());
        let labels = format!("{{tool=\"{tool}\",outcome=\"{outcome}\"}}");
        page.line(&format!("baton_tool_calls_total{labels} {count}"));
    }
    page.models(&meters.models());
    page.0
}

/// The text as it grows.
struct Page(String);

impl Page {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(&format!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(&format!("{name} {value}"));
    }

    fn models(&mut self, models: &[(String, ModelMeter)]) {
        let help = "Tokens that providers counted, each under one kind.";
        self.head("baton_tokens_total", "counter", help);
        for (model, meter) in models {
            let model = escaped(model);
            for (kind, tokens) in meter.tokens() {
                let labels = format!("{{model=\"{model}\",kind=\"{kind}\"}}");
                self.line(&format!("baton_tokens_total{labels} {tokens}"));
            }
        }
        let help = "Known cost of calls of models, in US dollars.";
        self.head("baton_cost_usd_total", "counter", help);
        for (model, ModelMeter { spending }) in models {
            // Nothing is known of a model without a price: that is no cost of zero.
            if let Some(cost) = spending.known_cost() {
                let model = escaped(model);
                self.line(&format!("baton_cost_usd_total{{model=\"{model}\"}} {cost}"));
            }
        }
        let help = "Calls of models that were cut off, and may have been billed.";
        self.head("baton_model_calls_possibly_billed_total", "counter", help);
        for (model, ModelMeter { spending }) in models {
            let (name, calls) =
                ("baton_model_calls_possibly_billed_total", spending.possibly_billed);
            self.line(&format!("{name}{{model=\"{}\"}} {calls}", escaped(model)));
        }
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let (counts, sum) = histogram.read();
        for (bound, count) in BOUNDS_MICROS.iter().zip(&counts) {
            let bound = *bound as f64 / 1e6;
            // Writing to a string does not fail.
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let all = counts.last().copied().unwrap_or(0);
        let sum = sum as f64 / 1e6;
        self.line(&format!(
            "{name}_bucket{{le=\"+Inf\"}} {all}\n{name}_sum {sum}\n{name}_count {all}"
        ));
    }
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
