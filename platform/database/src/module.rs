//! The database as a module: it provides [`Db`], its tables, its health check, the housekeeping and,
//! for PostgreSQL, the watch over its servers.

use std::sync::Arc;

use troupe_kernel::health::Probe;
use troupe_kernel::{HealthCheck, InitFault, Manifest, Module, ModuleContext, Parts};

use crate::config::DatabaseConfig;
use crate::connection::Dialect;
use crate::db::Db;
use crate::housekeeping::Housekeeping;
use crate::migrations::MIGRATIONS;
use crate::watch::Watch;

/// The module of this crate. Whoever makes it opens the database, because a module's initialisation
/// does no I/O.
///
/// Other modules name `database` as a dependency and take `ctx.require::<Db>()`.
#[derive(Debug)]
pub struct DatabaseModule {
    db: Db,
}

impl DatabaseModule {
    /// The module for a database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

impl Module for DatabaseModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "database", version: env!("CARGO_PKG_VERSION"), dependencies: &[] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        // The node has read it to open the database; reading it here shows it among what is in effect.
        let _: DatabaseConfig = ctx.config()?;
        ctx.provide(Arc::new(self.db.clone()));
        let (_, housekeeping) = Housekeeping::spec(ctx.system(), &self.db);
        let mut parts =
            Parts::new().migrations(MIGRATIONS).child(housekeeping).reload(self.db.reload());
        if self.db.dialect() == Dialect::Postgres {
            parts = parts.child(Watch::spec(ctx.system(), &self.db).1);
        }
        if self.db.replica_is_near().is_some() {
            parts = parts.health(HealthCheck::new("database.replica", near(self.db.clone())));
        }
        Ok(parts.health(HealthCheck::new("database", probe(self.db.clone())).critical()))
    }
}

fn near(db: Db) -> Probe {
    Arc::new(move || {
        let is_near = db.replica_is_near() == Some(true);
        let fault = "no replica is near the primary, which answers every read; look at its log";
        Box::pin(async move { if is_near { Ok(()) } else { Err(fault.to_owned()) } })
    })
}

fn probe(db: Db) -> Probe {
    Arc::new(move || {
        let db = db.clone();
        Box::pin(async move { db.ping().await.map_err(|error| error.to_string()) })
    })
}
