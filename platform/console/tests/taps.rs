//! Taps: what they show, whose they are, and how they end.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_console::{PAYLOAD_READ, SYSTEM_READ, TAP_WRITE};
use troupe_kernel::FailureKind;

use super::bench::{Bench, Work};

fn numbers(records: &Value) -> Vec<u64> {
    let records = records["records"].as_array().unwrap();
    records.iter().map(|record| record["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_tap_shows_messages_until_they_are_acknowledged() {
    let bench = Bench::start().await;
    let worker = bench.worker("worker").await;
    let other = bench.worker("other").await;
    let caller = bench.caller(1, &[TAP_WRITE, PAYLOAD_READ]);
    let tap = caller
        .post("/v1/inspect/taps", json!({ "path": "/test/root/worker", "payload": true }))
        .await
        .unwrap();
    assert_eq!((&tap["records_max"], &tap["lease_ms"]), (&json!(100), &json!(5000)));
    for note in ["one", "two"] {
        worker.ask(&bench.universe.scope(), Work::new(note)).await.unwrap();
    }
    other.ask(&bench.universe.scope(), Work::new("unseen")).await.unwrap();
    let at = format!("/v1/inspect/taps/{}", tap["id"]);
    let first = caller.get(&at).await.unwrap();
    assert_eq!((numbers(&first).len(), &first["open"]), (2, &json!(true)));
    let payload = first["records"][0]["payload"].as_str().unwrap();
    assert!(payload.contains("one") && !payload.contains("hunter2"), "{payload}");
    assert_eq!(caller.get(&at).await.unwrap(), first, "an answer that was lost can be had again");

    let seen = numbers(&first)[0];
    let rest = caller.get(&format!("{at}?after={seen}")).await.unwrap();
    assert_eq!(numbers(&rest), numbers(&first)[1..]);
    caller.delete(&at).await.unwrap();
    assert_eq!(caller.get(&at).await.unwrap_err().kind(), FailureKind::NotFound);
    assert_eq!(bench.audited(), [("act.tap.start".to_owned(), "Success".to_owned())]);
    bench.universe.finish().await;
}

#[tokio::test]
async fn a_tap_without_payload_needs_no_second_permission_and_shows_none() {
    let bench = Bench::start().await;
    let worker = bench.worker("worker").await;
    let caller = bench.caller(1, &[TAP_WRITE, SYSTEM_READ]);
    let refused = caller.post("/v1/inspect/taps", json!({ "kind": "Work", "payload": true })).await;
    assert_eq!(refused.unwrap_err().code(), "console.payload.forbidden");
    let tap = caller.post("/v1/inspect/taps", json!({ "kind": "Work" })).await.unwrap();
    worker.ask(&bench.universe.scope(), Work::new("one")).await.unwrap();
    let records = caller.get(&format!("/v1/inspect/taps/{}", tap["id"])).await.unwrap();
    assert_eq!(records["records"][0]["kind"], "Work");
    assert_eq!(records["records"][0]["payload"], json!(null));
    let listed = caller.get("/v1/inspect/taps").await.unwrap();
    assert_eq!(listed, json!([tap]));
    bench.universe.finish().await;
}

#[tokio::test]
async fn taps_that_are_too_wide_too_long_or_too_many_are_refused() {
    let bench = Bench::start().await;
    let caller = bench.caller(1, &[TAP_WRITE]);
    for (body, pointer) in [
        (json!({}), ""),
        (json!({ "path": "/" }), "/path"),
        (json!({ "path": "/test" }), "/path"),
        (json!({ "path": "test/root" }), "/path"),
        (json!({ "kind": "Work", "records": 0 }), "/records"),
        (json!({ "kind": "Work", "records": 1001 }), "/records"),
        (json!({ "kind": "Work", "seconds": 601 }), "/seconds"),
    ] {
        let failure = caller.post("/v1/inspect/taps", body.clone()).await.unwrap_err();
        assert_eq!(failure.code(), "console.tap.invalid", "{body}");
        assert_eq!(failure.fields()[0].pointer, pointer, "{body}");
    }
    let unknown = caller.post("/v1/inspect/taps", json!({ "kind": "Work", "colour": 1 })).await;
    assert_eq!(unknown.unwrap_err().code(), "kernel.body.malformed");
    for _ in 0..4 {
        caller.post("/v1/inspect/taps", json!({ "protocol": "work" })).await.unwrap();
    }
    let failure = caller.post("/v1/inspect/taps", json!({ "protocol": "work" })).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Conflict);
    assert_eq!(bench.audited().len(), 4, "what was not opened is not in the audit");
    bench.universe.finish().await;
}

#[tokio::test]
async fn a_tap_belongs_to_who_opened_it() {
    let bench = Bench::start().await;
    let caller = bench.caller(1, &[TAP_WRITE]);
    let tap = caller.post("/v1/inspect/taps", json!({ "kind": "Work" })).await.unwrap();
    let at = format!("/v1/inspect/taps/{}", tap["id"]);
    let stranger = bench.caller(2, &[TAP_WRITE, PAYLOAD_READ]);
    assert_eq!(stranger.get(&at).await.unwrap_err().code(), "console.tap.unknown");
    assert_eq!(stranger.delete(&at).await.unwrap_err().code(), "console.tap.unknown");
    assert!(caller.get(&at).await.is_ok());
    bench.universe.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_tap_that_nobody_reads_ends_by_itself_and_frees_its_place() {
    let bench = Bench::start().await;
    let worker = bench.worker("worker").await;
    let caller = bench.caller(1, &[TAP_WRITE, SYSTEM_READ]);
    let read = caller.post("/v1/inspect/taps", json!({ "kind": "Work" })).await.unwrap();
    for _ in 0..3 {
        caller.post("/v1/inspect/taps", json!({ "protocol": "work" })).await.unwrap();
    }
    // Unread records must not keep a tap alive.
    worker.ask(&bench.universe.scope(), Work::new("one")).await.unwrap();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        caller.get(&format!("/v1/inspect/taps/{}", read["id"])).await.unwrap();
    }
    assert_eq!(caller.get("/v1/inspect/taps").await.unwrap(), json!([read]));
    caller.post("/v1/inspect/taps", json!({ "protocol": "work" })).await.unwrap();
    bench.universe.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_tap_ends_after_its_records_and_says_what_it_left_out() {
    let bench = Bench::start().await;
    let worker = bench.worker("worker").await;
    let caller = bench.caller(1, &[TAP_WRITE]);
    let start = |records: u32| json!({ "kind": "Work", "records": records });
    let few = caller.post("/v1/inspect/taps", start(2)).await.unwrap();
    let many = caller.post("/v1/inspect/taps", start(1000)).await.unwrap();
    for _ in 0..80 {
        worker.ask(&bench.universe.scope(), Work::new("x")).await.unwrap();
    }
    let few = caller.get(&format!("/v1/inspect/taps/{}", few["id"])).await.unwrap();
    assert_eq!((numbers(&few).len(), &few["open"]), (2, &json!(false)));
    let many = caller.get(&format!("/v1/inspect/taps/{}", many["id"])).await.unwrap();
    let (shown, suppressed) = (numbers(&many).len(), many["suppressed"].as_u64().unwrap());
    assert_eq!((shown as u64 + suppressed, &many["open"]), (80, &json!(true)));
    assert_eq!(shown, 50, "as many as a tap takes in a second");
    bench.universe.finish().await;
}
