//! Traces: which requests are recorded, and how their spans get to a collector.
//!
//! Spans are made where the work is done ([`troupe_actors::Span`]) and wait in one bounded place.
//! [`ExportService`] takes them from there in batches and sends them by OTLP over HTTP. Nothing that
//! happens to the collector is felt by a request: what cannot be sent in time is thrown away and
//! counted.

mod config;
mod export;
mod otlp;
mod protobuf;
mod sampling;

pub use config::TracesConfig;
pub use export::ExportService;
pub use sampling::Sampling;

pub(crate) use export::Exporter;
