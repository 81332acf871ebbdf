//! Health checks: what the probes answer while checks pass, fail, hang and crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use troupe_actors::Spec;
use troupe_actors::testing::Universe;
use troupe_kernel::clock::ManualClock;
use troupe_kernel::health::{HealthCheck, Probe};
use troupe_telemetry::{Health, HealthService, HealthStatus, Phase, TelemetryConfig};

const PERIOD: Duration = Duration::from_secs(10);

struct Bench {
    clock: Arc<ManualClock>,
    health: Health,
    universe: Universe,
}

impl Bench {
    async fn with(checks: Vec<HealthCheck>) -> Self {
        let clock = Arc::new(ManualClock::default());
        let config = TelemetryConfig {
            health_details: true,
            health_every: PERIOD,
            ..TelemetryConfig::default()
        };
        let health = Health::new(clock.clone(), &config);
        for check in checks {
            health.register(check);
        }
        let universe = Universe::start().await;
        let shared = health.clone();
        let spec = Spec::new(universe.system(), "health", move || {
            HealthService::new(shared.clone(), PERIOD)
        });
        universe.spawn(spec).await;
        let bench = Self { clock, health, universe };
        bench.pass(Duration::from_millis(50)).await;
        bench
    }

    /// Lets both clocks run.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::time::sleep(time).await;
    }

    fn check(&self, name: &str) -> (HealthStatus, String) {
        let report = self.health.readiness();
        let check = report.checks.into_iter().find(|check| check.name == name).unwrap();
        (check.status, check.detail.unwrap_or_default())
    }
}

fn always(result: Result<(), &'static str>) -> Probe {
    Arc::new(move || Box::pin(std::future::ready(result.map_err(str::to_owned))))
}

#[tokio::test(start_paused = true)]
async fn a_node_is_ready_when_it_has_started_and_its_critical_checks_pass() {
    let well = Arc::new(AtomicBool::new(true));
    let seen = well.clone();
    let probe: Probe = Arc::new(move || {
        let well = seen.load(Ordering::SeqCst);
        Box::pin(async move { if well { Ok(()) } else { Err("cannot connect".to_owned()) } })
    });
    let bench = Bench::with(vec![
        HealthCheck::new("database", probe).critical(),
        HealthCheck::new("mail", always(Err("no server"))),
    ])
    .await;
    assert_eq!(bench.health.readiness().status, HealthStatus::Fail, "it is still starting");
    assert_eq!(bench.health.startup().response().status, 503);
    assert_eq!(bench.health.liveness().response().status, 200);

    bench.health.enter(Phase::Started);
    let report = bench.health.readiness();
    assert_eq!(report.status, HealthStatus::Warn, "only a check that is not critical fails");
    assert_eq!(report.response().status, 200);
    assert_eq!(bench.health.startup().response().status, 200);

    well.store(false, Ordering::SeqCst);
    bench.pass(PERIOD).await;
    assert_eq!(bench.health.readiness().status, HealthStatus::Fail);
    assert_eq!(bench.check("database"), (HealthStatus::Fail, "cannot connect".to_owned()));

    well.store(true, Ordering::SeqCst);
    bench.pass(PERIOD).await;
    assert_eq!(bench.health.readiness().response().status, 200);
    bench.health.enter(Phase::Draining);
    assert_eq!(bench.health.readiness().response().status, 503);
    assert_eq!(bench.health.liveness().response().status, 200);
    bench.universe.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_fails_within_its_time_and_stops_no_other() {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = calls.clone();
    let counting: Probe = Arc::new(move || {
        seen.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(())))
    });
    let bench = Bench::with(vec![
        HealthCheck::new("hangs", Arc::new(|| Box::pin(std::future::pending())))
            .critical()
            .timeout(Duration::from_secs(2)),
        HealthCheck::new("counts", counting),
    ])
    .await;
    assert_eq!(bench.check("hangs").1, "it was not run yet");
    bench.pass(Duration::from_secs(3)).await;
    assert_eq!(bench.check("hangs").1, "no answer within 2000 ms");
    bench.pass(PERIOD).await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    bench.universe.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_fails_and_is_asked_again() {
    // Another test looks at the errors of the process; this one's are its own.
    let _quiet = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::new());
    let calls = Arc::new(AtomicU32::new(0));
    let seen = calls.clone();
    let probe: Probe = Arc::new(move || {
        let call = seen.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            assert!(call > 0, "the first call panics");
            Ok(())
        })
    });
    let bench = Bench::with(vec![HealthCheck::new("fragile", probe)]).await;
    assert_eq!(bench.check("fragile").0, HealthStatus::Fail);
    bench.pass(PERIOD).await;
    assert_eq!(bench.check("fragile").0, HealthStatus::Pass);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    bench.universe.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_not_renewed_counts_as_failed() {
    let bench = Bench::with(vec![HealthCheck::new("database", always(Ok(()))).critical()]).await;
    bench.health.enter(Phase::Started);
    assert_eq!(bench.health.readiness().status, HealthStatus::Pass);
    bench.clock.advance(PERIOD * 4);
    assert_eq!(
        bench.check("database"),
        (HealthStatus::Fail, "it was not run for too long".to_owned())
    );
    bench.universe.finish().await;
}

#[tokio::test]
async fn reasons_are_hidden_unless_the_configuration_shows_them() {
    let health = Health::new(Arc::new(ManualClock::default()), &TelemetryConfig::default());
    health.register(HealthCheck::new("database", always(Ok(()))).critical());
    health.enter(Phase::Failed);
    health.enter(Phase::Started);
    let response = health.readiness().response();
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    let expected = serde_json::json!({
        "status": "fail",
        "phase": "failed",
        "checks": [{
            "name": "database", "status": "fail", "critical": true, "checked": null, "took_ms": null,
        }],
    });
    assert_eq!(body, expected);
    assert_eq!(health.liveness().response().status, 503);
    assert_eq!(response.headers["cache-control"], "no-store");
}
