//! What becomes of a passkey, and what is told about it.

use serde_json::json;
use troupe_actors::Scope;
use troupe_database::UnitOfWork;
use troupe_identity_messages::User;
use troupe_kernel::Mail;
use troupe_kernel::audit::{AuditRecord, Outcome};
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::UserId;

use super::Passkeys;
use crate::error;
use crate::events::{self, PasskeyEvent};
use crate::messages::{Passkey, PasskeyId, RemovePasskey, RenamePasskey};
use crate::repository::passkeys::{self, PasskeyRow};
use crate::repository::{challenges, credentials, identities, recovery_codes};
use crate::service::codes;

const NAME_CHARACTERS_MAX: usize = 100;

impl Passkeys {
    pub(super) async fn rename(
        &self,
        request: &RenamePasskey,
        scope: &Scope,
    ) -> Result<Passkey, Failure> {
        let name = checked_name(&request.name)?;
        let RenamePasskey { user, passkey, .. } = *request;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let row = passkeys::rename(uow.conn(), user, passkey, &name).await?;
                let row = row.ok_or_else(error::passkey_not_found)?;
                let record =
                    AuditRecord::new(uow.scope(), "auth.passkey.rename", format!("user/{user}"));
                uow.audit(record.detail(json!({ "passkey": row.id.0, "name": row.name })));
                Ok(row.into())
            })
            .await
    }

    pub(super) async fn remove(
        &self,
        request: &RemovePasskey,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let (user, id) = (request.user, request.passkey);
        // Before a code is spent for nothing.
        self.ensure_own(user, id).await?;
        self.proofs.caller(&self.desk, scope, request.current_password.as_ref()).await?;
        let user = self.user(user, scope).await?;
        self.proofs.factor(&self.desk, scope, &user, request.factor.as_ref()).await?;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let own = passkeys::of_user(uow.conn(), user.id).await?;
                let row = own.iter().find(|row| row.id() == id);
                let row = row.ok_or_else(error::passkey_not_found)?;
                if is_last_way(uow, row, &own).await? {
                    return Err(error::passkey_last());
                }
                if !passkeys::remove(uow.conn(), id).await? {
                    return Err(error::passkey_not_found());
                }
                if !codes::has_factor(uow.conn(), user.id).await? {
                    recovery_codes::remove(uow.conn(), user.id).await?;
                }
                challenges::discard(uow.conn(), user.id, 0).await?;
                note(uow, &user, row, Change::Removed);
                Ok(())
            })
            .await
    }

    async fn ensure_own(&self, user: UserId, id: PasskeyId) -> Result<(), Failure> {
        let own =
            self.desk.db.read(async move |conn| Ok(passkeys::of_user(conn, user).await?)).await?;
        if own.iter().any(|row| row.id() == id) { Ok(()) } else { Err(error::passkey_not_found()) }
    }
}

/// Whether nothing else would open the account.
async fn is_last_way(
    uow: &mut UnitOfWork,
    row: &PasskeyRow,
    own: &[PasskeyRow],
) -> Result<bool, Failure> {
    let opens = |one: &&PasskeyRow| one.copied_at.is_none();
    if !opens(&row) || own.iter().filter(opens).count() > 1 {
        return Ok(false);
    }
    let user = row.user();
    let has_password = credentials::find(uow.conn(), user).await?.is_some();
    Ok(!has_password && identities::of_user(uow.conn(), user).await?.is_empty())
}

/// A name that can be shown.
pub(super) fn checked_name(name: &str) -> Result<String, Failure> {
    let name = name.trim();
    let length = name.chars().count();
    if (1..=NAME_CHARACTERS_MAX).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(Failure::invalid("auth.passkey.name", "the name of the passkey is not accepted")
        .field("/name", format!("must have 1 to {NAME_CHARACTERS_MAX} characters")))
}

/// What became of a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Removed,
    Copied,
}

impl Change {
    const fn event(self) -> &'static str {
        match self {
            Self::Added => events::PASSKEY_ADDED,
            Self::Removed => events::PASSKEY_REMOVED,
            Self::Copied => events::PASSKEY_COPIED,
        }
    }

    /// Its name in the mail.
    const fn mail(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Copied => "copied",
        }
    }
}

/// Adds the event, the audit record and the mail of a change.
pub(super) fn note(uow: &mut UnitOfWork, user: &User, row: &PasskeyRow, change: Change) {
    let (id, name) = (user.id, change.event());
    uow.event(Event::new(name, id, &PasskeyEvent { user: id, passkey: row.id() }));
    let record = AuditRecord::new(uow.scope(), name, format!("user/{id}"))
        .detail(json!({ "passkey": row.id.0, "name": row.name }));
    // Before there is a session it is the user who acts.
    let nobody = uow.scope().principal().is_none();
    let record = if nobody { record.actor(id.uuid()) } else { record };
    uow.audit(match change {
        Change::Copied => record.outcome(Outcome::Denied),
        Change::Added | Change::Removed => record,
    });
    let data = json!({
        "display_name": user.display_name,
        "change": change.mail(),
        "name": row.name,
        "changed_at": uow.now(),
    });
    let mail = Mail::new("auth.passkey_changed", user.email.clone(), &data);
    uow.job(mail.locale(user.locale.clone()).into_job());
}
