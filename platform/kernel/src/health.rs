//! Health checks as modules declare them; the telemetry crate runs them.

use std::sync::Arc;
use std::time::Duration;

use crate::ports::BoxFuture;

/// Asks whether a part is well; the error says what is wrong and what to do.
pub type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// One check.
#[derive(Clone)]
pub struct HealthCheck {
    name: String,
    probe: Probe,
    critical: bool,
    timeout: Duration,
}

impl HealthCheck {
    /// A check that is reported and does not make the node unready.
    #[must_use]
    pub fn new(name: impl Into<String>, probe: Probe) -> Self {
        Self { name: name.into(), probe, critical: false, timeout: Duration::from_secs(2) }
    }

    /// The node is not ready while this check fails.
    #[must_use]
    pub fn critical(mut self) -> Self {
        self.critical = true;
        self
    }

    /// A check that takes longer counts as failed; two seconds unless set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Its name, for example `database`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the node is not ready while it fails.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        self.critical
    }

    /// How long it may take.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.timeout
    }

    /// Asks once. The caller bounds it by [`time_limit`](Self::time_limit).
    #[must_use]
    pub fn probe(&self) -> BoxFuture<'static, Result<(), String>> {
        (self.probe)()
    }
}
