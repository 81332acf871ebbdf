//! What files register: permissions, roles, the policy, the table, actors, routes and jobs.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{ServiceRef, Spec, Supervisor};
use troupe_database::Db;
use troupe_kernel::{
    Authorizer, BlobStore, Failure, InitFault, JobHandler, Manifest, Module, ModuleContext, Parts,
};

use crate::config::FilesConfig;
use crate::messages::{EraseContent, FileMessage, SweepContent, SweepUploads};
use crate::repository::MIGRATIONS;
use crate::service::{Files, Shared};
use crate::{permissions, routes};

/// The job that removes content.
pub(crate) const ERASE_JOB: &str = "files.erase";
/// Each waiting message may hold a part.
const CAPACITY: usize = 64;
const STOP_WITHIN: Duration = Duration::from_secs(10);
const ERASE_WITHIN: Duration = Duration::from_secs(300);
const SWEEP_WITHIN: Duration = Duration::from_secs(600);

/// Files of a tenant.
///
/// Requires `Db`, `dyn Authorizer` and `dyn BlobStore`. Provides nothing.
#[derive(Debug, Default)]
pub struct FilesModule;

impl Module for FilesModule {
    fn manifest(&self) -> Manifest {
        Manifest {
            name: "files",
            version: env!("CARGO_PKG_VERSION"),
            dependencies: &["database", "authz"],
        }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config = ctx.config::<FilesConfig>()?;
        let shared = Arc::new(Shared {
            db: (*ctx.require::<Db>()?).clone(),
            blobs: ctx.require::<dyn BlobStore>()?,
            authorizer: ctx.require::<dyn Authorizer>()?,
            config: config.clone(),
        });
        let (files, child) = Spec::new(ctx.system(), "files", move || Files::new(shared.clone()))
            .capacity(CAPACITY)
            .workers(config.workers)
            .stop_within(STOP_WITHIN)
            .build();
        let tree = Supervisor::new(ctx.system(), "files").child(child);
        Ok(Parts::new()
            .permissions(permissions::permissions())
            .roles(permissions::roles())
            .policies(permissions::policies())
            .migrations(MIGRATIONS)
            .child(tree.into_spec())
            .routes(routes::routes(&files, &config))
            .job(erase_job(&files))
            .job(sweep_job(&files))
            .job(content_job(&files)))
    }
}

/// Removes the content of deleted files and aborted uploads, and parts that became a file.
fn erase_job(files: &ServiceRef<FileMessage>) -> JobHandler {
    JobHandler::new(ERASE_JOB).timeout(ERASE_WITHIN).ask(files, |job| job.payload::<EraseContent>())
}

/// Removes uploads that were never completed, each hour.
fn sweep_job(files: &ServiceRef<FileMessage>) -> JobHandler {
    JobHandler::new("files.sweep_uploads")
        .cron("47 * * * *")
        .timeout(SWEEP_WITHIN)
        .ask(files, |_| Ok::<_, Failure>(SweepUploads {}))
}

/// Removes content that nothing has, each night.
fn content_job(files: &ServiceRef<FileMessage>) -> JobHandler {
    JobHandler::new("files.sweep_content")
        .cron("53 3 * * *")
        .timeout(SWEEP_WITHIN)
        .ask(files, |_| Ok::<_, Failure>(SweepContent {}))
}
