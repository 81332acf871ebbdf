//! Rows as both databases keep them.

use std::time::Duration;

use troupe_actors::Scope;
use troupe_database::prelude::*;
use troupe_database::testing::for_both;
use troupe_database::{Db, UnitOfWork};
use troupe_identity::MIGRATIONS;
use troupe_identity::repository::invitations::{self, InvitationRow};
use troupe_identity::repository::memberships::{self, MembershipRow};
use troupe_identity::repository::organisations::{self, OrganisationRow};
use troupe_identity::repository::users::{self, UserRow};
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::{Timestamp, Uuid};

fn scope() -> Scope {
    Scope::system("test", Duration::from_secs(20))
}

fn user(number: u128, email: &str) -> UserRow {
    UserRow {
        id: DbUuid(Uuid::from_u128(number)),
        email: email.to_owned(),
        email_verified_at: None,
        display_name: "Ada".to_owned(),
        locale: "en".to_owned(),
        time_zone: "UTC".to_owned(),
        status: "active".to_owned(),
        suspended_reason: None,
        deletion_due_at: Some(Timestamp::from_micros(1_767_225_600_000_001).into()),
        version: 1,
        created_at: Timestamp::from_micros(1_767_225_600_123_456).into(),
        updated_at: Timestamp::EPOCH.into(),
    }
}

fn organisation(number: u128, slug: &str) -> OrganisationRow {
    OrganisationRow {
        id: DbUuid(Uuid::from_u128(number)),
        slug: slug.to_owned(),
        name: "Acme".to_owned(),
        status: "active".to_owned(),
        version: 1,
        created_at: Timestamp::EPOCH.into(),
        updated_at: Timestamp::EPOCH.into(),
    }
}

fn membership(number: u128, organisation: u128, user: u128) -> MembershipRow {
    MembershipRow {
        id: DbUuid(Uuid::from_u128(number)),
        organisation_id: DbUuid(Uuid::from_u128(organisation)),
        user_id: DbUuid(Uuid::from_u128(user)),
        role: "owner".to_owned(),
        version: 1,
        created_at: Timestamp::EPOCH.into(),
        updated_at: Timestamp::EPOCH.into(),
    }
}

fn invitation(number: u128, organisation: u128, email: &str) -> InvitationRow {
    InvitationRow {
        id: DbUuid(Uuid::from_u128(number)),
        organisation_id: DbUuid(Uuid::from_u128(organisation)),
        email: email.to_owned(),
        role: "reader".to_owned(),
        status: "pending".to_owned(),
        token_hash: number.to_string(),
        invited_by: None,
        accepted_by: None,
        sent_count: 1,
        last_sent_at: Timestamp::EPOCH.into(),
        expires_at: Timestamp::MAX.into(),
        version: 1,
        created_at: Timestamp::EPOCH.into(),
        updated_at: Timestamp::EPOCH.into(),
    }
}

#[tokio::test]
async fn a_user_comes_back_as_it_was_and_none_becomes_null() {
    for_both(MIGRATIONS, async |db: Db| {
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            let mut row = user(1, "Ada@example.org");
            users::insert(uow.conn(), &row).await?;
            let id = UserId(Uuid::from_u128(1));
            assert_eq!(users::find(uow.conn(), id).await?, Some(row.clone()));
            assert_eq!(
                users::find_by_email(uow.conn(), "ada@example.org").await?,
                Some(row.clone())
            );

            row.deletion_due_at = None;
            row.touch(Timestamp::MAX);
            assert!(users::save(uow.conn(), &row, 1).await?);
            assert!(!users::save(uow.conn(), &row, 1).await?, "the version has risen");
            assert_eq!(users::find(uow.conn(), id).await?, Some(row));
            assert!(users::lock(uow.conn(), id).await?);
            assert!(!users::lock(uow.conn(), UserId(Uuid::nil())).await?);
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn violated_keys_have_the_same_names_on_both() {
    for_both(MIGRATIONS, async |db: Db| {
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            users::insert(uow.conn(), &user(1, "ada@example.org")).await?;
            organisations::insert(uow.conn(), &organisation(1, "acme")).await?;
            memberships::insert(uow.conn(), &membership(1, 1, 1)).await?;
            invitations::insert(uow.conn(), &invitation(1, 1, "bob@example.org")).await?;
            let twice: Result<(), DbError> = uow
                .nested(async |uow: &mut UnitOfWork| {
                    users::insert(uow.conn(), &user(2, "ADA@example.org")).await
                })
                .await;
            assert!(twice.unwrap_err().is_unique(users::EMAIL_KEY));
            let twice: Result<(), DbError> = uow
                .nested(async |uow: &mut UnitOfWork| {
                    organisations::insert(uow.conn(), &organisation(2, "acme")).await
                })
                .await;
            assert!(twice.unwrap_err().is_unique(organisations::SLUG_KEY));
            let twice: Result<(), DbError> = uow
                .nested(async |uow: &mut UnitOfWork| {
                    memberships::insert(uow.conn(), &membership(2, 1, 1)).await
                })
                .await;
            assert!(twice.unwrap_err().is_unique(memberships::MEMBER_KEY));
            let twice: Result<(), DbError> = uow
                .nested(async |uow: &mut UnitOfWork| {
                    invitations::insert(uow.conn(), &invitation(2, 1, "BOB@example.org")).await
                })
                .await;
            assert!(twice.unwrap_err().is_unique(invitations::OPEN_KEY));
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn only_owners_who_can_act_count() {
    for_both(MIGRATIONS, async |db: Db| {
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            let acme = TenantId(Uuid::from_u128(1));
            organisations::insert(uow.conn(), &organisation(1, "acme")).await?;
            for (number, status, due) in [
                (1, "active", false),
                (2, "active", true),
                (3, "suspended", false),
                (4, "active", false),
            ] {
                let mut row = user(number, &format!("u{number}@example.org"));
                row.status = status.to_owned();
                row.deletion_due_at = row.deletion_due_at.filter(|_| due);
                users::insert(uow.conn(), &row).await?;
                memberships::insert(uow.conn(), &membership(number, 1, number)).await?;
            }
            let one = UserId(Uuid::from_u128(1));
            assert_eq!(memberships::count_other_owners(uow.conn(), acme, one).await?, 1);
            let roles = vec!["owner".to_owned(), "admin".to_owned()];
            let told = memberships::active_with(uow.conn(), acme, roles, 5).await?;
            assert!(!told.is_empty() && told.iter().all(|user| user.status == "active"));
            let gone = DbUuid(Uuid::from_u128(4));
            assert!(memberships::delete(uow.conn(), gone).await?);
            assert!(!memberships::delete(uow.conn(), gone).await?);
            assert_eq!(memberships::count_other_owners(uow.conn(), acme, one).await?, 0);
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_address_is_in_no_invitation() {
    for_both(MIGRATIONS, async |db: Db| {
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            let acme = TenantId(Uuid::from_u128(1));
            organisations::insert(uow.conn(), &organisation(1, "acme")).await?;
            let mut old = invitation(1, 1, "Bob@example.org");
            old.status = "accepted".to_owned();
            invitations::insert(uow.conn(), &old).await?;
            invitations::insert(uow.conn(), &invitation(2, 1, "bob@example.org")).await?;
            let changed = invitations::forget_address(
                uow.conn(),
                "bob@example.org",
                "x@deleted.invalid",
                Timestamp::EPOCH,
            )
            .await?;
            assert_eq!(changed, 2);
            let rows = invitations::page(uow.conn(), acme, Uuid::max(), 10).await?;
            let found: Vec<_> =
                rows.iter().map(|row| (row.email.as_str(), row.status.as_str())).collect();
            assert_eq!(
                found,
                [("x@deleted.invalid", "revoked"), ("x@deleted.invalid", "accepted")]
            );
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}
