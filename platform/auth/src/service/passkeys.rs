//! Passkeys: set up, list, rename, remove, and the questions to browsers.
//!
//! A pool of four over a mailbox of 256. A question is a row, so that it is answered once on every
//! node and not too late. A new passkey is a way in that stays: it takes the password, and the second
//! factor of an account that has one. Logins are proven at the desk of logins. Permanent; a crash
//! loses the request being handled.

mod changes;
pub(super) mod proof;
mod registration;

use troupe_actors::{
    ChildSpec, Context, FailureKind, Handled, Lent, Scope, Service, ServiceRef, Spec, System,
};
use troupe_database::UnitOfWork;
use troupe_identity_messages::{GetUser, User};
use troupe_kernel::error::Failure;
use troupe_kernel::ids::UserId;

use super::proofs::Proofs;
use super::{Desk, login, unrepeated};
use crate::error;
use crate::messages::{
    BeginPasskeyLogin, BeginProof, FinishPasskeyLogin, ListPasskeys, Passkey, PasskeyMessage,
    PasskeyQuestion, StartPasskeySession, Tokens,
};
use crate::passkey::Question;
use crate::repository::ceremonies::{self, CeremonyRow, Purpose};
use crate::repository::passkeys;
use crate::secret::{digest, new_token};

const WORKERS: usize = 4;
const CAPACITY: usize = 256;
/// Questions to one user that wait at once; a further one ends the oldest.
const WAITING_MAX: i64 = 10;

/// One worker of the pool.
pub struct Passkeys {
    desk: Desk,
    proofs: Proofs,
}

impl Passkeys {
    /// The pool's reference and specification.
    #[must_use]
    pub fn pool(
        system: &System,
        desk: &Desk,
        proofs: &Proofs,
    ) -> (ServiceRef<PasskeyMessage>, ChildSpec) {
        let (desk, proofs) = (desk.clone(), proofs.clone());
        Spec::new(system, "passkeys", move || Self { desk: desk.clone(), proofs: proofs.clone() })
            .workers(WORKERS)
            .capacity(CAPACITY)
            .build()
    }

    async fn list(&self, query: &ListPasskeys) -> Result<Vec<Passkey>, Failure> {
        let user = query.user;
        let rows =
            self.desk.db.read(async move |conn| Ok(passkeys::of_user(conn, user).await?)).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    async fn begin_proof(
        &self,
        request: &BeginProof,
        scope: &Scope,
    ) -> Result<PasskeyQuestion, Failure> {
        let question = proof::question(&self.desk, request.user).await?;
        let question = question.ok_or_else(error::passkey_none)?;
        self.ask(question, Purpose::Proof, Some(request.user), scope).await
    }

    async fn begin_login(&self, scope: &Scope) -> Result<PasskeyQuestion, Failure> {
        let question = self.desk.relying_party()?.ask_for_proof(None)?;
        self.ask(question, Purpose::Login, None, scope).await
    }

    /// Finds out whose passkey it is; the rest is the shard's of that account.
    async fn finish_login(
        &self,
        request: &FinishPasskeyLogin,
        scope: &Scope,
    ) -> Result<Tokens, Failure> {
        let owner = self.owner(request, scope).await;
        // The shard counts what reaches it.
        if let Err(failure) = &owner {
            login::count(Err(failure));
        }
        let User { id, email, .. } = owner?;
        let start = StartPasskeySession { user: id, email, login: request.clone() };
        self.proofs.login.ask(scope, start).await
    }

    async fn owner(&self, request: &FinishPasskeyLogin, scope: &Scope) -> Result<User, Failure> {
        let answer = proof::read(&request.answer.credential)?;
        let id = answer.credential_id().to_vec();
        let row = self.desk.db.read(async move |conn| Ok(passkeys::find(conn, &id).await?)).await?;
        // Where anybody is asked, the authenticator tells the account (WebAuthn §7.2, step 6).
        let row = row
            .filter(|row| answer.account() == Some(row.user_id.0.as_bytes().as_slice()))
            .ok_or_else(error::passkey_refused)?;
        match self.desk.identity.ask(scope, GetUser { id: row.user() }).await {
            Err(failure) if failure.kind() == FailureKind::NotFound => {
                Err(error::passkey_refused())
            }
            found => found,
        }
    }

    /// Keeps a question until its answer comes.
    async fn ask(
        &self,
        question: Question,
        purpose: Purpose,
        user: Option<UserId>,
        scope: &Scope,
    ) -> Result<PasskeyQuestion, Failure> {
        let ceremony = new_token()?;
        let hash = digest(ceremony.expose());
        let lifetime = self.desk.config.passkeys.ceremony;
        let Question { options: public_key, state } = question;
        let expires_at = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                let expires_at = now.plus(lifetime);
                let mut row = CeremonyRow::new(purpose, &hash, state, (now, expires_at));
                if let Some(user) = user {
                    ceremonies::discard(uow.conn(), user, WAITING_MAX - 1).await?;
                    row = row.to(user);
                }
                ceremonies::insert(uow.conn(), &row).await?;
                Ok(expires_at)
            })
            .await?;
        Ok(PasskeyQuestion { ceremony, expires_at, public_key })
    }

    async fn user(&self, id: UserId, scope: &Scope) -> Result<User, Failure> {
        self.desk.identity.ask(scope, GetUser { id }).await
    }
}

impl Service for Passkeys {
    type Message = PasskeyMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<PasskeyMessage>,
        ctx: &mut Context<PasskeyMessage>,
    ) -> Handled {
        let scope = unrepeated(ctx.scope());
        match &**message {
            PasskeyMessage::ListPasskeys(query) => {
                let passkeys = self.list(query).await?;
                ctx.reply(query, passkeys)
            }
            PasskeyMessage::BeginPasskey(request) => {
                let question = self.begin(request, &scope).await?;
                ctx.reply(request, question)
            }
            PasskeyMessage::AddPasskey(request) => {
                let added = self.add(request, &scope).await?;
                ctx.reply(request, added)
            }
            PasskeyMessage::RenamePasskey(request) => {
                let passkey = self.rename(request, &scope).await?;
                ctx.reply(request, passkey)
            }
            PasskeyMessage::RemovePasskey(request) => {
                self.remove(request, &scope).await?;
                ctx.reply(request, ())
            }
            PasskeyMessage::BeginProof(request) => {
                let question = self.begin_proof(request, &scope).await?;
                ctx.reply(request, question)
            }
            PasskeyMessage::BeginPasskeyLogin(request @ BeginPasskeyLogin) => {
                let question = self.begin_login(&scope).await?;
                ctx.reply(request, question)
            }
            PasskeyMessage::FinishPasskeyLogin(request) => {
                let tokens = self.finish_login(request, &scope).await?;
                ctx.reply(request, tokens)
            }
        }
    }
}
