//! The proof that it is the owner of a session who asks, before what a stolen token must not do.
//!
//! Whoever has a password gives it. Whoever has none (they log in with an external provider) must
//! have logged in a short while ago.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{Scope, ServiceRef};
use troupe_identity_messages::User;
use troupe_kernel::error::Failure;
use troupe_kernel::ids::{SessionId, UserId};
use troupe_kernel::ports::Reauthenticator;

use super::passkeys::proof;
use super::{Desk, codes};
use crate::error;
use crate::messages::{FactorProof, LoginMessage, ProveCode};
use crate::repository::{credentials, sessions};
use crate::secret::SecretText;

/// How long a login counts as a proof.
const RECENT: Duration = Duration::from_secs(600);

/// Where proofs are checked.
#[derive(Clone)]
pub struct Proofs {
    /// Where codes are proven.
    pub login: ServiceRef<LoginMessage>,
    /// Proves the password of the caller.
    pub password: Arc<dyn Reauthenticator>,
}

impl Proofs {
    /// Succeeds when it is the caller's password, or they have none and logged in just now.
    pub(super) async fn caller(
        &self,
        desk: &Desk,
        scope: &Scope,
        password: Option<&SecretText>,
    ) -> Result<(), Failure> {
        if let Some(password) = password {
            return self.password.reauthenticate(password.clone(), scope).await;
        }
        let caller = scope.principal().and_then(|one| Some((one.subject, one.session?)));
        let (subject, session) = caller.ok_or_else(error::not_a_person)?;
        let (user, session) = (UserId::from(subject), SessionId::from(session));
        let (has_password, session) = desk
            .db
            .read(async move |conn| {
                let has_password = credentials::find(conn, user).await?.is_some();
                Ok((has_password, sessions::find(conn, session).await?))
            })
            .await?;
        if has_password {
            return Err(error::password_missing());
        }
        let now = desk.now();
        match session {
            Some(session) if session.created_at.0.plus(RECENT) > now => Ok(()),
            _ => Err(error::session_stale()),
        }
    }

    /// Succeeds when the user has no second factor, or this proves it; what is good once is spent.
    pub(super) async fn factor(
        &self,
        desk: &Desk,
        scope: &Scope,
        user: &User,
        given: Option<&FactorProof>,
    ) -> Result<(), Failure> {
        if !codes::is_enrolled(desk, user.id).await? {
            return Ok(());
        }
        match given.ok_or_else(error::factor_missing)? {
            FactorProof::Code(code) => {
                let (email, code) = (user.email.clone(), code.clone());
                self.login.ask(scope, ProveCode { user: user.id, email, code }).await
            }
            FactorProof::Passkey(answer) => proof::prove(desk, scope, user, answer).await,
        }
    }
}
