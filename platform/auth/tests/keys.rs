//! Signing keys: made, published ahead, rotated, sealed.

use std::sync::Arc;
use std::time::Duration;

use troupe_auth::MIGRATIONS;
use troupe_auth::keys::{Lifetime, Sealer, SigningKey};
use troupe_auth::messages::{GetPublicKeys, Refresh, ReloadKeys, RotateKeys};
use troupe_auth::repository::signing_keys;
use troupe_database::testing::TestDatabase;
use troupe_database::{DbTimestamp, Dialect, UnitOfWork};
use troupe_kernel::clock::ManualClock;
use troupe_kernel::config::{ConfigTree, Layers};
use troupe_kernel::invalidation::InvalidationMessage;

use crate::harness::{House, MEMBER, PASSWORD, code, scope, with_house};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

async fn rotate(house: &House) -> Option<String> {
    let rotation = house.auth.keys.ask(&scope(), RotateKeys { now: false }).await;
    rotation.expect("rotates").published
}

async fn published(house: &House) -> Vec<String> {
    let keys = house.auth.keys.ask(&scope(), GetPublicKeys).await.expect("answers");
    keys.keys.into_iter().map(|key| key.kid).collect()
}

#[tokio::test]
async fn a_successor_is_published_a_day_ahead_and_the_old_key_stays_until_its_tokens_are_gone() {
    with_house(async |house: &House| {
        house.member().await;
        let first = published(house).await;
        assert_eq!(first.len(), 1);
        assert_eq!(rotate(house).await, None, "not yet");
        house.clock.advance(29 * DAY);
        let next = rotate(house).await.expect("a day before");
        assert_eq!(published(house).await, [first[0].clone(), next.clone()]);
        assert_eq!(rotate(house).await, None, "only one");
        house.clock.advance(DAY - Duration::from_secs(1));
        let old = house.session().await;
        house.clock.advance(Duration::from_secs(1));
        let new = house.session().await;
        assert_eq!(kid(old.access_token.expose()), first[0]);
        assert_eq!(kid(new.access_token.expose()), next);
        assert!(house.check(&old.access_token).await.is_ok(), "old tokens live their time");
        house.clock.advance(HOUR);
        rotate(house).await;
        assert_eq!(published(house).await, [next]);
    })
    .await;
}

fn kid(token: &str) -> String {
    use base64::Engine as _;
    let header = token.split('.').next().expect("a header");
    let header =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).expect("base64url");
    let header: serde_json::Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a key id").to_owned()
}

#[tokio::test]
async fn a_key_that_became_known_is_replaced_at_once() {
    with_house(async |house: &House| {
        house.member().await;
        let old = house.session().await;
        let before = published(house).await;
        let rotation = house.auth.keys.ask(&scope(), RotateKeys { now: true }).await;
        let rotation = rotation.expect("rotates");
        assert_eq!(rotation.deleted, 1);
        let told = house.gate.expect().await;
        assert!(matches!(told, InvalidationMessage::RevokeEverybody(_)), "{told:?}");
        let after = published(house).await;
        assert_ne!(before, after);
        house.clock.advance(Duration::from_secs(10));
        assert_eq!(code(house.check(&old.access_token).await), "auth.token.invalid");
        let new = house.session().await;
        assert!(house.check(&new.access_token).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_node_without_a_signing_key_makes_one_even_if_the_rotation_never_came() {
    with_house(async |house: &House| {
        house.member().await;
        house.clock.advance(40 * DAY);
        house.auth.keys.tell(&scope(), ReloadKeys).expect("taken");
        assert_eq!(published(house).await.len(), 1);
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_is_not_spent_when_no_key_signs() {
    with_house(async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        house.clock.set(house.now().plus(13 * DAY));
        house.auth.keys.ask(&scope(), RotateKeys { now: true }).await.expect("rotates");
        house.clock.set(house.now().minus(Duration::from_secs(60)));
        let request = Refresh { refresh_token: tokens.refresh_token, device: None };
        let early = house.auth.sessions.ask(&scope(), request.clone()).await;
        assert_eq!(code(early), "auth.key.missing");
        house.clock.advance(Duration::from_secs(60));
        assert!(house.auth.sessions.ask(&scope(), request).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_token_of_a_key_that_another_node_made_is_accepted() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, MIGRATIONS).await else { continue };
        let clock = Arc::new(ManualClock::default());
        let db = database.open_with(clock.clone()).await;
        let one = House::build(db.clone(), clock.clone(), "").await.expect("starts");
        let two = House::build(db, clock.clone(), "").await.expect("starts");
        one.member().await;
        one.auth.keys.ask(&scope(), RotateKeys { now: true }).await.expect("rotates");
        let tokens = one.session().await;
        clock.advance(Duration::from_secs(6));
        assert!(two.check(&tokens.access_token).await.is_ok());
        one.universe.finish().await;
        two.universe.finish().await;
        database.remove().await;
    }
}

#[tokio::test]
async fn the_private_half_is_sealed_and_another_key_does_not_open_it() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, MIGRATIONS).await else { continue };
        let clock = Arc::new(ManualClock::default());
        let db = database.open_with(clock.clone()).await;
        let house = House::build(db.clone(), clock.clone(), "").await.expect("starts");
        let now = house.now();
        let rows = db
            .read(async move |conn| Ok(signing_keys::live(conn, now).await?))
            .await
            .expect("can be read");
        assert_eq!(rows[0].sealed_key.len(), 12 + 32 + 16, "nonce, sealed seed, tag");
        house.universe.finish().await;
        let other = "key_encryption_key = \"//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=\"";
        let refused = House::start_failure(db.clone(), clock.clone(), other).await;
        assert_eq!(refused.code(), "auth.key.sealed");
        assert!(refused.detail().contains("another key-encryption key"), "{refused}");
        database.remove().await;
    }
}

#[tokio::test]
async fn a_stored_key_that_was_exchanged_for_another_is_refused() {
    with_house(async |house: &House| {
        let now = house.now();
        house
            .db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                let mut row = signing_keys::live(uow.conn(), now).await?.remove(0);
                row.id = "A".repeat(43);
                signing_keys::insert(uow.conn(), &row).await?;
                Ok(())
            })
            .await
            .expect("an attacker with the database");
        let rotated = house.auth.keys.ask(&scope(), RotateKeys { now: false }).await;
        assert_eq!(code(rotated), "auth.key.sealed");
    })
    .await;
}

/// Adds a key that signs from now on, as another node on this database would.
async fn add_key(house: &House) -> String {
    let now = house.now();
    let ends_at = now.plus(2 * DAY);
    let lifetime = Lifetime { activates_at: now, retires_at: now.plus(DAY), ends_at };
    let (key, seed) = SigningKey::generate(lifetime).expect("there is randomness");
    let sealer = Sealer::new(&std::array::from_fn(|index| u8::try_from(index).expect("32 bytes")));
    let row = signing_keys::SigningKeyRow {
        id: key.id().to_owned(),
        sealed_key: sealer.seal(key.id(), &seed).expect("there is randomness"),
        created_at: DbTimestamp(now),
        activates_at: DbTimestamp(now),
        retires_at: DbTimestamp(lifetime.retires_at),
        ends_at: DbTimestamp(ends_at),
    };
    house
        .db
        .transaction(&scope(), async move |uow: &mut UnitOfWork| {
            signing_keys::insert(uow.conn(), &row).await?;
            Ok(())
        })
        .await
        .expect("the row is right");
    key.id().to_owned()
}

fn settings(lines: &str) -> ConfigTree {
    Layers::new().file("settings.toml", &format!("[auth]\n{lines}")).build().expect("TOML")
}

#[tokio::test]
async fn a_reload_takes_the_keys_at_once_and_tokens_of_the_old_one_stay_good() {
    with_house(async |house: &House| {
        house.member().await;
        let old = house.session().await;
        house.clock.advance(Duration::from_secs(1));
        let [reload, _] = &house.parts.reloads[..] else { panic!("keys and providers reload") };
        let same =
            settings("key_encryption_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"");
        assert!(reload.look(&same).await.expect("good").keys().is_empty(), "nothing is new");

        let next = add_key(house).await;
        let change = reload.look(&same).await.expect("good");
        assert_eq!(change.keys(), ["auth.signing_keys"]);
        assert!(!published(house).await.contains(&next), "looking changes nothing");
        change.make();
        let known = async || published(house).await.contains(&next);
        for _ in 0..200 {
            if known().await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let new = house.session().await;
        assert_eq!(kid(new.access_token.expose()), next);
        assert_ne!(kid(old.access_token.expose()), next);
        for token in [&old.access_token, &new.access_token] {
            assert!(house.check(token).await.is_ok(), "both are good in the overlap");
        }
    })
    .await;
}

#[tokio::test]
async fn a_reload_refuses_a_key_that_does_not_open_those_of_the_database() {
    with_house(async |house: &House| {
        house.member().await;
        let old = house.session().await;
        let [reload, _] = &house.parts.reloads[..] else { panic!("keys and providers reload") };
        let other = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let wrong = settings(&format!("key_encryption_key = \"{other}\""));
        let faults = reload.look(&wrong).await.map(drop).expect_err("it opens nothing");
        assert_eq!(faults[0].path, "auth.key_encryption_key");
        assert!(!faults[0].to_string().contains(other), "{faults:?}");
        let missing = settings("key_file = \"/nowhere/auth.key\"");
        let faults = reload.look(&missing).await.map(drop).expect_err("no key is made");
        assert!(
            faults[0].to_string().contains("auth.key_file: the key file /nowhere"),
            "{faults:?}"
        );
        assert!(house.check(&old.access_token).await.is_ok());
    })
    .await;
}
