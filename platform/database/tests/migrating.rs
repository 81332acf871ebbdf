//! The migration runner.

use troupe_database::migrations::{embedded, script};
use troupe_database::prelude::*;
use troupe_database::testing::TestDatabase;
use troupe_database::{Db, MIGRATIONS, Plan, SchemaError};
use troupe_kernel::{Migration, Script};

const A: &str = "CREATE TABLE a (id INTEGER PRIMARY KEY)";
const B: &str = "CREATE TABLE b (id INTEGER PRIMARY KEY); INSERT INTO b VALUES (1)";

const fn step(
    owner: &'static str,
    folder: &'static str,
    up: &'static str,
    down: &'static str,
) -> Migration {
    embedded(owner, folder, script(up, down), script(up, down))
}

const ONE: Migration = step("one", "0001_a", A, "DROP TABLE a");
const TWO: Migration = step("two", "0001_b", B, "DROP TABLE b");
const ONE_MORE: Migration =
    step("one", "0002_c", "ALTER TABLE a ADD COLUMN c TEXT", "ALTER TABLE a DROP COLUMN c");

fn plan(steps: &[Migration]) -> Plan {
    Plan::merge(&[steps]).unwrap()
}

async fn both(test: impl AsyncFn(Db)) {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, &[]).await else { continue };
        test(database.open().await).await;
        database.remove().await;
    }
}

fn schema_error(error: DbError) -> SchemaError {
    match error {
        DbError::Schema(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn migrations_go_up_down_and_up_again_in_order() {
    both(async |db: Db| {
        let plan = plan(&[ONE, TWO, ONE_MORE]);
        assert_eq!(db.check_schema(&plan).await.unwrap().len(), 3);
        assert_eq!(db.migrate(&plan).await.unwrap(), ["one/0001_a", "two/0001_b", "one/0002_c"]);
        assert_eq!(db.migrate(&plan).await.unwrap(), Vec::<String>::new());
        assert_eq!(db.revert(&plan, 2).await.unwrap(), ["one/0002_c", "two/0001_b"]);
        assert_eq!(db.migrate(&plan).await.unwrap(), ["two/0001_b", "one/0002_c"]);
        let states = db.migrations(&plan).await.unwrap();
        assert_eq!(states.len(), 3 + MIGRATIONS.len());
        assert!(states.iter().all(|state| state.applied_at.is_some() && state.known));
    })
    .await;
}

#[tokio::test]
async fn every_owner_goes_down_to_nothing() {
    both(async |db: Db| {
        let plan = plan(&[ONE, TWO]);
        db.migrate(&plan).await.unwrap();
        assert_eq!(db.revert(&plan, usize::MAX).await.unwrap().len(), 2 + MIGRATIONS.len());
        assert_eq!(db.migrate(&plan).await.unwrap().len(), 2 + MIGRATIONS.len());
    })
    .await;
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_what_to_do() {
    both(async |db: Db| {
        db.migrate(&plan(&[ONE, ONE_MORE])).await.unwrap();
        let old = plan(&[ONE]);
        for error in [db.migrate(&old).await.unwrap_err(), db.check_schema(&old).await.unwrap_err()]
        {
            let error = schema_error(error);
            assert_eq!(error, SchemaError::Newer { unknown: vec!["one/0002_c".to_owned()] });
            assert!(error.to_string().contains("newer version"), "{error}");
        }
        // An owner that is left out altogether is no newer version.
        assert_eq!(db.migrate(&plan(&[TWO])).await.unwrap(), ["two/0001_b"]);
        let states = db.migrations(&plan(&[TWO])).await.unwrap();
        assert_eq!(states.iter().filter(|state| !state.known).count(), 2);
        let error = schema_error(db.revert(&plan(&[TWO]), 2).await.unwrap_err());
        assert_eq!(error, SchemaError::Unknown { migration: "one/0002_c".to_owned() });
    })
    .await;
}

#[tokio::test]
async fn a_migration_that_was_edited_or_slipped_in_is_refused() {
    both(async |db: Db| {
        db.migrate(&plan(&[ONE, TWO])).await.unwrap();
        let edited = Script { up: "CREATE TABLE a (id TEXT)", down: "DROP TABLE a" };
        let edited = Migration { postgres: edited, sqlite: edited, ..ONE };
        let error = schema_error(db.migrate(&plan(&[edited, TWO])).await.unwrap_err());
        assert_eq!(error, SchemaError::Changed { migration: "one/0001_a".to_owned() });
        let slipped = step("one", "0000_z", "CREATE TABLE z (id INTEGER)", "DROP TABLE z");
        let error = schema_error(db.migrate(&plan(&[slipped, ONE, TWO])).await.unwrap_err());
        assert!(matches!(error, SchemaError::OutOfOrder { .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_script_that_fails_is_undone_as_a_whole() {
    both(async |db: Db| {
        let broken = step(
            "one",
            "0001_a",
            "CREATE TABLE a (id INTEGER); SELECT nothing FROM nowhere",
            "DROP TABLE a",
        );
        let error = schema_error(db.migrate(&plan(&[broken])).await.unwrap_err());
        assert!(
            error.to_string().starts_with("the migration one/0001_a failed and was undone"),
            "{error}"
        );
        assert_eq!(db.migrate(&plan(&[ONE])).await.unwrap(), ["one/0001_a"]);
    })
    .await;
}

#[tokio::test]
async fn two_nodes_that_migrate_at_once_apply_each_step_once() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, &[]).await else { continue };
        let plan = plan(&[ONE, TWO, ONE_MORE]);
        let nodes = [database.open().await, database.open().await, database.open().await];
        let runs = nodes.iter().map(|db| db.migrate(&plan));
        let applied: Vec<Vec<String>> =
            futures_util::future::join_all(runs).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(applied.iter().map(Vec::len).sum::<usize>(), 3, "{applied:?}");
        database.remove().await;
    }
}
