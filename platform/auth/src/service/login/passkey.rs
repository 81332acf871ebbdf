//! Logins with a passkey alone. The authenticator has it and has recognised its owner: these are two
//! factors, so that no second step is asked for.

use troupe_actors::Scope;
use troupe_database::UnitOfWork;
use troupe_identity_messages::{GetUser, UserStatus};
use troupe_kernel::error::Failure;

use super::{LoginShard, Opening, Proof};
use crate::error;
use crate::messages::{StartPasskeySession, Tokens};
use crate::repository::ceremonies::{self, CeremonyRow, Purpose};
use crate::secret::digest;
use crate::service::guard::Parties;
use crate::service::passkeys::proof::{self, Claim, PasskeyProof};
use crate::service::tokens::{self, NewSession};

/// The question that was answered, and what the answer proved.
pub(super) struct PasskeyLogin {
    ceremony: CeremonyRow,
    proof: PasskeyProof,
}

impl PasskeyLogin {
    /// Spends both, or refuses when either was spent meanwhile.
    pub(super) async fn hold(&self, uow: &mut UnitOfWork) -> Result<(), Failure> {
        let now = uow.now();
        if !ceremonies::consume(uow.conn(), &self.ceremony.token_hash, now).await? {
            return Err(error::ceremony_refused());
        }
        if self.proof.spend(uow).await? { Ok(()) } else { Err(error::passkey_refused()) }
    }
}

impl LoginShard {
    /// Is not held up by failed attempts at the password: nobody guesses a signature.
    pub(super) async fn start_passkey_session(
        &self,
        request: &StartPasskeySession,
        scope: &Scope,
    ) -> Result<Tokens, Failure> {
        let login = &request.login;
        let (hash, now) = (digest(login.answer.ceremony.expose()), self.desk.now());
        let ceremony = self
            .desk
            .db
            .read(async move |conn| {
                Ok(ceremonies::find_usable(conn, Purpose::Login, &hash, now).await?)
            })
            .await?
            .ok_or_else(error::ceremony_refused)?;
        let user = self.desk.identity.ask(scope, GetUser { id: request.user }).await?;
        let answer = &login.answer.credential;
        let claim = Claim { user: &user, state: &ceremony.state, answer };
        let Some(proof) = proof::check(&self.desk, scope, claim).await? else {
            proof::deny(&self.desk, scope, user.id, "auth.login").await?;
            return Err(error::passkey_refused());
        };
        if user.status != UserStatus::Active {
            return Err(error::suspended());
        }
        let tenant =
            tokens::choose_organisation(&self.desk, scope, user.id, login.organisation).await?;
        let opening = Opening {
            new: NewSession { user: user.id, tenant, device: login.device.clone() },
            parties: Parties::new(&user.email, scope),
            proof: Proof::Passkey(Box::new(PasskeyLogin { ceremony, proof })),
        };
        self.open(scope, opening).await
    }
}
