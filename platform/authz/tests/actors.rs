//! The actors under stress: a crash, a full mailbox, an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use troupe_actors::{FailureKind, Scope};
use troupe_authz::MIGRATIONS;
use troupe_authz_messages::{ListPermissions, ROLE_ADMINISTRATOR};
use troupe_database::testing::for_both;
use troupe_kernel::{Clock, ManualClock, SharedClock, Timestamp};

use crate::house::{House, READ, code, grant, in_both, person, press_policies, system};

/// A clock that panics when it is told to.
struct Fragile {
    inner: Arc<ManualClock>,
    broken: AtomicBool,
}

impl Clock for Fragile {
    fn now(&self) -> Timestamp {
        assert!(!self.broken.load(Ordering::SeqCst), "the clock is broken");
        self.inner.now()
    }
}

#[tokio::test]
async fn a_shard_that_crashes_is_restarted_and_reads_again() {
    for_both(MIGRATIONS, async |db| {
        let inner = Arc::new(ManualClock::default());
        let clock = Arc::new(Fragile { inner: inner.clone(), broken: AtomicBool::new(false) });
        let shared: SharedClock = clock.clone();
        let house = House::open_with(db, inner, shared, press_policies()).await;
        let tenant = house.tenant();
        let subject = house.member(tenant, "reader").await;
        assert_eq!(house.held(subject, Some(tenant)).await, [READ]);

        clock.broken.store(true, Ordering::SeqCst);
        let short = Scope::system("test", Duration::from_millis(300));
        let refused = house.authorizer.resolve(subject, Some(tenant.uuid()), &short).await;
        let kind = refused.expect_err("the shard crashes").kind();
        assert!(matches!(kind, FailureKind::Crashed | FailureKind::Expired), "{kind:?}");
        clock.broken.store(false, Ordering::SeqCst);
        assert_eq!(house.held(subject, Some(tenant)).await, [READ], "after the restart");
        assert!(house.universe.system().crash_count() > 0);
        let crash = house.universe.system().crashes(1).remove(0);
        assert!(crash.reason.contains("the clock is broken"), "{}", crash.reason);
        house.universe.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_command_that_crashes_fails_its_asker_alone() {
    in_both(async |house| {
        let tenant = house.tenant();
        let admin = house.member(tenant, "admin").await;
        let refused = grant(house.id(), Some(tenant), "owner");
        house.audit.mood.store(1, Ordering::SeqCst);
        assert_eq!(
            code(house.grant(&person(admin, Some(tenant)), refused.clone()).await),
            "actors.handler.crashed"
        );
        house.audit.mood.store(0, Ordering::SeqCst);
        assert_eq!(
            code(house.grant(&person(admin, Some(tenant)), refused).await),
            "authz.grant.exceeds"
        );
        assert_eq!(house.universe.system().crash_count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_full_mailbox_refuses_and_says_when_to_come_back() {
    in_both(async |house| {
        let tenant = house.tenant();
        let admin = house.member(tenant, "admin").await;
        house.audit.mood.store(2, Ordering::SeqCst);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (service, scope) =
                (house.service.clone(), person(admin, Some(tenant)).within(Duration::from_secs(2)));
            let refused = grant(house.id(), Some(tenant), "owner");
            tasks.spawn(async move { service.ask(&scope, refused).await.map(|_| ()) });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        // Every worker waits; the mailbox fills to its share for ordinary requests.
        let scope = Scope::bare(Duration::from_secs(1));
        let mut refused = None;
        for _ in 0..2000 {
            if let Err(failure) = house.service.tell(&scope, ListPermissions) {
                refused = Some(failure);
                break;
            }
        }
        let refused = refused.expect("the mailbox is bounded");
        assert_eq!(refused.kind(), FailureKind::Overloaded);
        assert!(refused.retry_after_duration().is_some());
        house.audit.mood.store(0, Ordering::SeqCst);
        while let Some(done) = tasks.join_next().await {
            assert!(done.expect("no task panics").is_err());
        }
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_answered_before_the_end() {
    let clock = Arc::new(ManualClock::default());
    troupe_database::testing::for_both_with(MIGRATIONS, clock.clone(), async |db| {
        let house = House::open(db, clock.clone(), press_policies()).await;
        let subjects: Vec<_> = (0..20).map(|_| house.id()).collect();
        let mut tasks = tokio::task::JoinSet::new();
        for subject in subjects {
            let service = house.service.clone();
            let command = grant(subject, None, ROLE_ADMINISTRATOR);
            tasks.spawn(async move { service.ask(&system(), command).await.map(|_| ()) });
        }
        tokio::task::yield_now().await;
        let House { universe, .. } = house;
        universe.finish().await;
        let mut answered = 0;
        while let Some(done) = tasks.join_next().await {
            match done.expect("no task panics") {
                Ok(()) => answered += 1,
                Err(failure) => {
                    assert!(
                        matches!(failure.kind(), FailureKind::Stopped | FailureKind::Unavailable),
                        "{failure}"
                    );
                }
            }
        }
        assert!(answered > 0, "commands that waited were done");
    })
    .await;
}
