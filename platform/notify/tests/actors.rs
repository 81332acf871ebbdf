//! The actors themselves: a faulty start, a full mailbox, an orderly stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use troupe_actors::testing::Universe;
use troupe_actors::{FailureKind, Scope, Supervisor};
use troupe_database::testing::{for_both, for_both_with};
use troupe_database::{Db, Dialect, UnitOfWork};
use troupe_kernel::{
    Clock, Layers, ManualClock, Module, SecretSealer, SharedClock, Surroundings, Timestamp, Uuid,
};
use troupe_notify::messages::{Attempt, DeliverMail, GetMail, MailId};
use troupe_notify::{MIGRATIONS, NotifyModule};

use crate::house::{House, TestSealer, in_house, reset};

fn deliver(number: u128) -> DeliverMail {
    let job = reset("ada@example.org");
    DeliverMail {
        id: MailId(Uuid::from_u128(number)),
        mail: serde_json::from_value(job.payload).unwrap(),
        attempt: Attempt::ONLY,
    }
}

#[tokio::test]
async fn a_directory_of_templates_that_is_not_there_keeps_the_node_from_starting() {
    for_both(MIGRATIONS, async |db: Db| {
        let universe = Universe::start().await;
        let config = Layers::new()
            .file("test", "[notify]\ntemplates = \"/nowhere/at/all\"")
            .build()
            .unwrap();
        let clock = Arc::new(ManualClock::default());
        let mut around = Surroundings::new(universe.system().clone(), clock).config(config);
        around.container.provide(Arc::new(db));
        around.container.provide::<dyn SecretSealer>(Arc::new(TestSealer));
        let parts = NotifyModule.init(&mut around.context()).unwrap();
        let system = troupe_actors::System::new(troupe_actors::SystemConfig::default());
        let root =
            parts.children.into_iter().fold(Supervisor::new(&system, "root"), Supervisor::child);
        let failure = system.start(root.into_spec()).await.err().expect("it does not start");
        assert_eq!(failure.code(), "notify.templates.faulty");
        assert!(failure.detail().contains("/nowhere/at/all"), "{failure:?}");
        universe.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_full_mailbox_refuses_and_the_pool_goes_on_afterwards() {
    in_house(async |house| {
        let gate = Arc::new(tokio::sync::Notify::new());
        let opened = gate.clone();
        let scope = house.scope();
        let hold = house.db.transaction(&scope, async move |uow: &mut UnitOfWork| {
            // On SQLite the transaction alone keeps the only writer.
            if uow.conn().dialect() == Dialect::Postgres {
                uow.conn().batch("LOCK TABLE notify_mails IN EXCLUSIVE MODE").await?;
            }
            opened.notified().await;
            Ok(())
        });
        let flood = async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            // On a busy machine a thousand transactions take longer than a request may.
            let patient = Scope::system("test", std::time::Duration::from_secs(300));
            let refused = (0..1500)
                .filter(|number| house.mails.tell(&patient, deliver(number % 3)).is_err())
                .count();
            gate.notify_one();
            refused
        };
        let (held, refused) = tokio::join!(hold, flood);
        held.unwrap();
        assert!(refused >= 1500 - 1024 - 2, "{refused} were refused");
        while house.mails.depth() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        house.mails.ask(&house.scope(), deliver(9)).await.unwrap();
        assert_eq!(house.record(Uuid::from_u128(9)).await.attempts, 1);
    })
    .await;
}

#[tokio::test]
async fn a_stopped_service_takes_nothing_more() {
    for_both(MIGRATIONS, async |db: Db| {
        let house = House::open(db, Arc::default(), "").await;
        let (mails, scope) = (house.mails.clone(), house.scope());
        mails.ask(&scope, deliver(1)).await.unwrap();
        assert_eq!(house.written().len(), 1);
        drop(std::fs::remove_dir_all(&house.directory));
        house.universe.finish().await;
        let late = mails.ask(&scope, GetMail { id: MailId(Uuid::from_u128(1)) }).await;
        assert_eq!(late.unwrap_err().kind(), FailureKind::Stopped);
    })
    .await;
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
async fn a_crash_shows_no_link_and_the_next_attempt_delivers() {
    let clock = Arc::new(FaultyClock::default());
    let shared: SharedClock = clock.clone();
    for_both_with(MIGRATIONS, shared, async |db: Db| {
        let house = House::open(db, Arc::default(), "").await;
        clock.panics.store(1, Ordering::SeqCst);
        let failure = house.mails.ask(&house.scope(), deliver(1)).await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Crashed);
        let crash = &house.universe.system().crashes(1)[0];
        assert_eq!(crash.killer_kind.as_deref(), Some("DeliverMail"));
        let killer = crash.killer.clone().unwrap_or_default();
        assert!(killer.contains("auth.password_reset"), "{killer}");
        assert!(!killer.contains("https://") && !killer.contains("ada@"), "{killer}");
        house.mails.ask(&house.scope(), deliver(1)).await.unwrap();
        assert_eq!(house.written().len(), 1);
        drop(std::fs::remove_dir_all(&house.directory));
        house.universe.finish().await;
    })
    .await;
}
