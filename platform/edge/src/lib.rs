//! The HTTP edge: listeners, gates and the translation between requests and messages.
//!
//! A request is read by its connection, becomes a passage and travels as one envelope through
//! sharded gate actors (address limit, authentication, authorization, principal limit) to the last
//! one, which translates it into a message of its service. The service's reply returns straight to
//! the connection. Load is shed at the first full mailbox.
//!
//! The edge knows no service: routes, authenticator and authorizer come in from the composition.

mod config;
mod front;
mod gates;
pub mod http;
mod observe;
mod openapi;
mod server;
mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use troupe_actors::{ChildSpec, Failure, Scope, ServiceRef, Spec, Strategy, Supervisor, System};
use troupe_kernel::clock::SharedClock;
use troupe_kernel::{
    Authenticator, Authorizer, Catalog, ConfigSection as _, HeaderValue, InitFault, Invalidations,
    QuotaLedger, Reload, Route,
};
use troupe_telemetry::{Health, Sampling};

pub use config::{CorsConfig, EdgeConfig, MetricsAccess, RateConfig, TlsConfig, TokenCacheConfig};
pub use front::RenderMetrics;
pub use gates::{Gates, Station};
pub use server::Drained;

use front::{BodyBudget, Document, Front, Operations, Paths};
use gates::GateNeeds;
use observe::Observer;
use server::{Drain, GetAddress, Listener, ListenerMessage, ListenerParts, SharedTls};
use table::Table;

/// What the edge is made of.
pub struct EdgeParts {
    /// The actor system.
    pub system: System,
    /// The section `edge`.
    pub config: EdgeConfig,
    /// Version of the API's description.
    pub version: String,
    /// All routes.
    pub routes: Vec<Route>,
    /// All permissions.
    pub catalog: Arc<Catalog>,
    /// Checks credentials.
    pub authenticator: Arc<dyn Authenticator>,
    /// Resolves permissions.
    pub authorizer: Arc<dyn Authorizer>,
    /// Says what is revoked.
    pub invalidations: Invalidations,
    /// Counts quotas over all nodes; without one they are those of this node.
    pub ledger: Option<Arc<dyn QuotaLedger>>,
    /// Which requests are traced.
    pub sampling: Sampling,
    /// Answers the probes.
    pub health: Health,
    /// Answers `/metrics`.
    pub metrics: RenderMetrics,
    /// The clock.
    pub clock: SharedClock,
}

/// A handle on the edge of a node.
#[derive(Clone)]
pub struct Edge {
    listener: ServiceRef<ListenerMessage>,
    gates: Gates,
    tls: SharedTls,
    drain_timeout: Duration,
}

/// An orderly end may take this much longer than its deadline.
const GRACE: Duration = Duration::from_secs(5);

impl Edge {
    /// Builds the edge; the specification starts it, after the services that it asks.
    ///
    /// # Errors
    /// Routes that cannot be served as they are declared, all at once.
    pub fn build(parts: EdgeParts) -> Result<(Self, ChildSpec), Vec<InitFault>> {
        let (system, config) = (&parts.system, &parts.config);
        let faults = config.validate();
        if !faults.is_empty() {
            let fault =
                |fault: &troupe_kernel::ConfigFault| InitFault::new(fault.to_string()).of("edge");
            return Err(faults.iter().map(fault).collect());
        }
        let table = Arc::new(Table::new(parts.routes, &parts.catalog, config)?);
        let (gates, gates_spec) = gates::build(&GateNeeds {
            system,
            config,
            table: &table,
            clock: &parts.clock,
            authenticator: &parts.authenticator,
            authorizer: &parts.authorizer,
            invalidations: &parts.invalidations,
            ledger: parts.ledger.as_ref(),
        });
        let operations = Operations {
            health: parts.health,
            metrics: parts.metrics,
            metrics_access: config.metrics,
            docs: config.docs,
            openapi: Document::new(openapi::document(&table, &parts.version)),
        };
        let paths = Paths::new(&table, operations.all())?;
        let front = Arc::new(Front {
            paths,
            observer: Observer::new(&table, parts.sampling),
            sampling: parts.sampling,
            cors: crate::http::cors::Cors::new(config.cors.clone()),
            proxies: config.trusted_proxies.clone(),
            hsts: HeaderValue::from_str(&config.hsts).ok().filter(|value| !value.is_empty()),
            bodies: BodyBudget::new(config.bodies_bytes_max, &table),
            draining: AtomicBool::new(false),
            clock: parts.clock,
            table,
            gates: gates.clone(),
            operations,
        });
        let drain_timeout = config.drain_timeout;
        let config = Arc::new(config.clone());
        let tls = SharedTls::default();
        let shared = tls.clone();
        let listener_parts =
            Arc::new(ListenerParts { system: system.clone(), config, front, tls: shared });
        let (listener, listener_spec) =
            Spec::new(system, "listener", move || Listener::new(listener_parts.clone()))
                .capacity(64)
                .build();
        let spec = Supervisor::new(system, "edge")
            .strategy(Strategy::OneForOne)
            .child(gates_spec)
            .child(listener_spec)
            .into_spec();
        Ok((Self { listener, gates, tls, drain_timeout }, spec))
    }

    /// The gates, for requests that do not come over a connection.
    #[must_use]
    pub fn gates(&self) -> &Gates {
        &self.gates
    }

    /// Takes another certificate and key for the connections that are made afterwards.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.tls.reload()
    }

    /// The address it listens on, which tells the port when the configuration leaves it open.
    ///
    /// # Errors
    /// When the edge is not started.
    pub async fn address(&self) -> Result<SocketAddr, Failure> {
        self.listener.ask(&Scope::system("edge.address", GRACE), GetAddress).await
    }

    /// Stops taking connections and waits for the requests at work, at most `edge.drain_timeout`.
    /// Call it before the tree is shut down: what is still at work then is cut off.
    ///
    /// # Errors
    /// When the edge is not started.
    pub async fn drain(&self) -> Result<Drained, Failure> {
        let within = self.drain_timeout;
        self.listener.ask(&Scope::system("edge.drain", within + GRACE), Drain { within }).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use troupe_actors::{Restart, SystemConfig};
    use troupe_kernel::{
        Authenticated, BoxFuture, Credential, Decision, PermissionSet, Question, SystemClock, Uuid,
    };
    use troupe_telemetry::TelemetryConfig;

    use super::*;

    /// Nobody signs in here.
    struct Nobody;

    impl Authenticator for Nobody {
        fn authenticate<'a>(
            &'a self,
            _credential: Credential,
            _scope: &'a Scope,
        ) -> BoxFuture<'a, Result<Authenticated, Failure>> {
            unreachable!("no request brings a credential")
        }
    }

    impl Authorizer for Nobody {
        fn resolve<'a>(
            &'a self,
            _subject: Uuid,
            _tenant: Option<Uuid>,
            _scope: &'a Scope,
        ) -> BoxFuture<'a, Result<PermissionSet, Failure>> {
            unreachable!("nobody is authenticated")
        }

        fn decide<'a>(
            &'a self,
            _question: Question,
            _scope: &'a Scope,
        ) -> BoxFuture<'a, Result<Decision, Failure>> {
            unreachable!("the edge decides by permissions only")
        }
    }

    fn build(system: &System) -> (Edge, ChildSpec) {
        let clock = Arc::new(SystemClock);
        let config =
            EdgeConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..EdgeConfig::default() };
        Edge::build(EdgeParts {
            system: system.clone(),
            config,
            version: "0".to_owned(),
            routes: Vec::new(),
            catalog: Arc::new(Catalog::default()),
            authenticator: Arc::new(Nobody),
            authorizer: Arc::new(Nobody),
            invalidations: Invalidations::new(),
            ledger: None,
            sampling: Sampling::default(),
            health: Health::new(clock.clone(), &TelemetryConfig::default()),
            metrics: Arc::new(String::new),
            clock,
        })
        .unwrap()
    }

    async fn probe(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_listener_whose_task_died_binds_again() {
        let system = System::new(SystemConfig::default());
        let (edge, spec) = build(&system);
        let running = system.start(spec.restart(Restart::Permanent)).await.unwrap();
        let before = edge.address().await.unwrap();
        assert!(probe(before).await.starts_with("HTTP/1.1 200"));
        edge.listener.tell(&Scope::bare(GRACE), server::Ended { unfinished: None }).unwrap();
        let after = edge.address().await.unwrap();
        assert_ne!(after, before, "port 0 gives another port each time");
        assert!(probe(after).await.starts_with("HTTP/1.1 200"));
        assert!(TcpStream::connect(before).await.is_err(), "the old socket is closed");
        assert_eq!(system.crash_count(), 1);
        running.shutdown().await;
    }

    #[tokio::test]
    async fn a_shutdown_without_a_drain_closes_the_socket() {
        let system = System::new(SystemConfig::default());
        let (edge, spec) = build(&system);
        let running = system.start(spec).await.unwrap();
        let address = edge.address().await.unwrap();
        running.shutdown().await;
        assert!(TcpStream::connect(address).await.is_err());
        assert!(edge.drain().await.is_err(), "nothing is there to drain");
    }
}
