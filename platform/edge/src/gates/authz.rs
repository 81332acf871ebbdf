//! The authorization gate: gives a principal its compiled permissions and checks the route's bit.
//!
//! Permissions are cached per subject and tenant until the authorization service says that they
//! changed, and at most `edge.tokens.ttl`. What is not cached is resolved beside the mailbox;
//! requests of the same subject wait together. A resolution that a change overtook is done again.
//!
//! Mailbox: `edge.mailbox`. Restart: permanent. A crash loses the cache, which fills again, and
//! fails the requests that wait for a resolution.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{
    Context, Failure, Handled, Lent, Moment, PermissionSet, Principal, Scope, Service,
};
use troupe_kernel::{Authorizer, PermissionsChanged, Uuid};

use super::flights::{Flights, Joined, LOOK_UP_WITHIN, Landing, Waiting, died};
use super::generations::Generations;
use super::passage::{Passage, Stage};
use super::rate::RateMessage;
use crate::table::{Required, Table};

const SWEEP_EVERY: Duration = Duration::from_secs(5);
const ATTEMPTS_MAX: u8 = 3;
const RECENT_MAX: usize = 1024;

/// A resolution has come back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resolved {
    ticket: u64,
    result: Result<PermissionSet, Failure>,
}

/// Permissions have changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changed {
    pub(crate) change: PermissionsChanged,
}

/// Time to forget what is old.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tidy;

troupe_actors::protocol! {
    /// What the authorization gate understands.
    pub enum AuthzMessage("edge.authz", 1) redact ["headers", "body", "query"] {
        /// Checks the route's permission and lets the request pass.
        Passage,
        /// A resolution has come back.
        Resolved,
        /// Forgets permissions.
        Changed => (),
        /// Forgets what is old.
        Tidy,
    }
}

/// A subject in a tenant.
type Key = (Uuid, Option<Uuid>);

struct Known {
    permissions: PermissionSet,
    since: Moment,
    /// The principal as it last came and as it went on: the same token gives the same one.
    last: Option<(Arc<Principal>, Arc<Principal>)>,
}

impl Known {
    /// The principal with its permissions, within the bound that its credential sets.
    fn equip(&mut self, principal: &Arc<Principal>) -> Arc<Principal> {
        if let Some((came, went)) = &self.last
            && Arc::ptr_eq(came, principal)
        {
            return went.clone();
        }
        let permissions = match &principal.bound {
            Some(bound) => self.permissions.intersect(bound),
            None => self.permissions.clone(),
        };
        let equipped = Arc::new(Principal { permissions, ..(**principal).clone() });
        self.last = Some((principal.clone(), equipped.clone()));
        equipped
    }
}

pub(crate) struct AuthzParts {
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) table: Arc<Table>,
    pub(crate) next: Stage<RateMessage>,
    pub(crate) entries_max: usize,
    /// However long nothing is said to have changed, it is asked again after this.
    pub(crate) ttl: Duration,
}

pub(crate) struct AuthzGate {
    parts: AuthzParts,
    known: Generations<Key, Known>,
    flights: Flights<Key>,
    /// Counts changes, so that a resolution knows whether one overtook it.
    revision: u64,
    recent: Vec<(u64, PermissionsChanged)>,
}

impl AuthzGate {
    pub(crate) fn new(parts: AuthzParts) -> Self {
        Self {
            known: Generations::new(parts.entries_max),
            flights: Flights::new(),
            revision: 0,
            recent: Vec::new(),
            parts,
        }
    }

    fn pass(&mut self, passage: Passage, ctx: &mut Context<AuthzMessage>) -> Handled {
        let Some(principal) = ctx.scope().principal().cloned() else {
            // The gate before let nobody through but on public routes.
            let next = self.parts.next.of(&passage, ctx.scope()).clone();
            return ctx.forward(&next, passage);
        };
        let key = (principal.subject, principal.tenant);
        if let Some(known) = self.known.get_mut(&key) {
            if ctx.coarse_now().since(known.since) < self.parts.ttl {
                let principal = known.equip(&principal);
                check(&self.parts.table, &passage, &principal)?;
                ctx.amend(|origin| origin.principal = Some(principal));
                let next = self.parts.next.of(&passage, ctx.scope()).clone();
                return ctx.forward(&next, passage);
            }
            self.known.remove(&key);
        }
        let Some(port) = ctx.take_port() else { return Ok(()) };
        let scope = ctx.scope().clone();
        let waiting = Waiting { passage, scope: scope.clone(), port };
        match self.flights.join(key, waiting, self.revision) {
            Joined::Begin(ticket) => self.resolve(ticket, key, &scope, ctx),
            Joined::Waits | Joined::Refused => Ok(()),
        }
    }

    fn resolve(
        &mut self,
        ticket: u64,
        (subject, tenant): Key,
        scope: &Scope,
        ctx: &mut Context<AuthzMessage>,
    ) -> Handled {
        let authorizer = self.parts.authorizer.clone();
        let scope = scope.detached(LOOK_UP_WITHIN);
        let landing = Landing::new(ctx.me(), move || Resolved { ticket, result: Err(died()) });
        let begun = ctx.run(async move {
            let resolving = authorizer.resolve(subject, tenant, &scope);
            let result = match tokio::time::timeout(LOOK_UP_WITHIN, resolving).await {
                Ok(result) => result,
                Err(_) => Err(Failure::unavailable(
                    "edge.authz.slow",
                    "the permissions could not be read in time; try again",
                )),
            };
            Some(landing.with(Resolved { ticket, result }))
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

    fn resolved(&mut self, resolved: Resolved, ctx: &mut Context<AuthzMessage>) -> Handled {
        let Some(flight) = self.flights.land(resolved.ticket) else { return Ok(()) };
        let permissions = match resolved.result {
            Ok(permissions) => permissions,
            Err(failure) => {
                for waiting in flight.waiting {
                    waiting.fail(failure.clone());
                }
                return Ok(());
            }
        };
        let (subject, tenant) = flight.key;
        let overtaken = self.recent.iter().any(|(revision, change)| {
            *revision > flight.revision && change.concerns(subject, tenant)
        });
        if overtaken && flight.attempts < ATTEMPTS_MAX {
            let key = flight.key;
            let scope = flight.waiting.first().map(|waiting| waiting.scope.clone());
            let ticket = self.flights.again(flight, self.revision);
            let scope = scope.unwrap_or_else(|| ctx.scope().clone());
            return self.resolve(ticket, key, &scope, ctx);
        }
        let mut known = Known { permissions, since: Moment::now(), last: None };
        for mut waiting in flight.waiting {
            let Some(principal) = waiting.scope.principal().cloned() else { continue };
            let principal = known.equip(&principal);
            match check(&self.parts.table, &waiting.passage, &principal) {
                Ok(()) => {
                    waiting.scope.origin_mut().principal = Some(principal);
                    waiting.pass(ctx.sender(), &self.parts.next);
                }
                Err(failure) => waiting.fail(failure),
            }
        }
        // What changes kept overtaking is good for these requests and remembered for none.
        if !overtaken {
            self.known.insert(flight.key, known);
        }
        if self.flights.is_empty() {
            self.recent.clear();
        }
        Ok(())
    }

    fn forget(&mut self, change: PermissionsChanged) {
        self.known.retain(|(subject, tenant), _| !change.concerns(*subject, *tenant));
        if self.flights.is_empty() {
            return;
        }
        self.revision += 1;
        if self.recent.len() >= RECENT_MAX {
            // What changed is no longer known: it may have been anything.
            self.recent.clear();
            self.recent.push((self.revision, PermissionsChanged::default()));
            return;
        }
        self.recent.push((self.revision, change));
    }

    fn tidy(&mut self) {
        let (now, ttl) = (Moment::now(), self.parts.ttl);
        self.known.retain(|_, known| now.since(known.since) < ttl);
        self.flights.sweep(now);
    }
}

/// Whether the principal may use the route.
fn check(table: &Table, passage: &Passage, principal: &Principal) -> Handled {
    let Required::Permission { bit, key } = table.get(passage.route).required else {
        return Ok(());
    };
    if principal.permissions.contains(bit) {
        return Ok(());
    }
    metrics::counter!("troupe_http_forbidden_total", "permission" => key).increment(1);
    Err(Failure::forbidden(
        "edge.permission.missing",
        format!("this needs the permission {key}; ask an administrator of the organisation"),
    ))
}

impl Service for AuthzGate {
    type Message = AuthzMessage;

    async fn start(&mut self, ctx: &mut Context<AuthzMessage>) -> Handled {
        ctx.every(SWEEP_EVERY, || Tidy.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<AuthzMessage>,
        ctx: &mut Context<AuthzMessage>,
    ) -> Handled {
        if let AuthzMessage::Changed(changed) = &**message {
            self.forget(changed.change);
            return ctx.reply(changed, ());
        }
        match message.take() {
            AuthzMessage::Passage(passage) => self.pass(passage, ctx),
            AuthzMessage::Resolved(resolved) => self.resolved(resolved, ctx),
            AuthzMessage::Tidy(_) => {
                self.tidy();
                Ok(())
            }
            other @ AuthzMessage::Changed(_) => Err(super::misrouted(&other)),
        }
    }
}
