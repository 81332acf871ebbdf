//! Properties that hold for any sequence of messages and crashes.

use std::time::Duration;

use proptest::prelude::*;
use troupe_actors::FailureKind;

use crate::shop::{Add, Explode, Note, Refuse, eventually, open, scope};

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask,
    Tell,
    Refuse,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Ask), 6 => Just(Step::Tell), 2 => Just(Step::Refuse), 1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is sent and whoever crashes: each accepted message is handled once or accounted
    /// for, each asker gets exactly the answer its step calls for, and nothing is left waiting.
    #[test]
    fn no_message_is_lost_uncounted(steps in steps(), workers in 1usize..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()
            .expect("a runtime");
        runtime.block_on(async {
            let (running, shop, _) = open(|spec| spec.workers(workers), 1000).await;
            let mut asks = Vec::new();
            for step in &steps {
                let shop = shop.clone();
                match step {
                    Step::Tell => shop.tell(&scope(), Note { text: "n".into() }).expect("room"),
                    step => asks.push(run(*step, shop)),
                }
            }
            let answers = futures_util::future::join_all(asks).await;
            prop_assert!(answers.into_iter().all(|right| right));
            let system = running.system().clone();
            let path = shop.path();
            let total = steps.len() as u64;
            eventually("all are handled", || {
                system.actor(&path).is_some_and(|view| view.counts.handled == total)
            }).await;
            let counts = system.actor(&path).expect("it lives").counts;
            prop_assert_eq!(counts.received, total);
            prop_assert_eq!(counts.dead + counts.shed + counts.expired, 0);
            let crashes = steps.iter().filter(|step| matches!(step, Step::Crash)).count() as u64;
            prop_assert_eq!(counts.crashes, crashes);
            tokio::time::timeout(Duration::from_secs(5), running.shutdown()).await.expect("stops");
            prop_assert_eq!(system.actor_count(), 0);
            Ok(())
        })?;
    }
}

async fn run(step: Step, shop: troupe_actors::ServiceRef<crate::shop::ShopMessage>) -> bool {
    match step {
        Step::Ask | Step::Tell => shop.ask(&scope(), Add { amount: 0 }).await.is_ok(),
        Step::Refuse => kind_of(shop.ask(&scope(), Refuse).await) == Some(FailureKind::Conflict),
        Step::Crash => {
            let bomb = Explode { password: String::new() };
            kind_of(shop.ask(&scope(), bomb).await) == Some(FailureKind::Crashed)
        }
    }
}

fn kind_of(answer: Result<u64, troupe_actors::Failure>) -> Option<FailureKind> {
    answer.err().map(|failure| failure.kind())
}
