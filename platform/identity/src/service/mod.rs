//! The actors of identity: three pools over the database and the slug cache.
//!
//! | actor | protocol | mailbox | loses in a crash |
//! |---|---|---|---|
//! | `directory` | what other services ask | 2048, pool | the request at hand |
//! | `accounts` | users' accounts | 1024, pool | the request at hand |
//! | `organisations` | organisations, members, invitations | 1024, pool | the request at hand |
//! | `slugs` | slug to organisation, from memory | 4096 | what it remembered |
//!
//! All are restarted always. State is in the database; effects are rows of the same transaction.

mod accounts;
mod deletion;
mod directory;
mod invitations;
mod members;
pub(crate) mod notices;
mod organisations;
mod slugs;
mod standing;
mod users;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{Context, Handled, Request, Scope, ServiceRef};
use troupe_authz_messages::{AuthzMessage, CheckAssignable, SetMemberRole};
use troupe_database::{Commanded, Db};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::{AuditRecord, Failure, Invalidations, Reauthentication, SecretText};

use crate::config::IdentityConfig;
use crate::messages::{ForgetSlugs, SlugMessage};

pub(crate) use accounts::Accounts;
pub(crate) use directory::Directory;
pub(crate) use organisations::Organisations;
pub(crate) use slugs::{SlugLimits, Slugs};

/// What every worker of identity works with.
pub(crate) struct Shared {
    pub(crate) db: Db,
    pub(crate) authz: ServiceRef<AuthzMessage>,
    pub(crate) slugs: ServiceRef<SlugMessage>,
    pub(crate) invalidations: Invalidations,
    pub(crate) reauthentication: Reauthentication,
    pub(crate) config: Arc<IdentityConfig>,
}

/// The role of a member after a change that is committed.
struct MemberRole {
    organisation: TenantId,
    user: UserId,
    role: Option<String>,
    at: Timestamp,
}

impl Shared {
    /// Tells authorization at once what a commit changed. When it cannot be told, the event of the
    /// change brings it; the change itself is done.
    async fn tell_role(&self, scope: &Scope, member: MemberRole) {
        let MemberRole { organisation, user, role, at } = member;
        let told = SetMemberRole { subject: user.uuid(), tenant: organisation, role, at };
        if let Err(failure) = self.authz.ask(scope, told).await {
            tracing::warn!(%organisation, %user, %failure, "authorization learns of a membership by its event only");
        }
    }

    /// Whether the caller may give this role.
    async fn check_assignable(
        &self,
        scope: &Scope,
        tenant: TenantId,
        role: &str,
    ) -> Result<(), Failure> {
        self.authz.ask(scope, CheckAssignable { tenant, role: role.to_owned() }).await
    }

    /// Proves again who calls, and answers the scope for the work.
    ///
    /// That has no idempotency key: with it the fingerprint of the request would be stored, which is a
    /// fast hash of a body that holds a password.
    async fn prove_caller(&self, scope: &Scope, password: &SecretText) -> Result<Scope, Failure> {
        self.reauthentication.reauthenticate(password.clone(), scope).await?;
        let mut scope = scope.clone();
        if scope.idempotency().is_some() {
            scope.origin_mut().idempotency = None;
        }
        Ok(scope)
    }

    /// Makes the slug cache of this node forget. Other nodes hear it by the event.
    async fn forget_slugs(&self, scope: &Scope, slugs: Vec<String>) {
        if let Err(failure) = self.slugs.ask(scope, ForgetSlugs { slugs }).await {
            tracing::warn!(%failure, "a changed slug is remembered until it is too old");
        }
    }
}

/// Answers a command, and tells the asker when the reply is a stored one.
fn answer<Q: Request>(
    ctx: &mut Context<Q::Protocol>,
    command: &Q,
    done: Commanded<Q::Reply>,
) -> Handled {
    if done.replayed {
        ctx.amend(|origin| origin.trailers.replayed = true);
    }
    ctx.reply(command, done.value)
}

/// A record of something a person did to their own account, or the platform did to a user: it
/// belongs to no tenant.
fn user_record(scope: &Scope, action: &str, user: UserId) -> AuditRecord {
    let mut record = AuditRecord::new(scope, action, format!("user:{user}"));
    record.tenant = None;
    if record.actor.is_none() { record.actor(user.uuid()) } else { record }
}

/// A record of something done to an organisation.
fn organisation_record(scope: &Scope, action: &str, organisation: TenantId) -> AuditRecord {
    AuditRecord::new(scope, action, format!("organisation:{organisation}")).tenant(organisation)
}

/// A record of something done to a member of an organisation.
fn member_record(scope: &Scope, action: &str, organisation: TenantId, user: UserId) -> AuditRecord {
    AuditRecord::new(scope, action, format!("user:{user}")).tenant(organisation)
}

/// Messages that may wait for the directory.
pub(crate) const DIRECTORY_CAPACITY: usize = 2048;
/// Messages that may wait for each of the other pools.
pub(crate) const POOL_CAPACITY: usize = 1024;
/// Messages that may wait for the slug cache.
pub(crate) const SLUGS_CAPACITY: usize = 4096;

const DAY: Duration = Duration::from_secs(86_400);
