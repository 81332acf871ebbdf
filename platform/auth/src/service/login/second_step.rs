//! The second step of a login: a challenge in place of tokens, and the code or the passkey that
//! answers it.
//!
//! A challenge is a row, so that it is good once on every node and ends with the password or the
//! account; its text begins with the account, by which the desk finds the shard. A right password
//! does not forget the failures of an account before the code is right as well: whoever knows the
//! password gets no more tries at the code by giving it again.

use troupe_actors::Scope;
use troupe_database::{DbTimestamp, DbUuid, UnitOfWork};
use troupe_identity_messages::{GetUser, User, UserStatus};
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::ids::TenantId;

use super::{LoginShard, Opening, Proof};
use crate::error;
use crate::messages::{AnswerChallenge, AnswerWithPasskey, Challenge, ProveCode, Tokens};
use crate::repository::challenges::{self, ChallengeRow};
use crate::secret::{SecretText, digest, new_token};
use crate::service::codes::{self, Code};
use crate::service::guard::{self, Attempt, Parties};
use crate::service::passkeys::proof::{self, Claim, PasskeyProof};
use crate::service::tokens::{self, NewSession};

/// Logins of one user that wait at once; a further one ends the oldest.
const WAITING_MAX: i64 = 10;

/// What answered a challenge.
enum Answer {
    /// A code of the app, or a recovery code.
    Code(Code),
    /// A passkey.
    Passkey(PasskeyProof),
}

/// The answer to a challenge.
pub(super) struct SecondStep {
    challenge: ChallengeRow,
    answer: Answer,
    user: User,
}

impl SecondStep {
    /// What was proven, for the audit.
    pub(super) fn factors(&self) -> [&str; 2] {
        let second = match &self.answer {
            Answer::Code(code) => code.name(),
            Answer::Passkey(_) => proof::NAME,
        };
        [&self.challenge.first_factor, second]
    }

    /// Spends the challenge and the answer, or refuses when either was spent meanwhile.
    pub(super) async fn hold(&self, uow: &mut UnitOfWork) -> Result<(), Failure> {
        let now = uow.now();
        if !challenges::consume(uow.conn(), &self.challenge.token_hash, now).await? {
            return Err(error::challenge_refused());
        }
        let (spent, refusal) = match &self.answer {
            Answer::Code(code) => (code.spend(uow, &self.user).await?, error::code_refused()),
            Answer::Passkey(proof) => (proof.spend(uow).await?, error::passkey_refused()),
        };
        if spent { Ok(()) } else { Err(refusal) }
    }
}

/// A login that waits for its second step, and may go on.
struct Waiting {
    challenge: ChallengeRow,
    parties: Parties,
    user: User,
}

impl LoginShard {
    /// Keeps what the first step proved until the second comes.
    pub(super) async fn challenge(
        &self,
        scope: &Scope,
        first: Opening,
        wanted: Option<TenantId>,
    ) -> Result<Challenge, Failure> {
        let question = proof::question(&self.desk, first.new.user).await?;
        let (passkey, passkey_state) = question.map(|asked| (asked.options, asked.state)).unzip();
        let challenge = first.parties.challenge(&new_token()?);
        let hash = digest(challenge.expose());
        let expires_at = self.desk.now().plus(self.desk.config.second_factor.challenge);
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let user = first.new.user;
                first.proof.hold(uow, user).await?;
                challenges::discard(uow.conn(), user, WAITING_MAX - 1).await?;
                let row = ChallengeRow {
                    token_hash: hash.to_vec(),
                    user_id: DbUuid::of(user),
                    tenant_id: wanted.map(DbUuid::of),
                    first_factor: first.proof.factors().concat(),
                    device: tokens::shortened(first.new.device),
                    created_at: DbTimestamp(uow.now()),
                    expires_at: DbTimestamp(expires_at),
                    used_at: None,
                    passkey_state,
                };
                challenges::insert(uow.conn(), &row).await?;
                let resource = format!("user/{user}");
                let record = AuditRecord::new(uow.scope(), "auth.login.challenge", resource);
                uow.audit(record.actor(user.uuid()));
                Ok(())
            })
            .await?;
        Ok(Challenge { challenge, expires_at, passkey })
    }

    pub(super) async fn answer(
        &self,
        request: &AnswerChallenge,
        scope: &Scope,
    ) -> Result<Tokens, Failure> {
        let waiting = self.waiting(&request.challenge, scope).await?;
        let user = waiting.user.id;
        let Some(code) = codes::compare(&self.desk, user, &request.code).await? else {
            let attempt = Attempt { action: "auth.login.code", user: Some(user) };
            guard::failed(&self.desk, scope, &waiting.parties, attempt).await?;
            return Err(error::code_refused());
        };
        self.finish(waiting, Answer::Code(code), scope).await
    }

    pub(super) async fn answer_with_passkey(
        &self,
        request: &AnswerWithPasskey,
        scope: &Scope,
    ) -> Result<Tokens, Failure> {
        let waiting = self.waiting(&request.challenge, scope).await?;
        let Waiting { challenge, parties, user } = &waiting;
        let found = match &challenge.passkey_state {
            Some(state) => {
                let claim = Claim { user, state, answer: &request.credential };
                proof::check(&self.desk, scope, claim).await?
            }
            None => None,
        };
        let Some(proof) = found else {
            let attempt = Attempt { action: "auth.login.passkey", user: Some(user.id) };
            guard::failed(&self.desk, scope, parties, attempt).await?;
            return Err(error::passkey_refused());
        };
        self.finish(waiting, Answer::Passkey(proof), scope).await
    }

    /// The login that this challenge belongs to, if an answer to it may be tried.
    async fn waiting(&self, challenge: &SecretText, scope: &Scope) -> Result<Waiting, Failure> {
        let (hash, now) = (digest(challenge.expose()), self.desk.now());
        let parties = Parties::of_challenge(challenge, scope);
        let challenge = self
            .desk
            .db
            .read(async move |conn| Ok(challenges::find_usable(conn, &hash, now).await?))
            .await?
            .ok_or_else(error::challenge_refused)?;
        guard::admit(&self.desk, &parties).await?;
        let user = self.desk.identity.ask(scope, GetUser { id: challenge.user() }).await?;
        if user.status != UserStatus::Active {
            return Err(error::suspended());
        }
        Ok(Waiting { challenge, parties, user })
    }

    async fn finish(
        &self,
        waiting: Waiting,
        answer: Answer,
        scope: &Scope,
    ) -> Result<Tokens, Failure> {
        let Waiting { challenge, parties, user } = waiting;
        let tenant =
            tokens::choose_organisation(&self.desk, scope, user.id, challenge.tenant()).await?;
        let new = NewSession { user: user.id, tenant, device: challenge.device.clone() };
        let proof = Proof::Second(Box::new(SecondStep { challenge, answer, user }));
        self.open(scope, Opening { new, parties, proof }).await
    }

    pub(super) async fn prove_code(
        &self,
        request: &ProveCode,
        scope: &Scope,
    ) -> Result<(), Failure> {
        let parties = Parties::new(&request.email, scope);
        guard::admit(&self.desk, &parties).await?;
        let user = self.desk.identity.ask(scope, GetUser { id: request.user }).await?;
        let Some(code) = codes::compare(&self.desk, user.id, &request.code).await? else {
            let attempt = Attempt { action: "auth.code", user: Some(user.id) };
            guard::failed(&self.desk, scope, &parties, attempt).await?;
            return Err(error::code_wrong());
        };
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                guard::succeeded(uow, &parties).await?;
                if code.spend(uow, &user).await? { Ok(()) } else { Err(error::code_wrong()) }
            })
            .await
    }
}
