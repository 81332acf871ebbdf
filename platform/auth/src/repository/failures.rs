//! Failed attempts by party.

use diesel::dsl::case_when;
use diesel::sql_types::BigInt;
use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;

use super::schema::auth_failures::dsl;

/// Until when each of these parties waits; those without failures are left out.
///
/// # Errors
/// Those of the database.
pub async fn locks(conn: &mut DbConn, parties: &[String]) -> DbResult<Vec<(String, Timestamp)>> {
    let rows = run!(conn, |c| dsl::auth_failures
        .filter(dsl::party.eq_any(parties.to_vec()))
        .select((dsl::party, dsl::locked_until))
        .get_results::<(String, DbTimestamp)>(c))?;
    Ok(rows.into_iter().map(|(party, until)| (party, until.0)).collect())
}

/// Counts one more failure and answers how many there are now; older ones than `since` are
/// forgotten. Failures at the same moment are all counted.
///
/// # Errors
/// Those of the database.
pub async fn count(
    conn: &mut DbConn,
    party: &str,
    since: Timestamp,
    now: Timestamp,
) -> DbResult<u32> {
    let counted = run!(conn, |c| diesel::insert_into(dsl::auth_failures)
        .values((
            dsl::party.eq(party),
            dsl::failures.eq(1_i64),
            dsl::last_at.eq(DbTimestamp(now)),
            dsl::locked_until.eq(DbTimestamp(now)),
        ))
        .on_conflict(dsl::party)
        .do_update()
        .set((
            dsl::failures.eq(case_when(
                dsl::last_at.lt(DbTimestamp(since)),
                1_i64.into_sql::<BigInt>()
            )
            .otherwise(dsl::failures + 1_i64)),
            dsl::last_at.eq(DbTimestamp(now)),
        ))
        .returning(dsl::failures)
        .get_result::<i64>(c))?;
    Ok(u32::try_from(counted).unwrap_or(u32::MAX))
}

/// Lets a party wait.
///
/// # Errors
/// Those of the database.
pub async fn lock(conn: &mut DbConn, party: &str, until: Timestamp) -> DbResult<()> {
    run!(conn, |c| diesel::update(dsl::auth_failures.filter(dsl::party.eq(party)))
        .set(dsl::locked_until.eq(DbTimestamp(until)))
        .execute(c))?;
    Ok(())
}

/// Forgets the failures of a party.
///
/// # Errors
/// Those of the database.
pub async fn clear(conn: &mut DbConn, party: &str) -> DbResult<()> {
    run!(conn, |c| diesel::delete(dsl::auth_failures.filter(dsl::party.eq(party))).execute(c))?;
    Ok(())
}

/// Forgets failures before `before`; answers of how many parties.
///
/// # Errors
/// Those of the database.
pub async fn sweep(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::auth_failures
            .filter(dsl::last_at.lt(DbTimestamp(before)))
            .filter(dsl::locked_until.lt(DbTimestamp(before)))
    )
    .execute(c))
}
