//! What blobs register: the health check, the routes of links, and the sweep.

use std::time::Duration;

use troupe_actors::{ServiceRef, Spec, Supervisor};
use troupe_kernel::{Failure, InitFault, JobHandler, Manifest, Module, ModuleContext, Parts};

use crate::messages::{BlobMessage, SweepBlobs};
use crate::routes;
use crate::service::BlobService;
use crate::store::Blobs;

/// Each waiting message may hold a blob.
const CAPACITY: usize = 64;
const WORKERS: usize = 4;
const STOP_WITHIN: Duration = Duration::from_secs(10);
const SWEEP_WITHIN: Duration = Duration::from_secs(600);

/// Blobs. Their port is provided by the node before modules are initialised.
pub struct BlobsModule {
    blobs: Blobs,
}

impl BlobsModule {
    /// The module of a store.
    #[must_use]
    pub fn new(blobs: Blobs) -> Self {
        Self { blobs }
    }
}

impl Module for BlobsModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "blobs", version: env!("CARGO_PKG_VERSION"), dependencies: &[] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let given = self.blobs.clone();
        let (service, child) =
            Spec::new(ctx.system(), "links", move || BlobService::new(given.clone()))
                .capacity(CAPACITY)
                .workers(WORKERS)
                .stop_within(STOP_WITHIN)
                .build();
        let tree = Supervisor::new(ctx.system(), "blobs").child(child);
        Ok(Parts::new()
            .child(tree.into_spec())
            .routes(routes::routes(&service, &self.blobs))
            .job(sweep(&service))
            .health(self.blobs.health_check())
            .reload(self.blobs.reload()))
    }
}

/// Removes what crashes left, each night.
fn sweep(service: &ServiceRef<BlobMessage>) -> JobHandler {
    JobHandler::new("blobs.sweep")
        .cron("23 3 * * *")
        .timeout(SWEEP_WITHIN)
        .ask(service, |_| Ok::<_, Failure>(SweepBlobs {}))
}
