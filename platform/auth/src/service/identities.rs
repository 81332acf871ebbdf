//! The external identities of an account: list and unlink, and what is told about them.

use serde_json::json;
use troupe_actors::Scope;
use troupe_database::{DbConn, DbResult, UnitOfWork};
use troupe_identity_messages::{GetUser, User};
use troupe_kernel::Mail;
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::UserId;

use super::accounts::Accounts;
use crate::error;
use crate::events::{self, IdentityEvent};
use crate::messages::{ExternalIdentity, ListIdentities, UnlinkIdentity};
use crate::repository::identities::{self, IdentityRow};
use crate::repository::{credentials, passkeys};

impl Accounts {
    pub(super) async fn list_identities(
        &self,
        query: &ListIdentities,
    ) -> Result<Vec<ExternalIdentity>, Failure> {
        let user = query.user;
        let rows =
            self.desk.db.read(async move |conn| Ok(identities::of_user(conn, user).await?)).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    pub(super) async fn unlink(
        &self,
        request: &UnlinkIdentity,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let user = self.desk.identity.ask(scope, GetUser { id: request.user }).await?;
        let id = request.identity;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let own = identities::of_user(uow.conn(), user.id).await?;
                let row = own.iter().find(|row| row.id.0 == id.uuid());
                let row = row.ok_or_else(error::identity_not_found)?;
                if own.len() == 1 && !has_another_way(uow.conn(), user.id).await? {
                    return Err(error::identity_last());
                }
                if !identities::remove(uow.conn(), id).await? {
                    return Err(error::identity_not_found());
                }
                note(uow, &user, row, Change::Unlinked);
                Ok(())
            })
            .await
    }
}

/// Whether a user logs in without an external provider.
async fn has_another_way(conn: &mut DbConn, user: UserId) -> DbResult<bool> {
    if credentials::find(conn, user).await?.is_some() {
        return Ok(true);
    }
    let own = passkeys::of_user(conn, user).await?;
    Ok(own.iter().any(|row| row.copied_at.is_none()))
}

/// What became of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Linked,
    Unlinked,
}

/// Adds the event, the audit record and the mail of a change.
pub(super) fn note(uow: &mut UnitOfWork, user: &User, row: &IdentityRow, change: Change) {
    let (name, told) = match change {
        Change::Linked => (events::IDENTITY_LINKED, "linked"),
        Change::Unlinked => (events::IDENTITY_UNLINKED, "unlinked"),
    };
    let (id, provider) = (user.id, &row.provider);
    let event = IdentityEvent { user: id, identity: row.id.to(), provider: provider.clone() };
    uow.event(Event::new(name, id, &event));
    let record = AuditRecord::new(uow.scope(), name, format!("user/{id}"));
    // Before there is a session it is the user who acts.
    let nobody = uow.scope().principal().is_none();
    let record = if nobody { record.actor(id.uuid()) } else { record };
    uow.audit(record.detail(json!({ "identity": row.id.0, "provider": provider })));
    let data = json!({
        "display_name": user.display_name,
        "change": told,
        "provider": provider,
        "changed_at": uow.now(),
    });
    let mail = Mail::new("auth.identity_changed", user.email.clone(), &data);
    uow.job(mail.locale(user.locale.clone()).into_job());
}
