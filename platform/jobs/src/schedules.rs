//! The last tick of each schedule, in the database.

use troupe_database::prelude::*;
use troupe_kernel::Timestamp;

table! {
    use diesel::sql_types::Text;
    use troupe_database::Instant;

    /// The last tick of each schedule.
    schedules (name) {
        /// The kind of job it adds.
        name -> Text,
        /// The tick for which a job was last added.
        last_tick -> Instant,
    }
}

/// The last tick of a schedule; a new schedule begins at `now`.
pub(crate) async fn last_tick(
    conn: &mut DbConn,
    name: &str,
    now: Timestamp,
) -> DbResult<Timestamp> {
    let new = (schedules::name.eq(name), schedules::last_tick.eq(DbTimestamp(now)));
    run!(conn, |c| diesel::insert_into(schedules::table)
        .values(new)
        .on_conflict_do_nothing()
        .execute(c))?;
    let last: DbTimestamp = run!(conn, |c| schedules::table
        .find(name)
        .select(schedules::last_tick)
        .get_result::<DbTimestamp>(c))?;
    Ok(last.0)
}

/// Takes a tick; false when another node took it or a later one.
pub(crate) async fn take_tick(conn: &mut DbConn, name: &str, tick: Timestamp) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(schedules::table.find(name))
        .filter(schedules::last_tick.lt(DbTimestamp(tick)))
        .set(schedules::last_tick.eq(DbTimestamp(tick)))
        .execute(c))?;
    Ok(changed == 1)
}
