//! What the module registers, alone and beside others.

use std::sync::Arc;

use troupe_actors::{System, SystemConfig};
use troupe_auth::{AuthModule, MIGRATIONS};
use troupe_database::testing::TestDatabase;
use troupe_database::{Dialect, Plan};
use troupe_identity_messages as identity;
use troupe_kernel::clock::{ManualClock, SystemClock};
use troupe_kernel::config::Layers;
use troupe_kernel::event::Event;
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::module::{Module, Surroundings};
use troupe_kernel::routes::Access;
use uuid::Uuid;

use crate::harness::{House, MEMBER, PASSWORD, code, scope, with_house};

#[tokio::test]
async fn events_of_identity_end_sessions() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let organisation = member.organisation.expect("made one");
        for event in [
            user_event(identity::USER_SUSPENDED, member.user),
            member_event(member.user, organisation),
            organisation_event(identity::ORGANISATION_CLOSED, organisation),
            user_event(identity::USER_ANONYMISED, member.user),
        ] {
            let tokens = house.log_in(MEMBER, PASSWORD).await.expect("logs in");
            let taker = house.parts.subscriptions.iter().find(|each| each.takes(&event.kind));
            let taker = taker.expect("somebody listens");
            taker.run(&event, &scope()).await.expect("handled");
            let ended = house.check(&tokens.access_token).await;
            assert_eq!(code(ended), "auth.session.ended", "{}", event.kind);
        }
    })
    .await;
}

fn user_event(kind: &str, user: UserId) -> Event {
    Event::new(kind, user, &identity::UserEvent { user, version: 2 })
}

fn member_event(user: UserId, organisation: TenantId) -> Event {
    let data = identity::MemberEvent {
        organisation,
        user,
        role: None,
        role_before: Some("owner".to_owned()),
    };
    Event::new(identity::MEMBER_REMOVED, organisation, &data)
}

fn organisation_event(kind: &str, organisation: TenantId) -> Event {
    let data = identity::OrganisationEvent {
        organisation,
        slug: "saw-mill".to_owned(),
        slug_before: None,
        version: 2,
    };
    Event::new(kind, organisation, &data)
}

#[tokio::test]
async fn the_jobs_of_the_module_run() {
    with_house(async |house: &House| {
        house.member().await;
        let kinds: Vec<_> = house.parts.jobs.iter().map(|job| job.kind().to_owned()).collect();
        assert_eq!(kinds, ["auth.rotate_keys", "auth.sweep"]);
        for handler in &house.parts.jobs {
            assert!(handler.schedule().is_some(), "{} comes by itself", handler.kind());
            let job = troupe_kernel::JobContext {
                id: Uuid::from_u128(1),
                attempt: 1,
                job: troupe_kernel::Job::new(handler.kind(), &()),
            };
            handler.run(&job, &scope()).await.expect("done");
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_is_well_only_while_a_key_signs() {
    with_house(async |house: &House| {
        let check = &house.parts.health[0];
        assert!(check.is_critical());
        assert_eq!(check.probe().await, Ok(()));
        house.clock.advance(std::time::Duration::from_secs(40 * 86_400));
        assert!(check.probe().await.is_err());
    })
    .await;
}

#[tokio::test]
async fn every_route_says_who_may_use_it_and_what_it_takes_and_gives() {
    with_house(async |house: &House| {
        let mut open: Vec<String> = Vec::new();
        for route in &house.parts.routes {
            let operation = route.operation();
            assert!(!operation.summary.is_empty(), "{route} has no summary");
            assert!(!operation.responses.is_empty(), "{route} says nothing of its answer");
            assert!(
                operation.body.is_none() || route.body_bytes_max().is_some(),
                "{route} bounds its body"
            );
            if route.access() == Some(&Access::Public) {
                open.push(route.to_string());
            }
        }
        open.sort();
        assert_eq!(
            open,
            [
                "GET /.well-known/jwks.json",
                "GET /reset-password",
                "GET /reset-password/page.css",
                "GET /reset-password/reset.js",
                "GET /setup",
                "GET /setup/page.css",
                "GET /setup/setup.js",
                "GET /sign-in",
                "GET /sign-in/page.css",
                "GET /sign-in/sign-in.js",
                "GET /v1/auth/oidc",
                "GET /v1/auth/oidc/{provider}/callback",
                "GET /v1/auth/oidc/{provider}/start",
                "GET /v1/auth/setup",
                "POST /v1/auth/login",
                "POST /v1/auth/login/code",
                "POST /v1/auth/login/passkey",
                "POST /v1/auth/passkeys/login",
                "POST /v1/auth/passkeys/login/begin",
                "POST /v1/auth/password-reset",
                "POST /v1/auth/password-reset/confirm",
                "POST /v1/auth/refresh",
                "POST /v1/auth/register",
                "POST /v1/auth/setup",
            ],
            "nothing else is open to everybody"
        );
        assert_eq!(house.parts.routes.len(), open.len() + 26);
    })
    .await;
}

#[tokio::test]
async fn a_missing_neighbour_and_a_faulty_section_are_named() {
    let system = System::new(SystemConfig::default());
    let mut around = Surroundings::new(system, Arc::new(SystemClock));
    let faults = AuthModule::new().init(&mut around.context()).err().expect("nothing is provided");
    assert!(faults[0].to_string().contains("Db"), "{faults:?}");
    let config = Layers::new()
        .file("a.toml", "[auth]\nregistration = \"maybe\"\ntokens.acess = \"10m\"")
        .build()
        .expect("is TOML");
    let system = System::new(SystemConfig::default());
    let mut around = Surroundings::new(system, Arc::new(SystemClock)).config(config);
    let faults = AuthModule::new().init(&mut around.context()).err().expect("two faults");
    let shown = format!("{faults:?}");
    assert!(shown.contains("auth.registration") && shown.contains("did you mean"), "{shown}");
}

#[tokio::test]
async fn the_tables_can_be_taken_down_and_made_again() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, MIGRATIONS).await else { continue };
        let db = database.open_with(Arc::new(ManualClock::default())).await;
        let plan = Plan::merge(&[MIGRATIONS]).expect("fits");
        db.revert(&plan, MIGRATIONS.len()).await.expect("taken down");
        db.migrate(&plan).await.expect("made again");
        let house = House::build(db, Arc::new(ManualClock::default()), "").await.expect("starts");
        house.member().await;
        house.universe.finish().await;
        database.remove().await;
    }
}
