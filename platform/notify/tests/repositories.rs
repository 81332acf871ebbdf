//! Rows of the outbox as both databases keep them.

mod webhooks;

use std::time::Duration;

use serde_json::json;
use troupe_actors::Scope;
use troupe_database::testing::for_both;
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::ids::UserId;
use troupe_kernel::{Mail, Timestamp, Uuid};
use troupe_notify::MIGRATIONS;
use troupe_notify::messages::{BounceCause, MailId, MailState};
use troupe_notify::repository::bounces::{self, BounceRow};
use troupe_notify::repository::preferences::{self, PreferenceRow};
use troupe_notify::repository::{self, MailFilter, MailRow};

#[tokio::test]
async fn a_mail_comes_back_as_it_was_and_loses_its_content_once() {
    for_both(MIGRATIONS, async |db: Db| {
        let scope = Scope::system("test", Duration::from_secs(20));
        db.transaction(&scope, async |uow: &mut UnitOfWork| {
            let id = MailId(Uuid::from_u128(1));
            let mail = Mail::new("a.b", "Ada@example.org", &json!({ "ä": [1, null, "\"x\""] }));
            let now = Timestamp::from_micros(1_767_225_600_123_456);
            let mut row = MailRow::queued(id, Some(Uuid::from_u128(2)), &mail, now);
            repository::insert(uow.conn(), &row).await?;
            assert_eq!(repository::find(uow.conn(), id).await?, Some(row.clone()));
            assert_eq!(row.mail(), Some(mail));

            row.state = MailState::Sent.as_str().to_owned();
            row.subject = Some("S".to_owned());
            row.sent_at = Some(now.into());
            repository::save(uow.conn(), &row).await?;
            assert_eq!(repository::find(uow.conn(), id).await?, Some(row.clone()));

            assert_eq!(repository::erase_before(uow.conn(), now).await?, 0);
            let later = now.plus(Duration::from_micros(1));
            assert_eq!(repository::erase_before(uow.conn(), later).await?, 1);
            assert_eq!(repository::erase_before(uow.conn(), later).await?, 0);
            let found = repository::find(uow.conn(), id).await?.unwrap();
            assert_eq!((found.data, found.subject.as_deref()), (None, Some("S")));
            let filter = MailFilter {
                state: Some(MailState::Sent),
                recipient: Some("ADA@example.org".to_owned()),
            };
            let page = repository::page(uow.conn(), &filter, Uuid::max(), 5).await?;
            assert_eq!(page.len(), 1);
            assert_eq!(repository::give_up_before(uow.conn(), later).await?, 0, "it was sent");
            let none = MailFilter { state: Some(MailState::Queued), recipient: None };
            assert!(repository::page(uow.conn(), &none, Uuid::max(), 5).await?.is_empty());
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_address_is_marked_once_and_found_in_any_case() {
    for_both(MIGRATIONS, async |db: Db| {
        let scope = Scope::system("test", Duration::from_secs(20));
        db.transaction(&scope, async |uow: &mut UnitOfWork| {
            let now = Timestamp::from_micros(1_767_225_600_123_456);
            let row = BounceRow::new("Ada@Example.org", BounceCause::Refused, "5.1.1", now);
            assert!(bounces::mark(uow.conn(), &row).await?);
            let later = BounceRow::new("ada@example.org", BounceCause::Reported, "again", now);
            assert!(!bounces::mark(uow.conn(), &later).await?);
            let found = bounces::find(uow.conn(), "ADA@example.org").await?;
            assert_eq!(found.as_ref(), Some(&row));
            assert_eq!(bounces::page(uow.conn(), String::new(), 5).await?, [row]);
            let after = "ada@example.org".to_owned();
            assert_eq!(bounces::page(uow.conn(), after, 5).await?, []);
            assert!(bounces::clear(uow.conn(), "ada@EXAMPLE.org").await?);
            assert!(!bounces::clear(uow.conn(), "ada@example.org").await?);
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_user_says_last_counts() {
    for_both(MIGRATIONS, async |db: Db| {
        let scope = Scope::system("test", Duration::from_secs(20));
        db.transaction(&scope, async |uow: &mut UnitOfWork| {
            let user = UserId(Uuid::from_u128(7));
            let mut row = PreferenceRow {
                user_id: troupe_database::DbUuid::of(user),
                notice: "a.b".to_owned(),
                mail: false,
                updated_at: Timestamp::EPOCH.into(),
            };
            preferences::save(uow.conn(), &row).await?;
            row.mail = true;
            preferences::save(uow.conn(), &row).await?;
            assert_eq!(preferences::find(uow.conn(), user, "a.b").await?, Some(row.clone()));
            assert_eq!(preferences::find(uow.conn(), user, "a.c").await?, None);
            assert_eq!(preferences::of_user(uow.conn(), user, 5).await?, [row]);
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}
