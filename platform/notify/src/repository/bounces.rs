//! Rows of addresses that are not written to.

use troupe_database::prelude::*;
use troupe_kernel::{Failure, Timestamp};

use super::schema::notify_bounces::{self, dsl};
use crate::messages::{Bounce, BounceCause};

/// One address as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = notify_bounces)]
pub struct BounceRow {
    /// The address, in lower case.
    pub address: String,
    /// `refused` or `reported`.
    pub cause: String,
    /// What was said.
    pub detail: String,
    /// Since when.
    pub created_at: DbTimestamp,
}

impl BounceRow {
    /// The mark of an address.
    #[must_use]
    pub fn new(address: &str, cause: BounceCause, detail: &str, now: Timestamp) -> Self {
        Self {
            address: key(address),
            cause: cause.as_str().to_owned(),
            detail: detail.to_owned(),
            created_at: now.into(),
        }
    }

    /// What administrators see.
    ///
    /// # Errors
    /// When the row holds a cause this program does not know.
    pub fn into_bounce(self) -> Result<Bounce, Failure> {
        let cause = [BounceCause::Refused, BounceCause::Reported]
            .into_iter()
            .find(|cause| cause.as_str() == self.cause)
            .ok_or_else(|| {
                let detail = format!("a bounce has the unknown cause {}", self.cause);
                Failure::internal("notify.bounce.cause", detail)
            })?;
        let (recipient, created_at) = (self.address, self.created_at.into());
        Ok(Bounce { recipient, cause, detail: self.detail, created_at })
    }
}

/// How an address is stored and looked for.
fn key(address: &str) -> String {
    address.trim().to_lowercase()
}

/// Marks an address; answers whether it was not marked before.
///
/// # Errors
/// As the database says.
pub async fn mark(conn: &mut DbConn, row: &BounceRow) -> DbResult<bool> {
    let written = run!(conn, |c| diesel::insert_into(notify_bounces::table)
        .values(row.clone())
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(written == 1)
}

/// The mark of an address.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, address: &str) -> DbResult<Option<BounceRow>> {
    let address = key(address);
    run!(conn, |c| dsl::notify_bounces.find(address).select(BounceRow::as_select()).get_result(c))
        .optional()
}

/// Takes a mark away; answers whether there was one.
///
/// # Errors
/// As the database says.
pub async fn clear(conn: &mut DbConn, address: &str) -> DbResult<bool> {
    let address = key(address);
    let gone = run!(conn, |c| diesel::delete(dsl::notify_bounces.find(address)).execute(c))?;
    Ok(gone == 1)
}

/// Marked addresses after one, in their order.
///
/// # Errors
/// As the database says.
pub async fn page(conn: &mut DbConn, after: String, rows: i64) -> DbResult<Vec<BounceRow>> {
    run!(conn, |c| dsl::notify_bounces
        .filter(dsl::address.gt(after))
        .order(dsl::address.asc())
        .limit(rows)
        .select(BounceRow::as_select())
        .load(c))
}
