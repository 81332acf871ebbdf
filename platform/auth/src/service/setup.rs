//! The set-up of a new platform: a one-time link makes the first administrator.
//!
//! The ids of the administrator and the first organisation are chosen with the token, so that a
//! set-up that was interrupted continues with the same ones instead of leaving halves behind.

use troupe_actors::{FailureKind, Scope};
use troupe_authz_messages::{Grant, ROLE_ADMINISTRATOR};
use troupe_database::{DbUuid, UnitOfWork};
use troupe_identity_messages::{CreateOrganisation, CreateUser, GetUser, Organisation};
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::{TenantId, UserId};

use super::accounts::Accounts;
use super::as_platform;
use crate::error;
use crate::events::{self, AccountEvent};
use crate::messages::{CompleteSetup, CreatedAccount, SetupLink, SetupState};
use crate::password::rule::Owner;
use crate::repository::credentials;
use crate::repository::one_time::{self, OneTimeRow, Purpose};
use crate::secret::{digest, new_token};

impl Accounts {
    pub(super) async fn setup_state(&self) -> Result<SetupState, Failure> {
        let any = self.desk.db.read(async |conn| Ok(credentials::any(conn).await?)).await?;
        Ok(SetupState { needed: !any })
    }

    /// A link when nobody has an account. Several nodes may each print one; they end together.
    pub(super) async fn prepare_setup(&self, scope: &Scope) -> Result<Option<SetupLink>, Failure> {
        if !self.setup_state().await?.needed {
            return Ok(None);
        }
        let last = self.desk.db.read(async |conn| Ok(one_time::last_setup(conn).await?)).await?;
        let ids = last.and_then(|row| Some((row.user(), row.tenant()?)));
        self.new_link(ids, scope).await.map(Some)
    }

    /// A link with new ids, whether there are accounts or not; earlier links end.
    pub(super) async fn reset_setup(&self, scope: &Scope) -> Result<SetupLink, Failure> {
        self.desk
            .db
            .transaction(scope, async |uow: &mut UnitOfWork| {
                one_time::discard(uow.conn(), Purpose::Setup, None).await?;
                uow.audit(AuditRecord::new(uow.scope(), "auth.setup.reset", "platform"));
                Ok(())
            })
            .await?;
        self.new_link(None, scope).await
    }

    async fn new_link(
        &self,
        ids: Option<(UserId, TenantId)>,
        scope: &Scope,
    ) -> Result<SetupLink, Failure> {
        let token = new_token()?;
        let hash = digest(token.expose());
        let lifetime = self.desk.config.links.setup;
        let expires_at = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let (user, tenant) = ids.unwrap_or_else(|| (uow.new_id(), uow.new_id()));
                let expires_at = uow.now().plus(lifetime);
                let times = (uow.now(), expires_at);
                let row = OneTimeRow {
                    tenant_id: Some(DbUuid::of(tenant)),
                    ..OneTimeRow::new(Purpose::Setup, &hash, user, times)
                };
                one_time::insert(uow.conn(), &row).await?;
                Ok(expires_at)
            })
            .await?;
        Ok(SetupLink { token, expires_at })
    }

    pub(super) async fn complete_setup(
        &self,
        request: &CompleteSetup,
        scope: &Scope,
    ) -> Result<CreatedAccount, Failure> {
        let hash = digest(request.token.expose());
        let now = self.desk.now();
        let row = self
            .desk
            .db
            .read(async move |conn| {
                Ok(one_time::find_usable(conn, Purpose::Setup, &hash, now).await?)
            })
            .await?
            .ok_or_else(error::setup_refused)?;
        let owner = Owner { email: &request.email, display_name: &request.display_name };
        let password = self.accepted(&request.password, owner, "/password", scope).await?;
        let organisation = self.make_administrator(request, &row, scope).await?;
        self.finish_setup(row, password, scope).await?;
        Ok(CreatedAccount {
            user: organisation.owner,
            organisation: Some(organisation.made.id),
            slug: Some(organisation.made.slug),
            verification_sent: false,
        })
    }

    /// The steps in other services; each is the same when it is repeated.
    async fn make_administrator(
        &self,
        request: &CompleteSetup,
        row: &OneTimeRow,
        scope: &Scope,
    ) -> Result<FirstOrganisation, Failure> {
        let scope = as_platform(scope, "auth.setup");
        let user = CreateUser {
            id: row.user(),
            email: request.email.clone(),
            display_name: request.display_name.clone(),
            locale: None,
            time_zone: None,
            email_verified: true,
        };
        let user = match self.desk.identity.ask(&scope, user).await {
            Ok(user) => user,
            Err(failure) => return Err(self.explained(failure, row, &scope).await),
        };
        let organisation = CreateOrganisation {
            id: row.tenant().ok_or_else(error::setup_refused)?,
            slug: None,
            name: request.organisation.clone(),
            owner: user.id,
        };
        let made = self.desk.identity.ask(&scope, organisation).await?;
        let grant = Grant {
            subject: user.id.uuid(),
            tenant: None,
            role: ROLE_ADMINISTRATOR.to_owned(),
            condition: None,
            expires_at: None,
        };
        match self.desk.authz.ask(&scope, grant).await {
            Err(failure) if failure.code() != "authz.grant.exists" => Err(failure),
            _ => Ok(FirstOrganisation { owner: user.id, made }),
        }
    }

    /// An interrupted set-up may have made its user under another address.
    async fn explained(&self, failure: Failure, row: &OneTimeRow, scope: &Scope) -> Failure {
        if failure.kind() != FailureKind::Conflict {
            return failure;
        }
        match self.desk.identity.ask(scope, GetUser { id: row.user() }).await {
            Ok(begun) => error::setup_begun(&begun.email),
            Err(_) => failure,
        }
    }

    async fn finish_setup(
        &self,
        row: OneTimeRow,
        password: String,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let user = row.user();
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                if !one_time::consume(uow.conn(), &row.token_hash, now).await? {
                    return Err(error::setup_refused());
                }
                one_time::discard(uow.conn(), Purpose::Setup, None).await?;
                credentials::put(uow.conn(), user, &password, now).await?;
                uow.event(Event::new(events::SETUP_COMPLETED, user, &AccountEvent { user }));
                let record = AuditRecord::new(uow.scope(), "auth.setup", format!("user/{user}"));
                uow.audit(record.actor(user.uuid()));
                Ok(())
            })
            .await
    }
}

struct FirstOrganisation {
    owner: UserId,
    made: Organisation,
}

/// Whether a failure says that the request itself is wrong, so that another try needs a change.
pub(super) fn is_lasting(failure: &Failure) -> bool {
    matches!(failure.kind(), FailureKind::Invalid | FailureKind::Conflict | FailureKind::Forbidden)
}
