//! The second step of a login: a challenge in place of tokens, and the code that answers it.
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
use crate::messages::{AnswerChallenge, Challenge, ProveCode, Tokens};
use crate::repository::challenges::{self, ChallengeRow};
use crate::secret::{digest, new_token};
use crate::service::codes::{self, Code};
use crate::service::guard::{self, Attempt, Parties};
use crate::service::tokens::{self, NewSession};

/// Logins of one user that wait at once; a further one ends the oldest.
const WAITING_MAX: i64 = 10;

/// The code that answered a challenge.
pub(super) struct SecondStep {
    challenge: ChallengeRow,
    code: Code,
    user: User,
}

impl SecondStep {
    /// What was proven, for the audit.
    pub(super) fn factors(&self) -> [&str; 2] {
        [&self.challenge.first_factor, self.code.name()]
    }

    /// Spends the challenge and the code, or refuses when either was spent meanwhile.
    pub(super) async fn hold(&self, uow: &mut UnitOfWork) -> Result<(), Failure> {
        let now = uow.now();
        if !challenges::consume(uow.conn(), &self.challenge.token_hash, now).await? {
            return Err(error::challenge_refused());
        }
        if self.code.spend(uow, &self.user).await? { Ok(()) } else { Err(error::code_refused()) }
    }
}

impl LoginShard {
    /// Keeps what the first step proved until a code comes.
    pub(super) async fn challenge(
        &self,
        scope: &Scope,
        first: Opening,
        wanted: Option<TenantId>,
    ) -> Result<Challenge, Failure> {
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
                };
                challenges::insert(uow.conn(), &row).await?;
                let resource = format!("user/{user}");
                let record = AuditRecord::new(uow.scope(), "auth.login.challenge", resource);
                uow.audit(record.actor(user.uuid()));
                Ok(())
            })
            .await?;
        Ok(Challenge { challenge, expires_at })
    }

    pub(super) async fn answer(
        &self,
        request: &AnswerChallenge,
        scope: &Scope,
    ) -> Result<Tokens, Failure> {
        let (hash, now) = (digest(request.challenge.expose()), self.desk.now());
        let challenge = self
            .desk
            .db
            .read(async move |conn| Ok(challenges::find_usable(conn, &hash, now).await?))
            .await?
            .ok_or_else(error::challenge_refused)?;
        let parties = Parties::of_challenge(&request.challenge, scope);
        guard::admit(&self.desk, &parties).await?;
        let user = self.desk.identity.ask(scope, GetUser { id: challenge.user() }).await?;
        if user.status != UserStatus::Active {
            return Err(error::suspended());
        }
        let Some(code) = codes::compare(&self.desk, user.id, &request.code).await? else {
            let attempt = Attempt { action: "auth.login.code", user: Some(user.id) };
            guard::failed(&self.desk, scope, &parties, attempt).await?;
            return Err(error::code_refused());
        };
        let tenant =
            tokens::choose_organisation(&self.desk, scope, user.id, challenge.tenant()).await?;
        let new = NewSession { user: user.id, tenant, device: challenge.device.clone() };
        let proof = Proof::Codes(SecondStep { challenge, code, user });
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
