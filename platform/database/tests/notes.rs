//! The example of the crate's documentation, running: an owner `notes` with a table.

use std::time::Duration;

use diesel::sql_types::{Bool, Text};
use serde::{Deserialize, Serialize};
use troupe_actors::Scope;
use troupe_database::prelude::*;
use troupe_database::testing::for_both;
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::{Failure, Migration, TenantId, Uuid};

macro_rules! script {
    ($up:literal) => {
        troupe_database::migrations::script($up, "DROP TABLE notes;")
    };
}

/// Written out because this crate has no folder for its example; an owner uses `migrations!`.
pub(crate) const MIGRATIONS: &[Migration] = &[troupe_database::migrations::embedded(
    "notes",
    "0001_notes",
    script!(
        "CREATE TABLE notes (id UUID PRIMARY KEY, tenant UUID NOT NULL, title TEXT NOT NULL, tags TEXT[] NOT NULL,
         version INTEGER NOT NULL, created_at TIMESTAMPTZ NOT NULL, UNIQUE (tenant, title));
         CREATE INDEX notes_newest ON notes (tenant, created_at DESC, id DESC);"
    ),
    script!(
        "CREATE TABLE notes (id BLOB PRIMARY KEY, tenant BLOB NOT NULL, title TEXT NOT NULL, tags TEXT NOT NULL,
         version INTEGER NOT NULL, created_at INTEGER NOT NULL, UNIQUE (tenant, title));
         CREATE INDEX notes_newest ON notes (tenant, created_at DESC, id DESC);"
    ),
)];

table! {
    use diesel::sql_types::{Integer, Text};
    use troupe_database::{Id, Instant, TextArray};

    notes (id) {
        id -> Id,
        tenant -> Id,
        title -> Text,
        tags -> TextArray,
        version -> Integer,
        created_at -> Instant,
    }
}

#[derive(
    Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, Deserialize,
)]
#[diesel(table_name = notes, treat_none_as_default_value = false)]
pub(crate) struct NoteRow {
    pub(crate) id: DbUuid,
    pub(crate) tenant: DbUuid,
    pub(crate) title: String,
    pub(crate) tags: TextList,
    pub(crate) version: i32,
    pub(crate) created_at: DbTimestamp,
}

pub(crate) async fn insert(conn: &mut DbConn, row: &NoteRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(notes::table).values(row).execute(c))?;
    Ok(())
}

pub(crate) async fn find(
    conn: &mut DbConn,
    tenant: TenantId,
    id: DbUuid,
) -> DbResult<Option<NoteRow>> {
    run!(conn, |c| notes::table
        .find(id)
        .filter(notes::tenant.eq(DbUuid::of(tenant)))
        .select(NoteRow::as_select())
        .get_result(c))
    .optional()
}

pub(crate) async fn find_all(conn: &mut DbConn, ids: Vec<DbUuid>) -> DbResult<Vec<NoteRow>> {
    run!(conn, |c| notes::table.filter(one_of(notes::id, ids)).select(NoteRow::as_select()).load(c))
}

pub(crate) async fn rename(
    conn: &mut DbConn,
    id: DbUuid,
    version: i32,
    title: &str,
) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(notes::table.find(id))
        .filter(notes::version.eq(version))
        .set((notes::title.eq(title), notes::version.eq(notes::version + 1)))
        .execute(c))?;
    Ok(changed == 1)
}

pub(crate) async fn page(
    conn: &mut DbConn,
    tenant: TenantId,
    after: Option<(DbTimestamp, DbUuid)>,
    rows: i64,
) -> DbResult<Vec<NoteRow>> {
    run!(conn, |c| notes::table
        .filter(notes::tenant.eq(DbUuid::of(tenant)))
        .filter(keyset((notes::created_at, notes::id), after, Direction::Descending))
        .order((notes::created_at.desc(), notes::id.desc()))
        .limit(rows)
        .select(NoteRow::as_select())
        .load(c))
}

pub(crate) async fn tagged(conn: &mut DbConn, tag: &str) -> DbResult<Vec<NoteRow>> {
    run!(
        conn,
        pg | c
            | notes::table
                .filter(fragment::<Bool>("tags @> ARRAY[").bind::<Text, _>(tag, "]"))
                .select(NoteRow::as_select())
                .load(c),
        sqlite
            | c
            | notes::table
                .filter(
                    fragment::<Bool>("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ")
                        .bind::<Text, _>(tag, ")")
                )
                .select(NoteRow::as_select())
                .load(c),
    )
}

pub(crate) fn scope() -> Scope {
    Scope::system("test", Duration::from_secs(20))
}

pub(crate) fn note(uow: &UnitOfWork, tenant: TenantId, title: &str) -> NoteRow {
    NoteRow {
        id: uow.new_id(),
        tenant: DbUuid::of(tenant),
        title: title.to_owned(),
        tags: TextList(vec!["a \"b\", {c}".to_owned(), title.to_owned()]),
        version: 1,
        created_at: DbTimestamp(uow.now()),
    }
}

/// Writes a note in a transaction of its own.
pub(crate) async fn write(db: &Db, tenant: TenantId, title: &str) -> Result<NoteRow, Failure> {
    db.transaction(&scope(), async |uow: &mut UnitOfWork| {
        let row = note(uow, tenant, title);
        insert(uow.conn(), &row).await?;
        Ok(row)
    })
    .await
}

pub(crate) fn tenant() -> TenantId {
    TenantId(Uuid::now_v7())
}

#[tokio::test]
async fn a_note_is_found_in_its_tenant_only_as_it_was_written() {
    for_both(MIGRATIONS, async |db: Db| {
        let (mine, other) = (tenant(), tenant());
        let row = write(&db, mine, "first").await.unwrap();
        let id = row.id;
        let found =
            db.read(async |conn: &mut DbConn| Ok(find(conn, mine, id).await?)).await.unwrap();
        assert_eq!(found, Some(row.clone()));
        let hidden =
            db.read(async |conn: &mut DbConn| Ok(find(conn, other, id).await?)).await.unwrap();
        assert_eq!(hidden, None);
        let both = vec![id, DbUuid(Uuid::nil())];
        let many = db
            .read_stale(async move |conn: &mut DbConn| Ok(find_all(conn, both).await?))
            .await
            .unwrap();
        assert_eq!(many.first(), Some(&row));
        let tagged = db
            .read(async |conn: &mut DbConn| Ok(tagged(conn, "a \"b\", {c}").await?))
            .await
            .unwrap();
        assert_eq!(tagged, [row]);
    })
    .await;
}

#[tokio::test]
async fn a_change_to_an_old_version_is_refused() {
    for_both(MIGRATIONS, async |db: Db| {
        let row = write(&db, tenant(), "first").await.unwrap();
        let change = async |title: &'static str| {
            let id = row.id;
            db.transaction(&scope(), async move |uow: &mut UnitOfWork| {
                Ok(rename(uow.conn(), id, 1, title).await?)
            })
            .await
            .unwrap()
        };
        assert!(change("second").await);
        assert!(!change("third").await);
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    for_both(MIGRATIONS, async |db: Db| {
        let tenant = tenant();
        let mut expected = Vec::new();
        for number in 0..7 {
            expected.push(write(&db, tenant, &format!("note {number}")).await.unwrap().title);
        }
        expected.reverse();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let rows = db
                .read(async |conn: &mut DbConn| Ok(page(conn, tenant, after, 3).await?))
                .await
                .unwrap();
            let Some(last) = rows.last() else { break };
            after = Some((last.created_at, last.id));
            seen.extend(rows.into_iter().map(|row| row.title));
        }
        assert_eq!(seen, expected);
    })
    .await;
}

#[tokio::test]
async fn a_second_row_with_the_same_key_names_the_same_constraint_on_both() {
    for_both(MIGRATIONS, async |db: Db| {
        let tenant = tenant();
        write(&db, tenant, "first").await.unwrap();
        let error = db
            .transaction(&scope(), async |uow: &mut UnitOfWork| {
                let row = note(uow, tenant, "first");
                let taken = || Failure::conflict("notes.title.taken", "choose another title");
                insert(uow.conn(), &row)
                    .await
                    .map_err(|error| error.unique_or("notes_tenant_title_key", taken))
            })
            .await
            .unwrap_err();
        assert_eq!(error.code(), "notes.title.taken");
        assert!(write(&db, tenant, "after the failure").await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn one_of_finds_the_rows_of_any_number_of_keys() {
    for_both(MIGRATIONS, async |db: Db| {
        let tenant = tenant();
        let mut ids = Vec::new();
        for number in 0..5 {
            ids.push(write(&db, tenant, &number.to_string()).await.unwrap().id);
        }
        for count in 0..=ids.len() {
            let some = ids[..count].to_vec();
            let found = db
                .read(async move |conn: &mut DbConn| Ok(find_all(conn, some).await?))
                .await
                .unwrap();
            let mut found: Vec<DbUuid> = found.into_iter().map(|row| row.id).collect();
            found.sort_unstable();
            assert_eq!(found, ids[..count]);
        }
    })
    .await;
}
