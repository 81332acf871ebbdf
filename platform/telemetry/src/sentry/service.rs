//! The service that sends reports of errors.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use troupe_actors::{Context, Handled, Lent, Moment, Service};
use troupe_kernel::clock::SharedClock;
use troupe_kernel::{Bytes, new_id};

use super::SentryConfig;
use super::dsn::Dsn;
use super::event::{Sender, envelope};
use super::limits::{Held, Limits};
use crate::client::Client;
use crate::error::TelemetryError;
use crate::errors::{ErrorNotice, ErrorReport};

/// Reports that are on their way at once; more are thrown away.
const SENDING_MAX: usize = 8;
/// At its end the node waits no longer for those on their way.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// What reporting takes; incarnations share it.
pub(crate) struct Reporter {
    client: Client,
    dsn: Dsn,
    headers: HeaderMap,
    sender: Sender,
    clock: SharedClock,
    limits: Mutex<Limits>,
}

impl Reporter {
    /// None when errors are reported nowhere.
    pub(crate) fn new(
        config: &SentryConfig,
        clock: SharedClock,
        (node, version): (&str, &str),
    ) -> Result<Option<Self>, TelemetryError> {
        let Some(dsn) = config.dsn() else { return Ok(None) };
        let client = Client::new(config.timeout).map_err(TelemetryError::Certificates)?;
        let release = match config.release.is_empty() {
            true => format!("troupe@{version}"),
            false => config.release.clone(),
        };
        let sender = Sender {
            environment: config.environment.clone(),
            release,
            node: node.to_owned(),
            version: version.to_owned(),
        };
        let auth = format!(
            "Sentry sentry_version=7, sentry_client=troupe/{version}, sentry_key={}",
            dsn.public_key
        );
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-sentry-envelope"),
        );
        // A key of letters and digits, and our own version: always a value.
        if let Ok(mut auth) = HeaderValue::from_str(&auth) {
            auth.set_sensitive(true);
            headers.insert("x-sentry-auth", auth);
        }
        metrics::counter!("troupe_error_reports_sent_total").increment(0);
        ["too_many", "unwanted", "refused", "away"].into_iter().for_each(|why| drop_count(why, 0));
        let limits = Mutex::new(Limits::new(config.per_minute_max));
        Ok(Some(Self { client, dsn, headers, sender, clock, limits }))
    }

    /// Sends a report once: an error that comes again will be told again.
    async fn send(&self, report: &ErrorReport) {
        let body = Bytes::from(envelope(report, &self.sender, new_id(&*self.clock)));
        let answer = match self.client.post(&self.dsn.endpoint, &self.headers, body).await {
            Ok(answer) => answer,
            Err(fault) => {
                drop_count("away", 1);
                tracing::debug!(
                    error = &fault as &dyn std::error::Error,
                    "an error could not be reported"
                );
                return;
            }
        };
        let refused = answer.status == StatusCode::TOO_MANY_REQUESTS;
        let retry_after = answer.retry_after();
        self.limits.lock().heed(Moment::now(), refused, &answer.headers, retry_after);
        if answer.status.is_success() {
            metrics::counter!("troupe_error_reports_sent_total").increment(1);
        } else {
            drop_count(if refused { "unwanted" } else { "refused" }, 1);
            tracing::debug!(status = answer.status.as_u16(), "an error report was refused");
        }
    }
}

fn drop_count(why: &'static str, count: u64) {
    metrics::counter!("troupe_error_reports_dropped_total", "reason" => why).increment(count);
}

/// Sends what the error bus tells it.
///
/// Mailbox: the kit's default. Restart: permanent. A crash loses the reports that are on their way.
pub struct SentryService {
    reporter: Arc<Reporter>,
}

impl SentryService {
    pub(crate) fn new(reporter: Arc<Reporter>) -> Self {
        Self { reporter }
    }
}

impl Service for SentryService {
    type Message = ErrorNotice;

    async fn handle(
        &mut self,
        message: &mut Lent<ErrorNotice>,
        ctx: &mut Context<ErrorNotice>,
    ) -> Handled {
        let ErrorNotice::ErrorRaised(raised) = message.take();
        if ctx.running() >= SENDING_MAX {
            drop_count("too_many", 1);
            return Ok(());
        }
        match self.reporter.limits.lock().take(Moment::now()) {
            Ok(()) => {}
            Err(Held::TooMany) => {
                drop_count("too_many", 1);
                return Ok(());
            }
            Err(Held::Unwanted) => {
                drop_count("unwanted", 1);
                return Ok(());
            }
        }
        let reporter = self.reporter.clone();
        ctx.run(async move {
            reporter.send(&raised.report).await;
            None
        })
    }

    async fn stop(&mut self, ctx: &mut Context<ErrorNotice>) {
        let sent = async {
            while ctx.running() > 0 {
                tokio::time::sleep(POLL).await;
            }
        };
        // What is not sent by then is not sent: the node ends.
        drop(tokio::time::timeout(FLUSH_WITHIN, sent).await);
    }
}
