//! What is stored of second factors and of logins that wait for one.

use troupe_auth::repository::{challenges, recovery_codes, totp};
use troupe_database::{DbTimestamp, DbUuid, UnitOfWork};
use troupe_kernel::ids::UserId;

use crate::app::{App, STEP};
use crate::harness::{ADMINISTRATOR, House, MEMBER, PASSWORD, code, from, with_house};

#[tokio::test]
async fn a_stored_secret_is_sealed_for_its_owner() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let (app, _) = App::begun(house, MEMBER).await;
        let row = house.db.read(async |conn| Ok(totp::find(conn, member.user).await?)).await;
        let row = row.expect("can be read").expect("is there");
        assert_eq!(row.sealed_secret.len(), 12 + 20 + 16, "nonce, secret, tag");
        let administrator = house.log_in(ADMINISTRATOR, PASSWORD).await.expect("logs in");
        let moved = totp::TotpRow { user_id: DbUuid::of(administrator.user), ..row };
        let scope = from("192.0.2.1");
        let work = async move |uow: &mut UnitOfWork| Ok(totp::begin(uow.conn(), &moved).await?);
        assert!(house.db.transaction(&scope, work).await.expect("stored"));
        assert_eq!(code(app.confirm(house, &administrator).await), "auth.key.sealed");
    })
    .await;
}

#[tokio::test]
async fn rows_of_the_second_step_are_good_once() {
    with_house(async |house: &House| {
        let now = house.now();
        let user = UserId::from(uuid::Uuid::now_v7());
        let row = totp::TotpRow {
            user_id: DbUuid::of(user),
            sealed_secret: vec![1],
            last_step: 0,
            created_at: DbTimestamp(now),
            confirmed_at: None,
        };
        let challenge = challenges::ChallengeRow {
            token_hash: vec![7; 32],
            user_id: DbUuid::of(user),
            tenant_id: None,
            first_factor: "password".to_owned(),
            device: None,
            created_at: DbTimestamp(now),
            expires_at: DbTimestamp(now.plus(STEP)),
            used_at: None,
            passkey_state: None,
        };
        let work = async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            assert!(totp::begin(conn, &row).await?);
            assert!(!totp::advance(conn, user, 1).await?, "not confirmed");
            let other = totp::TotpRow { sealed_secret: vec![2], ..row.clone() };
            assert!(totp::begin(conn, &other).await?, "in place of the first");
            assert!(!totp::confirm(conn, &row, 5, now).await?, "replaced");
            assert!(totp::confirm(conn, &other, 5, now).await?);
            assert!(!totp::confirm(conn, &other, 6, now).await?, "once");
            assert!(!totp::begin(conn, &row).await?, "a confirmed one stays");
            let steps = [(5, false), (6, true), (6, false), (4, false), (8, true)];
            for (step, expected) in steps {
                assert_eq!(totp::advance(conn, user, step).await?, expected, "{step}");
            }
            assert_eq!(totp::sweep(conn, now.plus(STEP)).await?, 0, "a confirmed one stays");
            recovery_codes::replace(conn, user, &[[1; 32], [2; 32]], now).await?;
            assert!(recovery_codes::is_usable(conn, user, &[1; 32]).await?);
            assert!(recovery_codes::consume(conn, user, &[1; 32], now).await?);
            assert!(!recovery_codes::consume(conn, user, &[1; 32], now).await?, "once");
            assert!(!recovery_codes::is_usable(conn, user, &[1; 32]).await?);
            assert_eq!(recovery_codes::left(conn, user).await?, 1);
            challenges::insert(conn, &challenge).await?;
            let found = challenges::find_usable(conn, &[7; 32], now).await?;
            assert_eq!(found.as_ref(), Some(&challenge));
            let late = now.plus(STEP);
            assert_eq!(challenges::find_usable(conn, &[7; 32], late).await?, None);
            assert!(!challenges::consume(conn, &[7; 32], late).await?, "too late");
            assert_eq!(challenges::discard(conn, user, 1).await?, 0);
            assert!(challenges::consume(conn, &[7; 32], now).await?);
            assert!(!challenges::consume(conn, &[7; 32], now).await?, "once");
            assert_eq!(challenges::discard(conn, user, 0).await?, 0, "a used one is kept");
            assert_eq!(challenges::sweep(conn, late.plus(STEP)).await?, 1);
            Ok(())
        };
        house.db.transaction(&from("192.0.2.1"), work).await.expect("commits");
    })
    .await;
}
