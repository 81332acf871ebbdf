//! Ends sessions and keys, and answers only after every cache has forgotten them.

use troupe_actors::Scope;
use troupe_database::{DbResult, UnitOfWork};
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::{SessionId, TenantId, UserId};
use troupe_kernel::invalidation::{RevokeSession as Forget, RevokeSubject};
use uuid::Uuid;

use super::Sessions;
use crate::authenticator::API_KEY_KEPT;
use crate::error;
use crate::events::{self, SessionEvent};
use crate::messages::{EndMembership, EndTenant, EndUser, Logout, LogoutEverywhere, RevokeSession};
use crate::repository::sessions::{self, Ending, Whose};
use crate::repository::{
    api_keys, ceremonies, challenges, credentials, identities, one_time, passkeys, recovery_codes,
    totp,
};

impl Sessions {
    pub(super) async fn revoke(
        &self,
        request: &RevokeSession,
        scope: &Scope,
    ) -> Result<(), Failure> {
        if self.end_own(request.user, request.session, "revoked", scope).await? {
            Ok(())
        } else {
            Err(error::session_not_found())
        }
    }

    pub(super) async fn logout(&self, request: &Logout, scope: &Scope) -> Result<(), Failure> {
        self.end_own(request.user, request.session, "logout", scope).await.map(|_| ())
    }

    /// Ends a session if it is the user's; answers whether it was and had not ended.
    async fn end_own(
        &self,
        user: UserId,
        session: SessionId,
        reason: &'static str,
        scope: &Scope,
    ) -> Result<bool, Failure> {
        let ended = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let found = sessions::find(uow.conn(), session).await?;
                if found.is_none_or(|row| row.user_id.0 != user.uuid()) {
                    return Ok(false);
                }
                let ending = Ending { at: uow.now(), reason };
                let ended = sessions::end(uow.conn(), session, ending).await?.is_some();
                if ended {
                    note_end(uow, user, session, reason);
                    let resource = format!("session/{session}");
                    uow.audit(AuditRecord::new(uow.scope(), "auth.session.end", resource));
                }
                Ok(ended)
            })
            .await?;
        // Also when it had ended before: the caller relies on it being forgotten everywhere.
        self.desk.invalidations.publish(scope, Forget { session: session.uuid() }).await?;
        Ok(ended)
    }

    pub(super) async fn logout_everywhere(
        &self,
        request: &LogoutEverywhere,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let user = request.user;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let ended = end_sessions(uow, Whose::User(user), "logout_everywhere").await?;
                uow.audit(
                    AuditRecord::new(uow.scope(), "auth.session.end_all", format!("user/{user}"))
                        .detail(serde_json::json!({ "sessions": ended.len() })),
                );
                Ok(())
            })
            .await?;
        self.forget_subject(user, scope).await
    }

    pub(super) async fn end_user(&self, request: &EndUser, scope: &Scope) -> Result<(), Failure> {
        let EndUser { user, erase } = *request;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                end_sessions(uow, Whose::User(user), "user_ended").await?;
                api_keys::revoke_all(uow.conn(), Some(user), None, now).await?;
                one_time::discard(uow.conn(), one_time::Purpose::PasswordReset, Some(user)).await?;
                challenges::discard(uow.conn(), user, 0).await?;
                ceremonies::discard(uow.conn(), user, 0).await?;
                if erase {
                    sessions::erase(uow.conn(), user).await?;
                    credentials::remove(uow.conn(), user).await?;
                    totp::remove(uow.conn(), user).await?;
                    passkeys::erase(uow.conn(), user).await?;
                    recovery_codes::remove(uow.conn(), user).await?;
                    identities::erase(uow.conn(), user).await?;
                }
                Ok(())
            })
            .await?;
        self.forget_subject(user, scope).await
    }

    pub(super) async fn end_membership(
        &self,
        request: &EndMembership,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let EndMembership { user, organisation } = *request;
        let whose = Whose::Member(user, organisation);
        let ended = self.end_in_tenant(whose, Some(user), organisation, scope).await?;
        self.forget(ended, scope).await?;
        // Tokens of this tenant may come from a session that has moved on to another one.
        self.forget_subject(user, scope).await
    }

    pub(super) async fn end_tenant(
        &self,
        request: &EndTenant,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let organisation = request.organisation;
        let whose = Whose::Tenant(organisation);
        self.end_in_tenant(whose, None, organisation, scope).await?;
        // What ended before as well: this may be the second try after one that not every cache heard
        // of. No cache keeps what ended longer ago than an access token lives.
        let kept = self.desk.config.tokens.access.max(API_KEY_KEPT);
        let since = self.desk.now().minus(kept);
        let ended = self
            .desk
            .db
            .read(async move |conn| {
                let sessions = sessions::ended_since(conn, organisation, since).await?;
                let keys = api_keys::revoked_since(conn, organisation, since).await?;
                let keys = keys.into_iter().map(Uuid::from);
                Ok(sessions.into_iter().map(SessionId::uuid).chain(keys).collect::<Vec<_>>())
            })
            .await?;
        self.forget(ended, scope).await
    }

    async fn end_in_tenant(
        &self,
        whose: Whose,
        user: Option<UserId>,
        tenant: TenantId,
        scope: &Scope,
    ) -> Result<Vec<Uuid>, Failure> {
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                let sessions = end_sessions(uow, whose, "membership_ended").await?;
                let keys = api_keys::revoke_all(uow.conn(), user, Some(tenant), now).await?;
                Ok(sessions
                    .into_iter()
                    .map(SessionId::uuid)
                    .chain(keys.into_iter().map(Uuid::from))
                    .collect())
            })
            .await
    }

    async fn forget(&self, ended: Vec<Uuid>, scope: &Scope) -> Result<(), Failure> {
        for session in ended {
            self.desk.invalidations.publish(scope, Forget { session }).await?;
        }
        Ok(())
    }

    async fn forget_subject(&self, user: UserId, scope: &Scope) -> Result<(), Failure> {
        self.desk.invalidations.publish(scope, RevokeSubject { subject: user.uuid() }).await
    }
}

/// Ends sessions with their events; answers which.
pub(in crate::service) async fn end_sessions(
    uow: &mut UnitOfWork,
    whose: Whose,
    reason: &str,
) -> DbResult<Vec<SessionId>> {
    let ending = Ending { at: uow.now(), reason };
    let ended = sessions::end_all(uow.conn(), whose, ending).await?;
    for (session, user) in &ended {
        note_end(uow, *user, *session, reason);
    }
    Ok(ended.into_iter().map(|(session, _)| session).collect())
}

fn note_end(uow: &mut UnitOfWork, user: UserId, session: SessionId, reason: &str) {
    let event = SessionEvent { user, session, reason: Some(reason.to_owned()) };
    uow.event(Event::new(events::SESSION_ENDED, user, &event));
}
