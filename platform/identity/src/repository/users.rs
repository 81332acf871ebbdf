//! Rows of users.

use troupe_database::prelude::*;
use troupe_identity_messages::{User, UserStatus};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::UserId;
use troupe_kernel::{Failure, Uuid};

use super::schema::identity_users::{self, dsl};
use super::{contains, lower};

/// The unique index on addresses.
pub const EMAIL_KEY: &str = "identity_users_email_key";

/// One user as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = identity_users, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct UserRow {
    /// Id of the account.
    pub id: DbUuid,
    /// Address as its owner wrote it.
    pub email: String,
    /// When the address was proven.
    pub email_verified_at: Option<DbTimestamp>,
    /// Name shown to other people.
    pub display_name: String,
    /// Language.
    pub locale: String,
    /// Time zone.
    pub time_zone: String,
    /// `active`, `suspended` or `deleted`.
    pub status: String,
    /// Why the account is suspended; for administrators.
    pub suspended_reason: Option<String>,
    /// When the account is to be anonymised.
    pub deletion_due_at: Option<DbTimestamp>,
    /// Rises with every change.
    pub version: i64,
    /// When the account was made.
    pub created_at: DbTimestamp,
    /// When it was last changed.
    pub updated_at: DbTimestamp,
}

impl UserRow {
    /// Id of the account.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.id.to()
    }

    /// Whether the account may be used.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == UserStatus::Active.as_str()
    }

    /// Whether the person is gone.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.status == UserStatus::Deleted.as_str()
    }

    /// Marks a change: the version rises.
    pub fn touch(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = now.into();
    }

    /// The user as others see it.
    ///
    /// # Errors
    /// When the row holds a status this program does not know.
    pub fn into_user(self) -> Result<User, Failure> {
        Ok(User {
            id: self.id.to(),
            email: self.email,
            email_verified_at: self.email_verified_at.map(Into::into),
            display_name: self.display_name,
            locale: self.locale,
            time_zone: self.time_zone,
            status: status_of(&self.status)?,
            deletion_due_at: self.deletion_due_at.map(Into::into),
            version: self.version,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

fn status_of(text: &str) -> Result<UserStatus, Failure> {
    [UserStatus::Active, UserStatus::Suspended, UserStatus::Deleted]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| {
            Failure::internal(
                "identity.user.status",
                format!("a user has the unknown status {text}"),
            )
        })
}

/// Adds a user.
///
/// # Errors
/// [`EMAIL_KEY`] when the address is used; as the database says.
pub async fn insert(conn: &mut DbConn, row: &UserRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(identity_users::table).values(row.clone()).execute(c))?;
    Ok(())
}

/// The user with this id.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, id: UserId) -> DbResult<Option<UserRow>> {
    run!(conn, |c| dsl::identity_users
        .find(DbUuid::of(id))
        .select(UserRow::as_select())
        .get_result(c))
    .optional()
}

/// The user with this address; `key` is its lower case form.
///
/// # Errors
/// As the database says.
pub async fn find_by_email(conn: &mut DbConn, key: &str) -> DbResult<Option<UserRow>> {
    run!(conn, |c| dsl::identity_users
        .filter(lower(dsl::email).eq(key.to_owned()))
        .select(UserRow::as_select())
        .get_result(c))
    .optional()
}

/// Ids and names of these users, in no order.
///
/// # Errors
/// As the database says.
pub async fn names(conn: &mut DbConn, ids: &[UserId]) -> DbResult<Vec<(DbUuid, String)>> {
    let ids: Vec<DbUuid> = ids.iter().copied().map(DbUuid::of).collect();
    run!(conn, |c| dsl::identity_users
        .filter(dsl::id.eq_any(ids))
        .select((dsl::id, dsl::display_name))
        .load(c))
}

/// Writes the row when the stored one still has the version it was read with; answers whether.
///
/// # Errors
/// [`EMAIL_KEY`] when the address is used; as the database says.
pub async fn save(conn: &mut DbConn, row: &UserRow, read_version: i64) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(dsl::identity_users.find(row.id))
        .filter(dsl::version.eq(read_version))
        .set(row.clone())
        .execute(c))?;
    Ok(changed == 1)
}

/// Holds the user's row until the transaction ends, so that what is counted stays true.
///
/// # Errors
/// As the database says.
pub async fn lock(conn: &mut DbConn, id: UserId) -> DbResult<bool> {
    let found = run!(conn, |c| diesel::update(dsl::identity_users.find(DbUuid::of(id)))
        .set(dsl::version.eq(dsl::version))
        .execute(c))?;
    Ok(found == 1)
}

/// What an administrator looks for.
#[derive(Debug, Clone, Default)]
pub struct UserSearch {
    /// A part of the address or the name, without case.
    pub text: String,
    /// Only users with this status.
    pub status: Option<UserStatus>,
}

/// Users before a position, newest first.
///
/// # Errors
/// As the database says.
pub async fn search(
    conn: &mut DbConn,
    wanted: &UserSearch,
    before: Uuid,
    rows: i64,
) -> DbResult<Vec<UserRow>> {
    let pattern = contains(&wanted.text);
    let status = wanted.status.map_or("%", UserStatus::as_str).to_owned();
    run!(conn, |c| dsl::identity_users
        .filter(dsl::id.lt(DbUuid(before)))
        .filter(dsl::status.like(status))
        .filter(
            lower(dsl::email)
                .like(pattern.clone())
                .escape('\\')
                .or(lower(dsl::display_name).like(pattern.clone()).escape('\\')),
        )
        .order(dsl::id.desc())
        .limit(rows)
        .select(UserRow::as_select())
        .load(c))
}
