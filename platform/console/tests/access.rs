//! Who may see what, and what of it is audited.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use troupe_actors::{Scope, Spec};
use troupe_console::{PAYLOAD_READ, SYSTEM_READ, TAP_WRITE};
use troupe_kernel::FailureKind;
use troupe_kernel::routes::Access;

use super::bench::{Bench, Work, Worker};

#[tokio::test]
async fn every_route_needs_a_permission_of_its_own() {
    let bench = Bench::start().await;
    for route in &bench.routes {
        let acts = route.path().starts_with("/v1/inspect/taps/") || *route.method() != "GET";
        let expected = if acts { TAP_WRITE } else { SYSTEM_READ };
        assert_eq!(route.access(), Some(&Access::Permission(expected)), "{route}");
    }
    let nobody = bench.caller(1, &[]);
    assert_eq!(nobody.get("/v1/inspect/tree").await.unwrap_err().kind(), FailureKind::Forbidden);
    bench.universe.finish().await;
}

#[tokio::test]
async fn the_message_that_killed_an_actor_takes_a_permission_and_leaves_an_audit_record() {
    let bench = Bench::start().await;
    let worker = bench.worker("worker").await;
    let killer = Work { panics: true, ..Work::new("the note") };
    worker.ask(&bench.universe.scope(), killer).await.unwrap_err();

    let reader = bench.caller(1, &[SYSTEM_READ]);
    let crashes = reader.get("/v1/inspect/crashes").await.unwrap();
    assert_eq!(crashes[0]["actor"], "/test/root/worker");
    assert_eq!(crashes[0]["reason"], "asked to");
    assert_eq!(crashes[0]["killer_kind"], "Work");
    assert!(!crashes.to_string().contains("the note"));
    let crash = reader.get("/v1/inspect/crashes/1").await.unwrap();
    assert_eq!(crash["killer"], json!(null));
    assert!(crash["backtrace"].as_str().is_some_and(|trace| trace.contains("bench")));
    let refused = reader.get("/v1/inspect/crashes/1?payload=true").await.unwrap_err();
    assert_eq!(refused.code(), "console.payload.forbidden");

    let trusted = bench.caller(2, &[SYSTEM_READ, PAYLOAD_READ]);
    let crash = trusted.get("/v1/inspect/crashes/1?payload=true").await.unwrap();
    let killer = crash["killer"].as_str().unwrap();
    assert!(killer.contains("the note") && !killer.contains("hunter2"), "{killer}");
    let unknown = trusted.get("/v1/inspect/crashes/99?payload=true").await.unwrap_err();
    assert_eq!(unknown.code(), "console.crash.unknown");

    let read = PAYLOAD_READ.to_owned();
    assert_eq!(
        bench.audited(),
        [(read.clone(), "Denied".to_owned()), (read, "Success".to_owned())]
    );
    assert_eq!(bench.audit.records.lock().unwrap()[1].resource, "crash:1");
    bench.universe.finish().await;
}

#[tokio::test]
async fn nothing_is_shown_when_it_cannot_be_audited() {
    let bench = Bench::start().await;
    let worker = bench.worker("worker").await;
    let killer = Work { panics: true, ..Work::new("the note") };
    worker.ask(&bench.universe.scope(), killer).await.unwrap_err();
    bench.audit.broken.store(true, Ordering::SeqCst);
    let trusted = bench.caller(2, &[SYSTEM_READ, PAYLOAD_READ]);
    let failure = trusted.get("/v1/inspect/crashes/1?payload=true").await.unwrap_err();
    assert_eq!(failure.code(), "test.audit.away");
    assert!(
        trusted.get("/v1/inspect/crashes/1").await.is_ok(),
        "without contents it is not needed"
    );
    bench.universe.finish().await;
}

#[tokio::test]
async fn dead_letters_are_listed_and_their_contents_guarded() {
    let bench = Bench::start().await;
    // A service that was never started keeps what it gets until it is given up.
    let (orphan, child) = Spec::new(bench.universe.system(), "orphan", || Worker).build();
    let expired = Scope::bare(Duration::from_millis(1));
    let sent = orphan.tell(&expired, Work::new("too late"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    bench.universe.add(child).await;
    sent.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;

    let reader = bench.caller(1, &[SYSTEM_READ]);
    let letters = reader.get("/v1/inspect/dead-letters?limit=5").await.unwrap();
    assert_eq!((&letters[0]["kind"], &letters[0]["reason"]), (&json!("Work"), &json!("expired")));
    assert_eq!(letters[0]["payload"], json!(null));
    let refused = reader.get("/v1/inspect/dead-letters?payload=true").await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
    let trusted = bench.caller(2, &[SYSTEM_READ, PAYLOAD_READ]);
    let letters = trusted.get("/v1/inspect/dead-letters?payload=true").await.unwrap();
    let payload = letters[0]["payload"].as_str().unwrap();
    assert!(payload.contains("too late") && !payload.contains("hunter2"));
    assert_eq!(trusted.get("/v1/inspect/node").await.unwrap()["dead_letters"], 1);
}
