//! What becomes of a browser that comes back: a session, a new account, or a linked identity.
//!
//! Who is known by issuer and subject logs in. Who is not gets linked to the account with the same
//! address only when provider and platform have both proven it: an address that the platform has
//! not proven may have been registered by somebody who waits for its owner to come. A new account's
//! identity is stored before the account is made, so that a crash between leaves nothing that opens
//! anything, and the next try goes on with the same id.

use troupe_actors::{FailureKind, Scope};
use troupe_database::{DbTimestamp, DbUuid, UnitOfWork};
use troupe_identity_messages::{CreateUser, FindUserByEmail, GetUser, User, UserStatus};
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::UserId;

use super::OidcWorker;
use crate::config::{LinkRule, Registration};
use crate::error;
use crate::events::{self, AccountEvent};
use crate::messages::{Arrival, ExternalIdentity, FinishSignIn, StartSession};
use crate::oidc::binding::Binding;
use crate::oidc::provider::Proven;
use crate::repository::credentials;
use crate::repository::flows::{self, FlowRow};
use crate::repository::identities::{self, IdentityRow};
use crate::secret::digests_equal;
use crate::service::as_platform;
use crate::service::identities::{Change, note};
use crate::service::setup::is_lasting;

impl OidcWorker {
    pub(super) async fn finish(
        &self,
        request: &FinishSignIn,
        scope: &Scope,
    ) -> Result<Arrival, Failure> {
        let (flow, binding) = self.flow(request, scope).await?;
        let name = self.provider.name();
        let Some(code) = &request.code else {
            let error = request.error.as_deref().unwrap_or("no code");
            let error: String = error.chars().filter(char::is_ascii_graphic).take(64).collect();
            tracing::info!(provider = %name, error, "a provider sent a browser back without a code");
            return Err(error::provider_denied(name));
        };
        let issuer = &self.provider.config().issuer;
        if request.issuer.as_ref().is_some_and(|answering| answering != issuer) {
            return Err(error::provider_refused(name));
        }
        let proven = self.provider.arrival(&binding, code).await?;
        match flow.link_user {
            Some(user) => Ok(Arrival::Linked(self.link(user.to(), &proven, scope).await?)),
            None => self.sign_in(&flow, &proven, request.device.clone(), scope).await,
        }
    }

    /// The sign-in that this browser began, which is spent now.
    async fn flow(
        &self,
        request: &FinishSignIn,
        scope: &Scope,
    ) -> Result<(FlowRow, Binding), Failure> {
        let cookies = request.cookies.as_ref().map_or("", |cookies| cookies.expose());
        let binding = Binding::found(&request.state, cookies, self.is_secure())
            .ok_or_else(error::sign_in_refused)?;
        let (hash, browser) = (binding.state_hash(), binding.browser_hash());
        let provider = self.provider.name().to_owned();
        let flow = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                let flow = flows::find_usable(uow.conn(), &hash, now).await?;
                // Another browser must not even spend it.
                let flow = flow
                    .filter(|flow| digests_equal(&flow.browser_hash, &browser))
                    .filter(|flow| flow.provider == provider)
                    .ok_or_else(error::sign_in_refused)?;
                if !flows::consume(uow.conn(), &hash, now).await? {
                    return Err(error::sign_in_refused());
                }
                Ok(flow)
            })
            .await?;
        Ok((flow, binding))
    }

    async fn sign_in(
        &self,
        flow: &FlowRow,
        proven: &Proven,
        device: Option<String>,
        scope: &Scope,
    ) -> Result<Arrival, Failure> {
        let user = self.account(proven, scope).await?;
        if user.status != UserStatus::Active {
            return Err(error::suspended());
        }
        let start = StartSession {
            user: user.id,
            email: user.email,
            first_factor: format!("oidc:{}", self.provider.name()),
            organisation: flow.tenant_id.map(DbUuid::to),
            device,
        };
        Ok(self.proofs.login.ask(scope, start).await?.into())
    }

    /// The account of somebody, made if need be.
    async fn account(&self, proven: &Proven, scope: &Scope) -> Result<User, Failure> {
        let (issuer, subject) = (proven.issuer.clone(), proven.subject.clone());
        let known = self
            .desk
            .db
            .read(async move |conn| Ok(identities::find(conn, &issuer, &subject).await?))
            .await?;
        if let Some(identity) = known {
            return match self.desk.identity.ask(scope, GetUser { id: identity.user() }).await {
                Ok(user) => {
                    self.note_use(&identity, proven, scope).await?;
                    Ok(user)
                }
                // Its account was never finished, see above.
                Err(failure) if failure.kind() == FailureKind::NotFound => {
                    self.make_account(identity, proven, scope).await
                }
                Err(failure) => Err(failure),
            };
        }
        let email = proven.email.clone().filter(|_| proven.email_verified);
        let email = email.ok_or_else(error::identity_unproven)?;
        let query = FindUserByEmail { email };
        match self.desk.identity.ask(scope, query).await? {
            Some(user) => {
                let rule = self.provider.config().link;
                if user.status != UserStatus::Active {
                    return Err(error::suspended());
                }
                if rule == LinkRule::Explicit || user.email_verified_at.is_none() {
                    return Err(error::identity_unlinked());
                }
                self.store(&user, proven, scope).await?;
                Ok(user)
            }
            None => {
                let reserved = self.reserve(proven, scope).await?;
                self.make_account(reserved, proven, scope).await
            }
        }
    }

    async fn note_use(
        &self,
        identity: &IdentityRow,
        proven: &Proven,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let (id, email) = (identity.id.to(), proven.email.clone());
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                Ok(identities::used(uow.conn(), id, email.as_deref(), now).await?)
            })
            .await
    }

    fn row(&self, user: UserId, proven: &Proven) -> IdentityRow {
        let now = self.desk.now();
        IdentityRow {
            id: DbUuid::from(troupe_kernel::new_id(&*self.desk.clock)),
            user_id: DbUuid::of(user),
            issuer: proven.issuer.clone(),
            subject: proven.subject.clone(),
            provider: self.provider.name().to_owned(),
            email: proven.email.clone(),
            created_at: DbTimestamp(now),
            last_used_at: Some(DbTimestamp(now)),
        }
    }

    /// Stores the identity of a user who has none at this provider yet.
    async fn store(
        &self,
        user: &User,
        proven: &Proven,
        scope: &Scope,
    ) -> Result<IdentityRow, Failure> {
        let (row, user) = (self.row(user.id, proven), user.clone());
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                if !identities::insert(uow.conn(), &row).await? {
                    return Err(error::identity_taken());
                }
                note(uow, &user, &row, Change::Linked);
                Ok(row)
            })
            .await
    }

    /// Stores the identity of an account that is made next; of two at once the first counts.
    async fn reserve(&self, proven: &Proven, scope: &Scope) -> Result<IdentityRow, Failure> {
        if self.desk.config.registration == Registration::Closed {
            return Err(error::registration_closed());
        }
        let row = self.row(UserId::new(&*self.desk.clock), proven);
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let conn = uow.conn();
                if !credentials::any(conn).await? {
                    return Err(error::setup_needed());
                }
                if identities::insert(conn, &row).await? {
                    return Ok(row);
                }
                let first = identities::find(conn, &row.issuer, &row.subject).await?;
                first.ok_or_else(error::identity_taken)
            })
            .await
    }

    async fn make_account(
        &self,
        identity: IdentityRow,
        proven: &Proven,
        scope: &Scope,
    ) -> Result<User, Failure> {
        let email = proven.email.clone().filter(|_| proven.email_verified);
        let request = CreateUser {
            id: identity.user(),
            email: email.ok_or_else(error::identity_unproven)?,
            display_name: proven.name.clone().unwrap_or_default(),
            locale: None,
            time_zone: None,
            email_verified: true,
        };
        let made = match self.desk.identity.ask(&as_platform(scope, "auth.oidc"), request).await {
            Ok(user) => user,
            Err(failure) => {
                if is_lasting(&failure) {
                    self.withdraw(&identity, scope).await;
                }
                return Err(failure);
            }
        };
        let user = made.clone();
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let id = user.id;
                uow.event(Event::new(events::ACCOUNT_REGISTERED, id, &AccountEvent { user: id }));
                let record = AuditRecord::new(uow.scope(), "auth.register", format!("user/{id}"));
                uow.audit(record.actor(id.uuid()));
                note(uow, &user, &identity, Change::Linked);
                Ok(())
            })
            .await?;
        Ok(made)
    }

    /// Removes the identity of an account that was not made.
    async fn withdraw(&self, identity: &IdentityRow, scope: &Scope) {
        let id = identity.id.to();
        let removed = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                Ok(identities::remove(uow.conn(), id).await?)
            })
            .await;
        if let Err(failure) = removed {
            tracing::warn!(%id, %failure, "the identity of an account that was not made is left over");
        }
    }

    async fn link(
        &self,
        user: UserId,
        proven: &Proven,
        scope: &Scope,
    ) -> Result<ExternalIdentity, Failure> {
        let user = self.desk.identity.ask(scope, GetUser { id: user }).await?;
        if user.status != UserStatus::Active {
            return Err(error::suspended());
        }
        Ok(self.store(&user, proven, scope).await?.into())
    }
}
