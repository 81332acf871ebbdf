//! Accounts: set-up, registration, password change and reset.
//!
//! A pool of four over a mailbox of 256. Each request takes several steps in several services;
//! every step is idempotent or undone, so that a crash or a refusal half way leaves nothing that
//! blocks another try. Permanent; a crash loses the request being handled.

use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec, System};
use troupe_identity_messages::User;
use troupe_kernel::error::Failure;

use super::{Desk, unrepeated};
use crate::messages::{AccountMessage, HashPassword};
use crate::password::rule::{self, Owner};
use crate::secret::SecretText;

const WORKERS: usize = 4;
const CAPACITY: usize = 256;

/// One worker of the pool.
pub struct Accounts {
    pub(super) desk: Desk,
}

impl Accounts {
    /// The pool's reference and specification.
    #[must_use]
    pub fn pool(system: &System, desk: &Desk) -> (ServiceRef<AccountMessage>, ChildSpec) {
        let desk = desk.clone();
        Spec::new(system, "accounts", move || Self { desk: desk.clone() })
            .workers(WORKERS)
            .capacity(CAPACITY)
            .build()
    }

    /// The hash of a password that its owner may set; `pointer` is where it stood in the request.
    pub(super) async fn accepted(
        &self,
        password: &SecretText,
        owner: Owner<'_>,
        pointer: &str,
        scope: &Scope,
    ) -> Result<String, Failure> {
        rule::check(password.expose(), owner)
            .map_err(|weakness| rule::refusal(weakness, pointer))?;
        let request = HashPassword { password: password.clone() };
        self.desk.passwords.ask(scope, request).await
    }
}

/// Whose password it is going to be.
pub(super) fn owner_of(user: &User) -> Owner<'_> {
    Owner { email: &user.email, display_name: &user.display_name }
}

impl Service for Accounts {
    type Message = AccountMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<AccountMessage>,
        ctx: &mut Context<AccountMessage>,
    ) -> Handled {
        let scope = unrepeated(ctx.scope());
        match &**message {
            AccountMessage::GetSetupState(query) => {
                let state = self.setup_state().await?;
                ctx.reply(query, state)
            }
            AccountMessage::CompleteSetup(request) => {
                let created = self.complete_setup(request, &scope).await?;
                ctx.reply(request, created)
            }
            AccountMessage::Register(request) => {
                let created = self.register(request, &scope).await?;
                ctx.reply(request, created)
            }
            AccountMessage::ChangePassword(request) => {
                self.change_password(request, &scope).await?;
                ctx.reply(request, ())
            }
            AccountMessage::RequestPasswordReset(request) => {
                // Answered first: the time of the answer must not tell whether there is an account.
                ctx.reply(request, ())?;
                self.request_reset(request, &scope).await
            }
            AccountMessage::ConfirmPasswordReset(request) => {
                self.confirm_reset(request, &scope).await?;
                ctx.reply(request, ())
            }
            AccountMessage::DiscardResets(request) => {
                self.discard_resets(request, &scope).await?;
                ctx.reply(request, ())
            }
            AccountMessage::ListIdentities(query) => {
                let identities = self.list_identities(query).await?;
                ctx.reply(query, identities)
            }
            AccountMessage::UnlinkIdentity(request) => {
                self.unlink(request, &scope).await?;
                ctx.reply(request, ())
            }
            AccountMessage::AdminCreateUser(request) => {
                let created = self.admin_create(request, &scope).await?;
                ctx.reply(request, created)
            }
            AccountMessage::AdminResetSetup(request) => {
                let link = self.reset_setup(&scope).await?;
                ctx.reply(request, link)
            }
            AccountMessage::PrepareSetup(request) => {
                let link = self.prepare_setup(&scope).await?;
                ctx.reply(request, link)
            }
        }
    }
}
