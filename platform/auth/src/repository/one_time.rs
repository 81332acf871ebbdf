//! Tokens of links that work once: the set-up of the platform and password resets.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};

use super::schema::auth_one_time_tokens::{self, dsl};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The set-up of the platform.
    Setup,
    /// A password reset.
    PasswordReset,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::PasswordReset => "password_reset",
        }
    }
}

/// A one-time token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_one_time_tokens, treat_none_as_default_value = false)]
pub struct OneTimeRow {
    /// Digest of the token.
    pub token_hash: Vec<u8>,
    /// What it is for.
    pub purpose: String,
    /// The user it is about; for the set-up, the id the administrator will get.
    pub user_id: DbUuid,
    /// For the set-up, the id the first organisation will get.
    pub tenant_id: Option<DbUuid>,
    /// When it was made.
    pub created_at: DbTimestamp,
    /// When it ends.
    pub expires_at: DbTimestamp,
    /// When it was used.
    pub used_at: Option<DbTimestamp>,
}

impl OneTimeRow {
    /// A token for a user.
    #[must_use]
    pub fn new(purpose: Purpose, hash: &[u8], user: UserId, times: (Timestamp, Timestamp)) -> Self {
        Self {
            token_hash: hash.to_vec(),
            purpose: purpose.as_str().to_owned(),
            user_id: DbUuid::of(user),
            tenant_id: None,
            created_at: DbTimestamp(times.0),
            expires_at: DbTimestamp(times.1),
            used_at: None,
        }
    }

    /// The user it is about.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user_id.to()
    }

    /// The organisation it is about.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        self.tenant_id.map(DbUuid::to)
    }
}

/// Adds a token.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut DbConn, row: &OneTimeRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(dsl::auth_one_time_tokens).values(row).execute(c))?;
    Ok(())
}

/// The token with this digest, if it was not used and has not passed its time.
///
/// # Errors
/// Those of the database.
pub async fn find_usable(
    conn: &mut DbConn,
    purpose: Purpose,
    hash: &[u8],
    now: Timestamp,
) -> DbResult<Option<OneTimeRow>> {
    run!(conn, |c| dsl::auth_one_time_tokens
        .filter(dsl::token_hash.eq(hash))
        .filter(dsl::purpose.eq(purpose.as_str()))
        .filter(dsl::used_at.is_null())
        .filter(dsl::expires_at.gt(DbTimestamp(now)))
        .select(OneTimeRow::as_select())
        .get_result::<OneTimeRow>(c))
    .optional()
}

/// Marks a token as used; answers whether it could be. Of several attempts at once, one can.
///
/// # Errors
/// Those of the database.
pub async fn consume(conn: &mut DbConn, hash: &[u8], now: Timestamp) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_one_time_tokens
            .filter(dsl::token_hash.eq(hash))
            .filter(dsl::used_at.is_null())
            .filter(dsl::expires_at.gt(DbTimestamp(now)))
    )
    .set(dsl::used_at.eq(DbTimestamp(now)))
    .execute(c))?;
    Ok(changed == 1)
}

/// The unused set-up token made last, whether it passed its time or not: its ids are used again, so
/// that a set-up that was interrupted half way can be finished.
///
/// # Errors
/// Those of the database.
pub async fn last_setup(conn: &mut DbConn) -> DbResult<Option<OneTimeRow>> {
    run!(conn, |c| dsl::auth_one_time_tokens
        .filter(dsl::purpose.eq(Purpose::Setup.as_str()))
        .filter(dsl::used_at.is_null())
        .order(dsl::created_at.desc())
        .limit(1)
        .select(OneTimeRow::as_select())
        .get_result::<OneTimeRow>(c))
    .optional()
}

/// Deletes all unused tokens of a purpose about a user, or about anybody.
///
/// # Errors
/// Those of the database.
pub async fn discard(conn: &mut DbConn, purpose: Purpose, user: Option<UserId>) -> DbResult<usize> {
    let purpose = purpose.as_str();
    match user {
        Some(user) => run!(conn, |c| diesel::delete(
            dsl::auth_one_time_tokens
                .filter(dsl::purpose.eq(purpose))
                .filter(dsl::user_id.eq(DbUuid::of(user)))
                .filter(dsl::used_at.is_null())
        )
        .execute(c)),
        None => run!(conn, |c| diesel::delete(
            dsl::auth_one_time_tokens
                .filter(dsl::purpose.eq(purpose))
                .filter(dsl::used_at.is_null())
        )
        .execute(c)),
    }
}

/// How many tokens of a purpose were made for a user since a time.
///
/// # Errors
/// Those of the database.
pub async fn count_since(
    conn: &mut DbConn,
    purpose: Purpose,
    user: UserId,
    since: Timestamp,
) -> DbResult<i64> {
    run!(conn, |c| dsl::auth_one_time_tokens
        .filter(dsl::purpose.eq(purpose.as_str()))
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .filter(dsl::created_at.gt(DbTimestamp(since)))
        .count()
        .get_result::<i64>(c))
}

/// Deletes tokens that passed their time before `before`; answers how many.
///
/// # Errors
/// Those of the database.
pub async fn sweep(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::auth_one_time_tokens.filter(dsl::expires_at.lt(DbTimestamp(before)))
    )
    .execute(c))
}
