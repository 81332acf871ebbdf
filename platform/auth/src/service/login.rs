//! Logins and other proofs of a password or a code: a desk that forwards by account, and shards that
//! handle one after the other.
//!
//! Because the attempts at one account are handled in turn, a failure is counted before the next
//! attempt is looked at: a burst of parallel guesses gets no more tries than a slow one. The desk
//! has one worker that only forwards; each shard has one worker and its part of the password pool's
//! queue, so that a flood of logins is answered with 503 while the wait is still short. Permanent; a
//! crash loses the login being handled.

mod passkey;
mod second_step;

use serde_json::json;
use troupe_actors::{
    ChildSpec, Context, FailureKind, Handled, Lent, Scope, Service, ServiceRef, Shards, Spec,
    System,
};
use troupe_database::UnitOfWork;
use troupe_identity_messages::{FindUserByEmail, User, UserStatus};
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::{SessionId, TenantId, UserId};
use troupe_kernel::invalidation::RevokeSession;

use self::passkey::PasskeyLogin;
use self::second_step::SecondStep;
use super::guard::{self, Attempt, Parties};
use super::passkeys::proof as passkey_proof;
use super::proof::{self, Claim};
use super::tokens::{self, NewSession};
use super::{Desk, codes, standing, unrepeated};
use crate::error;
use crate::events::{self, SessionEvent};
use crate::messages::{
    Login, LoginMessage, ProvePassword, SignIn, StartSession, Tokens, VerifyPassword,
};
use crate::repository::credentials;
use crate::repository::sessions::{self, Ending, SessionRow};
use crate::secret::new_token;

/// Mailbox of the desk, which only forwards.
const DESK_CAPACITY: usize = 1024;
/// Shards for each hash that is computed at once: while one waits for its hash, others read and
/// write.
const SHARDS_PER_HASH: usize = 4;

/// Forwards each attempt to the shard of its account.
pub struct LoginDesk {
    shards: Shards<LoginMessage>,
}

impl LoginDesk {
    /// The desk's reference, and the specifications of the shards and of the desk.
    #[must_use]
    pub fn with_shards(system: &System, desk: &Desk) -> (ServiceRef<LoginMessage>, Vec<ChildSpec>) {
        let pool = &desk.config.password_pool;
        let count = pool.workers.saturating_mul(SHARDS_PER_HASH);
        // Together the shards let as many logins wait as the pool of hashes would.
        let capacity = pool.queue / count;
        let mut children = Vec::with_capacity(count + 1);
        let mut services = Vec::with_capacity(count);
        for number in 1..=count {
            let desk = desk.clone();
            let spec = Spec::new(system, format!("login-{number}"), move || LoginShard {
                desk: desk.clone(),
            });
            let (service, child) = spec.capacity(capacity).build();
            services.push(service);
            children.push(child);
        }
        let shards = Shards::new(services);
        let spec = Spec::new(system, "login", move || Self { shards: shards.clone() });
        let (service, child) = spec.capacity(DESK_CAPACITY).build();
        children.push(child);
        (service, children)
    }
}

impl Service for LoginDesk {
    type Message = LoginMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<LoginMessage>,
        ctx: &mut Context<LoginMessage>,
    ) -> Handled {
        let parties = match &**message {
            LoginMessage::Login(login) => Parties::new(&login.email, ctx.scope()),
            LoginMessage::StartSession(request) => Parties::new(&request.email, ctx.scope()),
            LoginMessage::AnswerChallenge(request) => {
                Parties::of_challenge(&request.challenge, ctx.scope())
            }
            LoginMessage::AnswerWithPasskey(request) => {
                Parties::of_challenge(&request.challenge, ctx.scope())
            }
            LoginMessage::StartPasskeySession(request) => Parties::new(&request.email, ctx.scope()),
            LoginMessage::ProvePassword(request) => Parties::new(&request.email, ctx.scope()),
            LoginMessage::ProveCode(request) => Parties::new(&request.email, ctx.scope()),
        };
        let shard = self.shards.by(parties.account()).clone();
        ctx.forward(&shard, message.take())
    }
}

/// Handles the attempts at some accounts.
pub struct LoginShard {
    desk: Desk,
}

impl Service for LoginShard {
    type Message = LoginMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<LoginMessage>,
        ctx: &mut Context<LoginMessage>,
    ) -> Handled {
        let scope = unrepeated(ctx.scope());
        match &**message {
            LoginMessage::Login(login) => {
                let outcome = self.login(login, &scope).await;
                count(outcome.as_ref().map(step));
                ctx.reply(login, outcome?)
            }
            LoginMessage::StartSession(request) => {
                let outcome = self.start_session(request, &scope).await;
                count(outcome.as_ref().map(step));
                ctx.reply(request, outcome?)
            }
            LoginMessage::AnswerChallenge(request) => {
                let outcome = self.answer(request, &scope).await;
                count(outcome.as_ref().map(|_| "accepted"));
                ctx.reply(request, outcome?)
            }
            LoginMessage::AnswerWithPasskey(request) => {
                let outcome = self.answer_with_passkey(request, &scope).await;
                count(outcome.as_ref().map(|_| "accepted"));
                ctx.reply(request, outcome?)
            }
            LoginMessage::StartPasskeySession(request) => {
                let outcome = self.start_passkey_session(request, &scope).await;
                count(outcome.as_ref().map(|_| "accepted"));
                ctx.reply(request, outcome?)
            }
            LoginMessage::ProvePassword(request) => {
                self.prove_again(request, &scope).await?;
                ctx.reply(request, ())
            }
            LoginMessage::ProveCode(request) => {
                self.prove_code(request, &scope).await?;
                ctx.reply(request, ())
            }
        }
    }
}

impl LoginShard {
    async fn login(&self, login: &Login, scope: &Scope) -> Result<SignIn, Failure> {
        let parties = Parties::new(&login.email, scope);
        guard::admit(&self.desk, &parties).await?;
        let (user, proven) = self.prove(login, scope, &parties).await?;
        if user.status != UserStatus::Active {
            return Err(error::suspended());
        }
        let tenant =
            tokens::choose_organisation(&self.desk, scope, user.id, login.organisation).await?;
        let new = NewSession { user: user.id, tenant, device: login.device.clone() };
        let opening = Opening { new, parties, proof: Proof::Password(proven) };
        self.go_on(scope, opening, login.organisation).await
    }

    /// The provider's proof takes the place of the password; a second factor is asked for as ever.
    async fn start_session(&self, start: &StartSession, scope: &Scope) -> Result<SignIn, Failure> {
        let StartSession { user, organisation, .. } = *start;
        let tenant = tokens::choose_organisation(&self.desk, scope, user, organisation).await?;
        let opening = Opening {
            new: NewSession { user, tenant, device: start.device.clone() },
            parties: Parties::new(&start.email, scope),
            proof: Proof::External(start.first_factor.clone()),
        };
        self.go_on(scope, opening, organisation).await
    }

    /// The session, or the challenge where there is a second factor.
    async fn go_on(
        &self,
        scope: &Scope,
        opening: Opening,
        wanted: Option<TenantId>,
    ) -> Result<SignIn, Failure> {
        if codes::is_enrolled(&self.desk, opening.new.user).await? {
            return Ok(SignIn::Challenged(self.challenge(scope, opening, wanted).await?));
        }
        Ok(SignIn::Complete(self.open(scope, opening).await?))
    }

    /// The user whose password it is, and the hash it was compared with. It takes as long when there
    /// is no such user.
    async fn prove(
        &self,
        login: &Login,
        scope: &Scope,
        parties: &Parties,
    ) -> Result<(User, Proven), Failure> {
        let query = FindUserByEmail { email: login.email.clone() };
        let user = self.desk.identity.ask(scope, query).await?;
        let id = user.as_ref().map(|user| user.id);
        let hash = match id {
            Some(id) => {
                self.desk.db.read(async move |conn| Ok(credentials::find(conn, id).await?)).await?
            }
            None => None,
        };
        let check = VerifyPassword { password: login.password.clone(), hash: hash.clone() };
        let verdict = self.desk.passwords.ask(scope, check).await?;
        match user.zip(hash) {
            Some((user, hash)) if verdict.matches => {
                Ok((user, Proven { hash, renewed: verdict.renewed }))
            }
            _ => {
                let attempt = Attempt { action: "auth.login", user: id };
                guard::failed(&self.desk, scope, parties, attempt).await?;
                Err(error::login_refused())
            }
        }
    }

    async fn prove_again(&self, request: &ProvePassword, scope: &Scope) -> Result<(), Failure> {
        let parties = Parties::new(&request.email, scope);
        let claim = Claim {
            user: request.user,
            password: &request.password,
            action: "auth.reauthentication",
        };
        proof::check(&self.desk, scope, &parties, claim).await?;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                Ok(guard::succeeded(uow, &parties).await?)
            })
            .await
    }

    async fn open(&self, scope: &Scope, opening: Opening) -> Result<Tokens, Failure> {
        tokens::ensure_key(&self.desk)?;
        let token = new_token()?;
        let (stored, config) = (token.clone(), self.desk.config.tokens.clone());
        let (session, evicted) = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let user = opening.new.user;
                guard::succeeded(uow, &opening.parties).await?;
                opening.proof.hold(uow, user).await?;
                let row = tokens::session_row(uow, opening.new, &config);
                let evicted = make_room(uow, &row, config.sessions_max).await?;
                sessions::insert(uow.conn(), &row).await?;
                tokens::store_refresh(uow, &row, &stored).await?;
                note_start(uow, &row, &opening.proof);
                Ok((row, evicted))
            })
            .await?;
        for session in evicted {
            let ended = RevokeSession { session: session.uuid() };
            self.desk.invalidations.publish(scope, ended).await?;
        }
        self.confirm(scope, &session).await?;
        tokens::pair(&self.desk, &session, token)
    }

    /// The user may have been barred since they were looked up, and the session stored after the
    /// sessions of a barred user were ended.
    async fn confirm(&self, scope: &Scope, session: &SessionRow) -> Result<(), Failure> {
        let refusal = match standing::may_sign_in(&self.desk, scope, session.user_id.to()).await {
            Ok(true) => return Ok(()),
            Ok(false) => error::suspended(),
            Err(failure) => failure,
        };
        // Nobody gets its tokens, so it would only take the place of another one.
        standing::end(&self.desk, scope, session.id.to()).await?;
        Err(refusal)
    }
}

/// How far a login came, for the count.
fn step(outcome: &SignIn) -> &'static str {
    match outcome {
        SignIn::Complete(_) => "accepted",
        SignIn::Challenged(_) => "challenged",
    }
}

/// Counts how a login ended.
pub(super) fn count(outcome: Result<&'static str, &Failure>) {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => match failure.kind() {
            FailureKind::Unauthenticated => "refused",
            FailureKind::RateLimited => "locked",
            _ => "failed",
        },
    };
    metrics::counter!("troupe_auth_logins_total", "outcome" => outcome).increment(1);
}

struct Opening {
    new: NewSession,
    parties: Parties,
    proof: Proof,
}

/// What a session is opened for.
enum Proof {
    /// The password of an account without a second factor, or its first step.
    Password(Proven),
    /// What an external provider proved, named for the audit.
    External(String),
    /// A passkey alone.
    Passkey(Box<PasskeyLogin>),
    /// The answer to a challenge.
    Second(Box<SecondStep>),
}

impl Proof {
    /// What was proven, for the audit.
    fn factors(&self) -> Vec<&str> {
        match self {
            Self::Password(_) => vec!["password"],
            Self::External(name) => vec![name],
            Self::Passkey(_) => vec![passkey_proof::NAME],
            Self::Second(step) => step.factors().to_vec(),
        }
    }

    /// Refuses when it holds no more; what is good once is spent.
    async fn hold(&self, uow: &mut UnitOfWork, user: UserId) -> Result<(), Failure> {
        match self {
            Self::Password(proven) => proven.hold(uow, user).await,
            Self::External(_) => Ok(()),
            Self::Passkey(login) => login.hold(uow).await,
            Self::Second(step) => step.hold(uow).await,
        }
    }
}

/// The hash the password was compared with.
struct Proven {
    hash: String,
    /// A hash of the same password at the cost that is configured now, if that is another one.
    renewed: Option<String>,
}

impl Proven {
    /// Refuses when the password was changed since it was compared: whoever changed it ended the
    /// sessions there were, and this one must not come after.
    async fn hold(&self, uow: &mut UnitOfWork, user: UserId) -> Result<(), Failure> {
        let renewed = self.renewed.as_ref().unwrap_or(&self.hash);
        if credentials::renew(uow.conn(), user, &self.hash, renewed).await? {
            return Ok(());
        }
        Err(error::login_refused())
    }
}

/// Ends the sessions that were idle longest, so that one more fits; answers which.
async fn make_room(
    uow: &mut UnitOfWork,
    row: &SessionRow,
    sessions_max: u32,
) -> Result<Vec<SessionId>, Failure> {
    let now = uow.now();
    let live = sessions::live_of(uow.conn(), row.user_id.to(), now).await?;
    let keep = usize::try_from(sessions_max.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut evicted = Vec::new();
    for old in live.into_iter().skip(keep) {
        let id: SessionId = old.id.to();
        let ending = Ending { at: now, reason: "too_many" };
        sessions::end(uow.conn(), id, ending).await?;
        evicted.push(id);
    }
    Ok(evicted)
}

fn note_start(uow: &mut UnitOfWork, row: &SessionRow, proof: &Proof) {
    let (user, session) = (row.user_id.to(), row.id.to());
    let event = SessionEvent { user, session, reason: None };
    uow.event(Event::new(events::SESSION_STARTED, user, &event));
    let mut record = AuditRecord::new(uow.scope(), "auth.login", format!("session/{session}"))
        .actor(user.uuid())
        .detail(json!({ "device": row.device, "factors": proof.factors() }));
    if let Some(tenant) = row.tenant_id {
        record = record.tenant(tenant.to());
    }
    uow.audit(record);
}
