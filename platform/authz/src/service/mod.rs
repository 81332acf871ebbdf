//! The actors of this module.
//!
//! | actor | mailbox | restart | a crash loses |
//! |---|---|---|---|
//! | [`Decisions`], sharded by subject | 4096 | permanent | what it remembers, which is read again; the batch in hand fails its askers |
//! | [`Roles`], a pool | 1024 | permanent | nothing: each command is one transaction |
//! | [`Expiry`], single | 64 | permanent | nothing: it looks again when it starts |

mod bindings;
mod decisions;
mod expiry;
mod rights;
mod roles;
mod spread;

use std::sync::Arc;

use troupe_actors::{Context, Handled, Lent, Service, Shards};
use troupe_authz_messages::{AuthzMessage, DecisionMessage};
use troupe_database::{Commanded, Db};
use troupe_kernel::ports::AuditLog;

pub use decisions::{Decisions, DecisionsSetup};
pub use expiry::{Expiry, ExpirySetup};
pub use spread::Spread;

use crate::engine::SharedEngine;

/// What the pool of commands works with.
#[derive(Clone)]
pub struct RolesSetup {
    /// The database.
    pub db: Db,
    /// What the modules registered.
    pub engine: SharedEngine,
    /// Who is told of changes.
    pub spread: Spread,
    /// Who explains.
    pub decisions: Shards<DecisionMessage>,
    /// Keeps refusals; none in tests of this module alone.
    pub audit: Option<Arc<dyn AuditLog>>,
}

/// Answers commands and queries on roles and bindings.
pub struct Roles {
    setup: RolesSetup,
}

impl Roles {
    /// One worker of the pool.
    #[must_use]
    pub fn new(setup: RolesSetup) -> Self {
        Self { setup }
    }
}

impl Service for Roles {
    type Message = AuthzMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<AuthzMessage>,
        ctx: &mut Context<AuthzMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        let setup = &self.setup;
        match &**message {
            AuthzMessage::ListPermissions(query) => {
                let permissions = setup.engine.get()?.permissions();
                ctx.reply(query, permissions)
            }
            AuthzMessage::ListOwnPermissions(query) => {
                let own = roles::list_own_permissions(setup, &scope).await?;
                ctx.reply(query, own)
            }
            AuthzMessage::CompilePermissions(query) => {
                let set = roles::compile_permissions(setup, query)?;
                ctx.reply(query, set)
            }
            AuthzMessage::ListRoles(query) => {
                let found = roles::list(setup, query).await?;
                ctx.reply(query, found)
            }
            AuthzMessage::GetRole(query) => {
                let role = roles::get(setup, query).await?;
                ctx.reply(query, role)
            }
            AuthzMessage::CreateRole(command) => {
                let done = roles::create(setup, &scope, command).await?;
                let role = settled(ctx, done);
                ctx.reply(command, role)
            }
            AuthzMessage::UpdateRole(command) => {
                let done = roles::update(setup, &scope, command).await?;
                let role = settled(ctx, done);
                ctx.reply(command, role)
            }
            AuthzMessage::DeleteRole(command) => {
                let done = roles::delete(setup, &scope, command).await?;
                settled(ctx, done);
                ctx.reply(command, ())
            }
            AuthzMessage::Grant(command) => {
                let done = bindings::grant(setup, &scope, command).await?;
                let binding = settled(ctx, done);
                ctx.reply(command, binding)
            }
            AuthzMessage::Revoke(command) => {
                let done = bindings::revoke(setup, &scope, command).await?;
                settled(ctx, done);
                ctx.reply(command, ())
            }
            AuthzMessage::GetBinding(query) => {
                let binding = bindings::get(setup, query).await?;
                ctx.reply(query, binding)
            }
            AuthzMessage::ListBindings(query) => {
                let page = bindings::list(setup, query).await?;
                ctx.reply(query, page)
            }
            AuthzMessage::SetMemberRole(command) => {
                bindings::set_member_role(setup, &scope, command).await?;
                ctx.reply(command, ())
            }
            AuthzMessage::CheckAssignable(query) => {
                bindings::check_assignable(setup, &scope, query).await?;
                ctx.reply(query, ())
            }
            AuthzMessage::ForgetSubject(command) => {
                bindings::forget_subject(setup, &scope, command).await?;
                ctx.reply(command, ())
            }
            AuthzMessage::HasAdministrator(query) => {
                let has = bindings::has_administrator(setup).await?;
                ctx.reply(query, has)
            }
            AuthzMessage::ExplainDecision(query) => {
                let question = query.question.clone();
                ctx.forward(setup.decisions.by(&question.subject), question)
            }
        }
    }
}

/// Takes the reply out and tells the asker when it is a stored one.
fn settled<R>(ctx: &mut Context<AuthzMessage>, done: Commanded<R>) -> R {
    if done.replayed {
        ctx.amend(|origin| origin.trailers.replayed = true);
    }
    done.value
}
