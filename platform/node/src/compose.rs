//! Puts the node together: the list of modules, and what they share.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use troupe_actors::{ChildSpec, Running, Scope, Strategy, Supervisor, System, SystemConfig};
use troupe_audit::AuditModule;
use troupe_auth::AuthModule;
use troupe_authz::AuthzModule;
use troupe_blobs::{Blobs, BlobsConfig, BlobsModule};
use troupe_blog::BlogModule;
use troupe_cache::{CacheConfig, MemoryCache, Redis, RedisParts};
use troupe_console::ConsoleModule;
use troupe_database::{DatabaseConfig, DatabaseModule, Db, DbError, Plan};
use troupe_edge::EdgeConfig;
use troupe_events::{Events, EventsModule};
use troupe_files::FilesModule;
use troupe_identity::IdentityModule;
use troupe_jobs::{Jobs, JobsModule};
use troupe_kernel::clock::{SharedClock, SystemClock};
use troupe_kernel::config::{ConfigSection, ConfigTree};
use troupe_kernel::lifecycle::{Assembly, Loaded, Modules};
use troupe_kernel::module::{Module, Surroundings};
use troupe_kernel::ports::{BlobStore, Cache, QuotaLedger};
use troupe_notify::NotifyModule;
use troupe_telemetry::{Sampling, Sending, SentryConfig, Telemetry, TelemetryConfig, TracesConfig};

use crate::config::{Config, refuse};
use crate::failure::{Exit, Stop};
use crate::node_config::{NodeConfig, Wire};

/// Crashes of whole modules that the node bears before it ends and its host restarts it.
const MODULE_CRASHES_MAX: u32 = 10;
const MODULE_CRASHES_WITHIN: Duration = Duration::from_secs(60);
const START_WITHIN: Duration = Duration::from_secs(60);
/// A command waits this long until the other nodes know what it revoked.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

/// A node whose modules are initialised and whose schema may still be old.
pub struct Composed {
    pub system: System,
    pub clock: SharedClock,
    pub around: Surroundings,
    pub loaded: Loaded,
    pub assembly: Assembly,
    pub db: Db,
    blobs: Blobs,
    pub plan: Plan,
    pub edge: EdgeConfig,
    /// Time for the whole node to stop.
    pub stop_timeout: Duration,
    /// Which requests are traced.
    pub sampling: Sampling,
    /// What the nodes share; none keeps everything in this one.
    pub redis: Option<Redis>,
    redis_child: Option<ChildSpec>,
}

/// The modules of this product, in no particular order.
fn modules(db: &Db, blobs: &Blobs) -> Vec<Box<dyn Module>> {
    vec![
        Box::new(DatabaseModule::new(db.clone())),
        Box::new(EventsModule),
        Box::new(JobsModule::new()),
        Box::new(BlobsModule::new(blobs.clone())),
        Box::new(AuditModule),
        Box::new(AuthzModule),
        Box::new(IdentityModule),
        Box::new(AuthModule::new()),
        Box::new(NotifyModule),
        Box::new(ConsoleModule),
        Box::new(FilesModule),
        Box::new(BlogModule),
    ]
}

/// Initialises every module and opens the data.
pub async fn compose(config: Config) -> Result<Composed, Stop> {
    make_directory(&config.data)?;
    let composed = wire(config)?;
    composed.open().await?;
    Ok(composed)
}

/// Initialises every module; reads and writes nothing, neither in the data directory nor elsewhere.
///
/// The sections were checked before; faults of all modules are reported together.
pub fn wire(config: Config) -> Result<Composed, Stop> {
    let Config { tree, data, .. } = config;
    let node: NodeConfig = section(&tree)?;
    // The telemetry is installed before; reading it here checks it for every command.
    let _: (TelemetryConfig, SentryConfig) = (section(&tree)?, section(&tree)?);
    let traces: TracesConfig = section(&tree)?;
    let edge: EdgeConfig = section(&tree)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let database: DatabaseConfig = section(&tree)?;
    let db = Db::unopened(&database, clock.clone()).map_err(data_stop)?;
    let system = System::new(SystemConfig {
        name: node.name,
        wire_always: node.wire == Wire::Always,
        cores: node.runtime.cores(available_parallelism().map_or(1, NonZero::get)),
        ..SystemConfig::default()
    });
    let mut around = Surroundings::new(system.clone(), clock.clone()).config(tree);
    let Stores { blobs, redis, redis_child } = provide_stores(&mut around, &data)?;
    let modules = Modules::validate(modules(&db, &blobs)).map_err(|faults| refuse(&faults))?;
    let mut loaded = modules.initialise(&mut around).map_err(|faults| refuse(&faults))?;
    let mut assembly = loaded.take_assembly();
    assembly.health.extend(redis.as_ref().map(Redis::health_check));
    let plan = Plan::merge(&[&assembly.migrations])
        .map_err(|error| Stop::new(Exit::Data, error.to_string()))?;
    Ok(Composed {
        system,
        clock,
        around,
        loaded,
        assembly,
        db,
        blobs,
        plan,
        edge,
        stop_timeout: node.stop_timeout,
        sampling: traces.sampling(),
        redis,
        redis_child,
    })
}

impl Composed {
    async fn open(&self) -> Result<(), Stop> {
        self.db.reach().await.map_err(|error| match &error {
            DbError::Unreachable { .. } => Stop::new(
                Exit::Data,
                format!("{error}; start {}, or mend database.url", self.db.config().place()),
            ),
            _ => data_stop(error),
        })?;
        self.blobs.reach().await.map_err(|error| Stop::new(Exit::Data, error))
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> Result<Vec<String>, Stop> {
        self.db.migrate(&self.plan).await.map_err(data_stop)
    }

    /// The actors of all modules, and after them the deliverers of events and jobs.
    pub fn tree(&mut self) -> Result<ChildSpec, Stop> {
        let events = self.around.container.require::<Events>().map_err(anyhow::Error::from)?;
        let jobs = self.around.container.require::<Jobs>().map_err(anyhow::Error::from)?;
        let subscriptions = std::mem::take(&mut self.assembly.subscriptions);
        let handlers = std::mem::take(&mut self.assembly.jobs);
        let queues = jobs.queues(&self.system, handlers).map_err(|faults| refuse(&faults))?;
        let modules = std::mem::take(&mut self.assembly.children);
        let modules = modules.into_iter().flat_map(|(_, children)| children);
        Ok(Supervisor::new(&self.system, "platform")
            .strategy(Strategy::OneForOne)
            .intensity(MODULE_CRASHES_MAX, MODULE_CRASHES_WITHIN)
            .children(self.redis_child.take())
            .children(modules)
            .child(events.consumers(&self.system, subscriptions))
            .child(queues)
            .into_spec())
    }

    /// Starts the modules without the edge, for a command that works on the data.
    pub async fn start_offline(mut self) -> Result<Offline, Stop> {
        self.migrate().await?;
        let modules = std::mem::take(&mut self.assembly.children);
        let root = Supervisor::new(&self.system, "platform")
            .children(self.redis_child.take())
            .children(modules.into_iter().flat_map(|(_, children)| children))
            .into_spec();
        let running = self.system.start(root).await?;
        Ok(Offline { around: self.around, redis: self.redis, running })
    }

    /// The count of quotas over all nodes, if they share one.
    pub fn ledger(&self) -> Option<Arc<dyn QuotaLedger>> {
        self.redis.as_ref().map(Redis::ledger)
    }
}

/// Modules at work for one command; events and jobs are left to the node that serves.
pub struct Offline {
    pub around: Surroundings,
    redis: Option<Redis>,
    running: Running,
}

impl Offline {
    pub async fn finish(self) {
        if let Some(redis) = self.redis
            && !redis.all_told(TOLD_WITHIN).await
        {
            tracing::warn!("other nodes may believe for a minute what this command has revoked");
        }
        self.running.shutdown().await;
    }
}

/// The scope of the node's own work.
pub fn own_scope(label: &str) -> Scope {
    Scope::system(label, START_WITHIN)
}

fn section<T: ConfigSection>(tree: &ConfigTree) -> Result<T, Stop> {
    tree.section().map_err(|faults| refuse(&faults))
}

fn make_directory(data: &Path) -> Result<(), Stop> {
    let refuse = |error: std::io::Error| {
        let path = data.display();
        Stop::new(
            Exit::Data,
            format!(
                "the data directory {path} cannot be written: {error}; choose another with --data"
            ),
        )
    };
    std::fs::create_dir_all(data).map_err(refuse)?;
    let probe = data.join(".write-probe");
    std::fs::write(&probe, b"").map_err(refuse)?;
    std::fs::remove_file(&probe).map_err(refuse)
}

/// Makes this process the only one that serves the data directory, until the file is dropped.
pub fn lock_data(data: &Path) -> Result<File, Stop> {
    make_directory(data)?;
    let path = data.join("serve.lock");
    let refuse = |what: String| Stop::new(Exit::Data, format!("{} {what}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let mut file = file.map_err(|error| refuse(format!("cannot be opened: {error}")))?;
    match file.try_lock() {
        Ok(()) => {
            let named = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            named.map_err(|error| refuse(format!("cannot be written: {error}")))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(refuse(
            "is held by another node; stop it, or give this one a directory of its own with --data"
                .to_owned(),
        )),
        Err(TryLockError::Error(error)) => Err(refuse(format!("cannot be locked: {error}"))),
    }
}

/// The process that serves the data directory, if one does.
pub fn who_serves(data: &Path) -> Result<Option<i32>, Stop> {
    let path = data.join("serve.lock");
    let refuse = |error: std::io::Error| {
        Stop::new(Exit::Data, format!("{} cannot be read: {error}", path.display()))
    };
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(error)),
    };
    if file.try_lock_shared().is_ok() {
        return Ok(None);
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(refuse)?;
    Ok(text.parse().ok())
}

/// What modules reach through ports of the kernel.
struct Stores {
    blobs: Blobs,
    redis: Option<Redis>,
    redis_child: Option<ChildSpec>,
}

fn provide_stores(around: &mut Surroundings, data: &Path) -> Result<Stores, Stop> {
    let clock = around.clock.clone();
    let (cache, blobs): (CacheConfig, BlobsConfig) = {
        let ctx = around.context();
        let cache = ctx.config::<CacheConfig>();
        let blobs = ctx.config::<BlobsConfig>();
        match (cache, blobs) {
            (Ok(cache), Ok(blobs)) => (cache, blobs),
            (cache, blobs) => {
                let faults = [cache.err(), blobs.err()].into_iter().flatten().flatten();
                return Err(refuse(&faults.collect::<Vec<_>>()));
            }
        }
    };
    let (redis, redis_child) = provide_cache(around, cache);
    let blobs = Blobs::unopened(&blobs, data, clock).map_err(|error| {
        Stop::new(Exit::Configuration, format!("{:#}", anyhow::Error::from(error)))
    })?;
    around.container.provide::<dyn BlobStore>(blobs.port());
    Ok(Stores { blobs, redis, redis_child })
}

/// The cache in process, or the one that nodes share.
fn provide_cache(
    around: &mut Surroundings,
    config: CacheConfig,
) -> (Option<Redis>, Option<ChildSpec>) {
    if !config.is_shared() {
        let cache = MemoryCache::new(&config, around.clock.clone());
        around.container.provide::<dyn Cache>(Arc::new(cache));
        return (None, None);
    }
    let (redis, child) = Redis::new(RedisParts {
        system: around.system.clone(),
        config,
        clock: around.clock.clone(),
        invalidations: around.invalidations.clone(),
    });
    around.container.provide::<dyn Cache>(redis.cache());
    (Some(redis), Some(child))
}

pub fn data_stop(error: DbError) -> Stop {
    Stop::new(Exit::Data, error.to_string())
}

/// Installs logs and metrics for a node that serves, before anything writes to either.
pub fn install_telemetry(config: &Config) -> Result<Telemetry, Stop> {
    let node: NodeConfig = section(&config.tree)?;
    let (traces, sentry) = (section(&config.tree)?, section(&config.tree)?);
    let version = env!("CARGO_PKG_VERSION");
    let sending = Sending { traces: &traces, sentry: &sentry, node: &node.name, version };
    Telemetry::install(section(&config.tree)?, Arc::new(SystemClock))
        .and_then(|telemetry| telemetry.sending(&sending))
        .map_err(|error| Stop::new(Exit::Failed, error.to_string()))
}
