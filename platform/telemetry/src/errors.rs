//! The error bus: every line of level `error`, once, with how often it came again.
//!
//! The log layer puts reports into a bounded intake without waiting; one service takes them out,
//! passes the first of a kind on and counts its repetitions until the window closes. Subscribers
//! are services that understand [`ErrorNotice`]; they are told and never waited for. What does not
//! fit anywhere is counted in `troupe_errors_dropped_total`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tracing::Metadata;
use troupe_actors::{Context, Handled, Lent, Scope, Service, ServiceRef};
use troupe_kernel::clock::{SharedClock, Timestamp};
use uuid::Uuid;

use crate::config::TelemetryConfig;
use crate::logs::{Fields, Ids};

/// Reports that wait for the service.
const INTAKE_MAX: usize = 1000;
/// Kinds of errors whose repetitions are counted at once.
const KINDS_MAX: usize = 1000;
/// How often the intake is emptied.
const PERIOD: Duration = Duration::from_millis(250);
/// A subscriber that has not handled a notice by then need not.
const NOTICE_WITHIN: Duration = Duration::from_secs(30);

/// One error, as it was logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// The same for errors of one place and code.
    pub fingerprint: u64,
    /// When it was logged.
    pub time: Timestamp,
    /// The part that logged it.
    pub target: String,
    /// `FILE:LINE` of the log statement.
    pub place: Option<String>,
    /// The message.
    pub message: String,
    /// The other fields.
    pub fields: BTreeMap<String, serde_json::Value>,
    /// The request it belongs to.
    pub request: Option<Uuid>,
    /// The trace it belongs to, as 32 hex digits.
    pub trace: Option<String>,
    /// The tenant it belongs to.
    pub tenant: Option<Uuid>,
    /// How often it came again since it was passed on; zero the first time.
    pub repetitions: u64,
}

impl ErrorReport {
    pub(crate) fn new(
        time: Timestamp,
        metadata: &'static Metadata<'static>,
        fields: Fields,
        ids: Ids,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        (metadata.target(), metadata.file(), metadata.line()).hash(&mut hasher);
        fields.get("code").map(ToString::to_string).hash(&mut hasher);
        let place = metadata.file().zip(metadata.line());
        Self {
            fingerprint: hasher.finish(),
            time,
            target: metadata.target().to_owned(),
            place: place.map(|(file, line)| format!("{file}:{line}")),
            message: fields.message,
            fields: fields
                .named
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            request: ids.request,
            trace: ids.trace.map(|trace| format!("{trace:032x}")),
            tenant: ids.tenant,
            repetitions: 0,
        }
    }
}

/// Somebody wants to know of errors: told for the first of a kind, and again with the number of
/// repetitions when its window closes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorRaised {
    /// The error.
    pub report: ErrorReport,
}

troupe_actors::protocol! {
    /// What a subscriber of the error bus understands.
    pub enum ErrorNotice("telemetry.errors", 1) redact [] {
        /// An error was logged.
        ErrorRaised,
    }
}

/// Where reports wait: bounded, and never in the way of whoever logs.
#[derive(Clone, Default)]
pub(crate) struct ErrorIntake {
    waiting: Arc<Mutex<VecDeque<ErrorReport>>>,
}

impl ErrorIntake {
    pub(crate) fn add(&self, report: ErrorReport) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < INTAKE_MAX {
            waiting.push_back(report);
        } else {
            count_dropped(1);
        }
    }

    pub(crate) fn take(&self) -> VecDeque<ErrorReport> {
        std::mem::take(&mut *self.waiting.lock())
    }
}

/// What went wrong lately, and who wants to know.
#[derive(Clone)]
pub struct ErrorBus {
    clock: SharedClock,
    window: Duration,
    kept_max: usize,
    intake: ErrorIntake,
    kept: Arc<Mutex<VecDeque<ErrorReport>>>,
    subscribers: Arc<RwLock<Vec<ServiceRef<ErrorNotice>>>>,
}

impl ErrorBus {
    pub(crate) fn new(clock: SharedClock, config: &TelemetryConfig) -> Self {
        Self {
            clock,
            window: config.errors_window,
            kept_max: config.errors_kept_max,
            intake: ErrorIntake::default(),
            kept: Arc::default(),
            subscribers: Arc::default(),
        }
    }

    /// Tells a service of every error from now on.
    pub fn subscribe(&self, subscriber: ServiceRef<ErrorNotice>) {
        self.subscribers.write().push(subscriber);
    }

    /// The newest errors, newest first.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<ErrorReport> {
        self.kept.lock().iter().rev().take(count).cloned().collect()
    }

    /// Counts from zero: the increase of a counter that begins with its first event is not seen.
    pub(crate) fn announce(&self) {
        count_dropped(0);
        metrics::counter!("troupe_errors_total", "target" => env!("CARGO_CRATE_NAME")).increment(0);
    }

    pub(crate) fn intake(&self) -> ErrorIntake {
        self.intake.clone()
    }

    fn pass_on(&self, report: &ErrorReport) {
        {
            let mut kept = self.kept.lock();
            kept.push_back(report.clone());
            while kept.len() > self.kept_max {
                kept.pop_front();
            }
        }
        for subscriber in self.subscribers.read().iter() {
            let notice = ErrorRaised { report: report.clone() };
            if subscriber.tell(&Scope::system("telemetry.errors", NOTICE_WITHIN), notice).is_err() {
                count_dropped(1);
            }
        }
    }
}

fn count_dropped(count: u64) {
    metrics::counter!("troupe_errors_dropped_total").increment(count);
}

/// Empty the intake.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CollectErrors;

troupe_actors::protocol! {
    /// What the error bus tells itself.
    pub enum ErrorTick("telemetry.errors.tick", 1) redact [] {
        /// Time to empty the intake.
        CollectErrors,
    }
}

struct Window {
    opened: Timestamp,
    last: ErrorReport,
    repetitions: u64,
}

/// Empties the intake, passes on the first error of a kind and counts the rest.
///
/// Restart: permanent. A crash loses the counts of open windows; the next error of each kind is
/// passed on again.
pub struct ErrorService {
    bus: ErrorBus,
    windows: HashMap<u64, Window>,
}

impl ErrorService {
    /// The service of `bus`; a bus has one.
    #[must_use]
    pub fn new(bus: ErrorBus) -> Self {
        Self { bus, windows: HashMap::new() }
    }

    fn collect(&mut self) {
        for report in self.bus.intake.take() {
            metrics::counter!("troupe_errors_total", "target" => report.target.clone())
                .increment(1);
            if let Some(window) = self.windows.get_mut(&report.fingerprint) {
                window.repetitions += 1;
                window.last = report;
            } else if self.windows.len() < KINDS_MAX {
                self.bus.pass_on(&report);
                let opened = self.bus.clock.now();
                let window = Window { opened, last: report, repetitions: 0 };
                self.windows.insert(window.last.fingerprint, window);
            } else {
                count_dropped(1);
            }
        }
        self.close_windows();
    }

    /// Passes repetitions on and forgets the kinds whose window is over.
    fn close_windows(&mut self) {
        let now = self.bus.clock.now();
        let over = |window: &Window| now >= window.opened.plus(self.bus.window);
        let closed: Vec<Window> =
            self.windows.extract_if(|_, window| over(window)).map(|(_, window)| window).collect();
        for Window { last, repetitions, .. } in closed {
            if repetitions > 0 {
                let ErrorReport { target, message, .. } = &last;
                tracing::warn!(source = target, repetitions, "an error came again: {message}");
                self.bus.pass_on(&ErrorReport { repetitions, ..last });
            }
        }
    }
}

impl Service for ErrorService {
    type Message = ErrorTick;

    async fn start(&mut self, ctx: &mut Context<ErrorTick>) -> Handled {
        ctx.every(PERIOD, || CollectErrors.into())
    }

    async fn handle(
        &mut self,
        _message: &mut Lent<ErrorTick>,
        _ctx: &mut Context<ErrorTick>,
    ) -> Handled {
        self.collect();
        Ok(())
    }

    async fn stop(&mut self, _ctx: &mut Context<ErrorTick>) {
        self.collect();
    }
}
