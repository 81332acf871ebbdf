//! The ports: what the platform needs from adapters, as object-safe traits.
//!
//! Adapters implement them, `node` wires them, services take them from the container as
//! `Arc<dyn Port>`. Every call is bounded by its adapter's own timeout and, where a scope is given,
//! by the scope's deadline.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use troupe_actors::{Failure, PermissionSet, Principal, Scope};
use uuid::Uuid;

use crate::audit::AuditRecord;
pub use crate::blob::{
    Blob, BlobContent, BlobInfo, BlobLink, BlobReader, BlobStore, LinkUse, NewBlob,
};
use crate::clock::Timestamp;
use crate::config::Secret;
use crate::event::Event;
use crate::job::Job;
use crate::mail::Mail;
use crate::secret_text::SecretText;

/// A future behind a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A cache. It may forget anything at any time; a cache that is away answers like an empty one.
pub trait Cache: Send + Sync {
    /// The value of a key.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>>;
    /// Keeps a value for at most `ttl`, and no longer than until one of its tags is invalidated.
    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        ttl: Duration,
        tags: &'a [String],
    ) -> BoxFuture<'a, ()>;
    /// The value of a key; if there is none, what `load` gives, kept like [`put`](Self::put) does.
    ///
    /// An adapter runs one `load` for many that ask at once, and does not keep what was loaded
    /// before its key was removed or one of its tags invalidated.
    fn fill<'a>(
        &'a self,
        key: &'a str,
        ttl: Duration,
        tags: &'a [String],
        load: BoxFuture<'a, Result<Bytes, Failure>>,
    ) -> BoxFuture<'a, Result<Bytes, Failure>> {
        Box::pin(async move {
            if let Some(value) = self.get(key).await {
                return Ok(value);
            }
            let value = load.await?;
            self.put(key, value.clone(), ttl, tags).await;
            Ok(value)
        })
    }
    /// Forgets a key.
    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>>;
    /// Forgets every key with this tag. When it answers, no later `get` on this node sees an older
    /// value. An adapter that nodes share says when that is so on the others, and fails when it cannot
    /// promise it; on this node it is so nevertheless.
    fn invalidate<'a>(&'a self, tag: &'a str) -> BoxFuture<'a, Result<(), Failure>>;
}

/// What a caller spent of a quota since it was told last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spending {
    /// The caller and its quota: everyone who counts the same quota says the same.
    pub caller: String,
    /// The part of the quota, as the time in which it comes back.
    pub spent: Duration,
}

/// Counts over all nodes what callers have spent of their quotas.
///
/// A caller has a time at which its quota is whole again (the theoretical arrival time of GCRA).
/// Whatever it spends moves that time on, from now at the earliest.
pub trait QuotaLedger: Send + Sync {
    /// Adds what was spent here; answers in the same order how far ahead of now the quota of each
    /// caller is whole again. Fails at once while the ledger is away: nothing was counted, or it
    /// is not known whether it was.
    fn spend<'a>(
        &'a self,
        spendings: &'a [Spending],
    ) -> BoxFuture<'a, Result<Vec<Duration>, Failure>>;
}

/// The way events leave the outbox. Services do not use it: they add events to the unit of work.
pub trait EventBus: Send + Sync {
    /// Hands events on in this order; when it answers they are durable on the bus.
    fn publish<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), Failure>>;
}

/// Adds jobs outside of a unit of work.
pub trait Scheduler: Send + Sync {
    /// Adds a job; answers its id, or the id of the waiting one with the same `unique` value.
    fn schedule<'a>(&'a self, job: Job, scope: &'a Scope) -> BoxFuture<'a, Result<Uuid, Failure>>;
    /// Takes a job back that has not begun; answers whether it was still waiting.
    fn cancel<'a>(&'a self, id: Uuid, scope: &'a Scope) -> BoxFuture<'a, Result<bool, Failure>>;
}

/// Renders and sends mail now. Services add [`Mail::into_job`] to the unit of work instead.
pub trait Notifier: Send + Sync {
    /// Sends a mail; when it answers, the mail server has taken it.
    fn send<'a>(&'a self, mail: Mail, scope: &'a Scope) -> BoxFuture<'a, Result<(), Failure>>;
}

/// How a caller says who it is.
#[derive(Debug, Clone)]
pub enum Credential {
    /// `Authorization: Bearer …`: an access token.
    Bearer(Secret),
    /// `Authorization: ApiKey …` or `X-Api-Key`: the key of a service.
    ApiKey(Secret),
}

/// Who a credential belongs to and until when it is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticated {
    /// Who it is; its permissions are still empty.
    pub principal: Principal,
    /// No cache keeps this longer.
    pub expires: Timestamp,
}

/// Checks credentials.
pub trait Authenticator: Send + Sync {
    /// Who the credential belongs to. An `Unauthenticated` failure refuses it; any other means that
    /// it could not be checked now.
    fn authenticate<'a>(
        &'a self,
        credential: Credential,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Authenticated, Failure>>;
}

/// Proves again that the caller is who the session says, before what a stolen token must not do.
pub trait Reauthenticator: Send + Sync {
    /// Succeeds when this is the password of the scope's principal. A wrong one is counted like a
    /// failed login, so that nobody guesses here; who has no password (an API key) is refused.
    fn reauthenticate<'a>(
        &'a self,
        password: SecretText,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), Failure>>;
}

/// The place of the [`Reauthenticator`]. The service that uses it is initialised before the one that
/// gives it (which asks the first who people are): the first provides the place, the second fills it.
#[derive(Clone, Default)]
pub struct Reauthentication(Arc<OnceLock<Arc<dyn Reauthenticator>>>);

impl Reauthentication {
    /// Fills the place, once; answers whether it was empty.
    pub fn fill(&self, port: Arc<dyn Reauthenticator>) -> bool {
        self.0.set(port).is_ok()
    }

    /// As [`Reauthenticator::reauthenticate`].
    ///
    /// # Errors
    /// `kernel.reauthentication.missing` while the place is empty, and those of the port.
    pub async fn reauthenticate(&self, password: SecretText, scope: &Scope) -> Result<(), Failure> {
        let port = self.0.get().ok_or_else(|| {
            Failure::unavailable(
                "kernel.reauthentication.missing",
                "this node cannot check passwords; ask one that runs the module auth",
            )
        })?;
        port.reauthenticate(password, scope).await
    }
}

/// Seals secrets that must be read again, such as one that a signature is made with, for whoever keeps
/// them in rows. What need not be read again is hashed instead.
pub trait SecretSealer: Send + Sync {
    /// Seals a secret. What it is for (`owner.thing:id`) is authenticated with it, so that it cannot be
    /// passed off as another.
    ///
    /// # Errors
    /// When there is no key yet, or no randomness.
    fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, Failure>;

    /// Opens what was sealed for this purpose.
    ///
    /// # Errors
    /// When it was sealed with another key or for another purpose, or was changed since.
    fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, Failure>;
}

/// The thing that a decision is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is: `blog.post`.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// The tenant it belongs to.
    pub tenant: Option<Uuid>,
    /// Whom it belongs to.
    pub owner: Option<Uuid>,
    /// What else policies ask about.
    pub attributes: BTreeMap<String, Value>,
}

/// May this principal do this to that?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Who wants to act.
    pub principal: Principal,
    /// The permission that the action needs.
    pub action: String,
    /// What it is to be done to.
    pub resource: Resource,
}

/// The answer with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether it may.
    pub allowed: bool,
    /// Why, in one sentence.
    pub reason: String,
    /// The policy that decided; none when no policy applied.
    pub policy: Option<String>,
}

/// Decides what principals may do.
pub trait Authorizer: Send + Sync {
    /// All permissions of a subject in a tenant.
    fn resolve<'a>(
        &'a self,
        subject: Uuid,
        tenant: Option<Uuid>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<PermissionSet, Failure>>;
    /// A decision on one resource by the policies.
    fn decide<'a>(
        &'a self,
        question: Question,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Decision, Failure>>;
}

/// Records actions outside of a unit of work, such as a refusal at a gate.
pub trait AuditLog: Send + Sync {
    /// Keeps a record; when it answers, the record is durable.
    fn record<'a>(
        &'a self,
        record: AuditRecord,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), Failure>>;
}
