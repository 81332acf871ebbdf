//! Sessions: who is logged in, where, until when.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{SessionId, TenantId, UserId};

use super::schema::auth_sessions::{self, dsl};

/// Most sessions one list shows; a user cannot have more.
const LISTED_MAX: i64 = 1_000;

/// Whose sessions are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// All of a user.
    User(UserId),
    /// All of a user but one.
    UserBut(UserId, SessionId),
    /// Those of a user in an organisation.
    Member(UserId, TenantId),
    /// All in an organisation.
    Tenant(TenantId),
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_sessions, treat_none_as_default_value = false)]
pub struct SessionRow {
    /// Which session.
    pub id: DbUuid,
    /// Whose.
    pub user_id: DbUuid,
    /// The organisation it works in.
    pub tenant_id: Option<DbUuid>,
    /// The device, as its `User-Agent` said.
    pub device: Option<String>,
    /// The network address it was used from last.
    pub address: Option<String>,
    /// When it started.
    pub created_at: DbTimestamp,
    /// When it was used last.
    pub last_seen_at: DbTimestamp,
    /// When it ends unless it is refreshed.
    pub idle_expires_at: DbTimestamp,
    /// When it ends in any case.
    pub expires_at: DbTimestamp,
    /// When it was ended before its time.
    pub ended_at: Option<DbTimestamp>,
    /// Why it was ended.
    pub end_reason: Option<String>,
}

impl SessionRow {
    /// Whether it is live at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && self.ends_at() > now
    }

    /// When it ends by itself.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.expires_at.0.min(self.idle_expires_at.0)
    }
}

/// What a use of a session changes.
#[derive(Debug, Clone, PartialEq, Eq, AsChangeset)]
#[diesel(table_name = auth_sessions)]
pub struct SessionUse {
    /// When it was used.
    pub last_seen_at: DbTimestamp,
    /// When it now ends unless it is refreshed again.
    pub idle_expires_at: DbTimestamp,
    /// From where, if that is known.
    pub address: Option<String>,
    /// By which device, if that is known.
    pub device: Option<String>,
}

/// Adds a session.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut DbConn, row: &SessionRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(dsl::auth_sessions).values(row).execute(c))?;
    Ok(())
}

/// One session, live or not.
///
/// # Errors
/// Those of the database.
pub async fn find(conn: &mut DbConn, id: SessionId) -> DbResult<Option<SessionRow>> {
    run!(conn, |c| dsl::auth_sessions
        .find(DbUuid::of(id))
        .select(SessionRow::as_select())
        .get_result::<SessionRow>(c))
    .optional()
}

/// Several sessions, live or not, in any order.
///
/// # Errors
/// Those of the database.
pub async fn find_many(conn: &mut DbConn, ids: &[SessionId]) -> DbResult<Vec<SessionRow>> {
    let ids: Vec<DbUuid> = ids.iter().copied().map(DbUuid::of).collect();
    run!(conn, |c| dsl::auth_sessions
        .filter(dsl::id.eq_any(ids))
        .select(SessionRow::as_select())
        .get_results::<SessionRow>(c))
}

/// The live sessions of a user, used last first.
///
/// # Errors
/// Those of the database.
pub async fn live_of(conn: &mut DbConn, user: UserId, now: Timestamp) -> DbResult<Vec<SessionRow>> {
    run!(conn, |c| dsl::auth_sessions
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .filter(dsl::ended_at.is_null())
        .filter(dsl::expires_at.gt(DbTimestamp(now)))
        .filter(dsl::idle_expires_at.gt(DbTimestamp(now)))
        .order((dsl::last_seen_at.desc(), dsl::id.desc()))
        .limit(LISTED_MAX)
        .select(SessionRow::as_select())
        .get_results::<SessionRow>(c))
}

/// Notes a refresh of a live session; answers the session, or none when it is not live any more.
///
/// # Errors
/// Those of the database.
pub async fn touch(
    conn: &mut DbConn,
    id: SessionId,
    used: &SessionUse,
) -> DbResult<Option<SessionRow>> {
    run!(conn, |c| diesel::update(
        dsl::auth_sessions
            .filter(dsl::id.eq(DbUuid::of(id)))
            .filter(dsl::ended_at.is_null())
            .filter(dsl::expires_at.gt(used.last_seen_at))
            .filter(dsl::idle_expires_at.gt(used.last_seen_at))
    )
    .set(used)
    .returning(SessionRow::as_returning())
    .get_result::<SessionRow>(c))
    .optional()
}

/// Notes that sessions were used.
///
/// # Errors
/// Those of the database.
pub async fn seen(conn: &mut DbConn, ids: &[SessionId], now: Timestamp) -> DbResult<()> {
    let ids: Vec<DbUuid> = ids.iter().copied().map(DbUuid::of).collect();
    run!(conn, |c| diesel::update(
        dsl::auth_sessions.filter(dsl::id.eq_any(ids)).filter(dsl::ended_at.is_null())
    )
    .set(dsl::last_seen_at.eq(DbTimestamp(now)))
    .execute(c))?;
    Ok(())
}

/// Moves a live session to another organisation; answers it, or none when it is not live.
///
/// # Errors
/// Those of the database.
pub async fn move_to(
    conn: &mut DbConn,
    id: SessionId,
    tenant: Option<TenantId>,
    now: Timestamp,
) -> DbResult<Option<SessionRow>> {
    run!(conn, |c| diesel::update(
        dsl::auth_sessions
            .filter(dsl::id.eq(DbUuid::of(id)))
            .filter(dsl::ended_at.is_null())
            .filter(dsl::expires_at.gt(DbTimestamp(now)))
            .filter(dsl::idle_expires_at.gt(DbTimestamp(now)))
    )
    .set((dsl::tenant_id.eq(tenant.map(DbUuid::of)), dsl::last_seen_at.eq(DbTimestamp(now))))
    .returning(SessionRow::as_returning())
    .get_result::<SessionRow>(c))
    .optional()
}

/// Why and when a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending<'a> {
    /// When.
    pub at: Timestamp,
    /// Why, in a word.
    pub reason: &'a str,
}

/// Ends one session; answers whose it was, or none when it had ended.
///
/// # Errors
/// Those of the database.
pub async fn end(conn: &mut DbConn, id: SessionId, ending: Ending<'_>) -> DbResult<Option<UserId>> {
    let user = run!(conn, |c| diesel::update(
        dsl::auth_sessions.filter(dsl::id.eq(DbUuid::of(id))).filter(dsl::ended_at.is_null())
    )
    .set((dsl::ended_at.eq(DbTimestamp(ending.at)), dsl::end_reason.eq(ending.reason)))
    .returning(dsl::user_id)
    .get_result::<DbUuid>(c))
    .optional()?;
    Ok(user.map(DbUuid::to))
}

/// Ends several sessions; answers those that had not ended, with whose they were.
///
/// # Errors
/// Those of the database.
pub async fn end_all(
    conn: &mut DbConn,
    whose: Whose,
    ending: Ending<'_>,
) -> DbResult<Vec<(SessionId, UserId)>> {
    let (user, but, tenant) = match whose {
        Whose::User(user) => (Some(user), None, None),
        Whose::UserBut(user, session) => (Some(user), Some(session), None),
        Whose::Member(user, tenant) => (Some(user), None, Some(tenant)),
        Whose::Tenant(tenant) => (None, None, Some(tenant)),
    };
    let rows = run!(conn, |c| {
        let mut open =
            dsl::auth_sessions.filter(dsl::ended_at.is_null()).select(dsl::id).into_boxed();
        if let Some(user) = user {
            open = open.filter(dsl::user_id.eq(DbUuid::of(user)));
        }
        if let Some(but) = but {
            open = open.filter(dsl::id.ne(DbUuid::of(but)));
        }
        if let Some(tenant) = tenant {
            open = open.filter(dsl::tenant_id.eq(DbUuid::of(tenant)));
        }
        diesel::update(dsl::auth_sessions.filter(dsl::id.eq_any(open)))
            .set((dsl::ended_at.eq(DbTimestamp(ending.at)), dsl::end_reason.eq(ending.reason)))
            .returning((dsl::id, dsl::user_id))
            .get_results::<(DbUuid, DbUuid)>(c)
    })?;
    Ok(rows.into_iter().map(|(id, user)| (id.to(), user.to())).collect())
}

/// The sessions of an organisation that were ended since a time.
///
/// # Errors
/// Those of the database.
pub async fn ended_since(
    conn: &mut DbConn,
    tenant: TenantId,
    since: Timestamp,
) -> DbResult<Vec<SessionId>> {
    let ids = run!(conn, |c| dsl::auth_sessions
        .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
        .filter(dsl::ended_at.ge(DbTimestamp(since)).assume_not_null())
        .select(dsl::id)
        .get_results::<DbUuid>(c))?;
    Ok(ids.into_iter().map(DbUuid::to).collect())
}

/// Deletes sessions that ended or passed their time before `before`, with their refresh tokens;
/// answers how many.
///
/// # Errors
/// Those of the database.
pub async fn sweep(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::auth_sessions.filter(
            dsl::expires_at
                .lt(DbTimestamp(before))
                .or(dsl::idle_expires_at.lt(DbTimestamp(before)))
                .or(dsl::ended_at.lt(DbTimestamp(before)).assume_not_null())
        )
    )
    .execute(c))
}

/// Deletes every session of a user.
///
/// # Errors
/// Those of the database.
pub async fn erase(conn: &mut DbConn, user: UserId) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(dsl::auth_sessions.filter(dsl::user_id.eq(DbUuid::of(user))))
        .execute(c))
}
