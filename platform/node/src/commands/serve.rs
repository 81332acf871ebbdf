//! `troupe serve`: starts the node, says where it is, and stops it in order.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use troupe_actors::{ChildSpec, Running, Scope, ServiceRef, Supervisor};
use troupe_auth::AuthHandle;
use troupe_cache::Redis;
use troupe_database::Dialect;
use troupe_edge::{Edge, EdgeParts};
use troupe_kernel::ports::{Authenticator, Authorizer};
use troupe_telemetry::{HealthStatus, Phase, Telemetry};

use crate::cli::NodeArgs;
use crate::compose::{self, Composed};
use crate::config::{Config, refuse};
use crate::failure::{Exit, Stop};
use crate::print;
use crate::reload::{ReloadConfig, ReloadDesk, ReloadMessage, Reloader};

const READY_WITHIN: Duration = Duration::from_secs(5);
const READY_POLL: Duration = Duration::from_millis(5);
/// A reload that waited for longer is not done: commands of references may take their time before it.
const RELOAD_WITHIN: Duration = Duration::from_secs(600);

pub async fn run(config: Config) -> Result<(), Stop> {
    let data = config.data.display().to_string();
    let mut signals = Signals::listen()?;
    let _alone = compose::lock_data(&config.data)?;
    let telemetry = compose::install_telemetry(&config)?;
    let args = config.args.clone();
    let mut composed = compose::compose(config).await?;
    let steps = composed.migrate().await?;
    if !steps.is_empty() {
        tracing::info!(steps = steps.len(), "the schema was brought up to date");
    }
    let (edge, edge_child) = build_edge(&mut composed, &telemetry)?;
    let (reloader, reload_child) = build_reloader(&mut composed, args, &telemetry, &edge);
    let root = composed.tree()?;
    let running = composed.system.start(root).await?;
    composed.loaded.start(&compose::own_scope("node.start")).await?;
    for check in std::mem::take(&mut composed.assembly.health) {
        telemetry.health().register(check);
    }
    // The checks are known and their services run: the first look at them is a true one.
    let front = Supervisor::new(&composed.system, "front")
        .child(telemetry.child(&composed.system))
        .child(edge_child)
        .child(reload_child)
        .into_spec();
    let front = composed.system.start(front).await;
    let front = match front {
        Ok(front) => front,
        Err(failure) => {
            running.shutdown().await;
            return Err(Stop { exit: Exit::Listen, ..Stop::from(failure) });
        }
    };
    telemetry.health().enter(Phase::Started);
    wait_until_ready(&telemetry).await;
    greet(&composed, &edge, &data).await?;
    let ended = tokio::select! {
        name = signals.end(&reloader) => { tracing::info!(signal = name, "stopping"); Ok(()) }
        () = running.failed() => Err("a module failed too often"),
        () = front.failed() => Err("the edge failed too often"),
    };
    telemetry.health().enter(Phase::Draining);
    stop(composed, &edge, front, running).await;
    ended.map_err(|what| {
        Stop::new(Exit::Failed, format!("the node ended: {what}; the log says why"))
    })
}

fn build_edge(
    composed: &mut Composed,
    telemetry: &Telemetry,
) -> Result<(Edge, troupe_actors::ChildSpec), Stop> {
    let container = &composed.around.container;
    let authenticator = container.require::<dyn Authenticator>().map_err(anyhow::Error::from)?;
    let authorizer = container.require::<dyn Authorizer>().map_err(anyhow::Error::from)?;
    let (metrics, system) = (telemetry.metrics().clone(), composed.system.clone());
    Edge::build(EdgeParts {
        system: composed.system.clone(),
        config: composed.edge.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        routes: std::mem::take(&mut composed.assembly.routes),
        catalog: composed.assembly.catalog.clone(),
        authenticator,
        authorizer,
        invalidations: composed.around.invalidations.clone(),
        ledger: composed.ledger(),
        sampling: composed.sampling,
        health: telemetry.health().clone(),
        metrics: Arc::new(move || metrics.render(&system)),
        clock: composed.clock.clone(),
    })
    .map_err(|faults| refuse(&faults))
}

/// What takes keys of the configuration anew, and the actor that has it done.
fn build_reloader(
    composed: &mut Composed,
    args: NodeArgs,
    telemetry: &Telemetry,
    edge: &Edge,
) -> (ServiceRef<ReloadMessage>, ChildSpec) {
    let mut parts = std::mem::take(&mut composed.assembly.reloads);
    parts.extend([telemetry.reload(), edge.reload()]);
    parts.extend(composed.redis.as_ref().map(Redis::reload));
    let started = std::mem::take(&mut composed.around.config);
    let desk = ReloadDesk { args, started, parts, db: composed.db.clone() };
    Reloader::service(&composed.system, desk)
}

/// Says nothing before the first checks have run; a node that is not ready by then says so itself.
async fn wait_until_ready(telemetry: &Telemetry) {
    let ready = async {
        while telemetry.health().readiness().status == HealthStatus::Fail {
            tokio::time::sleep(READY_POLL).await;
        }
    };
    if tokio::time::timeout(READY_WITHIN, ready).await.is_err() {
        tracing::warn!("the node serves, but a critical health check fails; see /readyz");
    }
}

/// Tells a person where to go. The set-up link goes to the terminal only, never to the log.
async fn greet(composed: &Composed, edge: &Edge, data: &str) -> Result<(), Stop> {
    let address = edge.address().await?;
    let scheme = if composed.edge.tls.is_on() { "https" } else { "http" };
    let base = format!("{scheme}://{address}");
    print(&format!("troupe {} serves {base}\n", env!("CARGO_PKG_VERSION")));
    let dialect = match composed.db.dialect() {
        Dialect::Sqlite => "SQLite",
        Dialect::Postgres => "PostgreSQL",
    };
    print(&format!("  data       {data} ({dialect})\n"));
    if composed.edge.docs {
        print(&format!("  API        {base}/docs\n"));
    }
    let auth = composed.around.container.require::<AuthHandle>().map_err(anyhow::Error::from)?;
    if let Some(link) = auth.setup_link_at(&base) {
        print(&format!("  set up     {link}\n"));
        print("             Open it once to make yourself the administrator.\n");
    }
    tracing::info!(%address, "ready");
    Ok(())
}

/// No new connections, requests at work finish, then the actors in reverse order.
async fn stop(mut composed: Composed, edge: &Edge, front: Running, running: Running) {
    composed.system.stop_within(composed.stop_timeout);
    match edge.drain().await {
        Ok(drained) => tracing::info!(?drained, "the edge is drained"),
        Err(failure) => tracing::warn!(%failure, "the edge could not be drained"),
    }
    front.shutdown().await;
    composed.loaded.stop(&compose::own_scope("node.stop")).await;
    running.shutdown().await;
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Stop> {
        let on = |kind| {
            signal(kind).map_err(|error| {
                Stop::new(Exit::Failed, format!("signals cannot be listened to: {error}"))
            })
        };
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hang_up: on(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to end, and meanwhile has the configuration read again at each SIGHUP.
    async fn end(&mut self, reloader: &ServiceRef<ReloadMessage>) -> &'static str {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.hang_up.recv() => {
                    let scope = Scope::system("node.reload", RELOAD_WITHIN);
                    // With two in its mailbox the second reads what this signal is about.
                    if let Err(failure) = reloader.tell(&scope, ReloadConfig) {
                        tracing::debug!(%failure, "a reload waits already");
                    }
                }
            }
        }
    }
}
