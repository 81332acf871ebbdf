//! Password change with the current one, and reset by a mailed link.

use std::time::Duration;

use serde_json::json;
use troupe_actors::Scope;
use troupe_database::UnitOfWork;
use troupe_identity_messages::{FindUserByEmail, GetUser, MarkEmailVerified, User, UserStatus};
use troupe_kernel::Mail;
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::{SessionId, UserId};
use troupe_kernel::invalidation::{RevokeSession, RevokeSubject};

use super::accounts::{Accounts, owner_of};
use super::guard::{self, Parties};
use super::proof::{self, Claim};
use super::sessions::ending::end_sessions;
use crate::error;
use crate::events::{self, AccountEvent};
use crate::messages::{ChangePassword, ConfirmPasswordReset, DiscardResets, RequestPasswordReset};
use crate::repository::one_time::{self, OneTimeRow, Purpose};
use crate::repository::sessions::Whose;
use crate::repository::{ceremonies, challenges, credentials};
use crate::secret::{digest, new_token};

const HOUR: Duration = Duration::from_secs(3_600);

impl Accounts {
    pub(super) async fn change_password(
        &self,
        request: &ChangePassword,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let user = self.desk.identity.ask(scope, GetUser { id: request.user }).await?;
        let parties = Parties::new(&user.email, scope);
        let password = &request.current_password;
        let claim = Claim { user: user.id, password, action: "auth.password.change" };
        proof::check(&self.desk, scope, &parties, claim).await?;
        let owner = owner_of(&user);
        let hash = self.accepted(&request.new_password, owner, "/new_password", scope).await?;
        let whose = request
            .session
            .map_or(Whose::User(user.id), |session| Whose::UserBut(user.id, session));
        let ended = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let change = Change { user, hash, event: events::PASSWORD_CHANGED };
                replace_password(uow, &change, &parties).await?;
                Ok(end_sessions(uow, whose, "password_changed").await?)
            })
            .await?;
        self.forget_sessions(ended, scope).await
    }

    async fn forget_sessions(&self, ended: Vec<SessionId>, scope: &Scope) -> Result<(), Failure> {
        for session in ended {
            let ended = RevokeSession { session: session.uuid() };
            self.desk.invalidations.publish(scope, ended).await?;
        }
        Ok(())
    }

    /// Mails a link. The caller has its answer already; nothing here reaches it.
    pub(super) async fn request_reset(
        &self,
        request: &RequestPasswordReset,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let query = FindUserByEmail { email: request.email.clone() };
        let Some(user) = self.desk.identity.ask(scope, query).await? else { return Ok(()) };
        if user.status != UserStatus::Active {
            return Ok(());
        }
        let token = new_token()?;
        let link = self.desk.config.link(&format!("/reset-password#token={}", token.expose()));
        let links = self.desk.config.links.clone();
        let hash = digest(token.expose());
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                let made = one_time::count_since(
                    uow.conn(),
                    Purpose::PasswordReset,
                    user.id,
                    now.minus(HOUR),
                )
                .await?;
                if made >= i64::from(links.password_resets_per_hour) {
                    return Ok(());
                }
                let expires_at = now.plus(links.password_reset);
                let row =
                    OneTimeRow::new(Purpose::PasswordReset, &hash, user.id, (now, expires_at));
                one_time::insert(uow.conn(), &row).await?;
                let data = json!({
                    "display_name": user.display_name,
                    "link": link,
                    "expires_at": expires_at,
                });
                let mail = Mail::new("auth.password_reset", user.email, &data);
                uow.job(mail.locale(user.locale).into_job());
                let resource = format!("user/{}", user.id);
                uow.audit(AuditRecord::new(uow.scope(), "auth.password.reset_request", resource));
                Ok(())
            })
            .await
    }

    pub(super) async fn confirm_reset(
        &self,
        request: &ConfirmPasswordReset,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let hash = digest(request.token.expose());
        let now = self.desk.now();
        let row = self
            .desk
            .db
            .read(async move |conn| {
                Ok(one_time::find_usable(conn, Purpose::PasswordReset, &hash, now).await?)
            })
            .await?
            .ok_or_else(error::reset_refused)?;
        let user = self.desk.identity.ask(scope, GetUser { id: row.user() }).await?;
        if user.status != UserStatus::Active {
            return Err(error::reset_refused());
        }
        let owner = owner_of(&user);
        let password = self.accepted(&request.new_password, owner, "/new_password", scope).await?;
        self.finish_reset(row, user.clone(), password, scope).await?;
        self.prove_address(&user, scope).await;
        let subject = user.id.uuid();
        self.desk.invalidations.publish(scope, RevokeSubject { subject }).await
    }

    /// Ends the open links of a user, which lie in the mailbox of an address that was replaced.
    pub(super) async fn discard_resets(
        &self,
        request: &DiscardResets,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let user = request.user;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                one_time::discard(uow.conn(), Purpose::PasswordReset, Some(user)).await?;
                Ok(())
            })
            .await
    }

    async fn finish_reset(
        &self,
        row: OneTimeRow,
        user: User,
        hash: String,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let parties = Parties::new(&user.email, scope);
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                if !one_time::consume(uow.conn(), &row.token_hash, now).await? {
                    return Err(error::reset_refused());
                }
                let id = user.id;
                let change = Change { user, hash, event: events::PASSWORD_RESET };
                replace_password(uow, &change, &parties).await?;
                end_sessions(uow, Whose::User(id), "password_reset").await?;
                Ok(())
            })
            .await
    }

    /// Whoever opened the mailed link holds the address. The password is set by now, so a failure
    /// here only leaves the address unproven.
    async fn prove_address(&self, user: &User, scope: &Scope) {
        if user.email_verified_at.is_some() {
            return;
        }
        let proof = MarkEmailVerified { id: user.id, email: user.email.clone() };
        if let Err(failure) = self.desk.identity.ask(scope, proof).await {
            tracing::warn!(user = %user.id, %failure, "a proven address was not recorded");
        }
    }
}

struct Change {
    user: User,
    hash: String,
    event: &'static str,
}

async fn replace_password(
    uow: &mut UnitOfWork,
    change: &Change,
    parties: &Parties,
) -> Result<(), Failure> {
    let (now, user) = (uow.now(), change.user.id);
    credentials::put(uow.conn(), user, &change.hash, now).await?;
    // A link that was mailed before must not undo the change.
    one_time::discard(uow.conn(), Purpose::PasswordReset, Some(user)).await?;
    // Nor must a login finish that began with the password before.
    challenges::discard(uow.conn(), user, 0).await?;
    // Nor a passkey be made that was asked for with it.
    ceremonies::discard(uow.conn(), user, 0).await?;
    guard::succeeded(uow, parties).await?;
    uow.event(Event::new(change.event, user, &AccountEvent { user }));
    let record = AuditRecord::new(uow.scope(), change.event, resource_of(user));
    uow.audit(record.actor(user.uuid()));
    let data = json!({ "display_name": change.user.display_name, "changed_at": now });
    let mail = Mail::new("auth.password_changed", change.user.email.clone(), &data);
    uow.job(mail.locale(change.user.locale.clone()).into_job());
    Ok(())
}

fn resource_of(user: UserId) -> String {
    format!("user/{user}")
}
