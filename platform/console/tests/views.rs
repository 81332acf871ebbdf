//! The tree, the lists and one actor: what they show and where they end.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_actors::{Origin, Scope, Spec, Supervisor};
use troupe_console::SYSTEM_READ;
use troupe_kernel::{FailureKind, Uuid};

use super::bench::{Bench, Work, Worker};

fn find<'a>(branches: &'a Value, name: &str) -> Option<&'a Value> {
    branches.as_array()?.iter().find_map(|branch| {
        if branch["name"] == name { Some(branch) } else { find(&branch["children"], name) }
    })
}

#[tokio::test]
async fn the_tree_shows_fifty_siblings_and_counts_the_rest() {
    let bench = Bench::start().await;
    let system = bench.universe.system();
    let mut group = Supervisor::new(system, "orders");
    for number in 0..60 {
        group = group.child(Spec::new(system, format!("order-{number}"), || Worker).build().1);
    }
    bench.universe.add(group.into_spec()).await;
    let reader = bench.caller(1, &[SYSTEM_READ]);
    let tree = reader.get("/v1/inspect/tree").await.unwrap();
    let orders = find(&tree["roots"], "orders").unwrap();
    assert_eq!(orders["children"].as_array().unwrap().len(), 50);
    assert_eq!(orders["hidden_children"], 10);
    assert_eq!(orders["children"][0]["actor"]["path"], "/test/root/orders/order-0");
    assert_eq!(orders["children"][0]["actor"]["state"], "running");
    assert_eq!(tree["total"].as_u64().unwrap(), tree["shown"].as_u64().unwrap() + 10);

    let small = reader.get("/v1/inspect/tree?nodes=5").await.unwrap();
    assert_eq!(small["shown"], 5);
    for query in ["nodes=0", "nodes=501"] {
        let failure = reader.get(&format!("/v1/inspect/tree?{query}")).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.fields()[0].pointer.as_str()),
            ("console.limit.range", "nodes")
        );
    }
    let failure = reader.get("/v1/inspect/tree?depth=3").await.unwrap_err();
    assert_eq!(failure.code(), "kernel.query.malformed");
    bench.universe.finish().await;
}

#[tokio::test]
async fn the_top_list_is_sorted_and_bounded() {
    let bench = Bench::start().await;
    let (busy, idle) = (bench.worker("busy").await, bench.worker("idle").await);
    for _ in 0..50 {
        busy.ask(&bench.universe.scope(), Work::new("x")).await.unwrap();
    }
    idle.ask(&bench.universe.scope(), Work::new("x")).await.unwrap();
    let reader = bench.caller(1, &[SYSTEM_READ]);
    let top = reader.get("/v1/inspect/top?sort=received&k=1").await.unwrap();
    assert_eq!(top["actors"].as_array().unwrap().len(), 1);
    assert_eq!(top["actors"][0]["path"], "/test/root/busy");
    assert_eq!(top["actors"][0]["received"], 50);
    assert_eq!(reader.get("/v1/inspect/top").await.unwrap()["sort"], "depth");
    assert_eq!(reader.get("/v1/inspect/top?k=201").await.unwrap_err().kind(), FailureKind::Invalid);
    let failure = reader.get("/v1/inspect/top?sort=colour").await.unwrap_err();
    assert_eq!(failure.code(), "kernel.query.malformed");
    bench.universe.finish().await;
}

#[tokio::test]
async fn an_actor_is_shown_with_its_messages_and_crashes() {
    let bench = Bench::start().await;
    let worker = bench.worker("worker").await;
    let mut origin = Origin::new(Uuid::from_u128(5));
    origin.trace = 0xfeed;
    let scope = Scope::root(Duration::from_secs(5), origin);
    worker.ask(&scope, Work::new("traced")).await.unwrap();
    let killer = Work { panics: true, ..Work::new("boom") };
    worker.ask(&bench.universe.scope(), killer).await.unwrap_err();
    worker.ask(&bench.universe.scope(), Work::new("after")).await.unwrap();

    let reader = bench.caller(1, &[SYSTEM_READ]);
    let page = reader.get("/v1/inspect/actors/test/root/worker").await.unwrap();
    assert_eq!(page["actor"]["incarnation"], 2);
    assert_eq!(page["actor"]["crashes"], 1);
    assert_eq!(page["crashes"][0]["reason"], "asked to");
    assert!(page["crashes"][0]["decision"].as_str().unwrap().starts_with("restart after"));
    let outcomes: Vec<&Value> =
        page["records"].as_array().unwrap().iter().map(|record| &record["outcome"]).collect();
    assert_eq!(outcomes, [&json!("done"), &json!("crashed"), &json!("done")]);
    assert_eq!(page["records"][0]["payload"], json!(null));

    let trace = "0000000000000000000000000000feed";
    let records = reader.get(&format!("/v1/inspect/records?trace={trace}")).await.unwrap();
    assert_eq!(records.as_array().unwrap().len(), 1);
    assert_eq!(
        (&records[0]["to"], &records[0]["trace"]),
        (&json!("/test/root/worker"), &json!(trace))
    );
    let none = reader.get("/v1/inspect/records?actor=/test/root/other").await.unwrap();
    assert_eq!(none, json!([]));
    let failure = reader.get("/v1/inspect/actors/test/root/gone").await.unwrap_err();
    assert_eq!((failure.kind(), failure.code()), (FailureKind::NotFound, "console.actor.unknown"));

    let protocols = reader.get("/v1/inspect/protocols").await.unwrap();
    let work =
        protocols.as_array().unwrap().iter().find(|each| each["protocol"] == "work").unwrap();
    assert_eq!(
        (&work["services"], &work["received"], &work["crashes"]),
        (&json!(1), &json!(3), &json!(1))
    );
    let kinds = reader.get("/v1/inspect/kinds").await.unwrap();
    let work = kinds.as_array().unwrap().iter().find(|kind| kind["kind"] == "Work").unwrap();
    assert_eq!((&work["protocol"], &work["handling"]["count"]), (&json!("work"), &json!(3)));
    bench.universe.finish().await;
}

#[tokio::test(start_paused = true)]
async fn times_of_day_follow_the_clock_of_the_node() {
    let bench = Bench::start().await;
    let worker = bench.worker("worker").await;
    worker.ask(&bench.universe.scope(), Work::new("x")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let reader = bench.caller(1, &[SYSTEM_READ]);
    let records = reader.get("/v1/inspect/records?actor=/test/root/worker").await.unwrap();
    let began = records[0]["began"].as_str().unwrap();
    assert!(began.starts_with("2025-12-31T23:59:0"), "a minute before the clock's time: {began}");
    let node = reader.get("/v1/inspect/node").await.unwrap();
    assert_eq!((&node["name"], &node["at"]), (&json!("test"), &json!("2026-01-01T00:00:00Z")));
    bench.universe.finish().await;
}
