//! The platform doing the job: its edge with all gates, its modules, and one module for the items.
//!
//! Composed like `platform/node` does it. Only two ports are the suite's own, so that tokens need no
//! session and permissions no tables: the authenticator checks a token with the platform's codec, the
//! authorizer reads the fixture. Counters, sampled timing and the ring of records are on, as on a node;
//! arguments switch them off or up, for the scenario `inspection`.

mod module;
mod ports;
#[cfg(feature = "comparison")]
mod rows;

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::task::JoinSet;
use troupe_actors::{
    Running, Scope, Supervisor, System, SystemConfig, TapId, TapLimits, TapSelector,
};
use troupe_edge::{Edge, EdgeConfig, EdgeParts, RateConfig, TokenCacheConfig};
use troupe_kernel::clock::{SharedClock, SystemClock};
use troupe_kernel::lifecycle::{Assembly, Loaded, Modules};
use troupe_kernel::module::{Module, Surroundings};
use troupe_telemetry::{LogLevel, Phase, Sampling, Telemetry, TelemetryConfig};

use self::module::ItemsModule;
use self::ports::{Keys, Roles};
use super::{Start, TOKEN_TTL, TOKENS_MAX, WINDOW, say_ready, terminated};
use crate::fixture::Fixture;

const START_WITHIN: Duration = Duration::from_secs(60);
/// The longest that a tap may be open.
const TAP_LIFETIME: Duration = Duration::from_secs(600);

/// Serves until it is told to end.
///
/// # Errors
/// When the fixture cannot be read, a module does not start, or the address cannot be listened on.
pub async fn serve(start: Start) -> anyhow::Result<()> {
    let platform = Platform::start(&start).await?;
    let mut reader = JoinSet::new();
    if start.tap {
        let tap = open_tap(&platform.system)?;
        reader.spawn(read_tap(platform.system.clone(), tap));
    }
    say_ready(platform.edge.address().await?);
    terminated().await;
    reader.shutdown().await;
    platform.stop().await
}

/// The platform at work.
pub struct Platform {
    /// Its edge.
    pub edge: Edge,
    system: System,
    loaded: Loaded,
    running: Running,
}

impl Platform {
    /// Composes and starts it.
    ///
    /// # Errors
    /// When the fixture cannot be read, or a module does not start.
    pub async fn start(start: &Start) -> anyhow::Result<Self> {
        let Fixture { keys, permissions, items } = Fixture::read(&start.directory)?;
        let clock: SharedClock = Arc::new(SystemClock);
        let telemetry = Telemetry::install(
            TelemetryConfig { level: LogLevel::Warn, ..TelemetryConfig::default() },
            clock.clone(),
        )?;
        let system = System::new(SystemConfig {
            records_max: start.records_max,
            timed_in_full_max: start.timed_in_full_max,
            cores: if start.threads > 1 && start.on_cores { start.threads } else { 0 },
            ..SystemConfig::default()
        });
        let mut around = Surroundings::new(system.clone(), clock.clone());
        let mut modules: Vec<Box<dyn Module>> = Vec::new();
        #[cfg(feature = "comparison")]
        if let Some(url) = &start.database {
            use troupe_database::{DatabaseConfig, DatabaseModule, Db};
            let db = Db::open_with(&DatabaseConfig::with_url(url), clock.clone()).await?;
            modules.push(Box::new(DatabaseModule::new(db)));
            modules.push(Box::new(rows::RowsModule));
        }
        modules.push(Box::new(ItemsModule::new(items, start.documents)));
        let modules = Modules::validate(modules).map_err(all)?;
        let mut loaded = modules.initialise(&mut around).map_err(all)?;
        let Assembly { catalog, routes, children, .. } = loaded.take_assembly();

        let (edge, edge_child) = Edge::build(EdgeParts {
            system: system.clone(),
            config: config(start),
            version: "0".to_owned(),
            routes,
            authenticator: Arc::new(Keys::new(keys, clock.clone())),
            authorizer: Arc::new(Roles::new(&permissions, &catalog)),
            catalog,
            invalidations: around.invalidations.clone(),
            ledger: None,
            sampling: Sampling::default(),
            health: telemetry.health().clone(),
            metrics: Arc::new(String::new),
            clock,
        })
        .map_err(all)?;
        let root = Supervisor::new(&system, "bench")
            .child(telemetry.child(&system))
            .children(children.into_iter().flat_map(|(_, children)| children))
            .child(edge_child)
            .into_spec();
        let running = system.start(root).await?;
        loaded.start(&Scope::system("bench.start", START_WITHIN)).await?;
        telemetry.health().enter(Phase::Started);
        Ok(Self { edge, system, loaded, running })
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When the edge cannot be drained.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.edge.drain().await?;
        self.loaded.stop(&Scope::system("bench.stop", START_WITHIN)).await;
        self.running.shutdown().await;
        Ok(())
    }
}

/// A tap on the keeper of the items, with payloads, as an operator opens one.
fn open_tap(system: &System) -> anyhow::Result<TapId> {
    let selector = TapSelector { protocol: Some("items".to_owned()), ..TapSelector::default() };
    let limits = TapLimits { records: u32::MAX, lifetime: TAP_LIFETIME, payload: true };
    Ok(system.tap(selector, &limits)?)
}

/// Somebody watches: what the tap took is read every second.
async fn read_tap(system: System, tap: TapId) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while system.read_tap(tap).is_some_and(|(_, _, is_open)| is_open) {
        ticks.tick().await;
    }
}

fn config(start: &Start) -> EdgeConfig {
    let limit = RateConfig { quota: start.quota, window: WINDOW };
    EdgeConfig {
        listen: start.address,
        address_limit: limit,
        principal_limit: limit,
        tokens: TokenCacheConfig { ttl: TOKEN_TTL, entries_max: TOKENS_MAX },
        shards: start.threads,
        ..EdgeConfig::default()
    }
}

fn all<F: std::fmt::Display>(faults: Vec<F>) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow!(lines.join("\n"))
}
