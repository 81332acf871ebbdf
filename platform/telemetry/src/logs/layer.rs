//! The layer that turns events into lines and errors into reports.

use serde_json::Value;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use troupe_actors::current_origin;
use troupe_kernel::clock::SharedClock;
use uuid::Uuid;

use super::LogOutput;
use super::fields::Fields;
use super::line::{Line, Style};
use crate::errors::{ErrorIntake, ErrorReport};

/// The ids of the work that is being done on this thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) request: Option<Uuid>,
    pub(crate) trace: Option<u128>,
    pub(crate) tenant: Option<Uuid>,
}

impl Ids {
    /// The ids of the message that is handled on this thread, if one is.
    fn current() -> Self {
        current_origin(|origin| Self {
            request: Some(origin.request),
            trace: Some(origin.trace),
            tenant: origin.principal.as_ref().and_then(|principal| principal.tenant),
        })
        .unwrap_or_default()
    }

    /// Those that are known, by name.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        pairs.extend(self.request.map(|id| ("request", id.to_string())));
        pairs.extend(self.trace.map(|id| ("trace", format!("{id:032x}"))));
        pairs.extend(self.tenant.map(|id| ("tenant", id.to_string())));
        pairs
    }
}

pub(crate) struct LineLayer {
    style: Style,
    output: LogOutput,
    clock: SharedClock,
    errors: ErrorIntake,
}

impl LineLayer {
    pub(crate) fn new(
        style: Style,
        output: LogOutput,
        clock: SharedClock,
        errors: ErrorIntake,
    ) -> Self {
        Self { style, output, clock, errors }
    }
}

impl<S> Layer<S> for LineLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut spans: Vec<(&'static str, Value)> = Vec::new();
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Fields>() {
                // The innermost span comes first, and its fields win.
                for (name, value) in &around.named {
                    if !spans.iter().any(|(known, _)| known == name) {
                        spans.push((name, value.clone()));
                    }
                }
            }
        }
        let ids = Ids::current();
        let time = self.clock.now();
        let metadata = event.metadata();
        let line = Line { time, metadata, event: &fields, spans: &spans, ids: &ids };
        self.output.write(&line.bytes(self.style));
        if *metadata.level() == Level::ERROR {
            self.errors.add(ErrorReport::new(time, metadata, fields, ids));
        }
    }
}
