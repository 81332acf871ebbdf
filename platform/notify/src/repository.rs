//! Rows of the outbox: every mail and what became of it.

pub mod bounces;
pub mod preferences;

use troupe_database::prelude::*;
use troupe_kernel::{Failure, Mail, Migration, Timestamp, Uuid};

use crate::messages::{MailId, MailRecord, MailState};

/// The steps of notify's schema.
pub const MIGRATIONS: &[Migration] = troupe_database::migrations!(
    "notify",
    ["0001_mails", "0002_webhooks", "0003_bounces", "0004_preferences"]
);

#[allow(missing_docs, reason = "the columns are described in the migration")]
mod schema {
    use troupe_database::{Id, Instant, JsonDoc};

    diesel::table! {
        use diesel::sql_types::{Integer, Nullable, Text};
        use super::{Id, Instant, JsonDoc};

        notify_mails (id) {
            id -> Id,
            tenant -> Nullable<Id>,
            template -> Text,
            locale -> Text,
            recipient -> Text,
            subject -> Nullable<Text>,
            state -> Text,
            attempts -> Integer,
            last_error -> Nullable<Text>,
            data -> Nullable<JsonDoc>,
            sent_at -> Nullable<Instant>,
            created_at -> Instant,
            updated_at -> Instant,
            user_id -> Nullable<Id>,
        }
    }

    diesel::table! {
        use diesel::sql_types::Text;
        use super::Instant;

        notify_bounces (address) {
            address -> Text,
            cause -> Text,
            detail -> Text,
            created_at -> Instant,
        }
    }

    diesel::table! {
        use diesel::sql_types::{Bool, Text};
        use super::{Id, Instant};

        notify_preferences (user_id, notice) {
            user_id -> Id,
            notice -> Text,
            mail -> Bool,
            updated_at -> Instant,
        }
    }
}

use schema::notify_mails::{self, dsl};

diesel::define_sql_function! {
    /// Lower case; of ASCII letters on both dialects.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// One mail as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = notify_mails, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct MailRow {
    /// Which mail.
    pub id: DbUuid,
    /// The tenant on whose behalf it was sent.
    pub tenant: Option<DbUuid>,
    /// Its template.
    pub template: String,
    /// The recipient's language.
    pub locale: String,
    /// The recipient.
    pub recipient: String,
    /// Its subject, once it was rendered.
    pub subject: Option<String>,
    /// `queued`, `sent` or `failed`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i32,
    /// What went wrong in the last one.
    pub last_error: Option<String>,
    /// What the template shows; none once it is erased.
    pub data: Option<Json>,
    /// When it was sent.
    pub sent_at: Option<DbTimestamp>,
    /// When it came.
    pub created_at: DbTimestamp,
    /// When it last changed.
    pub updated_at: DbTimestamp,
    /// Whose letter it is, when the recipient may switch it off.
    pub user_id: Option<DbUuid>,
}

impl MailRow {
    /// A mail that waits for its first attempt.
    #[must_use]
    pub fn queued(id: MailId, tenant: Option<Uuid>, mail: &Mail, now: Timestamp) -> Self {
        Self {
            id: DbUuid::of(id),
            tenant: tenant.map(DbUuid),
            template: mail.template.clone(),
            locale: mail.locale.clone(),
            recipient: mail.to.clone(),
            subject: None,
            state: MailState::Queued.as_str().to_owned(),
            attempts: 0,
            last_error: None,
            data: Some(Json(mail.data.clone())),
            sent_at: None,
            created_at: now.into(),
            updated_at: now.into(),
            user_id: mail.user.map(DbUuid::of),
        }
    }

    /// Whether it is in this state.
    #[must_use]
    pub fn is(&self, state: MailState) -> bool {
        self.state == state.as_str()
    }

    /// The mail as it came, while its content is there.
    #[must_use]
    pub fn mail(&self) -> Option<Mail> {
        let data = self.data.clone()?.0;
        Some(Mail {
            template: self.template.clone(),
            to: self.recipient.clone(),
            locale: self.locale.clone(),
            data,
            user: self.user_id.map(DbUuid::to),
        })
    }

    /// What administrators see.
    ///
    /// # Errors
    /// When the row holds a state this program does not know.
    pub fn into_record(self) -> Result<MailRecord, Failure> {
        let state = [MailState::Queued, MailState::Sent, MailState::Failed]
            .into_iter()
            .find(|state| self.is(*state))
            .ok_or_else(|| {
                let detail = format!("a mail has the unknown state {}", self.state);
                Failure::internal("notify.mail.state", detail)
            })?;
        Ok(MailRecord {
            id: self.id.to(),
            tenant: self.tenant.map(DbUuid::to),
            template: self.template,
            locale: self.locale,
            recipient: self.recipient,
            subject: self.subject,
            state,
            attempts: self.attempts,
            last_error: self.last_error,
            resendable: self.data.is_some(),
            sent_at: self.sent_at.map(Into::into),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

/// Adds a mail.
///
/// # Errors
/// As the database says.
pub async fn insert(conn: &mut DbConn, row: &MailRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(notify_mails::table).values(row.clone()).execute(c))?;
    Ok(())
}

/// The mail with this id.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, id: MailId) -> DbResult<Option<MailRow>> {
    run!(conn, |c| dsl::notify_mails
        .find(DbUuid::of(id))
        .select(MailRow::as_select())
        .get_result(c))
    .optional()
}

/// Writes a mail as it is now.
///
/// # Errors
/// As the database says.
pub async fn save(conn: &mut DbConn, row: &MailRow) -> DbResult<()> {
    run!(conn, |c| diesel::update(dsl::notify_mails.find(row.id)).set(row.clone()).execute(c))?;
    Ok(())
}

/// What an administrator looks for.
#[derive(Debug, Clone, Default)]
pub struct MailFilter {
    /// Only mails in this state.
    pub state: Option<MailState>,
    /// Only mails to this address.
    pub recipient: Option<String>,
}

/// Mails before a position, newest first.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    filter: &MailFilter,
    before: Uuid,
    rows: i64,
) -> DbResult<Vec<MailRow>> {
    let state = filter.state.map_or("%", MailState::as_str).to_owned();
    let wanted = filter.recipient.as_deref().map(str::to_ascii_lowercase);
    // Without an address the condition is true for every row, so that the statement is one.
    let (any, address) = (wanted.is_none(), wanted.unwrap_or_default());
    run!(conn, |c| dsl::notify_mails
        .filter(dsl::id.lt(DbUuid(before)))
        .filter(dsl::state.like(state))
        .filter(lower(dsl::recipient).eq(address).or(any.into_sql::<diesel::sql_types::Bool>()))
        .order(dsl::id.desc())
        .limit(rows)
        .select(MailRow::as_select())
        .load(c))
}

/// Gives up mails that have waited since before a time: their job is gone.
///
/// # Errors
/// As the database says.
pub async fn give_up_before(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::update(
        dsl::notify_mails
            .filter(dsl::state.eq(MailState::Queued.as_str()))
            .filter(dsl::updated_at.lt(DbTimestamp(before)))
    )
    .set((
        dsl::state.eq(MailState::Failed.as_str()),
        dsl::last_error.eq(Some("nobody tried for too long".to_owned())),
    ))
    .execute(c))
}

/// Erases the content of mails that last changed before a time.
///
/// # Errors
/// As the database says.
pub async fn erase_before(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::update(
        dsl::notify_mails
            .filter(dsl::data.is_not_null())
            .filter(dsl::updated_at.lt(DbTimestamp(before)))
    )
    .set(dsl::data.eq(None::<Json>))
    .execute(c))
}
