//! Creating, reading, changing, finding and barring users.

use serde_json::json;
use troupe_actors::Scope;
use troupe_database::{Commanded, DbConn, DbUuid, UnitOfWork};
use troupe_identity_messages::{
    CreateUser, USER_CREATED, USER_REINSTATED, USER_SUSPENDED, USER_UPDATED, User, UserStatus,
};
use troupe_kernel::ids::UserId;
use troupe_kernel::pagination::Page;
use troupe_kernel::{Failure, RevokeSubject};

use super::{Shared, user_record, verification};
use crate::address::EmailAddress;
use crate::messages::{GetProfile, ReinstateUser, SearchUsers, SuspendUser, UpdateProfile};
use crate::repository::BEFORE_ALL;
use crate::repository::users::{self, UserRow, UserSearch};
use crate::token::NewToken;
use crate::{error, events, naming};

const REASON_CHARS_MAX: usize = 500;

/// The fields of a user that are acceptable.
struct Draft {
    email: EmailAddress,
    display_name: String,
    locale: String,
    time_zone: String,
}

impl Draft {
    fn check(shared: &Shared, command: &CreateUser) -> Result<Self, Failure> {
        let mut faults = Faults::default();
        let email = faults.take("/email", EmailAddress::parse(&command.email));
        let display_name = match command.display_name.trim() {
            "" => email.as_ref().map(|email| email.local_part().to_owned()),
            text => faults.take("/display_name", naming::name(text)),
        };
        let locale = command.locale.as_deref().unwrap_or(&shared.config.default_locale);
        let locale = faults.take("/locale", naming::locale(locale));
        let zone = command.time_zone.as_deref().unwrap_or(&shared.config.default_time_zone);
        let time_zone = faults.take("/time_zone", naming::time_zone(zone));
        match (email, display_name, locale, time_zone) {
            (Some(email), Some(display_name), Some(locale), Some(time_zone)) => {
                Ok(Self { email, display_name, locale, time_zone })
            }
            _ => Err(faults.into_failure("identity.user.invalid")),
        }
    }
}

/// Everything that is wrong with a request, gathered field by field.
#[derive(Default)]
pub(super) struct Faults(Vec<(&'static str, String)>);

impl Faults {
    pub(super) fn take<T, E: std::fmt::Display>(
        &mut self,
        pointer: &'static str,
        checked: Result<T, E>,
    ) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(fault) => {
                self.0.push((pointer, fault.to_string()));
                None
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_failure(self, code: &'static str) -> Failure {
        let failure = Failure::invalid(code, "some fields are not acceptable; see `errors`");
        self.0.into_iter().fold(failure, |failure, (pointer, fault)| failure.field(pointer, fault))
    }
}

pub(super) async fn create(
    shared: &Shared,
    scope: &Scope,
    command: &CreateUser,
) -> Result<Commanded<User>, Failure> {
    let draft = Draft::check(shared, command)?;
    let token = if command.email_verified { None } else { Some(NewToken::random()?) };
    let (id, config) = (command.id, shared.config.clone());
    shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            if let Some(known) = users::find(uow.conn(), id).await? {
                let is_same = crate::address::same(&known.email, draft.email.as_str());
                return if is_same { known.into_user() } else { Err(error::id_taken()) };
            }
            if users::find_by_email(uow.conn(), &draft.email.key()).await?.is_some() {
                return Err(error::email_taken());
            }
            let now = uow.now();
            let row = UserRow {
                id: DbUuid::of(id),
                email: draft.email.as_str().to_owned(),
                email_verified_at: token.is_none().then_some(now.into()),
                display_name: draft.display_name,
                locale: draft.locale,
                time_zone: draft.time_zone,
                status: UserStatus::Active.as_str().to_owned(),
                suspended_reason: None,
                deletion_due_at: None,
                version: 1,
                created_at: now.into(),
                updated_at: now.into(),
            };
            users::insert(uow.conn(), &row)
                .await
                .map_err(|error| error.unique_or(users::EMAIL_KEY, error::email_taken))?;
            if let Some(token) = token {
                verification::send(uow, &row, token, &config).await?;
            }
            uow.event(events::user(USER_CREATED, &row));
            uow.audit(user_record(uow.scope(), "identity.user.create", id));
            row.into_user()
        })
        .await
}

pub(super) async fn get(shared: &Shared, query: &GetProfile) -> Result<User, Failure> {
    let id = query.user;
    let row =
        shared.db.read(async move |conn: &mut DbConn| Ok(users::find(conn, id).await?)).await?;
    row.ok_or_else(error::user_not_found)?.into_user()
}

pub(super) async fn update(
    shared: &Shared,
    scope: &Scope,
    command: &UpdateProfile,
) -> Result<Commanded<User>, Failure> {
    let mut faults = Faults::default();
    let mut checked =
        |pointer, value: &Option<String>, check: fn(&str) -> Result<String, &'static str>| {
            value.as_deref().and_then(|text| faults.take(pointer, check(text)))
        };
    let display_name = checked("/display_name", &command.display_name, naming::name);
    let locale = checked("/locale", &command.locale, naming::locale);
    let time_zone = checked("/time_zone", &command.time_zone, naming::time_zone);
    if !faults.is_empty() {
        return Err(faults.into_failure("identity.user.invalid"));
    }
    let (id, version) = (command.user, command.version);
    shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let mut row = existing(uow.conn(), id).await?;
            if row.version != version {
                return Err(error::user_stale());
            }
            row.display_name = display_name.unwrap_or(row.display_name);
            row.locale = locale.unwrap_or(row.locale);
            row.time_zone = time_zone.unwrap_or(row.time_zone);
            save(uow, &mut row).await?;
            uow.event(events::user(USER_UPDATED, &row));
            uow.audit(user_record(uow.scope(), "identity.user.update", id));
            row.into_user()
        })
        .await
}

pub(super) async fn search(
    shared: &Shared,
    scope: &Scope,
    query: &SearchUsers,
) -> Result<Page<User>, Failure> {
    let before = query.page.position()?.unwrap_or(BEFORE_ALL);
    let wanted = UserSearch { text: query.text.clone(), status: query.status };
    let rows = query.page.rows();
    let found = shared
        .db
        .read_for(scope, async move |conn: &mut DbConn| {
            Ok(users::search(conn, &wanted, before, rows).await?)
        })
        .await?;
    let users = found.into_iter().map(UserRow::into_user).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::from_rows(users, &query.page, |user| user.id.uuid()))
}

pub(super) async fn suspend(
    shared: &Shared,
    scope: &Scope,
    command: &SuspendUser,
) -> Result<Commanded<User>, Failure> {
    let id = command.user;
    if scope.subject() == Some(id.uuid()) {
        return Err(error::own_suspension());
    }
    let reason = command.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(Failure::invalid("identity.user.invalid", "say why the user is suspended")
            .field("/reason", format!("must have 1 to {REASON_CHARS_MAX} characters")));
    }
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let mut row = existing(uow.conn(), id).await?;
            if !row.is_active() {
                return row.into_user();
            }
            row.status = UserStatus::Suspended.as_str().to_owned();
            row.suspended_reason = Some(reason.clone());
            save(uow, &mut row).await?;
            uow.event(events::user(USER_SUSPENDED, &row));
            let record = user_record(uow.scope(), "identity.user.suspend", id);
            uow.audit(record.detail(json!({ "reason": reason })));
            row.into_user()
        })
        .await?;
    // After the commit, and again for one who is suspended already: when this fails the caller is
    // told so and asks again.
    shared.invalidations.publish(scope, RevokeSubject { subject: id.uuid() }).await?;
    Ok(done)
}

pub(super) async fn reinstate(
    shared: &Shared,
    scope: &Scope,
    command: &ReinstateUser,
) -> Result<Commanded<User>, Failure> {
    let id = command.user;
    shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let mut row = existing(uow.conn(), id).await?;
            if row.is_active() {
                return row.into_user();
            }
            row.status = UserStatus::Active.as_str().to_owned();
            row.suspended_reason = None;
            save(uow, &mut row).await?;
            uow.event(events::user(USER_REINSTATED, &row));
            uow.audit(user_record(uow.scope(), "identity.user.reinstate", id));
            row.into_user()
        })
        .await
}

/// A user that is there and not anonymised.
pub(super) async fn existing(conn: &mut DbConn, id: UserId) -> Result<UserRow, Failure> {
    let row = users::find(conn, id).await?.ok_or_else(error::user_not_found)?;
    if row.is_deleted() { Err(error::user_not_found()) } else { Ok(row) }
}

/// A user that may act.
pub(super) async fn active(conn: &mut DbConn, id: UserId) -> Result<UserRow, Failure> {
    let row = existing(conn, id).await?;
    if row.is_active() { Ok(row) } else { Err(error::user_not_active()) }
}

/// Writes a change; the version rises.
pub(super) async fn save(uow: &mut UnitOfWork, row: &mut UserRow) -> Result<(), Failure> {
    let (read_version, now) = (row.version, uow.now());
    row.touch(now);
    let saved = users::save(uow.conn(), row, read_version)
        .await
        .map_err(|error| error.unique_or(users::EMAIL_KEY, error::email_taken))?;
    if saved { Ok(()) } else { Err(error::user_stale()) }
}
