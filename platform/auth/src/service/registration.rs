//! Registration, and accounts made from the command line.
//!
//! The password is stored before the account is made: when the second step fails the first is
//! undone, and a password without an account opens nothing. The other order could leave an account
//! that nobody can log in to.

use troupe_actors::Scope;
use troupe_database::UnitOfWork;
use troupe_identity_messages::{CreateOrganisation, CreateUser, User};
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::{TenantId, UserId};

use super::accounts::Accounts;
use super::setup::is_lasting;
use super::{as_platform, unrepeated};
use crate::config::Registration;
use crate::error;
use crate::events::{self, AccountEvent};
use crate::messages::{AdminCreateUser, CreatedAccount, Register};
use crate::password::rule::Owner;
use crate::repository::credentials;
use crate::secret::SecretText;

/// An account to be made.
struct NewAccount<'a> {
    email: &'a str,
    display_name: &'a str,
    locale: Option<String>,
    password: Option<&'a SecretText>,
    organisation: Option<&'a str>,
    verified: bool,
}

impl Accounts {
    pub(super) async fn register(
        &self,
        request: &Register,
        scope: &Scope,
    ) -> Result<CreatedAccount, Failure> {
        if self.desk.config.registration == Registration::Closed {
            return Err(error::registration_closed());
        }
        if self.setup_state().await?.needed {
            return Err(error::setup_needed());
        }
        let new = NewAccount {
            email: &request.email,
            display_name: &request.display_name,
            locale: request.locale.clone(),
            password: Some(&request.password),
            organisation: request.organisation.as_deref(),
            verified: false,
        };
        let created = self.make_account(new, &unrepeated(scope)).await?;
        // The account exists by now: a failure to note it must not read like a refusal.
        if let Err(failure) = self.note_registration(created.user, scope).await {
            tracing::error!(user = %created.user, %failure, "a registration was not noted");
        }
        Ok(created)
    }

    pub(super) async fn admin_create(
        &self,
        request: &AdminCreateUser,
        scope: &Scope,
    ) -> Result<CreatedAccount, Failure> {
        let new = NewAccount {
            email: &request.email,
            display_name: &request.display_name,
            locale: None,
            password: request.password.as_ref(),
            organisation: request.organisation.as_deref(),
            verified: true,
        };
        self.make_account(new, &as_platform(scope, "auth.admin")).await
    }

    async fn make_account(
        &self,
        new: NewAccount<'_>,
        scope: &Scope,
    ) -> Result<CreatedAccount, Failure> {
        let user = UserId::new(&*self.desk.clock);
        if let Some(password) = new.password {
            let owner = Owner { email: new.email, display_name: new.display_name };
            let hash = self.accepted(password, owner, "/password", scope).await?;
            self.store_password(user, hash, scope).await?;
        }
        let request = CreateUser {
            id: user,
            email: new.email.to_owned(),
            display_name: new.display_name.to_owned(),
            locale: new.locale,
            time_zone: None,
            email_verified: new.verified,
        };
        let made = match self.desk.identity.ask(scope, request).await {
            Ok(made) => made,
            Err(failure) => {
                self.withdraw_password(user, &failure, scope).await;
                return Err(failure);
            }
        };
        let organisation = match new.organisation {
            Some(name) => self.first_organisation(&made, name, scope).await,
            None => None,
        };
        let (organisation, slug) = organisation.unzip();
        Ok(CreatedAccount {
            user: made.id,
            organisation,
            slug,
            verification_sent: made.email_verified_at.is_none(),
        })
    }

    async fn store_password(
        &self,
        user: UserId,
        hash: String,
        scope: &Scope,
    ) -> Result<(), Failure> {
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                Ok(credentials::put(uow.conn(), user, &hash, now).await?)
            })
            .await
    }

    /// Removes the password of an account that was not made. After a failure that leaves open
    /// whether it was made the password stays: without an account it opens nothing.
    async fn withdraw_password(&self, user: UserId, cause: &Failure, scope: &Scope) {
        if !is_lasting(cause) {
            return;
        }
        let removed = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                Ok(credentials::remove(uow.conn(), user).await?)
            })
            .await;
        if let Err(failure) = removed {
            tracing::warn!(%user, %failure, "the password of an account that was not made is left over");
        }
    }

    /// The user's first organisation. The account exists by now, so a failure leaves it without
    /// one; its owner makes one after the login.
    async fn first_organisation(
        &self,
        user: &User,
        name: &str,
        scope: &Scope,
    ) -> Option<(TenantId, String)> {
        let request = CreateOrganisation {
            id: TenantId::new(&*self.desk.clock),
            slug: None,
            name: name.to_owned(),
            owner: user.id,
        };
        match self.desk.identity.ask(scope, request).await {
            Ok(made) => Some((made.id, made.slug)),
            Err(failure) => {
                tracing::warn!(user = %user.id, %failure, "a new account is without its organisation");
                None
            }
        }
    }

    async fn note_registration(&self, user: UserId, scope: &Scope) -> Result<(), Failure> {
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                uow.event(Event::new(events::ACCOUNT_REGISTERED, user, &AccountEvent { user }));
                let record = AuditRecord::new(uow.scope(), "auth.register", format!("user/{user}"));
                uow.audit(record.actor(user.uuid()));
                Ok(())
            })
            .await
    }
}
