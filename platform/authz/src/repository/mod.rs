//! Rows of roles, bindings and memberships, one text for both dialects.

pub mod bindings;
pub mod memberships;
pub mod roles;

use troupe_database::prelude::*;

use crate::schema::authz_guards;

/// Makes this transaction the only one that holds `name` until it ends, so that what it counts stays
/// true until it commits.
///
/// # Errors
/// As the database says; another holder is waited for.
pub async fn take_guard(conn: &mut DbConn, name: &str) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(authz_guards::table)
        .values((authz_guards::name.eq(name), authz_guards::taken.eq(1_i64)))
        .on_conflict(authz_guards::name)
        .do_update()
        .set(authz_guards::taken.eq(authz_guards::taken + 1_i64))
        .execute(c))?;
    Ok(())
}
