//! What this module registers: permissions, tables, actors, routes and a health check.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{Spec, Supervisor};
use troupe_database::{Db, DbConn, Effect};
use troupe_kernel::health::HealthCheck;
use troupe_kernel::module::{InitFault, Manifest, Module, ModuleContext};
use troupe_kernel::parts::Parts;
use troupe_kernel::ports::AuditLog;
use troupe_kernel::{Migration, Scope};

use crate::config::AuditConfig;
use crate::messages::Wake;
use crate::port::Port;
use crate::repository::queue;
use crate::service::{Intake, Keys, Sealer, SealerSetup, Trail, Verifier};
use crate::{permissions, routes};

/// The tables of this module.
pub const MIGRATIONS: &[Migration] = troupe_database::migrations!("audit", ["0001_audit"]);

const SEALER_CAPACITY: usize = 64;
const VERIFIER_CAPACITY: usize = 16;
const TRAIL_WORKERS: usize = 4;
const WAKE_WITHIN: Duration = Duration::from_secs(60);
/// A record that waits longer than this is a sign that sealing does not work.
const WAITING_AGE_MAX: Duration = Duration::from_secs(300);

/// The audit trail.
///
/// Requires `Db`. Provides `dyn AuditLog`, `ServiceRef<AuditMessage>`, `ServiceRef<VerifierMessage>`
/// and `ServiceRef<SealerMessage>`.
#[derive(Debug, Default)]
pub struct AuditModule;

impl Module for AuditModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "audit", version: env!("CARGO_PKG_VERSION"), dependencies: &["database"] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config: AuditConfig = ctx.config()?;
        let db = (*ctx.require::<Db>()?).clone();
        let system = ctx.system().clone();
        let intake_capacity = config.intake_capacity;
        let keys = Keys::new(config);

        let setup = SealerSetup { db: db.clone(), keys: keys.clone() };
        let (sealer, sealer_child) =
            Spec::new(&system, "sealer", move || Sealer::new(setup.clone()))
                .capacity(SEALER_CAPACITY)
                .stop_within(Duration::from_secs(10))
                .build();
        let given = db.clone();
        let (intake, intake_child) =
            Spec::new(&system, "intake", move || Intake::new(given.clone()))
                .capacity(intake_capacity)
                .build();
        let given = (db.clone(), keys.clone());
        let (trail, trail_child) =
            Spec::new(&system, "trail", move || Trail::new(given.0.clone(), given.1.clone()))
                .workers(TRAIL_WORKERS)
                .build();
        let given = (db.clone(), keys);
        let (verifier, verifier_child) =
            Spec::new(&system, "verifier", move || Verifier::new(given.0.clone(), given.1.clone()))
                .capacity(VERIFIER_CAPACITY)
                .build();

        let woken = sealer.clone();
        db.wake_on(Effect::Audit, move || {
            // A full mailbox has a wake in it already.
            drop(woken.tell(&Scope::bare(WAKE_WITHIN), Wake));
        });

        ctx.provide::<dyn AuditLog>(Arc::new(Port::new(intake)));
        ctx.provide(Arc::new(trail.clone()));
        ctx.provide(Arc::new(verifier.clone()));
        ctx.provide(Arc::new(sealer));
        let supervisor = Supervisor::new(&system, "audit")
            .child(sealer_child)
            .child(intake_child)
            .child(trail_child)
            .child(verifier_child);
        Ok(Parts::new()
            .permissions(permissions::permissions())
            .roles(permissions::roles())
            .migrations(MIGRATIONS)
            .child(supervisor.into_spec())
            .routes(routes::routes(&trail, &verifier))
            .health(waiting_check(db)))
    }
}

/// The age of the oldest record that waits.
fn waiting_check(db: Db) -> HealthCheck {
    let probe = move || {
        let db = db.clone();
        let probing: troupe_kernel::BoxFuture<'static, Result<(), String>> = Box::pin(async move {
            let now = db.clock().now();
            let (waiting, oldest) = db
                .read(async |conn: &mut DbConn| Ok(queue::waiting(conn).await?))
                .await
                .map_err(|failure| failure.to_string())?;
            match oldest {
                Some(oldest) if now.since(oldest.into()) > WAITING_AGE_MAX => Err(format!(
                    "{waiting} audit records wait to be sealed, the oldest since {}; look for the \
                     sealer's warnings in the log",
                    oldest.0
                )),
                _ => Ok(()),
            }
        });
        probing
    };
    HealthCheck::new("audit", Arc::new(probe))
}
