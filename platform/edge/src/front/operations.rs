//! The paths of the edge itself: probes, metrics, and the description of the API.
//!
//! They pass no gate: probes must answer when everything is refused.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use troupe_kernel::{Failure, HttpResponse, header};
use troupe_telemetry::Health;

use super::{Answered, Exchange};
use crate::config::MetricsAccess;

/// Renders the metrics in the text form of Prometheus.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// A path of the edge itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Live,
    Ready,
    Started,
    Metrics,
    OpenApi,
    Docs,
    DocsScript,
    DocsStyle,
}

impl Operation {
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Started => "/startupz",
            Self::Metrics => "/metrics",
            Self::OpenApi => "/openapi.json",
            Self::Docs => "/docs",
            Self::DocsScript => "/docs/app.js",
            Self::DocsStyle => "/docs/style.css",
        }
    }
}

const PROBES: [Operation; 4] =
    [Operation::Live, Operation::Ready, Operation::Started, Operation::Metrics];
const DOCUMENTS: [Operation; 4] =
    [Operation::OpenApi, Operation::Docs, Operation::DocsScript, Operation::DocsStyle];

/// The page loads its own script and style, speaks to its own origin, and nothing else.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                           connect-src 'self'; img-src 'self'; base-uri 'none'; \
                           form-action 'none'; frame-ancestors 'none'";

/// What the edge's own paths answer from.
pub(crate) struct Operations {
    pub(crate) health: Health,
    pub(crate) metrics: RenderMetrics,
    pub(crate) metrics_access: MetricsAccess,
    pub(crate) docs: bool,
    pub(crate) openapi: Document,
}

/// A document that does not change while the node runs.
pub(crate) struct Document {
    content: Bytes,
    digest: String,
}

impl Document {
    pub(crate) fn new(content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let digest = Sha256::digest(&content);
        let digest = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { content, digest }
    }

    fn answer(&self, content_type: &str) -> HttpResponse {
        HttpResponse::bytes(content_type, self.content.clone()).etag(&self.digest)
    }
}

impl Operations {
    /// The paths that this node has.
    pub(crate) fn all(&self) -> Vec<Operation> {
        let documents = DOCUMENTS.iter().filter(|_| self.docs);
        PROBES.iter().chain(documents).copied().collect()
    }

    /// Answers; `relayed` says that a proxy passed the request on.
    pub(super) fn answer(
        &self,
        operation: Operation,
        exchange: &Exchange,
        relayed: bool,
    ) -> HttpResponse {
        match operation {
            Operation::Live => self.health.liveness().response(),
            Operation::Ready => self.health.readiness().response(),
            Operation::Started => self.health.startup().response(),
            Operation::Metrics => self.metrics(exchange, relayed),
            Operation::OpenApi => self.openapi.answer("application/json"),
            Operation::Docs => HttpResponse::html(include_str!("../../assets/index.html"))
                .header(header::CONTENT_SECURITY_POLICY, DOCS_POLICY),
            Operation::DocsScript => HttpResponse::bytes(
                "text/javascript; charset=utf-8",
                Bytes::from_static(include_bytes!("../../assets/app.js")),
            ),
            Operation::DocsStyle => HttpResponse::bytes(
                "text/css; charset=utf-8",
                Bytes::from_static(include_bytes!("../../assets/style.css")),
            ),
        }
    }

    fn metrics(&self, exchange: &Exchange, relayed: bool) -> HttpResponse {
        let allowed = match self.metrics_access {
            MetricsAccess::Open => true,
            // Behind a proxy on this machine everybody may seem to be on it.
            MetricsAccess::Local => exchange.caller.is_loopback() && !relayed,
            MetricsAccess::Off => false,
        };
        if !allowed {
            let failure = Failure::not_found(
                "edge.metrics.closed",
                "metrics are not served to this address; see edge.metrics in the configuration",
            );
            return Answered::failed(&failure, exchange).response;
        }
        let text = (self.metrics)();
        HttpResponse::bytes("text/plain; version=0.0.4; charset=utf-8", text.into())
            .cache("no-store")
    }
}
