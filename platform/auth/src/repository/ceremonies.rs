//! Questions to browsers about passkeys that wait for their answer; what finds one only as its digest.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::UserId;

use super::schema::auth_ceremonies::{self, dsl};

/// What a question is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A new passkey of a user.
    Registration,
    /// A login of whoever answers.
    Login,
    /// A proof that it is this user who asks.
    Proof,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Login => "login",
            Self::Proof => "proof",
        }
    }
}

/// A question as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_ceremonies, treat_none_as_default_value = false)]
pub struct CeremonyRow {
    /// Digest of what finds it.
    pub token_hash: Vec<u8>,
    /// What it is for.
    pub purpose: String,
    /// Who is asked; none when anybody may answer.
    pub user_id: Option<DbUuid>,
    /// What the answer is compared with.
    pub state: String,
    /// When it was asked.
    pub created_at: DbTimestamp,
    /// When an answer is too late.
    pub expires_at: DbTimestamp,
    /// When it was answered.
    pub used_at: Option<DbTimestamp>,
}

impl CeremonyRow {
    /// A question that nobody answered; `times` are now and its end.
    #[must_use]
    pub fn new(
        purpose: Purpose,
        hash: &[u8],
        state: String,
        (now, expires_at): (Timestamp, Timestamp),
    ) -> Self {
        Self {
            token_hash: hash.to_vec(),
            purpose: purpose.as_str().to_owned(),
            user_id: None,
            state,
            created_at: DbTimestamp(now),
            expires_at: DbTimestamp(expires_at),
            used_at: None,
        }
    }

    /// The same question to one user alone.
    #[must_use]
    pub fn to(self, user: UserId) -> Self {
        Self { user_id: Some(DbUuid::of(user)), ..self }
    }
}

/// Adds a question.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut DbConn, row: &CeremonyRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(dsl::auth_ceremonies).values(row).execute(c))?;
    Ok(())
}

/// The question with this digest, if it is for this, was not answered and has not passed its time.
///
/// # Errors
/// Those of the database.
pub async fn find_usable(
    conn: &mut DbConn,
    purpose: Purpose,
    hash: &[u8],
    now: Timestamp,
) -> DbResult<Option<CeremonyRow>> {
    run!(conn, |c| dsl::auth_ceremonies
        .find(hash)
        .filter(dsl::purpose.eq(purpose.as_str()))
        .filter(dsl::used_at.is_null())
        .filter(dsl::expires_at.gt(DbTimestamp(now)))
        .select(CeremonyRow::as_select())
        .get_result::<CeremonyRow>(c))
    .optional()
}

/// Marks a question as answered; answers whether it could be. Of several attempts at once, one can.
///
/// # Errors
/// Those of the database.
pub async fn consume(conn: &mut DbConn, hash: &[u8], now: Timestamp) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_ceremonies
            .filter(dsl::token_hash.eq(hash))
            .filter(dsl::used_at.is_null())
            .filter(dsl::expires_at.gt(DbTimestamp(now)))
    )
    .set(dsl::used_at.eq(DbTimestamp(now)))
    .execute(c))?;
    Ok(changed == 1)
}

/// Deletes the unanswered questions to a user but for the `keep` asked last.
///
/// # Errors
/// Those of the database.
pub async fn discard(conn: &mut DbConn, user: UserId, keep: i64) -> DbResult<usize> {
    let surplus = run!(conn, |c| dsl::auth_ceremonies
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .filter(dsl::used_at.is_null())
        .order(dsl::created_at.desc())
        .offset(keep)
        .limit(i64::MAX)
        .select(dsl::token_hash)
        .get_results::<Vec<u8>>(c))?;
    run!(conn, |c| diesel::delete(
        dsl::auth_ceremonies.filter(dsl::token_hash.eq_any(surplus)).filter(dsl::used_at.is_null())
    )
    .execute(c))
}

/// Deletes questions that passed their time before `before`; answers how many.
///
/// # Errors
/// Those of the database.
pub async fn sweep(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::auth_ceremonies.filter(dsl::expires_at.lt(DbTimestamp(before)))
    )
    .execute(c))
}
