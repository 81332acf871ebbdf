//! Tells every cache of identity and permissions what is no longer true, and waits until all know.
//!
//! A revocation is complete on this node when [`Invalidations::publish`] answers: from then on no gate
//! of it accepts what was revoked. The hub reaches the caches of this node. Other nodes are reached
//! by a relay, a subscriber that passes on what this node publishes; what it hears from others it
//! [applies](Invalidations::apply) to the caches alone. When a revocation is true on the other nodes
//! is the promise of the adapter behind the relay.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use troupe_actors::{Failure, FailureKind, Scope, ServiceRef};
use uuid::Uuid;

/// A session ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokeSession {
    /// The session.
    pub session: Uuid,
}

/// All sessions and keys of a subject ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokeSubject {
    /// The user or service account.
    pub subject: Uuid,
}

/// Every token may be false, as when a signing key became known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokeEverybody;

/// What a subject may do has changed.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct PermissionsChanged {
    /// The subject; none when it may be anybody (a role changed).
    pub subject: Option<Uuid>,
    /// The tenant in which it changed; none when it may be anywhere.
    pub tenant: Option<Uuid>,
}

impl PermissionsChanged {
    /// Whether it concerns what a subject may do in a tenant, or on the platform.
    #[must_use]
    pub fn concerns(&self, subject: Uuid, tenant: Option<Uuid>) -> bool {
        self.subject.is_none_or(|changed| changed == subject)
            && self.tenant.is_none_or(|changed| tenant == Some(changed))
    }
}

troupe_actors::protocol! {
    /// What caches of identity and permissions must forget.
    pub enum InvalidationMessage("invalidation", 2) redact [] {
        /// Forgets the tokens of a session.
        RevokeSession => (),
        /// Forgets the tokens of a subject.
        RevokeSubject => (),
        /// Forgets all tokens, so that each is verified anew.
        RevokeEverybody => (),
        /// Forgets the permissions of a subject, or of all.
        PermissionsChanged => (),
    }
}

/// The hub: caches subscribe, services publish. Clones share it.
#[derive(Clone, Default)]
pub struct Invalidations {
    caches: Arc<Mutex<Vec<ServiceRef<InvalidationMessage>>>>,
    relays: Arc<Mutex<Vec<ServiceRef<InvalidationMessage>>>>,
}

impl Invalidations {
    /// A hub without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a cache.
    pub fn subscribe(&self, service: ServiceRef<InvalidationMessage>) {
        add(&self.caches, service);
    }

    /// Adds a way to the caches of other nodes. It gets what this node publishes, and answers when
    /// its promise is kept.
    pub fn relay_through(&self, service: ServiceRef<InvalidationMessage>) {
        add(&self.relays, service);
    }

    /// Tells all caches and relays and waits until each has acknowledged, at most until the scope's
    /// deadline.
    ///
    /// # Errors
    /// `kernel.invalidation.incomplete` when one did not acknowledge. A cache that is stopped holds
    /// nothing and counts as told.
    pub async fn publish(
        &self,
        scope: &Scope,
        message: impl Into<InvalidationMessage>,
    ) -> Result<(), Failure> {
        let mut subscribers = all(&self.caches);
        subscribers.extend(all(&self.relays));
        Self::tell(&subscribers, scope, message.into()).await
    }

    /// Tells the caches of this node what another node has published.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn apply(
        &self,
        scope: &Scope,
        message: impl Into<InvalidationMessage>,
    ) -> Result<(), Failure> {
        Self::tell(&all(&self.caches), scope, message.into()).await
    }

    async fn tell(
        subscribers: &[ServiceRef<InvalidationMessage>],
        scope: &Scope,
        message: InvalidationMessage,
    ) -> Result<(), Failure> {
        let mut waiting = Vec::with_capacity(subscribers.len());
        for subscriber in subscribers {
            let (port, pending) = subscriber.open::<()>(scope);
            subscriber.send(scope, message.clone(), port);
            waiting.push((subscriber.path(), pending));
        }
        let mut missing = Vec::new();
        for (path, pending) in waiting {
            match pending.await.result {
                Err(failure) if failure.kind() != FailureKind::Stopped => {
                    missing.push(format!("{path} ({})", failure.code()));
                }
                _ => {}
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::unavailable(
            "kernel.invalidation.incomplete",
            format!("not every cache has forgotten what was revoked: {}", missing.join(", ")),
        ))
    }
}

type Subscribers = Mutex<Vec<ServiceRef<InvalidationMessage>>>;

fn add(subscribers: &Subscribers, service: ServiceRef<InvalidationMessage>) {
    subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(service);
}

fn all(subscribers: &Subscribers) -> Vec<ServiceRef<InvalidationMessage>> {
    subscribers.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_concerns_those_it_names_and_nobody_else() {
        let [ann, bob, here, there] = [1, 2, 3, 4].map(Uuid::from_u128);
        let of = |subject, tenant| PermissionsChanged { subject, tenant };
        for (change, concerned) in [
            (of(None, None), [true; 4]),
            (of(Some(ann), None), [true, true, true, false]),
            (of(None, Some(here)), [true, false, false, true]),
            (of(Some(ann), Some(here)), [true, false, false, false]),
        ] {
            let keys = [(ann, Some(here)), (ann, Some(there)), (ann, None), (bob, Some(here))];
            assert_eq!(keys.map(|(subject, tenant)| change.concerns(subject, tenant)), concerned);
        }
    }
}
