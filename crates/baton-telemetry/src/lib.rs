//! Baton is watched: traces and metrics for a collector, by OTLP over HTTP.
//!
//! Spans are a function of the journal ([`Tracer`]): nothing is measured in the path of a step, and the
//! thread that sends them ([`Exporter`]) reads what is committed as every other follower does. Neither
//! `GET …/trace`, which needs no collector, nor `/metrics` is its business, and it keeps nothing: what
//! was not delivered when a process ends is told by the journal alone.

mod content;
mod ending;
mod exporter;
mod metrics;
mod names;
mod otlp;
mod sender;
mod settings;
mod span;
mod story;
mod tally;
mod tracer;
mod wire;

pub use content::Content;
pub use exporter::{Exporter, Source, Warn};
pub use settings::{BadSettings, Settings};
pub use span::{Kind, Span, Value};
pub use tracer::Tracer;
