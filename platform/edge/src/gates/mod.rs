//! The gates: sharded actors that a request passes on its way, each a small state without locks.
//!
//! address limit → authentication → authorization → principal limit → delivery. A request travels
//! as a [`Passage`] on one envelope with its reply port; no gate waits for the next one. What a
//! gate refuses goes straight back to the connection.

mod auth;
mod authz;
mod deliver;
mod flights;
mod gcra;
mod generations;
mod passage;
mod rate;
mod revocation;
mod settle;

use std::sync::Arc;

use troupe_actors::{
    ChildSpec, Message, ReplyPort, Scope, Service, Shards, Spec, Supervisor, System,
};
use troupe_kernel::clock::SharedClock;
use troupe_kernel::{
    Authenticator, Authorizer, Failure, HttpRequest, HttpResponse, Invalidations, QuotaLedger,
};

pub(crate) use passage::Passage;

use auth::AuthMessage;
use authz::AuthzMessage;
use deliver::DeliverMessage;
use passage::Stage;
use rate::RateMessage;

use crate::config::EdgeConfig;
use crate::table::Table;

/// Keys that a limit remembers.
const RATE_KEYS_MAX: usize = 131_072;

/// What the gates need from the platform.
pub(crate) struct GateNeeds<'a> {
    pub(crate) system: &'a System,
    pub(crate) config: &'a EdgeConfig,
    pub(crate) table: &'a Arc<Table>,
    pub(crate) clock: &'a SharedClock,
    pub(crate) authenticator: &'a Arc<dyn Authenticator>,
    pub(crate) authorizer: &'a Arc<dyn Authorizer>,
    pub(crate) invalidations: &'a Invalidations,
    pub(crate) ledger: Option<&'a Arc<dyn QuotaLedger>>,
}

/// A station on the way of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Station {
    /// The limit per address: where every request enters.
    Address,
    /// Says who asks.
    Authentication,
    /// Checks the permission of the route.
    Authorization,
    /// The limit per principal.
    Principal,
    /// Translates the request and hands it to its service.
    Delivery,
}

impl Station {
    /// All of them, in the order of the way.
    pub const ALL: [Self; 5] =
        [Self::Address, Self::Authentication, Self::Authorization, Self::Principal, Self::Delivery];
}

/// The gates of a node. Clones share them.
#[derive(Clone)]
pub struct Gates {
    table: Arc<Table>,
    address: Stage<RateMessage>,
    authentication: Stage<AuthMessage>,
    authorization: Stage<AuthzMessage>,
    principal: Stage<RateMessage>,
    delivery: Stage<DeliverMessage>,
}

impl Gates {
    /// Sends a request in at a station, with what the stations before it have found out in its
    /// scope, and waits for the answer. `route` is its number among the routes of the edge.
    ///
    /// # Errors
    /// Those of the stations and of the service.
    ///
    /// # Panics
    /// When there is no route of this number.
    pub async fn enter(
        &self,
        station: Station,
        route: u32,
        request: HttpRequest,
    ) -> Result<HttpResponse, Failure> {
        let scope = request.scope.clone();
        let (port, response) = self.table.get(route).route.target().open(&scope);
        self.send(station, &scope, Passage { route, request: Box::new(request) }, port);
        response.await.response
    }

    /// Sends a request in at a station.
    pub(crate) fn send(&self, at: Station, scope: &Scope, passage: Passage, port: ReplyPort) {
        match at {
            Station::Address => self.address.send(scope, passage, port),
            Station::Authentication => self.authentication.send(scope, passage, port),
            Station::Authorization => self.authorization.send(scope, passage, port),
            Station::Principal => self.principal.send(scope, passage, port),
            Station::Delivery => self.delivery.send(scope, passage, port),
        }
    }
}

/// Builds all gates and the specification of their supervisor.
pub(crate) fn build(needs: &GateNeeds<'_>) -> (Gates, ChildSpec) {
    let GateNeeds { config, table, .. } = needs;
    let mut children = Vec::new();
    let bell = needs.ledger.map(|_| Arc::<rate::Bell>::default());
    let address_limit = rate::Limit::new("address", config.address_limit, bell.clone());
    let principal_limit = rate::Limit::new("principal", config.principal_limit, bell.clone());
    if let (Some(bell), Some(ledger)) = (bell, needs.ledger) {
        let limits = [address_limit.clone(), principal_limit.clone()];
        let desk = settle::Desk { ledger: ledger.clone(), limits: limits.into(), bell };
        children.push(settle::service(needs.system, desk));
    }

    let deliver = shards(needs, "deliver", &mut children, {
        let table = (*table).clone();
        move || deliver::DeliverGate::new(table.clone())
    });
    let entries_max = config.tokens.entries_max.div_ceil(deliver.all().len());
    let delivery = Stage::new(deliver, passage::by_request);

    let principal = shards(needs, "principal-limit", &mut children, {
        let next = delivery.clone();
        move || rate::RateGate::new(principal_limit.clone(), rate::subject_key, next.clone())
    });
    let principal = Stage::new(principal, passage::by_subject);

    let authz = shards(needs, "authorization", &mut children, {
        let authorizer = needs.authorizer.clone();
        let table = (*table).clone();
        let next = principal.clone();
        let ttl = config.tokens.ttl;
        move || {
            authz::AuthzGate::new(authz::AuthzParts {
                authorizer: authorizer.clone(),
                table: table.clone(),
                next: next.clone(),
                entries_max,
                ttl,
            })
        }
    });
    let authorization = Stage::new(authz.clone(), passage::by_subject);

    let auth = shards(needs, "authentication", &mut children, {
        let authenticator = needs.authenticator.clone();
        let clock = needs.clock.clone();
        let table = (*table).clone();
        let next = authorization.clone();
        let ttl = config.tokens.ttl;
        move || {
            auth::AuthGate::new(auth::AuthParts {
                authenticator: authenticator.clone(),
                clock: clock.clone(),
                table: table.clone(),
                next: next.clone(),
                entries_max,
                ttl,
            })
        }
    });
    let authentication = Stage::new(auth.clone(), passage::by_credential);

    let address = shards(needs, "address-limit", &mut children, {
        let next = authentication.clone();
        move || rate::RateGate::new(address_limit.clone(), rate::address_key, next.clone())
    });
    let address = Stage::new(address, passage::by_address);

    let (revocation, child) = Spec::new(needs.system, "revocation", move || {
        revocation::RevocationGate::new(auth.clone(), authz.clone())
    })
    .build();
    needs.invalidations.subscribe(revocation);
    children.push(child);

    let spec = Supervisor::new(needs.system, "gates").children(children).into_spec();
    let table = (*table).clone();
    (Gates { table, address, authentication, authorization, principal, delivery }, spec)
}

/// One supervised set of equal actors.
fn shards<S: Service>(
    needs: &GateNeeds<'_>,
    name: &str,
    children: &mut Vec<ChildSpec>,
    make: impl Fn() -> S + Send + Sync + 'static,
) -> Shards<S::Message> {
    let (shards, spec) = Spec::new(needs.system, name, make)
        .capacity(needs.config.mailbox)
        .replicated(needs.config.shards);
    children.push(spec);
    shards
}

/// A gate got a message that only another station sends.
pub(crate) fn misrouted<M: Message>(message: &M) -> troupe_actors::Failure {
    troupe_actors::Failure::internal(
        "edge.gate.misrouted",
        format!("this gate does not understand {}", message.kind()),
    )
}
