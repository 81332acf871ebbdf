//! The password pool: full, crashed, stopped.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::testing::Universe;
use troupe_actors::{FailureKind, Request, Scope, ServiceRef};
use troupe_auth::SecretText;
use troupe_auth::config::PoolConfig;
use troupe_auth::messages::{CreateApiKey, HashPassword, PasswordMessage, Verdict, VerifyPassword};
use troupe_auth::password::hash::{HashCost, Hasher};
use troupe_auth::service::passwords::Passwords;
use troupe_auth::{MIGRATIONS, messages};
use troupe_database::testing::for_both_with;
use troupe_kernel::clock::ManualClock;
use troupe_kernel::error::Failure;

use crate::harness::{House, POST_READ, acting, code, with_config};

async fn pool(universe: &Universe, memory_kib: u32, queue: usize) -> ServiceRef<PasswordMessage> {
    let cost = HashCost { memory_kib, iterations: 1, parallelism: 1 };
    let hasher = Hasher::new(cost).expect("possible");
    let (service, child) =
        Passwords::pool(universe.system(), &hasher, &PoolConfig { workers: 1, queue });
    universe.add(child).await;
    service
}

fn check(hash: Option<&str>) -> VerifyPassword {
    VerifyPassword {
        password: SecretText::new("gravel lantern oboe"),
        hash: hash.map(str::to_owned),
    }
}

#[tokio::test]
async fn the_pool_hashes_checks_and_renews() {
    let universe = Universe::start().await;
    let service = pool(&universe, 64, 16).await;
    let scope = Scope::bare(Duration::from_secs(10));
    let hash = service
        .ask(&scope, HashPassword { password: SecretText::new("gravel lantern oboe") })
        .await;
    let hash = hash.expect("hashed");
    let same = service.ask(&scope, check(Some(&hash))).await;
    assert_eq!(same, Ok(Verdict { matches: true, renewed: None }));
    let unknown = service.ask(&scope, check(None)).await;
    assert_eq!(unknown, Ok(Verdict { matches: false, renewed: None }));
    let old = Hasher::new(HashCost { memory_kib: 32, iterations: 2, parallelism: 1 });
    let old = old.expect("possible").hash("gravel lantern oboe").expect("hashed");
    let verdict = service.ask(&scope, check(Some(&old))).await.expect("checked");
    assert!(verdict.matches);
    assert!(verdict.renewed.is_some_and(|hash| hash.contains("m=64,t=1")));
    universe.finish().await;
}

fn sent<Q: Request>(
    service: &ServiceRef<Q::Protocol>,
    scope: &Scope,
    request: Q,
) -> troupe_actors::Pending<Q::Reply> {
    let (port, pending) = service.open(scope);
    service.send(scope, request.into(), port);
    pending
}

#[tokio::test]
async fn a_full_pool_refuses_at_once_and_serves_what_it_took() {
    let universe = Universe::start().await;
    let service = pool(&universe, 32 * 1024, 4).await;
    let scope = Scope::bare(Duration::from_secs(30));
    let asked: Vec<_> = (0..40).map(|_| sent(&service, &scope, check(None))).collect();
    let (mut served, mut refused) = (0, 0);
    for pending in asked {
        match pending.await.result {
            Ok(verdict) => {
                assert!(!verdict.matches);
                served += 1;
            }
            Err(failure) => {
                assert_eq!(failure.kind(), FailureKind::Overloaded);
                assert!(failure.retry_after_duration().is_some(), "503 says when to come back");
                refused += 1;
            }
        }
    }
    assert!(served >= 1 && refused >= 30, "served {served}, refused {refused}");
    universe.finish().await;
}

#[tokio::test]
async fn a_login_at_a_full_pool_is_told_to_come_back_and_is_no_failed_attempt() {
    let slow = "password_hash = { memory_kib = 16384, iterations = 2, parallelism = 1 }\n\
                password_pool = { workers = 1, queue = 4 }";
    with_config(slow, async |house: &House| {
        house.set_up().await;
        let scope = crate::harness::scope();
        let logins: Vec<_> = (0..40)
            .map(|number| {
                let email = format!("guess{number}@sawmill.example");
                sent(&house.auth.login, &scope, crate::harness::login(&email, "a wrong one"))
            })
            .collect();
        let mut codes: Vec<String> = Vec::new();
        for pending in logins {
            codes.push(code(pending.await.result));
        }
        let full = codes.iter().filter(|code| *code == "actors.mailbox.full").count();
        assert!(full >= 20, "{codes:?}");
        let refused = codes.iter().filter(|code| *code == "auth.login.refused").count();
        assert_eq!(full + refused, 40, "{codes:?}");
        let counted = house.audit().await;
        let counted = counted.iter().filter(|one| one["action"] == "auth.login").count();
        assert_eq!(counted, refused, "only checked passwords count");
    })
    .await;
}

#[tokio::test]
async fn hashes_that_were_taken_are_finished_when_the_pool_stops() {
    let universe = Universe::start().await;
    let service = pool(&universe, 8 * 1024, 16).await;
    let scope = Scope::bare(Duration::from_secs(30));
    let asked: Vec<_> = (0..6).map(|_| sent(&service, &scope, check(None))).collect();
    universe.finish().await;
    for pending in asked {
        assert_eq!(pending.await.result, Ok(Verdict { matches: false, renewed: None }));
    }
    let late = service.ask(&Scope::bare(Duration::from_secs(1)), check(None)).await;
    assert_eq!(late.map_err(|failure| failure.kind()), Err(FailureKind::Stopped));
}

#[tokio::test]
async fn a_crash_fails_its_caller_alone_and_its_record_shows_no_secret() {
    let clock = Arc::new(ManualClock::default());
    let shared: troupe_kernel::SharedClock = clock.clone();
    for_both_with(MIGRATIONS, shared, async |db| {
        // Declarations that nobody sealed make the first look at them panic.
        let (house, seal) =
            House::build_unsealed(db, clock.clone(), "").await.expect("the module starts");
        house.member().await;
        let tokens = house.session().await;
        let request = CreateApiKey {
            organisation: tokens.organisation.expect("works in one"),
            user: tokens.user,
            name: "deployment".to_owned(),
            permissions: vec![POST_READ.to_owned()],
            expires_at: None,
        };
        let scope = acting(&tokens, house.catalog.all());
        let crashed: Result<messages::CreatedApiKey, Failure> =
            house.auth.api_keys.ask(&scope, request.clone()).await;
        assert_eq!(crashed.map_err(|failure| failure.kind()), Err(FailureKind::Crashed));
        let crash = house.universe.system().crashes(1).remove(0);
        assert_eq!(crash.killer_kind.as_deref(), Some("CreateApiKey"));
        seal();
        let made = house.auth.api_keys.ask(&scope, request).await;
        assert!(made.is_ok(), "the actor was restarted: {made:?}");
        house.universe.finish().await;
    })
    .await;
}
