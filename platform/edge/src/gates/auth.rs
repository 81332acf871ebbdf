//! The authentication gate: says who asks, from a cache of verified credentials.
//!
//! The cache's key is the whole credential; an entry lives until the credential's own expiry and at
//! most a minute. A credential that is not cached is verified beside the mailbox, so that one
//! verification never holds up the shard, and the requests that bring the same one wait together.
//! A revocation empties the entries it concerns before it is acknowledged; a verification that was
//! under way meanwhile is done again.
//!
//! Mailbox: `edge.mailbox`. Restart: permanent. A crash loses the cache, which fills again, and
//! fails the requests that wait for a verification.

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use metrics::Counter;
use serde::{Deserialize, Serialize};
use troupe_actors::{Context, Failure, Handled, Lent, Moment, Principal, Scope, Service};
use troupe_kernel::clock::{SharedClock, Timestamp};
use troupe_kernel::{Authenticated, Authenticator, Credential, HeaderMap, Secret, Uuid};

use super::authz::AuthzMessage;
use super::flights::{Flights, Joined, LOOK_UP_WITHIN, Landing, Waiting, died};
use super::generations::Generations;
use super::passage::{Passage, Stage};
use crate::table::{Required, Table};

const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// A verification that revocations keep overtaking is done at most so often.
const ATTEMPTS_MAX: u8 = 3;
/// Revocations that are remembered for verifications under way.
const RECENT_MAX: usize = 1024;

/// The field of API keys.
pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A verification has come back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verified {
    ticket: u64,
    result: Result<Authenticated, Failure>,
}

/// The tokens of a session, or of a subject, are no longer good.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forget {
    pub(crate) what: Revoked,
}

/// Whose tokens are no longer good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Revoked {
    Session(Uuid),
    Subject(Uuid),
    /// So many that nobody knows any more.
    Anybody,
}

impl Revoked {
    fn concerns(self, principal: &Principal) -> bool {
        match self {
            Self::Session(session) => principal.session == Some(session),
            Self::Subject(subject) => principal.subject == subject,
            Self::Anybody => true,
        }
    }
}

/// Time to forget what has expired.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tidy;

troupe_actors::protocol! {
    /// What the authentication gate understands.
    pub enum AuthMessage("edge.auth", 1) redact ["headers", "body", "query"] {
        /// Says who asks and lets the request pass.
        Passage,
        /// A verification has come back.
        Verified,
        /// Forgets credentials.
        Forget => (),
        /// Forgets what has expired.
        Tidy,
    }
}

struct Known {
    principal: Arc<Principal>,
    until: Timestamp,
}

pub(crate) struct AuthParts {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) clock: SharedClock,
    pub(crate) table: Arc<Table>,
    pub(crate) next: Stage<AuthzMessage>,
    pub(crate) entries_max: usize,
    pub(crate) ttl: Duration,
}

pub(crate) struct AuthGate {
    parts: AuthParts,
    known: Generations<Brought, Known>,
    flights: Flights<Brought>,
    /// Counts revocations, so that a verification knows whether one overtook it.
    revision: u64,
    recent: Vec<(u64, Revoked)>,
    hits: Counter,
    misses: Counter,
}

impl AuthGate {
    pub(crate) fn new(parts: AuthParts) -> Self {
        Self {
            known: Generations::new(parts.entries_max),
            flights: Flights::new(),
            revision: 0,
            recent: Vec::new(),
            hits: metrics::counter!("troupe_edge_tokens_total", "cache" => "hit"),
            misses: metrics::counter!("troupe_edge_tokens_total", "cache" => "miss"),
            parts,
        }
    }

    /// Lets a request pass whose credential is known or that needs none; otherwise it waits.
    fn pass(&mut self, mut passage: Passage, ctx: &mut Context<AuthMessage>) -> Handled {
        // From here on nobody needs the secret: services never see it.
        let Some(brought) = Brought::take(&mut passage.request.headers)? else {
            if self.parts.table.get(passage.route).required != Required::Public {
                return Err(missing());
            }
            let next = self.parts.next.of(&passage, ctx.scope()).clone();
            return ctx.forward(&next, passage);
        };
        let now = self.parts.clock.now();
        if let Some(known) = self.known.get_mut(&brought) {
            if now < known.until {
                self.hits.increment(1);
                ctx.amend(|origin| origin.principal = Some(known.principal.clone()));
                let next = self.parts.next.of(&passage, ctx.scope()).clone();
                return ctx.forward(&next, passage);
            }
            self.known.remove(&brought);
        }
        self.misses.increment(1);
        let credential = brought.credential()?;
        let Some(port) = ctx.take_port() else { return Ok(()) };
        let scope = ctx.scope().clone();
        let waiting = Waiting { passage, scope: scope.clone(), port };
        match self.flights.join(brought.owned(), waiting, self.revision) {
            Joined::Begin(ticket) => self.verify(ticket, credential, &scope, ctx),
            Joined::Waits | Joined::Refused => Ok(()),
        }
    }

    /// Begins a verification beside the mailbox.
    fn verify(
        &mut self,
        ticket: u64,
        credential: Credential,
        scope: &Scope,
        ctx: &mut Context<AuthMessage>,
    ) -> Handled {
        let authenticator = self.parts.authenticator.clone();
        let scope = scope.detached(LOOK_UP_WITHIN);
        let landing = Landing::new(ctx.me(), move || Verified { ticket, result: Err(died()) });
        let begun = ctx.run(async move {
            let verifying = authenticator.authenticate(credential, &scope);
            let result = match tokio::time::timeout(LOOK_UP_WITHIN, verifying).await {
                Ok(result) => result,
                Err(_) => Err(Failure::unavailable(
                    "edge.auth.slow",
                    "the credential could not be checked in time; try again",
                )),
            };
            Some(landing.with(Verified { ticket, result }))
        });
        if let Err(failure) = begun
            && let Some(flight) = self.flights.land(ticket)
        {
            for waiting in flight.waiting {
                waiting.fail(failure.clone());
            }
        }
        Ok(())
    }

    /// A verification has come back: remembers its result and lets go who waited for it.
    fn verified(&mut self, verified: Verified, ctx: &mut Context<AuthMessage>) -> Handled {
        let Some(flight) = self.flights.land(verified.ticket) else { return Ok(()) };
        let now = self.parts.clock.now();
        let principal = match verified.result {
            Ok(authenticated) if authenticated.expires > now => {
                let overtaken = self.recent.iter().any(|(revision, revoked)| {
                    *revision > flight.revision && revoked.concerns(&authenticated.principal)
                });
                if overtaken && flight.attempts < ATTEMPTS_MAX {
                    let credential = flight.key.credential()?;
                    let scope = flight.waiting.first().map(|waiting| waiting.scope.clone());
                    let scope = scope.unwrap_or_else(|| ctx.scope().clone());
                    let ticket = self.flights.again(flight, self.revision);
                    return self.verify(ticket, credential, &scope, ctx);
                }
                if overtaken { Err(revoked()) } else { Ok(authenticated) }
            }
            Ok(_) => Err(expired()),
            Err(failure) => Err(failure),
        };
        match principal {
            Ok(Authenticated { principal, expires }) => {
                let principal = Arc::new(principal);
                let until = expires.min(now.plus(self.parts.ttl));
                self.known.insert(flight.key, Known { principal: principal.clone(), until });
                for mut waiting in flight.waiting {
                    waiting.scope.origin_mut().principal = Some(principal.clone());
                    waiting.pass(ctx.sender(), &self.parts.next);
                }
            }
            Err(failure) => {
                for waiting in flight.waiting {
                    waiting.fail(failure.clone());
                }
            }
        }
        if self.flights.is_empty() {
            self.recent.clear();
        }
        Ok(())
    }

    fn forget(&mut self, what: Revoked) {
        self.known.retain(|_, known| !what.concerns(&known.principal));
        if self.flights.is_empty() {
            return;
        }
        self.revision += 1;
        if self.recent.len() >= RECENT_MAX {
            self.recent.clear();
            self.recent.push((self.revision, Revoked::Anybody));
            return;
        }
        self.recent.push((self.revision, what));
    }

    fn tidy(&mut self) {
        let now = self.parts.clock.now();
        self.known.retain(|_, known| known.until > now);
        self.flights.sweep(Moment::now());
        metrics::gauge!("troupe_edge_tokens_known").set(len_as_f64(self.known.len()));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of entries is far below 2^52")]
pub(super) fn len_as_f64(len: usize) -> f64 {
    len as f64
}

impl Service for AuthGate {
    type Message = AuthMessage;

    async fn start(&mut self, ctx: &mut Context<AuthMessage>) -> Handled {
        ctx.every(SWEEP_EVERY, || Tidy.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<AuthMessage>,
        ctx: &mut Context<AuthMessage>,
    ) -> Handled {
        if let AuthMessage::Forget(forget) = &**message {
            self.forget(forget.what);
            return ctx.reply(forget, ());
        }
        match message.take() {
            AuthMessage::Passage(passage) => self.pass(passage, ctx),
            AuthMessage::Verified(verified) => self.verified(verified, ctx),
            AuthMessage::Tidy(_) => {
                self.tidy();
                Ok(())
            }
            other @ AuthMessage::Forget(_) => Err(super::misrouted(&other)),
        }
    }
}

/// The field that a credential came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Field {
    Authorization,
    ApiKey,
}

/// A credential as it was sent, under which it is remembered: its field and all of its bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Brought {
    field: Field,
    value: HeaderValue,
}

impl Brought {
    /// Takes the credential of a request out of its fields, if it brought one.
    fn take(headers: &mut HeaderMap) -> Result<Option<Self>, Failure> {
        let authorization = single(headers, &header::AUTHORIZATION)?;
        let api_key = single(headers, &API_KEY)?;
        match (authorization, api_key) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(faulty("send either Authorization or X-Api-Key, not both")),
            (Some(value), None) => Ok(Some(Self { field: Field::Authorization, value })),
            (None, Some(value)) => Ok(Some(Self { field: Field::ApiKey, value })),
        }
    }

    /// The same in memory of its own: what is remembered must not hold the buffer of a connection.
    fn owned(&self) -> Self {
        let value = HeaderValue::from_bytes(self.value.as_bytes());
        Self { field: self.field, value: value.unwrap_or_else(|_| self.value.clone()) }
    }

    /// The credential, read.
    fn credential(&self) -> Result<Credential, Failure> {
        let text = std::str::from_utf8(self.value.as_bytes())
            .map_err(|_| faulty("the credential is not text"))?
            .trim();
        let (is_key, token) = match self.field {
            Field::ApiKey => (true, text),
            Field::Authorization => {
                let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
                match scheme.to_ascii_lowercase().as_str() {
                    "bearer" => (false, token.trim()),
                    "apikey" => (true, token.trim()),
                    _ => return Err(faulty("use Authorization: Bearer TOKEN or ApiKey KEY")),
                }
            }
        };
        // Without a way out of the loop it looks at many bytes at once.
        let is_plain = token.bytes().fold(true, |plain, byte| plain & byte.is_ascii_graphic());
        if token.is_empty() || !is_plain {
            return Err(faulty("the credential is empty or has characters that none has"));
        }
        let secret = Secret::new(token);
        Ok(if is_key { Credential::ApiKey(secret) } else { Credential::Bearer(secret) })
    }
}

/// Takes a field that may come once.
fn single(headers: &mut HeaderMap, name: &HeaderName) -> Result<Option<HeaderValue>, Failure> {
    if headers.get_all(name).iter().nth(1).is_some() {
        return Err(faulty("send one credential"));
    }
    Ok(headers.remove(name))
}

fn faulty(detail: &'static str) -> Failure {
    Failure::unauthenticated("edge.credential.malformed", detail)
}

fn missing() -> Failure {
    Failure::unauthenticated(
        "edge.credential.missing",
        "sign in and send the access token as Authorization: Bearer TOKEN",
    )
}

fn expired() -> Failure {
    Failure::unauthenticated("edge.credential.expired", "the token has expired; get a new one")
}

fn revoked() -> Failure {
    Failure::unauthenticated("edge.credential.revoked", "the session was ended; sign in again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&'static str, &'static str)]) -> Result<Option<(bool, String)>, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let read = Brought::take(&mut headers);
        assert!(read.is_err() || headers.is_empty(), "the secret goes no further");
        let brought = match read {
            Ok(None) => return Ok(None),
            Ok(Some(brought)) => brought.credential(),
            Err(failure) => Err(failure),
        };
        match brought {
            Ok(Credential::Bearer(secret)) => Ok(Some((false, secret.expose().to_owned()))),
            Ok(Credential::ApiKey(secret)) => Ok(Some((true, secret.expose().to_owned()))),
            Err(failure) => Err(failure.code().to_owned()),
        }
    }

    #[test]
    fn credentials_are_read_from_their_fields() {
        assert_eq!(read(&[]), Ok(None));
        let token = |is_key, text: &str| Ok(Some((is_key, text.to_owned())));
        assert_eq!(read(&[("authorization", "Bearer a.b.c")]), token(false, "a.b.c"));
        assert_eq!(read(&[("authorization", "bearer  a.b.c ")]), token(false, "a.b.c"));
        assert_eq!(read(&[("authorization", "ApiKey tk_1")]), token(true, "tk_1"));
        assert_eq!(read(&[("x-api-key", "tk_1")]), token(true, "tk_1"));
    }

    #[test]
    fn faulty_credentials_are_refused() {
        for fields in [
            &[("authorization", "Basic YTpi")][..],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer a b")],
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
            &[("authorization", "Bearer a"), ("x-api-key", "b")],
            &[("x-api-key", "")],
        ] {
            assert_eq!(read(fields), Err("edge.credential.malformed".to_owned()), "{fields:?}");
        }
    }
}
