//! What travels with a message besides its data: the deadline, the trace, the principal.
//!
//! A scope is cheap to clone: a few words and one shared pointer. Work started inside a handler
//! takes the handler's scope, so that a deadline or a trace never ends at a hop.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::ids::trace_id;
use crate::principal::{PermissionSet, Principal, PrincipalKind};
use crate::time::{Deadline, Moment};

/// Which message is shed first when mailboxes fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Shed when a mailbox is half full: crawlers, prefetching, background refreshes.
    Low,
    /// Shed when a mailbox is nine tenths full: ordinary requests.
    Normal,
    /// Uses the whole mailbox: the platform's own work.
    High,
}

/// A caller's promise that two requests with the same key are one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The key as the caller sent it.
    pub key: String,
    /// A hash of what was asked; the same key with another fingerprint is refused.
    pub fingerprint: String,
}

/// The state of a rate limit, reported back to the caller with the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateState {
    /// Name of the policy.
    pub policy: Cow<'static, str>,
    /// Requests allowed in a window.
    pub quota: u32,
    /// Length of the window in seconds.
    pub window_secs: u32,
    /// Requests left.
    pub remaining: u32,
    /// Seconds until the quota is whole again.
    pub reset_secs: u32,
}

/// What the stations on the way tell the asker besides the reply itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailers {
    /// The tightest rate limit that the request was counted against.
    pub rate: Option<RateState>,
    /// Whether the reply is a stored one, replayed for the same idempotency key.
    pub replayed: bool,
}

/// The highest place in the log of the store that the work has written to; 0 when it has not, or when
/// nobody counts. Whoever has the origin, or a copy that was changed since, shares it: a service that
/// acts as another, or without the caller's key, writes for the caller all the same.
#[derive(Debug, Default)]
pub struct Written(OnceLock<Arc<AtomicU64>>);

impl Written {
    /// The place.
    #[must_use]
    #[inline]
    pub fn place(&self) -> u64 {
        self.0.get().map_or(0, |place| place.load(Ordering::Acquire))
    }

    fn raise(&self, place: u64) {
        self.shared().fetch_max(place, Ordering::AcqRel);
    }

    /// Made when it is needed: most requests neither write nor copy their origin.
    fn shared(&self) -> &Arc<AtomicU64> {
        self.0.get_or_init(Arc::default)
    }
}

impl Clone for Written {
    fn clone(&self) -> Self {
        Self(OnceLock::from(Arc::clone(self.shared())))
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Written {}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.place().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Self::default();
        written.raise(u64::deserialize(deserializer)?);
        Ok(written)
    }
}

/// Where work comes from and on whose behalf it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Trace id (W3C trace context, 16 bytes).
    pub trace: u128,
    /// The span that caused this message (W3C trace context, 8 bytes).
    pub span: u64,
    /// Whether the trace is recorded.
    #[serde(default)]
    pub sampled: bool,
    /// Id of the request at the edge.
    pub request: Uuid,
    /// Who acts; none before authentication.
    pub principal: Option<Arc<Principal>>,
    /// The caller's idempotency key, if one came.
    pub idempotency: Option<Idempotency>,
    /// The caller's network address, for audit and limits.
    pub address: Option<IpAddr>,
    /// The place in the log of the store that the caller has seen, if one was brought: what is read
    /// for the caller may come from a replica that has reached it.
    pub seen: Option<u64>,
    /// How far the work has written since; the caller has seen it when the reply arrives.
    pub written: Written,
    /// What goes back with the reply.
    pub trailers: Trailers,
}

impl Origin {
    /// An origin with a request id and a trace made from it.
    #[must_use]
    pub fn new(request: Uuid) -> Self {
        Self {
            trace: request.as_u128(),
            span: request.as_u64_pair().1,
            sampled: false,
            request,
            principal: None,
            idempotency: None,
            address: None,
            seen: None,
            written: Written::default(),
            trailers: Trailers::default(),
        }
    }

    /// The W3C `traceparent` of what this work causes.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }

    /// Makes this work a part of the trace that a W3C `traceparent` of our own names; anything else
    /// changes nothing.
    pub fn follow(&mut self, traceparent: &str) {
        let mut parts = traceparent.split('-').skip(1);
        let mut hex = || u128::from_str_radix(parts.next()?, 16).ok();
        let (Some(trace), Some(span), flags) = (hex(), hex(), hex()) else { return };
        let Ok(span) = u64::try_from(span) else { return };
        self.trace = trace;
        self.span = span;
        self.sampled = flags.is_some_and(|flags| flags & 1 == 1);
    }
}

/// The circumstances of a message: deadline, priority and origin.
#[derive(Debug, Clone)]
pub struct Scope {
    pub(crate) deadline: Deadline,
    pub(crate) priority: Priority,
    pub(crate) origin: Option<Arc<Origin>>,
}

impl Scope {
    /// A scope without an origin, for work that nobody traces; it ends `within` from now.
    #[must_use]
    pub fn bare(within: Duration) -> Self {
        Self { deadline: Deadline::after(within), priority: Priority::Normal, origin: None }
    }

    /// A scope for a request at the edge of the system; it ends `within` from now.
    #[must_use]
    pub fn root(within: Duration, origin: Origin) -> Self {
        Self::until(Deadline::after(within), origin)
    }

    /// A scope for a request that began before.
    #[must_use]
    pub fn until(deadline: Deadline, origin: Origin) -> Self {
        Self { deadline, priority: Priority::Normal, origin: Some(Arc::new(origin)) }
    }

    /// A scope for work of the platform itself, which acts as the system principal `label`.
    #[must_use]
    pub fn system(label: &str, within: Duration) -> Self {
        let mut origin = Origin::new(trace_id());
        origin.principal = Some(Arc::new(Principal {
            subject: Uuid::nil(),
            kind: PrincipalKind::System,
            tenant: None,
            session: None,
            permissions: PermissionSet::new(),
            bound: None,
            label: label.to_owned(),
        }));
        Self { priority: Priority::High, ..Self::root(within, origin) }
    }

    /// The same scope with a deadline at most `within` from now.
    #[must_use]
    pub fn within(&self, within: Duration) -> Self {
        Self { deadline: self.deadline.min(Deadline::after(within)), ..self.clone() }
    }

    /// The same scope with a deadline of its own, for work that outlives its cause.
    #[must_use]
    pub fn detached(&self, within: Duration) -> Self {
        Self { deadline: Deadline::after(within), ..self.clone() }
    }

    /// The same scope acting for `tenant`, for platform work on behalf of one tenant.
    #[must_use]
    pub fn for_tenant(mut self, tenant: Uuid) -> Self {
        if let Some(principal) = self.origin_mut().principal.as_mut() {
            Arc::make_mut(principal).tenant = Some(tenant);
        }
        self
    }

    /// The same scope with another priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// When the work must be done.
    #[must_use]
    #[inline]
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Time left until the deadline; zero when it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.remaining(Moment::now())
    }

    /// The priority.
    #[must_use]
    #[inline]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Where the work comes from.
    #[must_use]
    #[inline]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_deref()
    }

    /// The origin as it is shared, for a port that is failed outside of a handler.
    #[must_use]
    pub fn shared_origin(&self) -> Option<Arc<Origin>> {
        self.origin.clone()
    }

    /// The origin for change; a scope without one gets a new one.
    pub fn origin_mut(&mut self) -> &mut Origin {
        Arc::make_mut(self.origin.get_or_insert_with(|| Arc::new(Origin::new(trace_id()))))
    }

    /// Who acts.
    #[must_use]
    #[inline]
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        self.origin.as_ref().and_then(|origin| origin.principal.as_ref())
    }

    /// Who acts, as an id; none before authentication.
    #[must_use]
    pub fn subject(&self) -> Option<Uuid> {
        self.principal().map(|principal| principal.subject)
    }

    /// The tenant the work is done in.
    #[must_use]
    pub fn tenant(&self) -> Option<Uuid> {
        self.principal().and_then(|principal| principal.tenant)
    }

    /// The trace id as 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        self.origin.as_ref().map(|origin| format!("{:032x}", origin.trace))
    }

    /// The id of the request at the edge.
    #[must_use]
    pub fn request_id(&self) -> Option<Uuid> {
        self.origin.as_ref().map(|origin| origin.request)
    }

    /// The caller's idempotency key.
    #[must_use]
    pub fn idempotency(&self) -> Option<&Idempotency> {
        self.origin.as_ref().and_then(|origin| origin.idempotency.as_ref())
    }

    /// The place in the log of the store that a replica must have reached to answer the caller; none
    /// when only the primary may.
    #[must_use]
    pub fn seen(&self) -> Option<u64> {
        let origin = self.origin()?;
        origin.seen.map(|seen| seen.max(origin.written.place()))
    }

    /// Notes that the work has written to the log of the store before this place.
    pub fn wrote(&self, place: u64) {
        if let Some(origin) = self.origin() {
            origin.written.raise(place);
        }
    }

    /// What goes back with the reply.
    #[must_use]
    pub fn trailers(&self) -> Trailers {
        self.origin.as_ref().map(|origin| origin.trailers.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_traceparent_belongs_to_its_trace() {
        let mut cause = Origin::new(Uuid::from_u128(7));
        cause.sampled = true;
        let mut effect = Origin::new(Uuid::from_u128(8));
        effect.follow(&cause.traceparent());
        assert_eq!((effect.trace, effect.span, effect.sampled), (7, 7, true));
        for garbage in ["", "00", "00-x-y-01", "00-1-ffffffffffffffffff-01"] {
            effect.follow(garbage);
            assert_eq!((effect.trace, effect.span), (7, 7), "{garbage}");
        }
    }
}
