//! The platform doing the job: its edge with all gates, its modules, and one module for the items.
//!
//! Composed like `platform/node` does it. Only two ports are the suite's own, so that tokens need no
//! session and permissions no tables: the authenticator checks a token with the platform's codec, the
//! authorizer reads the fixture. Counters, sampled timing and the ring of records are on.

mod module;
mod ports;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use troupe_actors::{Scope, Supervisor, System, SystemConfig};
use troupe_database::{DatabaseConfig, DatabaseModule, Db};
use troupe_edge::{Edge, EdgeConfig, EdgeParts, RateConfig, TokenCacheConfig};
use troupe_kernel::clock::{SharedClock, SystemClock};
use troupe_kernel::lifecycle::{Assembly, Modules};
use troupe_kernel::module::{Module, Surroundings};
use troupe_telemetry::{LogLevel, Phase, Telemetry, TelemetryConfig};

use self::module::ItemsModule;
use self::ports::{Keys, Roles};
use self::rows::RowsModule;
use super::{Start, TOKEN_TTL, TOKENS_MAX, WINDOW, say_ready, terminated};
use crate::fixture::Fixture;

const START_WITHIN: Duration = Duration::from_secs(60);

/// Serves until it is told to end.
///
/// # Errors
/// When the fixture cannot be read, a module does not start, or the address cannot be listened on.
pub async fn serve(start: Start) -> anyhow::Result<()> {
    let Fixture { keys, permissions, items } = Fixture::read(&start.directory)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let telemetry = Telemetry::install(
        TelemetryConfig { level: LogLevel::Warn, ..TelemetryConfig::default() },
        clock.clone(),
    )?;
    let system = System::new(SystemConfig::default());
    let mut around = Surroundings::new(system.clone(), clock.clone());
    let mut modules: Vec<Box<dyn Module>> = vec![Box::new(ItemsModule::new(items))];
    if let Some(url) = &start.database {
        let db = Db::open_with(&DatabaseConfig::with_url(url), clock.clone()).await?;
        modules.push(Box::new(DatabaseModule::new(db)));
        modules.push(Box::new(RowsModule));
    }
    let modules = Modules::validate(modules).map_err(all)?;
    let mut loaded = modules.initialise(&mut around).map_err(all)?;
    let Assembly { catalog, routes, children, .. } = loaded.take_assembly();

    let (edge, edge_child) = Edge::build(EdgeParts {
        system: system.clone(),
        config: config(&start),
        version: "0".to_owned(),
        routes,
        authenticator: Arc::new(Keys::new(keys, clock.clone())),
        authorizer: Arc::new(Roles::new(&permissions, &catalog)),
        catalog,
        invalidations: around.invalidations.clone(),
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
    say_ready(edge.address().await?);
    terminated().await;
    edge.drain().await?;
    loaded.stop(&Scope::system("bench.stop", START_WITHIN)).await;
    running.shutdown().await;
    Ok(())
}

fn config(start: &Start) -> EdgeConfig {
    let limit = RateConfig { quota: start.quota, window: WINDOW };
    EdgeConfig {
        listen: start.address,
        address_limit: limit,
        principal_limit: limit,
        tokens: TokenCacheConfig { ttl: TOKEN_TTL, entries_max: TOKENS_MAX },
        ..EdgeConfig::default()
    }
}

fn all<F: std::fmt::Display>(faults: Vec<F>) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow!(lines.join("\n"))
}

