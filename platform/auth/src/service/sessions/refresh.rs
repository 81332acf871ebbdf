//! Exchanges a refresh token for the next pair, and recognises a copy.
//!
//! Each token works once. A token that comes a second time means that somebody has a copy, and
//! nobody can tell which of the two is the thief: the whole session ends (RFC 9700 §4.14.2). For a
//! few seconds after the exchange the old token answers a conflict instead, because two tabs of one
//! person may refresh at the same moment; it gives no token, so a thief gains nothing by it.

use troupe_actors::Scope;
use troupe_database::{DbTimestamp, UnitOfWork};
use troupe_identity_messages::GetUser;
use troupe_kernel::Mail;
use troupe_kernel::audit::{AuditRecord, Outcome};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::{SessionId, UserId};
use troupe_kernel::invalidation::RevokeSession;

use super::Sessions;
use crate::config::TokenConfig;
use crate::error;
use crate::events::{self, SessionEvent};
use crate::messages::{Refresh, Tokens};
use crate::repository::refresh_tokens::{self, RefreshRow};
use crate::repository::sessions::{self, Ending, SessionRow, SessionUse};
use crate::secret::{SecretText, digest, new_token};
use crate::service::{address_of, standing, tokens};

/// What became of a presented token.
enum Exchange {
    Renewed(Box<SessionRow>),
    Refused,
    Superseded,
    Reused { session: SessionId, user: UserId },
}

impl Sessions {
    pub(super) async fn refresh(
        &self,
        request: &Refresh,
        scope: &Scope,
    ) -> Result<Tokens, Failure> {
        tokens::ensure_key(&self.desk)?;
        let next = new_token()?;
        let (stored, config) = (next.clone(), self.desk.config.tokens.clone());
        let hash = digest(request.refresh_token.expose());
        self.check_standing(hash.to_vec(), scope).await?;
        let device = request.device.clone();
        // A reuse ends the session, so it commits like a success; the refusal comes after it.
        let exchange = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                match refresh_tokens::consume(uow.conn(), &hash, now).await? {
                    Some(token) if token.expires_at.0 > now => {
                        let used = Use { token, device, next: stored };
                        renew(uow, used, &config).await
                    }
                    Some(_) => Ok(Exchange::Refused),
                    None => judge_again(uow, &hash, &config).await,
                }
            })
            .await?;
        match exchange {
            Exchange::Renewed(session) => tokens::pair(&self.desk, &session, next),
            Exchange::Refused => Err(error::refresh_refused()),
            Exchange::Superseded => Err(error::refresh_superseded()),
            Exchange::Reused { session, user } => {
                metrics::counter!("troupe_auth_refresh_reuses_total").increment(1);
                let ended = RevokeSession { session: session.uuid() };
                self.desk.invalidations.publish(scope, ended).await?;
                if let Err(failure) = self.warn(user, scope).await {
                    tracing::warn!(%user, %failure, "the owner of a reused token was not warned");
                }
                Err(error::refresh_refused())
            }
        }
    }

    /// Refuses when the owner of the token is barred or gone, and ends the session. It comes before
    /// the exchange, so that a token is not spent when identity does not answer; a user who is
    /// barred after it loses the session like any other.
    async fn check_standing(&self, hash: Vec<u8>, scope: &Scope) -> Result<(), Failure> {
        let now = self.desk.now();
        let found = self
            .desk
            .db
            .read(async move |conn| {
                let Some(token) = refresh_tokens::find(conn, &hash).await? else { return Ok(None) };
                Ok(sessions::find(conn, token.session()).await?)
            })
            .await?;
        let Some(session) = found.filter(|session| session.is_live(now)) else { return Ok(()) };
        if standing::may_sign_in(&self.desk, scope, session.user_id.to()).await? {
            return Ok(());
        }
        standing::end(&self.desk, scope, session.id.to()).await?;
        Err(error::refresh_refused())
    }

    /// Tells the owner by mail that a token was used twice.
    async fn warn(&self, user: UserId, scope: &Scope) -> Result<(), Failure> {
        let owner = self.desk.identity.ask(scope, GetUser { id: user }).await?;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let data = serde_json::json!({
                    "display_name": owner.display_name,
                    "detected_at": uow.now(),
                });
                let mail = Mail::new("auth.sessions_revoked", owner.email, &data);
                uow.job(mail.locale(owner.locale).into_job());
                Ok(())
            })
            .await
    }
}

struct Use {
    token: RefreshRow,
    device: Option<String>,
    next: SecretText,
}

async fn renew(uow: &mut UnitOfWork, used: Use, config: &TokenConfig) -> Result<Exchange, Failure> {
    let now = uow.now();
    let change = SessionUse {
        last_seen_at: DbTimestamp(now),
        idle_expires_at: DbTimestamp(now.plus(config.idle)),
        address: address_of(uow.scope()),
        device: tokens::shortened(used.device),
    };
    let Some(session) = sessions::touch(uow.conn(), used.token.session(), &change).await? else {
        return Ok(Exchange::Refused);
    };
    tokens::store_refresh(uow, &session, &used.next).await?;
    Ok(Exchange::Renewed(Box::new(session)))
}

/// A token that could not be used: unknown, or used before.
async fn judge_again(
    uow: &mut UnitOfWork,
    hash: &[u8],
    config: &TokenConfig,
) -> Result<Exchange, Failure> {
    let now = uow.now();
    let Some(token) = refresh_tokens::find(uow.conn(), hash).await? else {
        return Ok(Exchange::Refused);
    };
    if is_race(&token, config, now) {
        return Ok(Exchange::Superseded);
    }
    let session = token.session();
    let ending = Ending { at: now, reason: "refresh_reused" };
    let Some(user) = sessions::end(uow.conn(), session, ending).await? else {
        // The session had ended before: an old token of a closed session gives no alarm.
        return Ok(Exchange::Refused);
    };
    let event = SessionEvent { user, session, reason: Some("refresh_reused".to_owned()) };
    uow.event(Event::new(events::REFRESH_REUSED, user, &event));
    uow.event(Event::new(events::SESSION_ENDED, user, &event));
    uow.audit(
        AuditRecord::new(uow.scope(), "auth.refresh.reuse", format!("session/{session}"))
            .actor(user.uuid())
            .outcome(Outcome::Denied),
    );
    Ok(Exchange::Reused { session, user })
}

fn is_race(token: &RefreshRow, config: &TokenConfig, now: Timestamp) -> bool {
    token.used_at.is_some_and(|used| now.since(used.0) < config.refresh_race)
}
