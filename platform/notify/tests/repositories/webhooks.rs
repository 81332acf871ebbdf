//! Rows of endpoints, deliveries and attempts.

use std::time::Duration;

use troupe_actors::Scope;
use troupe_database::testing::for_both;
use troupe_database::{Db, DbTimestamp, DbUuid, TextList, UnitOfWork};
use troupe_kernel::ids::TenantId;
use troupe_kernel::{Timestamp, Uuid};
use troupe_notify::MIGRATIONS;
use troupe_notify::webhooks::messages::{
    DeliveryId, DeliveryState, DisabledBecause, EndpointId, EndpointState,
};
use troupe_notify::webhooks::repository::attempts::{self, AttemptRow};
use troupe_notify::webhooks::repository::deliveries::{self, DeliveryFilter, DeliveryRow};
use troupe_notify::webhooks::repository::endpoints::{self, EndpointRow};

const TENANT: TenantId = TenantId(Uuid::from_u128(0xa));
const OTHER: TenantId = TenantId(Uuid::from_u128(0xb));

fn now() -> Timestamp {
    Timestamp::from_micros(1_767_225_600_123_456)
}

fn scope() -> Scope {
    Scope::system("test", Duration::from_secs(20))
}

fn endpoint(number: u128) -> EndpointRow {
    EndpointRow {
        id: DbUuid(Uuid::from_u128(number)),
        tenant_id: DbUuid::of(TENANT),
        url: "https://example.org/hooks".to_owned(),
        description: "ours".to_owned(),
        events: TextList(vec!["blog.*".to_owned(), "files.file.stored".to_owned()]),
        state: EndpointState::Enabled.as_str().to_owned(),
        disabled_because: None,
        failing_since: None,
        sealed_secret: vec![1, 2, 0, 255],
        sealed_old_secret: Some(vec![7]),
        old_secret_until: Some(DbTimestamp(now())),
        version: 1,
        created_at: now().into(),
        updated_at: now().into(),
    }
}

fn delivery(number: u128, endpoint: u128, state: DeliveryState) -> DeliveryRow {
    DeliveryRow {
        id: DbUuid(Uuid::from_u128(number)),
        tenant_id: DbUuid::of(TENANT),
        endpoint_id: DbUuid(Uuid::from_u128(endpoint)),
        message_id: DbUuid(Uuid::from_u128(number)),
        event: "blog.post.published".to_owned(),
        body: "{\"ä\":1}".to_owned(),
        state: state.as_str().to_owned(),
        attempts: 0,
        attempts_before: 0,
        last_status: None,
        last_error: None,
        next_attempt_at: Some(DbTimestamp(now())),
        created_at: now().plus(Duration::from_secs(u64::try_from(number).unwrap())).into(),
        updated_at: now().into(),
    }
}

#[tokio::test]
async fn an_endpoint_is_one_tenants_changes_by_version_and_is_disabled_once() {
    for_both(MIGRATIONS, async |db: Db| {
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            let (id, row) = (EndpointId(Uuid::from_u128(1)), endpoint(1));
            endpoints::insert(uow.conn(), &row).await?;
            endpoints::insert(uow.conn(), &endpoint(2)).await?;
            assert_eq!(endpoints::find(uow.conn(), TENANT, id).await?, Some(row.clone()));
            assert_eq!(endpoints::find(uow.conn(), OTHER, id).await?, None);
            assert_eq!(endpoints::count(uow.conn(), TENANT).await?, 2);
            let page = endpoints::page(uow.conn(), TENANT, Uuid::from_u128(1), 5).await?;
            assert_eq!(page.iter().map(|row| row.id.0.as_u128()).collect::<Vec<_>>(), [2]);

            endpoints::note_failure(uow.conn(), row.id, now()).await?;
            endpoints::note_failure(uow.conn(), row.id, now().plus(Duration::from_secs(9))).await?;
            let found = endpoints::find(uow.conn(), TENANT, id).await?.unwrap();
            assert_eq!(found.failing_since, Some(DbTimestamp(now())), "the first failure counts");
            endpoints::note_success(uow.conn(), row.id).await?;
            assert_eq!(endpoints::find(uow.conn(), TENANT, id).await?, Some(row.clone()));

            let gone = DisabledBecause::Gone;
            assert!(endpoints::disable(uow.conn(), row.id, gone, now()).await?);
            assert!(!endpoints::disable(uow.conn(), row.id, gone, now()).await?);
            let mut found = endpoints::find(uow.conn(), TENANT, id).await?.unwrap();
            assert_eq!((found.version, found.disabled_because.as_deref()), (2, Some("gone")));
            found.set_state(EndpointState::Enabled);
            found.touch(now());
            assert!(!endpoints::save(uow.conn(), &found, 1).await?);
            assert!(endpoints::save(uow.conn(), &found, 2).await?);
            assert_eq!(endpoints::find(uow.conn(), TENANT, id).await?, Some(found));
            endpoints::delete(uow.conn(), row.id).await?;
            assert_eq!(endpoints::count(uow.conn(), TENANT).await?, 1);
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn deliveries_are_listed_by_endpoint_and_state_and_go_with_their_attempts() {
    for_both(MIGRATIONS, async |db: Db| {
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            for (number, of, state) in [
                (1, 1, DeliveryState::Delivered),
                (2, 1, DeliveryState::Queued),
                (3, 2, DeliveryState::Queued),
            ] {
                deliveries::insert(uow.conn(), &delivery(number, of, state)).await?;
            }
            let id = DeliveryId(Uuid::from_u128(2));
            let mut row = delivery(2, 1, DeliveryState::Queued);
            assert_eq!(deliveries::find(uow.conn(), TENANT, id).await?, Some(row.clone()));
            assert_eq!(deliveries::find(uow.conn(), OTHER, id).await?, None);
            row.attempts = 1;
            row.last_status = Some(500);
            row.set_state(DeliveryState::Failed, None, now());
            assert!(!deliveries::save(uow.conn(), &row, 1).await?);
            assert!(deliveries::save(uow.conn(), &row, 0).await?);
            assert_eq!(deliveries::get(uow.conn(), id).await?, Some(row.clone()));

            let found = deliveries::page(uow.conn(), &all(), Uuid::max(), 2).await?;
            assert_eq!(found.iter().map(|row| row.id.0.as_u128()).collect::<Vec<_>>(), [3, 2]);
            let endpoint = Some(EndpointId(Uuid::from_u128(1)));
            let state = Some(DeliveryState::Failed);
            let failed = DeliveryFilter { endpoint, state, ..all() };
            let found = deliveries::page(uow.conn(), &failed, Uuid::max(), 5).await?;
            assert_eq!(found, [row.clone()]);
            let others = DeliveryFilter { tenant: OTHER, ..failed };
            assert_eq!(deliveries::page(uow.conn(), &others, Uuid::max(), 5).await?, []);

            for number in 1..=2 {
                let attempt = AttemptRow {
                    delivery_id: row.id,
                    number,
                    began_at: now().into(),
                    latency_ms: 12,
                    status: Some(500),
                    response: Some("no".to_owned()),
                    error: None,
                };
                attempts::insert(uow.conn(), &attempt).await?;
            }
            let made = attempts::of(uow.conn(), row.id, 5).await?;
            assert_eq!(made.iter().map(|one| one.number).collect::<Vec<_>>(), [2, 1]);
            let before = now().plus(Duration::from_secs(3));
            let old = deliveries::made_before(uow.conn(), before, 5).await?;
            assert_eq!(old.len(), 2);
            assert_eq!(attempts::delete_of(uow.conn(), old.clone()).await?, 2);
            assert_eq!(deliveries::delete(uow.conn(), old).await?, 2);
            assert_eq!(deliveries::page(uow.conn(), &all(), Uuid::max(), 5).await?.len(), 1);
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}

fn all() -> DeliveryFilter {
    DeliveryFilter { tenant: TENANT, endpoint: None, state: None }
}
