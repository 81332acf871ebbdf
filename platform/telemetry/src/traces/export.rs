//! The service that sends spans to a collector.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use troupe_actors::{Backoff, Context, Handled, Lent, Moment, Service, Span, Spans, collect_spans};
use troupe_kernel::Bytes;
use troupe_kernel::clock::SharedClock;

use super::TracesConfig;
use super::otlp::{self, Anchor, Sender};
use crate::client::Client;
use crate::error::TelemetryError;

/// At its end the node spends no longer on what still waits.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(500),
    max: Duration::from_secs(10),
    jitter_percent: 25,
    seed: 0x0071_7265_7061_6e73,
};

/// Time to send what waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Export;

/// A batch was sent or given up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exported {
    /// Whether more spans waited than one batch takes.
    full: bool,
}

troupe_actors::protocol! {
    /// What the export of spans tells itself.
    pub enum ExportMessage("telemetry.traces", 1) redact [] {
        /// Time to send what waits.
        Export,
        /// A batch was sent or given up.
        Exported,
    }
}

/// What sending takes; incarnations share it.
pub(crate) struct Exporter {
    spans: &'static Spans,
    client: Client,
    endpoint: Uri,
    headers: HeaderMap,
    sender: Sender,
    clock: SharedClock,
    batch_max: usize,
    every: Duration,
    retry_max: Duration,
    /// Whether the collector answered the last time.
    is_there: AtomicBool,
}

/// What a collector makes of a batch.
enum Verdict {
    Taken,
    Refused(String),
    Later(String, Option<Duration>),
}

impl Exporter {
    /// Begins to keep spans; none when they go nowhere.
    pub(crate) fn new(
        config: &TracesConfig,
        clock: SharedClock,
        (node, version): (&str, &str),
    ) -> Result<Option<Self>, TelemetryError> {
        let Some(endpoint) = config.endpoint().filter(|_| config.is_on()) else { return Ok(None) };
        let client = Client::new(config.timeout).map_err(TelemetryError::Certificates)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        for (name, value) in &config.headers {
            let name = name.parse::<HeaderName>().ok();
            let value = HeaderValue::from_str(value.expose()).ok();
            headers.extend(name.zip(value));
        }
        let mut sender = vec![
            ("service.name", config.service.clone()),
            ("service.version", version.to_owned()),
            ("service.instance.id", node.to_owned()),
        ];
        if !config.environment.is_empty() {
            sender.push(("deployment.environment.name", config.environment.clone()));
        }
        metrics::counter!("troupe_spans_sent_total").increment(0);
        ["full", "refused", "away"].into_iter().for_each(|why| count_dropped(why, 0));
        Ok(Some(Self {
            spans: collect_spans(config.waiting_max),
            client,
            endpoint,
            headers,
            sender: Sender(sender),
            clock,
            batch_max: config.batch_max,
            every: config.every,
            retry_max: config.retry_max,
            is_there: AtomicBool::new(true),
        }))
    }

    /// Sends a batch, again while it may help.
    async fn send(&self, spans: Vec<Span>) {
        let anchor = Anchor { moment: Moment::now(), time: self.clock.now() };
        let count = spans.len() as u64;
        let body = Bytes::from(otlp::encode(&spans, &self.sender, anchor));
        drop(spans);
        let (began, mut tries) = (Instant::now(), 0);
        loop {
            let (why, wait) = match self.attempt(body.clone()).await {
                Verdict::Taken => {
                    metrics::counter!("troupe_spans_sent_total").increment(count);
                    return self.note(None);
                }
                Verdict::Refused(why) => {
                    count_dropped("refused", count);
                    return self.note(Some(&why));
                }
                Verdict::Later(why, wait) => (why, wait),
            };
            self.note(Some(&why));
            let wait = wait.unwrap_or_else(|| BACKOFF.wait(tries, 0));
            if began.elapsed() + wait >= self.retry_max {
                return count_dropped("away", count);
            }
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }

    async fn attempt(&self, body: Bytes) -> Verdict {
        match self.client.post(&self.endpoint, &self.headers, body).await {
            Ok(answer) if answer.status.is_success() => Verdict::Taken,
            Ok(answer) => {
                let why = format!("it answers {}", answer.status.as_u16());
                match answer.status {
                    // Those that OTLP calls worth another try.
                    StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT => Verdict::Later(why, answer.retry_after()),
                    _ => Verdict::Refused(why),
                }
            }
            Err(fault) => Verdict::Later(fault.to_string(), None),
        }
    }

    /// Says once that the collector takes nothing, and once that it does again.
    fn note(&self, fault: Option<&str>) {
        let was_there = self.is_there.swap(fault.is_none(), Ordering::Relaxed);
        match fault {
            Some(why) if was_there => {
                tracing::warn!(
                    why,
                    "the collector of traces takes no spans; they wait, then are thrown away"
                );
            }
            None if !was_there => tracing::info!("the collector of traces takes spans again"),
            _ => {}
        }
    }
}

fn count_dropped(why: &'static str, count: u64) {
    metrics::counter!("troupe_spans_dropped_total", "reason" => why).increment(count);
}

/// Takes spans from where they wait and sends them, one batch at a time.
///
/// Mailbox: the kit's default. Restart: permanent. A crash loses the batch that is being sent.
pub struct ExportService {
    exporter: Arc<Exporter>,
    dropped_told: u64,
}

impl ExportService {
    pub(crate) fn new(exporter: Arc<Exporter>) -> Self {
        let dropped_told = exporter.spans.dropped();
        Self { exporter, dropped_told }
    }

    fn begin(&mut self, ctx: &mut Context<ExportMessage>) -> Handled {
        let spans = self.exporter.spans.take(self.exporter.batch_max);
        if spans.is_empty() {
            return Ok(());
        }
        let full = spans.len() == self.exporter.batch_max;
        let exporter = self.exporter.clone();
        ctx.run(async move {
            exporter.send(spans).await;
            Some(Exported { full }.into())
        })
    }

    fn tell_dropped(&mut self) {
        let dropped = self.exporter.spans.dropped();
        count_dropped("full", dropped.saturating_sub(self.dropped_told));
        self.dropped_told = dropped;
    }
}

impl Service for ExportService {
    type Message = ExportMessage;

    async fn start(&mut self, ctx: &mut Context<ExportMessage>) -> Handled {
        ctx.every(self.exporter.every, || Export.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<ExportMessage>,
        ctx: &mut Context<ExportMessage>,
    ) -> Handled {
        match &**message {
            ExportMessage::Export(_) => {
                self.tell_dropped();
                // The timer is one of those that run; a batch that is being sent is another.
                if ctx.running() < 2 { self.begin(ctx) } else { Ok(()) }
            }
            ExportMessage::Exported(exported) if exported.full => self.begin(ctx),
            ExportMessage::Exported(_) => Ok(()),
        }
    }

    async fn stop(&mut self, ctx: &mut Context<ExportMessage>) {
        let flush = async {
            loop {
                let spans = self.exporter.spans.take(self.exporter.batch_max);
                if spans.is_empty() {
                    break;
                }
                self.exporter.send(spans).await;
            }
            while ctx.running() > 1 {
                tokio::time::sleep(POLL).await;
            }
        };
        // What is not sent by then is not sent: the node ends.
        drop(tokio::time::timeout(FLUSH_WITHIN, flush).await);
    }
}
