//! The test kit itself.

use std::time::Duration;

use troupe_actors::Scope;
use troupe_actors::testing::{Probe, Universe, ask};

use crate::shop::{Add, Note, ShopMessage, Slow, passing, shop};

#[tokio::test]
async fn a_probe_sees_what_it_is_sent() {
    let universe = Universe::start().await;
    let probe = Probe::<ShopMessage>::start(&universe, "probe").await;
    let first = universe.spawn(passing(universe.system(), "first", probe.service().clone())).await;
    first.tell(&universe.scope(), crate::shop::PassOn { amount: 4 }).expect("room");
    let ShopMessage::Add(add) = probe.expect().await else { panic!("an Add was passed on") };
    assert_eq!((add.amount, probe.unread()), (4, 0));
    universe.finish().await;
}

#[tokio::test(start_paused = true)]
async fn time_is_virtual_when_the_test_says_so() {
    let universe = Universe::start().await;
    let shop = universe.spawn(shop(universe.system(), "shop").0).await;
    let hours = Scope::bare(Duration::from_secs(10 * 3600));
    let slow = shop.ask(&hours, Slow { wait_ms: 3_600_000 }).await;
    assert_eq!(slow, Ok(0));
    let short = Scope::bare(Duration::from_secs(1));
    assert!(shop.ask(&short, Slow { wait_ms: 2_000 }).await.is_err());
    universe.finish().await;
}

#[tokio::test]
#[should_panic(expected = "messages were left over")]
async fn a_universe_fails_a_test_that_loses_messages() {
    let universe = Universe::start().await;
    let (spec, _) = shop(universe.system(), "shop");
    let shop = universe.spawn(spec.stop_within(Duration::from_millis(10))).await;
    assert_eq!(ask(&universe, &shop, Add { amount: 2 }).await, 2);
    shop.tell(&universe.scope(), Slow { wait_ms: 60_000 }).expect("room");
    shop.tell(&universe.scope(), Note { text: "lost".into() }).expect("room");
    universe.finish().await;
}
