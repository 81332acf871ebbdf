//! Batched reads by key.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use troupe_actors::{FailureKind, Scope, System, SystemConfig};
use troupe_database::prelude::*;
use troupe_database::testing::for_both;
use troupe_database::{BatchLimits, Db, Keyed, KeyedLoad};
use troupe_kernel::{Failure, Uuid};

use crate::notes::{MIGRATIONS, NoteRow, find_all, scope, tenant, write};

/// Notes by id, counting the queries.
struct ById {
    db: Db,
    queries: Arc<AtomicUsize>,
}

impl KeyedLoad for ById {
    type Key = Uuid;
    type Value = NoteRow;
    const NAME: &'static str = "notes.by_id";

    async fn load(&self, keys: Vec<Uuid>) -> Result<HashMap<Uuid, NoteRow>, Failure> {
        self.queries.fetch_add(1, Ordering::SeqCst);
        // Slow enough that the other reads of a test come while it is under way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!keys.contains(&Uuid::max()), "a poisoned key");
        let keys: Vec<DbUuid> = keys.into_iter().map(DbUuid).collect();
        let rows =
            self.db.read(async move |conn: &mut DbConn| Ok(find_all(conn, keys).await?)).await?;
        Ok(rows.into_iter().map(|row| (row.id.0, row)).collect())
    }
}

#[tokio::test]
async fn reads_that_come_together_share_a_query_and_each_gets_its_own_row() {
    for_both(MIGRATIONS, async |db: Db| {
        let tenant = tenant();
        let mut rows = Vec::new();
        for number in 0..20 {
            rows.push(write(&db, tenant, &format!("note {number}")).await.unwrap());
        }
        let queries = Arc::new(AtomicUsize::new(0));
        let system = System::new(SystemConfig::default());
        let load = ById { db: db.clone(), queries: queries.clone() };
        let (notes, child) = Keyed::new(&system, load, BatchLimits::default());
        let running = system.start(child).await.unwrap();
        let scope = scope();
        // Alone: straight to the database.
        let found = notes.get(&scope, rows[0].id.0).await.unwrap();
        assert_eq!(found.as_ref(), Some(&rows[0]));
        assert_eq!(queries.load(Ordering::SeqCst), 1);
        // Together: far fewer queries than reads; the same key twice and an unknown key among them.
        let mut keys: Vec<Uuid> = rows.iter().flat_map(|row| [row.id.0, row.id.0]).collect();
        keys.push(Uuid::nil());
        let found = join_all(keys.iter().map(|key| notes.get(&scope, *key))).await;
        for (key, found) in keys.iter().zip(found) {
            let expected = rows.iter().find(|row| row.id.0 == *key);
            assert_eq!(found.unwrap().as_ref(), expected);
        }
        let made = queries.load(Ordering::SeqCst) - 1;
        assert!(made <= 6, "{made} queries for {} reads", keys.len());
        running.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_query_that_panics_fails_its_askers_and_the_batcher_goes_on() {
    for_both(MIGRATIONS, async |db: Db| {
        let row = write(&db, tenant(), "first").await.unwrap();
        let system = System::new(SystemConfig::default());
        let load = ById { db: db.clone(), queries: Arc::default() };
        let limits = BatchLimits { queries_max: 1, ..BatchLimits::default() };
        let (notes, child) = Keyed::new(&system, load, limits);
        let running = system.start(child).await.unwrap();
        let scope = Scope::system("test", Duration::from_secs(5));
        // The first read bypasses the batcher, so that the poisoned one goes through it.
        let (first, poisoned) =
            futures_util::future::join(notes.get(&scope, row.id.0), notes.get(&scope, Uuid::max()))
                .await;
        assert!(first.unwrap().is_some());
        assert_eq!(poisoned.unwrap_err().kind(), FailureKind::Crashed);
        let both = join_all([notes.get(&scope, row.id.0), notes.get(&scope, row.id.0)]).await;
        assert!(both.into_iter().all(|found| found.unwrap().is_some()));
        running.shutdown().await;
    })
    .await;
}
