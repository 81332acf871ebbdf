//! Holds the subscription, and with it the session.
//!
//! Mailbox: a few messages to itself. Restart: permanent. A crash ends the session, and the next
//! incarnation connects again; nothing is lost but what is forgotten for safety.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use troupe_actors::{Backoff, ChildSpec, Context, Handled, Lent, Service, Spec, System};

use super::Redis;
use super::error::RedisError;
use super::hearing::{Hearing, Place};
use super::session::Session;

const CAPACITY: usize = 16;
/// How often a node makes sure that it has heard everything: with the time for the answer, the
/// longest that a dead connection stays unnoticed.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// Waits between connections that fail.
const AGAIN: Backoff = Backoff {
    first: Duration::from_millis(20),
    max: Duration::from_secs(1),
    jitter_percent: 50,
    seed: 0x7265_6469_7300,
};

/// Time to connect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Connect;

/// The connection ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Whether there was a session.
    stood: bool,
}

/// Time to forget what cannot be heard while Redis is away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ForgetAway;

troupe_actors::protocol! {
    /// What the link tells itself.
    pub(super) enum LinkMessage("cache.link", 1) redact [] {
        /// Time to connect.
        Connect,
        /// The connection ended.
        Ended,
        /// Time to forget what cannot be heard.
        ForgetAway,
    }
}

pub(super) fn service(system: &System, redis: Redis) -> ChildSpec {
    let heard: Arc<Mutex<Option<Place>>> = Arc::default();
    let make = move || Link { redis: redis.clone(), heard: heard.clone(), tries: 0 };
    Spec::new(system, "link", make).capacity(CAPACITY).build().1
}

struct Link {
    redis: Redis,
    /// Up to where the last connection has heard everything.
    heard: Arc<Mutex<Option<Place>>>,
    tries: u32,
}

impl Link {
    fn connect(&self, ctx: &mut Context<LinkMessage>) -> Handled {
        let (redis, heard) = (self.redis.clone(), self.heard.clone());
        ctx.run(async move {
            let mut stood = false;
            let Err(error) = hold(&redis, &heard, &mut stood).await;
            let reason = error.told();
            if stood {
                tracing::warn!(reason, "Redis is away: this node goes on alone");
            }
            *redis.0.reason.write() = reason;
            Some(Ended { stood }.into())
        })
    }
}

/// Connects and keeps the session until it is in doubt; the error says why.
async fn hold(
    redis: &Redis,
    heard: &Mutex<Option<Place>>,
    stood: &mut bool,
) -> Result<std::convert::Infallible, RedisError> {
    let before = heard.lock().clone();
    let mut hearing = Hearing::open(redis, before.as_ref()).await?;
    let session =
        Session::open(redis.client().await?, &redis.0.config, &hearing.place().life).await?;
    redis.tell_pending(&session).await?;
    *stood = true;
    let _standing = Standing::raise(redis, session.clone());
    let mut checks = interval(CHECK_EVERY);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ended = loop {
        tokio::select! {
            push = hearing.next() => match push {
                Some(push) => hearing.take(&push).await,
                None => break RedisError::Closed,
            },
            _ = checks.tick() => {
                if let Err(error) = check(redis, &session, &mut hearing).await {
                    break error;
                }
            }
            error = session.lost() => break error,
        }
    };
    *heard.lock() = Some(hearing.place().clone());
    Err(ended)
}

async fn check(redis: &Redis, session: &Session, hearing: &mut Hearing) -> Result<(), RedisError> {
    hearing.check().await?;
    if !redis.0.pending.is_empty()
        && let Err(error) = redis.tell_pending(session).await
    {
        if error.ends_session() {
            return Err(error);
        }
        tracing::warn!(reason = error.told(), "Redis does not forget; it is told again soon");
    }
    Ok(())
}

/// The session as everybody sees it, for as long as this lives.
struct Standing<'a>(&'a Redis);

impl<'a> Standing<'a> {
    fn raise(redis: &'a Redis, session: Arc<Session>) -> Self {
        *redis.0.session.write() = Some(session);
        redis.0.up.set(1.0);
        tracing::info!("Redis is there");
        Self(redis)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        *self.0.0.session.write() = None;
        self.0.0.up.set(0.0);
    }
}

impl Service for Link {
    type Message = LinkMessage;

    async fn start(&mut self, ctx: &mut Context<LinkMessage>) -> Handled {
        ctx.every(self.redis.0.config.away_forget, || ForgetAway.into())?;
        self.connect(ctx)
    }

    async fn handle(
        &mut self,
        message: &mut Lent<LinkMessage>,
        ctx: &mut Context<LinkMessage>,
    ) -> Handled {
        match &**message {
            LinkMessage::Connect(_) => self.connect(ctx),
            LinkMessage::Ended(ended) => {
                self.tries = if ended.stood { 0 } else { self.tries + 1 };
                ctx.after(AGAIN.wait(self.tries, self.redis.0.node), Connect)
            }
            LinkMessage::ForgetAway(_) if self.redis.is_up() => Ok(()),
            LinkMessage::ForgetAway(_) => {
                let redis = self.redis.clone();
                ctx.run(async move {
                    if let Err(failure) = redis.forget_identities().await {
                        tracing::warn!(%failure, "the gates did not forget; it is tried again soon");
                    }
                    None
                })
            }
        }
    }
}
