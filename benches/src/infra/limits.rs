//! A node's limits: its gates with a ledger or without, and a service behind them that says yes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use troupe_actors::{
    Context, Deadline, Handled, Lent, Moment, Origin, PermissionSet, Principal, PrincipalKind,
    Running, Scope, Service, Spec, Supervisor, System, SystemConfig,
};
use troupe_edge::{Edge, EdgeConfig, EdgeParts, Gates, RateConfig, Station};
use troupe_kernel::{
    Authenticated, Authenticator, Authorizer, BoxFuture, Catalog, Credential, Decision, Failure,
    HttpRequest, HttpResponse, Invalidations, Question, QuotaLedger, Route, SystemClock, Uuid,
    new_id,
};
use troupe_telemetry::{Health, Sampling, TelemetryConfig};

const DEADLINE: Duration = Duration::from_secs(10);
/// The number of the only route.
const ROUTE: u32 = 0;

/// Asks the service behind the gates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {}

troupe_actors::protocol! {
    /// What the service understands.
    pub enum YesMessage("bench.yes", 1) redact [] {
        /// Is answered.
        Ask => (),
    }
}

/// The service. Mailbox: the kit's default. Restart: permanent; a crash loses nothing.
struct Yes;

impl Service for Yes {
    type Message = YesMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<YesMessage>,
        ctx: &mut Context<YesMessage>,
    ) -> Handled {
        let YesMessage::Ask(ask) = &**message;
        ctx.reply(ask, ())
    }
}

/// Nobody is asked who somebody is: requests enter behind.
struct Nobody;

impl Authenticator for Nobody {
    fn authenticate<'a>(
        &'a self,
        _credential: Credential,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Authenticated, Failure>> {
        unreachable!("requests enter behind the authentication")
    }
}

impl Authorizer for Nobody {
    fn resolve<'a>(
        &'a self,
        _subject: Uuid,
        _tenant: Option<Uuid>,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<PermissionSet, Failure>> {
        unreachable!("requests enter behind the authorization")
    }

    fn decide<'a>(
        &'a self,
        _question: Question,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Decision, Failure>> {
        unreachable!("no route asks")
    }
}

/// The gates of a node.
pub(super) struct Node {
    gates: Gates,
    running: Running,
}

impl Node {
    /// A node with this quota for each caller.
    pub(super) async fn start(
        quota: u32,
        window: Duration,
        ledger: Option<Arc<dyn QuotaLedger>>,
    ) -> anyhow::Result<Self> {
        let system = System::new(SystemConfig::default());
        let clock = Arc::new(SystemClock);
        let (yes, child) = Spec::new(&system, "yes", || Yes).build();
        let route = Route::get("/yes").public().summary("Says yes").returns_nothing(204).ask(
            &yes,
            |_| Ok(Ask {}),
            |()| Ok(HttpResponse::no_content()),
        );
        let config = EdgeConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            shards: 1,
            principal_limit: RateConfig { quota, window },
            ..EdgeConfig::default()
        };
        let built = Edge::build(EdgeParts {
            system: system.clone(),
            config,
            version: "0".to_owned(),
            routes: vec![route],
            catalog: Arc::new(Catalog::default()),
            authenticator: Arc::new(Nobody),
            authorizer: Arc::new(Nobody),
            invalidations: Invalidations::new(),
            ledger,
            health: Health::new(clock.clone(), &TelemetryConfig::default()),
            metrics: Arc::new(String::new),
            sampling: Sampling::default(),
            clock,
        });
        let (edge, edge_child) = built.map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        let root = Supervisor::new(&system, "bench").child(child).child(edge_child);
        let running = system.start(root.into_spec()).await?;
        Ok(Self { gates: edge.gates().clone(), running })
    }

    pub(super) fn gates(&self) -> Gates {
        self.gates.clone()
    }

    pub(super) async fn stop(self) {
        self.running.shutdown().await;
    }
}

/// A caller whose requests are counted.
pub(super) fn caller() -> Arc<Principal> {
    Arc::new(Principal {
        subject: new_id(&SystemClock),
        kind: PrincipalKind::User,
        tenant: None,
        session: None,
        permissions: PermissionSet::new(),
        bound: None,
        label: String::new(),
    })
}

/// One request of a caller; answers whether it was let pass.
pub(super) async fn passes(
    gates: &Gates,
    at: Station,
    caller: &Arc<Principal>,
) -> anyhow::Result<bool> {
    let mut origin = Origin::new(new_id(&SystemClock));
    origin.principal = Some(caller.clone());
    let scope = Scope::until(Deadline::counted_from(Moment::now(), DEADLINE), origin);
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let request = HttpRequest::new(Method::GET, "/yes", peer, scope);
    match gates.enter(at, ROUTE, request).await {
        Ok(response) => Ok(response.status.is_success()),
        Err(failure) if failure.code() == "edge.rate.exceeded" => Ok(false),
        Err(failure) => Err(failure.into()),
    }
}
