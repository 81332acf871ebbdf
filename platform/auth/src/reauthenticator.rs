//! The kernel's `Reauthenticator`: the password of the caller, proven at the desk of logins, so that
//! wrong ones are counted with failed logins and handled in turn with them. It holds no state.

use troupe_actors::{PrincipalKind, Scope, ServiceRef};
use troupe_identity_messages::{GetUser, IdentityMessage};
use troupe_kernel::SecretText;
use troupe_kernel::error::Failure;
use troupe_kernel::ids::UserId;
use troupe_kernel::ports::{BoxFuture, Reauthenticator};

use crate::error;
use crate::messages::{LoginMessage, ProvePassword};

/// Proves passwords of people who have a session.
pub struct PasswordReauthenticator {
    /// Who people are.
    pub identity: ServiceRef<IdentityMessage>,
    /// Where passwords are proven.
    pub login: ServiceRef<LoginMessage>,
}

impl Reauthenticator for PasswordReauthenticator {
    fn reauthenticate<'a>(
        &'a self,
        password: SecretText,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            // An API key has its maker's id: it must not do what its maker's password is asked for.
            let person = scope.principal().filter(|one| one.kind == PrincipalKind::User);
            let user = UserId(person.ok_or_else(error::not_a_person)?.subject);
            let email = self.identity.ask(scope, GetUser { id: user }).await?.email;
            self.login.ask(scope, ProvePassword { user, email, password }).await
        })
    }
}
