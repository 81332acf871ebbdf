//! The event bus as a module.

use std::sync::Arc;

use troupe_database::{Db, Dialect, SqliteSynchronous};
use troupe_kernel::{EventBus, InitFault, Manifest, Migration, Module, ModuleContext, Parts};

use crate::config::EventsConfig;
use crate::events::Events;

/// The migrations of this crate.
pub const MIGRATIONS: &[Migration] = troupe_database::migrations!("events", ["0001_dead_letters"]);

/// Provides [`Events`] and the port [`EventBus`].
///
/// The subscriptions of all modules are known when every module is initialised. The node then takes
/// [`Events`] from the container and starts [`Events::consumers`] after the modules' own actors.
#[derive(Debug, Default)]
pub struct EventsModule;

impl Module for EventsModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "events", version: env!("CARGO_PKG_VERSION"), dependencies: &["database"] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config: EventsConfig = ctx.config()?;
        let db = ctx.require::<Db>()?;
        check_durability(&db, &config)?;
        let events = Events::new(&db, config);
        ctx.provide::<dyn EventBus>(Arc::new(events.clone()));
        let (checks, reload) = (events.health_checks(), events.reload());
        ctx.provide(Arc::new(events));
        let parts = checks.into_iter().fold(Parts::new(), Parts::health).migrations(MIGRATIONS);
        Ok(reload.into_iter().fold(parts, Parts::reload))
    }
}

/// What was published cannot be taken back, so the database must not forget it.
fn check_durability(db: &Db, config: &EventsConfig) -> Result<(), InitFault> {
    let forgets = db.dialect() == Dialect::Sqlite
        && db.config().sqlite_synchronous == SqliteSynchronous::Normal;
    if config.kafka.is_on() && forgets {
        return Err(InitFault::new(
            "with events.kafka.brokers, database.sqlite_synchronous must be full: what a loss of power \
             takes from the database would stay in Kafka",
        ));
    }
    Ok(())
}
