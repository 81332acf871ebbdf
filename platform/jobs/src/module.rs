//! The scheduler as a module.

use std::sync::Arc;

use troupe_actors::Scope;
use troupe_database::Db;
use troupe_kernel::{
    BoxFuture, InitFault, Manifest, Migration, Module, ModuleContext, Parts, Scheduler,
};

use crate::config::JobsConfig;
use crate::jobs::Jobs;

/// The migrations of this crate.
pub const MIGRATIONS: &[Migration] = troupe_database::migrations!("jobs", ["0001_schedules"]);

/// Provides [`Jobs`] and the port [`Scheduler`].
///
/// The handlers of all modules are known when every module is initialised. The node then takes [`Jobs`]
/// from the container and starts [`Jobs::queues`] after the modules' own actors. When the node stops,
/// the running jobs are waited for before any actor stops.
#[derive(Default)]
pub struct JobsModule {
    jobs: Option<Jobs>,
}

impl JobsModule {
    /// The module.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Module for JobsModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "jobs", version: env!("CARGO_PKG_VERSION"), dependencies: &["database"] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config: JobsConfig = ctx.config()?;
        let db = ctx.require::<Db>()?;
        let jobs = Jobs::new(&db, config);
        ctx.provide::<dyn Scheduler>(Arc::new(jobs.clone()));
        ctx.provide(Arc::new(jobs.clone()));
        self.jobs = Some(jobs);
        Ok(Parts::new().migrations(MIGRATIONS))
    }

    fn stop<'a>(&'a mut self, _scope: &'a Scope) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(jobs) = &self.jobs else { return };
            let left = jobs.drain().await;
            if left > 0 {
                tracing::warn!(
                    jobs = left,
                    "running jobs were not waited for any longer; they are tried again later"
                );
            }
        })
    }
}
