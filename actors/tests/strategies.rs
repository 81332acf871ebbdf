//! Properties of supervision: whoever crashes, those restart whom the strategy names, and no others.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use troupe_actors::{Backoff, ServiceRef, Strategy as Supervision, Supervisor};

use crate::shop::{Add, Explode, ShopMessage, Tally, eventually, scope, shop, system};

fn supervision() -> impl Strategy<Value = Supervision> {
    prop_oneof![
        Just(Supervision::OneForOne),
        Just(Supervision::OneForAll),
        Just(Supervision::RestForOne),
    ]
}

/// Whom a crash of `crashed` restarts among `count` siblings.
fn restarted(strategy: Supervision, crashed: usize, count: usize) -> std::ops::Range<usize> {
    match strategy {
        Supervision::OneForOne => crashed..crashed + 1,
        Supervision::OneForAll => 0..count,
        Supervision::RestForOne => crashed..count,
    }
}

fn starts(shops: &[(ServiceRef<ShopMessage>, Arc<Tally>)]) -> Vec<u32> {
    shops.iter().map(|(_, tally)| tally.starts.load(Ordering::SeqCst)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_strategy_restarts_exactly_whom_it_names(
        strategy in supervision(),
        count in 1usize..6,
        crashes in proptest::collection::vec(0usize..6, 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()
            .expect("a runtime");
        let (starts, expected) = runtime.block_on(async {
            let system = system();
            let mut root = Supervisor::new(&system, "root")
                .strategy(strategy)
                .intensity(1000, Duration::from_secs(10))
                .backoff(Backoff::none());
            let mut shops: Vec<(ServiceRef<ShopMessage>, Arc<Tally>)> = Vec::new();
            for number in 0..count {
                let (spec, tally) = shop(&system, &format!("shop-{number}"));
                let (reference, child) = spec.build();
                root = root.child(child);
                shops.push((reference, tally));
            }
            let running = system.start(root.into_spec()).await.expect("starts");
            let mut expected = vec![1; count];
            for crashed in crashes.iter().map(|crash| crash % count) {
                let bomb = Explode { password: String::new() };
                shops[crashed].0.ask(&scope(), bomb).await.expect_err("it crashes");
                for each in restarted(strategy, crashed, count) {
                    expected[each] += 1;
                }
                eventually("the expected ones have started", || starts(&shops) == expected).await;
            }
            for (shop, _) in &shops {
                shop.ask(&scope(), Add { amount: 1 }).await.expect("all serve");
            }
            let counted = starts(&shops);
            running.shutdown().await;
            (counted, expected)
        });
        prop_assert_eq!(starts, expected);
    }
}
