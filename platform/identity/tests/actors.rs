//! The actors themselves: a crash, a full mailbox, an orderly stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use troupe_actors::FailureKind;
use troupe_actors::testing::Universe;
use troupe_database::testing::{for_both, for_both_with};
use troupe_database::{Db, Dialect, UnitOfWork};
use troupe_identity::MIGRATIONS;
use troupe_identity_messages::{CreateUser, FindOrganisationBySlug, GetUser};
use troupe_kernel::ids::UserId;
use troupe_kernel::{Clock, ManualClock, SharedClock, SystemClock, Timestamp};

use crate::house::{House, in_house};

/// A transaction that holds what the pool needs makes it wait; what comes then piles up.
#[tokio::test]
async fn a_full_mailbox_refuses_and_the_pool_goes_on_afterwards() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let gate = Arc::new(tokio::sync::Notify::new());
        let opened = gate.clone();
        let lock_scope = house.scope();
        let hold = house.db.transaction(&lock_scope, async move |uow: &mut UnitOfWork| {
            // On SQLite the transaction alone keeps the only writer.
            if uow.conn().dialect() == Dialect::Postgres {
                uow.conn().batch("LOCK TABLE identity_users IN EXCLUSIVE MODE").await?;
            }
            opened.notified().await;
            Ok(())
        });
        let command = |number: usize| CreateUser {
            id: UserId::new(&*house.clock),
            email: format!("user{number}@example.org"),
            display_name: String::new(),
            locale: None,
            time_zone: None,
            email_verified: true,
        };
        let flood = async {
            // Both workers hang in a write that waits for the transaction above.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let told = (0..3000)
                .map(|number| house.identity.tell(&house.scope(), command(number % 3)))
                .filter(Result::is_err)
                .count();
            gate.notify_one();
            told
        };
        let (held, refused) = tokio::join!(hold, flood);
        held.unwrap();
        assert!(refused >= 3000 - 2048 - 2, "{refused} were refused");
        while house.identity.depth() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let found = house.identity.ask(&house.scope(), GetUser { id: ada.id }).await.unwrap();
        assert_eq!(found.id, ada.id);
    })
    .await;
}

#[tokio::test]
async fn a_stopped_service_answers_what_waited_and_takes_nothing_more() {
    for_both(MIGRATIONS, async |db: Db| {
        let universe = Universe::start().await;
        let house = House::in_universe(universe, db).await;
        let (identity, clock) = (house.identity.clone(), house.clock.clone());
        let asked = (0..20)
            .map(|_| {
                let (identity, scope) = (identity.clone(), house.scope());
                let id = UserId::new(&*clock);
                async move { identity.ask(&scope, GetUser { id }).await }
            })
            .collect::<Vec<_>>();
        let scope = house.scope();
        let waiting = futures_of(asked);
        let (answers, ()) = tokio::join!(waiting, house.universe.finish());
        for answer in answers {
            let code = answer.unwrap_err().code().to_owned();
            assert!(code == "identity.user.not_found" || code.starts_with("actors."), "{code}");
        }
        let late = identity.ask(&scope, FindOrganisationBySlug { slug: "acme".to_owned() }).await;
        assert_eq!(late.unwrap_err().kind(), FailureKind::Stopped);
        assert!(SystemClock.now() > clock.now());
    })
    .await;
}

async fn futures_of<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut answers = Vec::new();
    for future in &mut pinned {
        answers.push(future.await);
    }
    answers
}

/// A clock that panics as often as it is told: the only way to crash a sound handler from outside.
#[derive(Default)]
struct FaultyClock {
    clock: ManualClock,
    panics: AtomicUsize,
}

impl Clock for FaultyClock {
    fn now(&self) -> Timestamp {
        let left = self
            .panics
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(left.is_err(), "the clock fell off the wall");
        self.clock.now()
    }
}

#[tokio::test]
async fn a_crash_fails_one_asker_and_keeps_what_waits() {
    let clock = Arc::new(FaultyClock::default());
    let shared: SharedClock = clock.clone();
    for_both_with(MIGRATIONS, shared, async |db: Db| {
        let house = House::in_universe(Universe::start().await, db).await;
        clock.panics.store(1, Ordering::SeqCst);
        let create = |number: u8| {
            let command = CreateUser {
                id: UserId::new(&*house.clock),
                email: format!("user{number}@example.org"),
                display_name: String::new(),
                locale: None,
                time_zone: None,
                email_verified: true,
            };
            let (identity, scope) = (house.identity.clone(), house.scope());
            async move { identity.ask(&scope, command).await }
        };
        let (one, two, three, four) = tokio::join!(create(1), create(2), create(3), create(4));
        let answers = [one, two, three, four];
        let crashed: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!(crashed.len(), 1, "{answers:?}");
        assert_eq!(crashed[0].kind(), FailureKind::Crashed);
        let crash = &house.universe.system().crashes(1)[0];
        assert_eq!(crash.killer_kind.as_deref(), Some("CreateUser"));
        assert!(crash.reason.contains("fell off the wall"), "{}", crash.reason);
        let killer = crash.killer.clone().unwrap_or_default();
        assert!(!killer.contains("@example.org"), "the address is redacted: {killer}");
        house.universe.finish().await;
    })
    .await;
}

#[tokio::test]
async fn the_slug_cache_forgets_in_a_crash_and_finds_again() {
    let clock = Arc::new(FaultyClock::default());
    let shared: SharedClock = clock.clone();
    for_both_with(MIGRATIONS, shared, async |db: Db| {
        let house = House::in_universe(Universe::start().await, db).await;
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let find = || FindOrganisationBySlug { slug: "acme".to_owned() };
        let scope = house.scope();
        assert_eq!(house.identity.ask(&scope, find()).await.unwrap(), Some(acme.clone()));
        clock.panics.store(1, Ordering::SeqCst);
        let failure = house.identity.ask(&scope, find()).await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Crashed);
        assert_eq!(house.identity.ask(&scope, find()).await.unwrap(), Some(acme));
        house.universe.finish().await;
    })
    .await;
}
