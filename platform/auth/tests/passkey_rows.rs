//! What is stored of passkeys and of questions about them.

use troupe_auth::passkey::Proven;
use troupe_auth::repository::ceremonies::{self, CeremonyRow, Purpose};
use troupe_auth::repository::passkeys::{self, PasskeyRow};
use troupe_database::{DbTimestamp, DbUuid, UnitOfWork};
use troupe_kernel::ids::UserId;

use crate::app::STEP;
use crate::harness::{House, column_id, from, with_house};

fn proven(counter: u32) -> Proven {
    Proven { credential: format!("counts {counter}"), counter }
}

#[tokio::test]
async fn rows_of_passkeys_count_upwards_and_are_barred_once() {
    with_house(async |house: &House| {
        let now = house.now();
        let user = UserId::from(uuid::Uuid::now_v7());
        let row = PasskeyRow {
            id: column_id(),
            user_id: DbUuid::of(user),
            credential_id: vec![7; 16],
            credential: "new".to_owned(),
            counter: 0,
            name: "a phone".to_owned(),
            created_at: DbTimestamp(now),
            last_used_at: None,
            copied_at: None,
        };
        let work = async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            assert!(passkeys::insert(conn, &row).await?);
            let twin = PasskeyRow { id: column_id(), ..row.clone() };
            assert!(!passkeys::insert(conn, &twin).await?, "known already");
            let id = row.id();
            for (counter, expected) in
                [(0, true), (0, true), (5, true), (5, false), (4, false), (0, false), (6, true)]
            {
                let noted = passkeys::advance(conn, id, &proven(counter), now).await?;
                assert_eq!(noted, expected, "{counter}");
            }
            let kept = passkeys::find(conn, &[7; 16]).await?.expect("is there");
            assert_eq!((kept.credential.as_str(), kept.counter), ("counts 6", 6));
            assert!(passkeys::bar(conn, id, now).await?);
            assert!(!passkeys::bar(conn, id, now).await?, "once");
            assert!(!passkeys::advance(conn, id, &proven(9), now).await?, "barred");
            assert_eq!(passkeys::count(conn, user).await?, 1);
            assert_eq!(passkeys::erase(conn, user).await?, 1);
            assert!(!passkeys::remove(conn, id).await?);
            Ok(())
        };
        house.db.transaction(&from("192.0.2.1"), work).await.expect("commits");
    })
    .await;
}

#[tokio::test]
async fn rows_of_questions_are_good_once_for_one_purpose() {
    with_house(async |house: &House| {
        let now = house.now();
        let user = UserId::from(uuid::Uuid::now_v7());
        let late = now.plus(STEP);
        let row = move |hash: u8| {
            CeremonyRow::new(Purpose::Proof, &[hash; 32], "state".to_owned(), (now, late)).to(user)
        };
        let work = async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            ceremonies::insert(conn, &row(1)).await?;
            let found = ceremonies::find_usable(conn, Purpose::Proof, &[1; 32], now).await?;
            assert_eq!(found, Some(row(1)));
            for purpose in [Purpose::Login, Purpose::Registration] {
                assert_eq!(ceremonies::find_usable(conn, purpose, &[1; 32], now).await?, None);
            }
            assert_eq!(ceremonies::find_usable(conn, Purpose::Proof, &[1; 32], late).await?, None);
            assert!(!ceremonies::consume(conn, &[1; 32], late).await?, "too late");
            assert!(ceremonies::consume(conn, &[1; 32], now).await?);
            assert!(!ceremonies::consume(conn, &[1; 32], now).await?, "once");
            assert_eq!(ceremonies::find_usable(conn, Purpose::Proof, &[1; 32], now).await?, None);
            ceremonies::insert(conn, &row(2)).await?;
            ceremonies::insert(conn, &row(3)).await?;
            assert_eq!(ceremonies::discard(conn, user, 1).await?, 1, "a used one is kept");
            assert_eq!(ceremonies::sweep(conn, late).await?, 0);
            assert_eq!(ceremonies::sweep(conn, late.plus(STEP)).await?, 2);
            Ok(())
        };
        house.db.transaction(&from("192.0.2.1"), work).await.expect("commits");
    })
    .await;
}
