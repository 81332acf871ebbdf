//! The order of the log: nothing that commits late is skipped, one subject keeps its order.

use tokio::sync::oneshot;
use troupe_database::prelude::*;
use troupe_database::schema::outbox;
use troupe_database::testing::for_both;
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::Event;

use crate::notes::{MIGRATIONS, insert, note, rename, scope, tenant, write};

/// Transaction ids and kinds in the order in which a consumer reads them.
async fn log(db: &Db) -> Vec<(i64, String)> {
    db.read(async |conn: &mut DbConn| {
        Ok(run!(conn, |c| outbox::table
            .order((outbox::transaction_id, outbox::position))
            .select((outbox::transaction_id, outbox::kind))
            .load(c))?)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_transaction_that_began_earlier_and_changed_a_subject_later_comes_later_in_the_log() {
    for_both(MIGRATIONS, async |db: Db| {
        if db.dialect() == Dialect::Sqlite {
            return; // One writer: there is no such overlap.
        }
        let row = write(&db, tenant(), "first").await.unwrap();
        let (id, other) = (row.id, tenant());
        let (begun, has_begun) = oneshot::channel();
        let (changed, has_changed) = oneshot::channel::<()>();
        let scope = scope();
        let slow = db.transaction(&scope, async move |uow: &mut UnitOfWork| {
            // Its first write gives it its transaction id.
            let own = note(uow, other, "its own");
            insert(uow.conn(), &own).await?;
            begun.send(()).unwrap();
            has_changed.await.unwrap();
            assert!(rename(uow.conn(), id, 2, "third").await?);
            uow.event(Event::new("notes.third", id.0, &()));
            Ok(())
        });
        let quick = async {
            has_begun.await.unwrap();
            db.transaction(&scope, async move |uow: &mut UnitOfWork| {
                assert!(rename(uow.conn(), id, 1, "second").await?);
                uow.event(Event::new("notes.second", id.0, &()));
                Ok(())
            })
            .await
            .unwrap();
            changed.send(()).unwrap();
        };
        let (slow, ()) = futures_util::future::join(slow, quick).await;
        slow.unwrap();
        let log = log(&db).await;
        let kinds: Vec<&str> = log.iter().map(|(_, kind)| kind.as_str()).collect();
        assert_eq!(kinds, ["notes.second", "notes.third"]);
        assert_eq!(log[0].0, log[1].0, "the later one takes the order of the earlier");
    })
    .await;
}

#[tokio::test]
async fn an_event_gets_what_its_author_left_open() {
    for_both(MIGRATIONS, async |db: Db| {
        let tenant = tenant();
        let scope = scope().for_tenant(tenant.into());
        db.transaction(&scope, async |uow: &mut UnitOfWork| {
            uow.event(Event::new("notes.note.created", "s1", &serde_json::json!({"title": "ü"})));
            Ok(())
        })
        .await
        .unwrap();
        type Row = (DbUuid, Option<DbUuid>, DbTimestamp, Json, Option<String>, String);
        let row: Row = db
            .read(async |conn: &mut DbConn| {
                Ok(run!(conn, |c| outbox::table
                    .select((
                        outbox::event_id,
                        outbox::tenant,
                        outbox::occurred_at,
                        outbox::data,
                        outbox::trace,
                        outbox::source
                    ))
                    .get_result::<Row>(c))?)
            })
            .await
            .unwrap();
        assert!(!row.0.0.is_nil());
        assert_eq!(row.1, Some(DbUuid::of(tenant)));
        assert!(db.clock().now().since(row.2.0).as_secs() < 60);
        assert_eq!(row.3.0["title"], "ü");
        let trace = scope.trace_id().unwrap();
        assert!(row.4.unwrap().starts_with(&format!("00-{trace}-")));
        assert_eq!(row.5, "/troupe/notes");
    })
    .await;
}
