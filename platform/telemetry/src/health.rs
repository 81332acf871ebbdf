//! Health: the checks of all modules, run in the background, and what the three probes answer.
//!
//! A probe never runs a check: it reads the last results, so that a slow database cannot make the
//! probes slow and nobody can load the node by asking. A result that was not renewed in time counts
//! as failed. Critical checks decide readiness; the others are reported.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use troupe_actors::{Context, Handled, Lent, Service};
use troupe_kernel::clock::{SharedClock, Timestamp};
use troupe_kernel::health::HealthCheck;
use troupe_kernel::http::HttpResponse;

use crate::config::TelemetryConfig;

/// A result that is older than this many periods counts as failed.
const STALE_PERIODS: u32 = 3;
/// Time beyond its limit after which a check that gave no answer is taken for dead.
const GRACE: Duration = Duration::from_secs(1);

/// Where the node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Migrating, starting modules.
    Starting,
    /// Serving.
    Started,
    /// Finishing what it has; no new work, please.
    Draining,
    /// Beyond repair from within: it should be replaced.
    Failed,
}

/// How a check or the whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Well.
    Pass,
    /// Something that is not critical is wrong.
    Warn,
    /// Not well.
    Fail,
}

/// One check in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: HealthStatus,
    /// Whether it decides readiness.
    pub critical: bool,
    /// When it was last run; none before the first time.
    pub checked: Option<Timestamp>,
    /// How long it took, in milliseconds.
    pub took_ms: Option<u64>,
    /// What is wrong; only when the configuration shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a probe answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The answer.
    pub status: HealthStatus,
    /// Where the node is in its life.
    pub phase: Phase,
    /// The checks that went into it; the liveness and start-up probes have none.
    pub checks: Vec<CheckReport>,
}

impl HealthReport {
    /// 200, or 503 when the status is `fail`.
    #[must_use]
    pub fn response(&self) -> HttpResponse {
        let status = match self.status {
            HealthStatus::Fail => StatusCode::SERVICE_UNAVAILABLE,
            HealthStatus::Pass | HealthStatus::Warn => StatusCode::OK,
        };
        HttpResponse::json(status, self).cache("no-store")
    }
}

#[derive(Debug, Clone)]
struct Outcome {
    at: Timestamp,
    took: Duration,
    result: Result<(), String>,
}

struct Slot {
    check: HealthCheck,
    last: Option<Outcome>,
    running_since: Option<Timestamp>,
}

struct State {
    phase: Phase,
    slots: Vec<Slot>,
}

/// The registry of checks with their last results. Clones share it.
#[derive(Clone)]
pub struct Health {
    clock: SharedClock,
    stale_after: Duration,
    details: bool,
    state: Arc<RwLock<State>>,
}

impl Health {
    /// No checks yet, in the phase `Starting`.
    #[must_use]
    pub fn new(clock: SharedClock, config: &TelemetryConfig) -> Self {
        Self {
            clock,
            stale_after: config.health_every * STALE_PERIODS,
            details: config.health_details,
            state: Arc::new(RwLock::new(State { phase: Phase::Starting, slots: Vec::new() })),
        }
    }

    /// Adds a check; it is run within the next period.
    pub fn register(&self, check: HealthCheck) {
        self.state.write().slots.push(Slot { check, last: None, running_since: None });
    }

    /// Moves the node to another phase of its life. A failed node stays failed.
    pub fn enter(&self, phase: Phase) {
        let mut state = self.state.write();
        if state.phase != Phase::Failed {
            state.phase = phase;
        }
    }

    /// `/livez`: fails when only a new process can help.
    #[must_use]
    pub fn liveness(&self) -> HealthReport {
        let phase = self.state.read().phase;
        let status = if phase == Phase::Failed { HealthStatus::Fail } else { HealthStatus::Pass };
        HealthReport { status, phase, checks: Vec::new() }
    }

    /// `/startupz`: passes once the node has started.
    #[must_use]
    pub fn startup(&self) -> HealthReport {
        let phase = self.state.read().phase;
        let status = match phase {
            Phase::Started | Phase::Draining => HealthStatus::Pass,
            Phase::Starting | Phase::Failed => HealthStatus::Fail,
        };
        HealthReport { status, phase, checks: Vec::new() }
    }

    /// `/readyz`: passes while the node serves and every critical check passes.
    #[must_use]
    pub fn readiness(&self) -> HealthReport {
        let now = self.clock.now();
        let state = self.state.read();
        let checks: Vec<CheckReport> =
            state.slots.iter().map(|slot| self.report(slot, now)).collect();
        let worst = checks.iter().map(|check| match (check.critical, check.status) {
            (false, HealthStatus::Fail) => HealthStatus::Warn,
            (_, status) => status,
        });
        let own =
            if state.phase == Phase::Started { HealthStatus::Pass } else { HealthStatus::Fail };
        let status = worst.fold(own, HealthStatus::max);
        HealthReport { status, phase: state.phase, checks }
    }

    fn report(&self, slot: &Slot, now: Timestamp) -> CheckReport {
        let wrong = match &slot.last {
            None => Some("it was not run yet".to_owned()),
            Some(last) if now > last.at.plus(self.stale_after) => {
                Some("it was not run for too long".to_owned())
            }
            Some(last) => last.result.clone().err(),
        };
        let took = slot.last.as_ref().map(|last| last.took.as_millis());
        CheckReport {
            name: slot.check.name().to_owned(),
            status: if wrong.is_some() { HealthStatus::Fail } else { HealthStatus::Pass },
            critical: slot.check.is_critical(),
            checked: slot.last.as_ref().map(|last| last.at),
            took_ms: took.map(|took| u64::try_from(took).unwrap_or(u64::MAX)),
            detail: wrong.filter(|_| self.details),
        }
    }

    /// The checks that do not run now; from here on they do.
    fn begin(&self) -> Vec<(usize, HealthCheck)> {
        let now = self.clock.now();
        let mut due = Vec::new();
        for (index, slot) in self.state.write().slots.iter_mut().enumerate() {
            let limit = slot.check.time_limit() + GRACE;
            // A check whose task died leaves no answer: it is asked again after its time.
            if slot.running_since.is_none_or(|since| now > since.plus(limit)) {
                slot.running_since = Some(now);
                due.push((index, slot.check.clone()));
            }
        }
        due
    }

    fn finish(&self, done: &CheckDone) {
        let at = self.clock.now();
        let mut state = self.state.write();
        let Some(slot) = state.slots.get_mut(done.index) else { return };
        let name = slot.check.name().to_owned();
        let before = slot.last.as_ref().map(|last| last.result.is_ok());
        slot.running_since = None;
        slot.last = Some(Outcome { at, took: done.took, result: done.result.clone() });
        drop(state);
        match (&done.result, before) {
            (Err(reason), Some(true) | None) => {
                tracing::warn!(check = name, reason, "a health check fails");
            }
            (Ok(()), Some(false)) => tracing::info!(check = name, "a health check passes again"),
            _ => {}
        }
        let value = f64::from(u8::from(done.result.is_ok()));
        metrics::gauge!("troupe_health_check_passes", "check" => name).set(value);
    }
}

/// Run the checks that are due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunChecks;

/// A check has answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckDone {
    index: usize,
    took: Duration,
    result: Result<(), String>,
}

troupe_actors::protocol! {
    /// What the health service tells itself.
    pub enum HealthMessage("telemetry.health", 1) redact [] {
        /// Time to run the checks.
        RunChecks,
        /// One has answered.
        CheckDone,
    }
}

/// Runs the checks, each beside the others and within its time.
///
/// Restart: permanent. A crash loses the checks that run; they are run again in the next period.
pub struct HealthService {
    health: Health,
    period: Duration,
}

impl HealthService {
    /// The service of `health`; a registry has one.
    #[must_use]
    pub fn new(health: Health, period: Duration) -> Self {
        Self { health, period }
    }

    fn run_checks(&self, ctx: &mut Context<HealthMessage>) -> Handled {
        for (index, check) in self.health.begin() {
            ctx.run(async move {
                let begun = tokio::time::Instant::now();
                let limit = check.time_limit();
                let result = match tokio::time::timeout(limit, check.probe()).await {
                    Ok(result) => result,
                    Err(_) => Err(format!("no answer within {} ms", limit.as_millis())),
                };
                Some(CheckDone { index, took: begun.elapsed(), result }.into())
            })?;
        }
        Ok(())
    }
}

impl Service for HealthService {
    type Message = HealthMessage;

    async fn start(&mut self, ctx: &mut Context<HealthMessage>) -> Handled {
        ctx.every(self.period, || RunChecks.into())?;
        self.run_checks(ctx)
    }

    async fn handle(
        &mut self,
        message: &mut Lent<HealthMessage>,
        ctx: &mut Context<HealthMessage>,
    ) -> Handled {
        match &**message {
            HealthMessage::RunChecks(_) => self.run_checks(ctx),
            HealthMessage::CheckDone(done) => {
                self.health.finish(done);
                Ok(())
            }
        }
    }
}
