//! Telemetry as a node has it: installed once for the process, its services in a supervised tree.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::testing::{Probe, Universe};
use troupe_kernel::clock::ManualClock;
use troupe_telemetry::{ErrorNotice, Telemetry, TelemetryConfig, TelemetryError};

/// One test, because the process has one log and one recorder.
#[tokio::test(start_paused = true)]
async fn errors_are_passed_on_once_and_counted_and_metrics_are_shown() {
    let clock = Arc::new(ManualClock::default());
    let telemetry = Telemetry::install(TelemetryConfig::default(), clock.clone()).unwrap();
    let again = Telemetry::install(TelemetryConfig::default(), clock.clone());
    assert!(matches!(again.err(), Some(TelemetryError::LogsInstalled(_))));

    let universe = Universe::start().await;
    let probe = Probe::<ErrorNotice>::start(&universe, "subscriber").await;
    telemetry.errors().subscribe(probe.service().clone());
    universe.add(telemetry.child(universe.system())).await;

    for attempt in 0..40 {
        tracing::error!(attempt, "the relay cannot reach the bus");
    }
    tracing::error!(code = "other", "another kind");
    let ErrorNotice::ErrorRaised(first) = probe.expect().await;
    assert_eq!(first.report.message, "the relay cannot reach the bus");
    assert_eq!((first.report.repetitions, &first.report.fields["attempt"]), (0, &0.into()));
    let ErrorNotice::ErrorRaised(second) = probe.expect().await;
    assert_eq!(second.report.message, "another kind");
    assert_ne!(first.report.fingerprint, second.report.fingerprint);

    clock.advance(Duration::from_secs(61));
    let ErrorNotice::ErrorRaised(repeated) = probe.expect().await;
    assert_eq!((repeated.report.repetitions, &repeated.report.fields["attempt"]), (39, &39.into()));
    assert_eq!(telemetry.errors().newest(10).len(), 3);

    metrics::histogram!("troupe_request_seconds").record(0.003);
    metrics::histogram!("troupe_body_bytes").record(2000.0);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let text = telemetry.metrics().render(universe.system());
    for line in [
        "troupe_errors_total{target=\"main::node\"} 41",
        "troupe_request_seconds_bucket{le=\"0.0025\"} 0",
        "troupe_request_seconds_bucket{le=\"0.005\"} 1",
        "troupe_body_bytes_bucket{le=\"8192\"} 1",
        "troupe_actor_crashes_total 0",
        "troupe_services{protocol=\"telemetry.health\"} 1",
        "troupe_mailbox_depth{protocol=\"telemetry.errors\"} 0",
        "troupe_messages_total{protocol=\"telemetry.errors\",outcome=\"handled\"} 3",
    ] {
        assert!(text.lines().any(|shown| shown == line), "no `{line}` in\n{text}");
    }
    assert!(text.contains("process_resident_memory_bytes"), "{text}");
    universe.finish().await;
}
