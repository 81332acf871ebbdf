//! Rows of what users say about letters that may be switched off.

use diesel::upsert::excluded;
use troupe_database::prelude::*;
use troupe_kernel::ids::UserId;

use super::schema::notify_preferences::{self, dsl};

/// What a user said of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = notify_preferences)]
pub struct PreferenceRow {
    /// Whose.
    pub user_id: DbUuid,
    /// Which kind.
    pub notice: String,
    /// Whether it is sent by mail.
    pub mail: bool,
    /// When it was said.
    pub updated_at: DbTimestamp,
}

/// What a user said, at most so many rows.
///
/// # Errors
/// As the database says.
pub async fn of_user(conn: &mut DbConn, user: UserId, rows: i64) -> DbResult<Vec<PreferenceRow>> {
    run!(conn, |c| dsl::notify_preferences
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .order(dsl::notice.asc())
        .limit(rows)
        .select(PreferenceRow::as_select())
        .load(c))
}

/// What a user said of one kind.
///
/// # Errors
/// As the database says.
pub async fn find(
    conn: &mut DbConn,
    user: UserId,
    notice: &str,
) -> DbResult<Option<PreferenceRow>> {
    let notice = notice.to_owned();
    run!(conn, |c| dsl::notify_preferences
        .find((DbUuid::of(user), notice))
        .select(PreferenceRow::as_select())
        .get_result(c))
    .optional()
}

/// Writes what a user says.
///
/// # Errors
/// As the database says.
pub async fn save(conn: &mut DbConn, row: &PreferenceRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(notify_preferences::table)
        .values(row.clone())
        .on_conflict((dsl::user_id, dsl::notice))
        .do_update()
        .set((dsl::mail.eq(excluded(dsl::mail)), dsl::updated_at.eq(excluded(dsl::updated_at)),))
        .execute(c))?;
    Ok(())
}
