//! Each repository on both dialects, below the actors.

use troupe_auth::MIGRATIONS;
use troupe_auth::repository::api_keys::{self, ApiKeyRow};
use troupe_auth::repository::one_time::{self, OneTimeRow, Purpose};
use troupe_auth::repository::refresh_tokens::{self, RefreshRow};
use troupe_auth::repository::sessions::{self, Ending, SessionRow, SessionUse, Whose};
use troupe_auth::repository::signing_keys::{self, SigningKeyRow};
use troupe_auth::repository::{credentials, failures};
use troupe_database::testing::for_both;
use troupe_database::{Db, DbTimestamp, DbUuid, TextList, UnitOfWork};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::error::Failure;
use troupe_kernel::ids::{SessionId, TenantId, UserId};
use uuid::Uuid;

use crate::harness::{column_id, scope};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_750_000_000 + seconds)
}

fn db_at(seconds: i64) -> DbTimestamp {
    DbTimestamp(at(seconds))
}

fn user() -> UserId {
    UserId::from(Uuid::now_v7())
}

/// Runs one transaction.
async fn tx<R: Send>(
    db: &Db,
    work: impl for<'u> AsyncFnOnce(&'u mut UnitOfWork) -> Result<R, Failure>
    + for<'u> troupe_database::Callback<&'u mut UnitOfWork, Result<R, Failure>, Running: Send>
    + Send,
) -> R {
    db.transaction(&scope(), work).await.expect("the transaction commits")
}

fn session(user: UserId, tenant: Option<TenantId>) -> SessionRow {
    SessionRow {
        id: column_id(),
        user_id: DbUuid::of(user),
        tenant_id: tenant.map(DbUuid::of),
        device: Some("a browser".to_owned()),
        address: Some("192.0.2.1".to_owned()),
        created_at: db_at(0),
        last_seen_at: db_at(0),
        idle_expires_at: db_at(100),
        expires_at: db_at(1_000),
        ended_at: None,
        end_reason: None,
    }
}

#[tokio::test]
async fn a_password_is_set_replaced_renewed_and_removed() {
    for_both(MIGRATIONS, async |db: Db| {
        let user = user();
        tx(&db, async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            assert!(!credentials::any(conn).await?);
            assert_eq!(credentials::find(conn, user).await?, None);
            credentials::put(conn, user, "one", at(0)).await?;
            assert!(credentials::any(conn).await?);
            credentials::put(conn, user, "two", at(1)).await?;
            assert_eq!(credentials::find(conn, user).await?.as_deref(), Some("two"));
            assert!(!credentials::renew(conn, user, "one", "three").await?, "changed meanwhile");
            assert!(credentials::renew(conn, user, "two", "three").await?);
            assert_eq!(credentials::find(conn, user).await?.as_deref(), Some("three"));
            credentials::remove(conn, user).await?;
            assert!(!credentials::any(conn).await?);
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_session_is_kept_whole_and_found_while_it_lives() {
    for_both(MIGRATIONS, async |db: Db| {
        let user = user();
        let row = session(user, Some(TenantId::from(Uuid::now_v7())));
        let id: SessionId = row.id.to();
        tx(&db, async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            sessions::insert(conn, &row).await?;
            assert_eq!(sessions::find(conn, id).await?.as_ref(), Some(&row));
            assert_eq!(
                sessions::find_many(conn, &[id, SessionId::from(Uuid::nil())]).await?,
                [row]
            );
            assert_eq!(sessions::find_many(conn, &[]).await?, []);
            assert_eq!(sessions::live_of(conn, user, at(99)).await?.len(), 1);
            assert_eq!(sessions::live_of(conn, user, at(100)).await?, [], "idle too long");
            let used = SessionUse {
                last_seen_at: db_at(99),
                idle_expires_at: db_at(200),
                address: None,
                device: Some("a phone".to_owned()),
            };
            let touched = sessions::touch(conn, id, &used).await?.expect("live");
            assert_eq!(touched.device.as_deref(), Some("a phone"));
            assert_eq!(touched.address.as_deref(), Some("192.0.2.1"), "an unknown one is kept");
            let late = SessionUse { last_seen_at: db_at(200), ..used };
            assert_eq!(sessions::touch(conn, id, &late).await?, None);
            sessions::seen(conn, &[id], at(150)).await?;
            let moved = sessions::move_to(conn, id, None, at(160)).await?.expect("live");
            assert_eq!((moved.tenant_id, moved.last_seen_at), (None, db_at(160)));
            let ending = Ending { at: at(170), reason: "test" };
            assert_eq!(sessions::end(conn, id, ending).await?, Some(user));
            assert_eq!(sessions::end(conn, id, ending).await?, None, "once");
            assert_eq!(sessions::move_to(conn, id, None, at(160)).await?, None);
            assert_eq!(sessions::live_of(conn, user, at(160)).await?, []);
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn sessions_end_by_user_member_and_tenant() {
    for_both(MIGRATIONS, async |db: Db| {
        let (ada, ben) = (user(), user());
        let (mill, yard) = (TenantId::from(Uuid::now_v7()), TenantId::from(Uuid::now_v7()));
        let rows = [
            session(ada, Some(mill)),
            session(ada, Some(yard)),
            session(ada, None),
            session(ben, Some(mill)),
        ];
        let ids: Vec<SessionId> = rows.iter().map(|row| row.id.to()).collect();
        for (whose, expected) in [
            (Whose::User(ada), vec![0, 1, 2]),
            (Whose::UserBut(ada, ids[1]), vec![0, 2]),
            (Whose::Member(ada, mill), vec![0]),
            (Whose::Tenant(mill), vec![0, 3]),
        ] {
            let rows = rows.clone();
            let ended = tx(&db, async move |uow: &mut UnitOfWork| {
                let conn = uow.conn();
                for row in &rows {
                    sessions::insert(conn, row).await?;
                }
                let ending = Ending { at: at(1), reason: "test" };
                let ended = sessions::end_all(conn, whose, ending).await?;
                let again = sessions::end_all(conn, whose, ending).await?;
                assert_eq!(again, [], "once");
                sessions::erase(conn, ada).await?;
                sessions::erase(conn, ben).await?;
                Ok(ended)
            })
            .await;
            let mut found: Vec<usize> = ended
                .iter()
                .filter_map(|(id, _)| ids.iter().position(|known| known == id))
                .collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{whose:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn swept_sessions_take_their_refresh_tokens_along() {
    for_both(MIGRATIONS, async |db: Db| {
        let user = user();
        let (old, live, ended) = (session(user, None), session(user, None), session(user, None));
        let old = SessionRow { idle_expires_at: db_at(-10), ..old };
        let ended = SessionRow { ended_at: Some(db_at(-10)), ..ended };
        tx(&db, async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            for (number, row) in [&old, &live, &ended].into_iter().enumerate() {
                sessions::insert(conn, row).await?;
                let hash = vec![u8::try_from(number).expect("small"); 32];
                let token = RefreshRow {
                    token_hash: hash,
                    session_id: row.id,
                    issued_at: db_at(0),
                    expires_at: db_at(100),
                    used_at: None,
                };
                refresh_tokens::insert(conn, &token).await?;
            }
            assert_eq!(sessions::sweep(conn, at(0)).await?, 2);
            assert_eq!(refresh_tokens::find(conn, &[0; 32]).await?, None);
            assert_eq!(refresh_tokens::find(conn, &[2; 32]).await?, None);
            assert!(refresh_tokens::find(conn, &[1; 32]).await?.is_some());
            assert_eq!(refresh_tokens::sweep(conn, at(101)).await?, 1);
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_can_be_used_once_also_by_many_at_the_same_moment() {
    for_both(MIGRATIONS, async |db: Db| {
        let row = session(user(), None);
        let hash = [7; 32];
        tx(&db, async move |uow: &mut UnitOfWork| {
            sessions::insert(uow.conn(), &row).await?;
            let token = RefreshRow {
                token_hash: hash.to_vec(),
                session_id: row.id,
                issued_at: db_at(0),
                expires_at: db_at(100),
                used_at: None,
            };
            refresh_tokens::insert(uow.conn(), &token).await?;
            Ok(())
        })
        .await;
        let consume = || async {
            tx(&db, async move |uow: &mut UnitOfWork| {
                Ok(refresh_tokens::consume(uow.conn(), &hash, at(1)).await?.is_some())
            })
            .await
        };
        let (a, b, c, d) = tokio::join!(consume(), consume(), consume(), consume());
        assert_eq!([a, b, c, d].iter().filter(|won| **won).count(), 1);
        let kept = db.read(async move |conn| Ok(refresh_tokens::find(conn, &hash).await?)).await;
        assert_eq!(kept.expect("can be read").expect("stays").used_at, Some(db_at(1)));
    })
    .await;
}

#[tokio::test]
async fn a_one_time_token_serves_its_purpose_once_and_in_time() {
    for_both(MIGRATIONS, async |db: Db| {
        let user = user();
        tx(&db, async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            let row = OneTimeRow::new(Purpose::PasswordReset, &[1; 32], user, (at(0), at(60)));
            one_time::insert(conn, &row).await?;
            let find = one_time::find_usable;
            assert!(find(conn, Purpose::Setup, &[1; 32], at(1)).await?.is_none());
            assert!(find(conn, Purpose::PasswordReset, &[2; 32], at(1)).await?.is_none());
            assert!(find(conn, Purpose::PasswordReset, &[1; 32], at(60)).await?.is_none());
            assert_eq!(find(conn, Purpose::PasswordReset, &[1; 32], at(59)).await?, Some(row));
            assert!(!one_time::consume(conn, &[1; 32], at(60)).await?, "too late");
            assert!(one_time::consume(conn, &[1; 32], at(59)).await?);
            assert!(!one_time::consume(conn, &[1; 32], at(59)).await?, "once");
            assert!(find(conn, Purpose::PasswordReset, &[1; 32], at(1)).await?.is_none());
            let count = one_time::count_since(conn, Purpose::PasswordReset, user, at(-1)).await?;
            assert_eq!(count, 1, "used ones count as well");
            let count = one_time::count_since(conn, Purpose::PasswordReset, user, at(0)).await?;
            assert_eq!(count, 0);
            assert_eq!(one_time::sweep(conn, at(61)).await?, 1);
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_last_set_up_is_remembered_and_discarding_spares_other_users() {
    for_both(MIGRATIONS, async |db: Db| {
        let (ada, ben) = (user(), user());
        tx(&db, async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            assert_eq!(one_time::last_setup(conn).await?, None);
            for (number, owner) in [(1_u8, ada), (2, ben)] {
                let times = (at(i64::from(number)), at(60));
                let setup = OneTimeRow::new(Purpose::Setup, &[number; 32], owner, times);
                one_time::insert(conn, &setup).await?;
                let hash = [number + 10; 32];
                let reset = OneTimeRow::new(Purpose::PasswordReset, &hash, owner, times);
                one_time::insert(conn, &reset).await?;
            }
            let last = one_time::last_setup(conn).await?.expect("two of them");
            assert_eq!((last.user(), last.tenant()), (ben, None));
            assert_eq!(one_time::discard(conn, Purpose::PasswordReset, Some(ada)).await?, 1);
            assert_eq!(one_time::discard(conn, Purpose::Setup, None).await?, 2);
            let left =
                one_time::find_usable(conn, Purpose::PasswordReset, &[12; 32], at(3)).await?;
            assert_eq!(left.map(|row| row.user()), Some(ben));
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn failures_are_counted_within_the_window_also_at_the_same_moment() {
    for_both(MIGRATIONS, async |db: Db| {
        let count = || async {
            tx(&db, async move |uow: &mut UnitOfWork| {
                Ok(failures::count(uow.conn(), "account:a", at(-60), at(0)).await?)
            })
            .await
        };
        let (a, b, c, d) = tokio::join!(count(), count(), count(), count());
        let mut counts = [a, b, c, d];
        counts.sort_unstable();
        assert_eq!(counts, [1, 2, 3, 4], "none is lost");
        tx(&db, async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            failures::lock(conn, "account:a", at(30)).await?;
            let parties = ["account:a".to_owned(), "address:b".to_owned()];
            let locks = failures::locks(conn, &parties).await?;
            assert_eq!(locks, [("account:a".to_owned(), at(30))]);
            let again = failures::count(conn, "account:a", at(1), at(61)).await?;
            assert_eq!(again, 1, "a quiet window forgets");
            failures::clear(conn, "account:a").await?;
            assert_eq!(failures::locks(conn, &parties).await?, []);
            failures::count(conn, "address:b", at(-60), at(0)).await?;
            assert_eq!(failures::sweep(conn, at(0)).await?, 0);
            assert_eq!(failures::sweep(conn, at(1)).await?, 1);
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn signing_keys_are_read_in_order_while_they_verify() {
    for_both(MIGRATIONS, async |db: Db| {
        let key = |id: &str, from: i64| SigningKeyRow {
            id: id.to_owned(),
            sealed_key: vec![1, 2, 3],
            created_at: db_at(0),
            activates_at: db_at(from),
            retires_at: db_at(from + 10),
            ends_at: db_at(from + 15),
        };
        let (late, early) = (key("late", 10), key("early", 0));
        tx(&db, async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            signing_keys::insert(conn, &late).await?;
            signing_keys::insert(conn, &early).await?;
            assert_eq!(signing_keys::live(conn, at(14)).await?, [early, late.clone()]);
            assert_eq!(signing_keys::live(conn, at(15)).await?, [late]);
            assert_eq!(signing_keys::sweep(conn, at(15)).await?, 1);
            Ok(())
        })
        .await;
    })
    .await;
}

fn api_key(user: UserId, tenant: TenantId, prefix: &str) -> ApiKeyRow {
    ApiKeyRow {
        id: column_id(),
        tenant_id: DbUuid::of(tenant),
        prefix: prefix.to_owned(),
        secret_hash: vec![9; 32],
        name: "deployment".to_owned(),
        permissions: TextList(vec!["blog.post.read".to_owned(), "a \"quoted\" one".to_owned()]),
        created_by: DbUuid::of(user),
        created_at: db_at(0),
        expires_at: Some(db_at(100)),
        last_used_at: None,
        revoked_at: None,
    }
}

#[tokio::test]
async fn an_api_key_is_kept_whole_renamed_used_and_revoked() {
    for_both(MIGRATIONS, async |db: Db| {
        let (user, tenant) = (user(), TenantId::from(Uuid::now_v7()));
        let row = api_key(user, tenant, "aaa");
        let id = row.id();
        tx(&db, async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            api_keys::insert(conn, &row).await?;
            assert_eq!(api_keys::find(conn, tenant, id).await?.as_ref(), Some(&row));
            let other = TenantId::from(Uuid::nil());
            assert_eq!(api_keys::find(conn, other, id).await?, None);
            assert_eq!(api_keys::rename(conn, other, id, "x").await?, None);
            assert!(!api_keys::revoke(conn, other, id, at(1)).await?);
            let prefixes = ["aaa".to_owned(), "bbb".to_owned()];
            assert_eq!(api_keys::find_by_prefix(conn, &prefixes).await?, [row]);
            let renamed = api_keys::rename(conn, tenant, id, "nightly").await?.expect("ours");
            assert_eq!(renamed.name, "nightly");
            api_keys::used(conn, &[id], at(5)).await?;
            let used = api_keys::find(conn, tenant, id).await?.expect("ours");
            assert_eq!(used.last_used_at, Some(db_at(5)));
            assert!(used.is_good(at(99)) && !used.is_good(at(100)));
            assert_eq!(api_keys::count(conn, tenant).await?, 1);
            assert!(api_keys::revoke(conn, tenant, id, at(6)).await?);
            assert!(!api_keys::revoke(conn, tenant, id, at(6)).await?, "once");
            assert_eq!(api_keys::count(conn, tenant).await?, 0);
            assert_eq!(api_keys::sweep(conn, at(7)).await?, 1);
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn api_keys_end_by_user_by_tenant_and_by_both() {
    for_both(MIGRATIONS, async |db: Db| {
        let (ada, ben) = (user(), user());
        let (mill, yard) = (TenantId::from(Uuid::now_v7()), TenantId::from(Uuid::now_v7()));
        let rows = [api_key(ada, mill, "aa"), api_key(ada, yard, "ab"), api_key(ben, mill, "ba")];
        let ids = rows.each_ref().map(ApiKeyRow::id);
        tx(&db, async move |uow: &mut UnitOfWork| {
            let conn = uow.conn();
            for row in &rows {
                api_keys::insert(conn, row).await?;
            }
            let both = api_keys::revoke_all(conn, Some(ada), Some(mill), at(1)).await?;
            assert_eq!(both, [ids[0]]);
            let by_user = api_keys::revoke_all(conn, Some(ada), None, at(1)).await?;
            assert_eq!(by_user, [ids[1]]);
            let by_tenant = api_keys::revoke_all(conn, None, Some(mill), at(1)).await?;
            assert_eq!(by_tenant, [ids[2]]);
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn no_two_api_keys_share_a_prefix() {
    for_both(MIGRATIONS, async |db: Db| {
        let (user, tenant) = (user(), TenantId::from(Uuid::now_v7()));
        let twice = db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                api_keys::insert(uow.conn(), &api_key(user, tenant, "aaa")).await?;
                Ok(api_keys::insert(uow.conn(), &api_key(user, tenant, "aaa")).await?)
            })
            .await;
        let failure = twice.expect_err("refused");
        assert!(failure.detail().contains("auth_api_keys_prefix_key"), "{failure}");
    })
    .await;
}
