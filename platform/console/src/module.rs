//! What this module registers: permissions, one actor, routes.

use troupe_actors::Spec;
use troupe_kernel::module::{InitFault, Manifest, Module, ModuleContext};
use troupe_kernel::parts::Parts;
use troupe_kernel::ports::AuditLog;

use crate::config::ConsoleConfig;
use crate::service::{Inspector, Setup};
use crate::taps::TapBook;
use crate::{permissions, routes};

const CAPACITY: usize = 256;

/// The inspection API. Requires `dyn AuditLog`; provides nothing.
#[derive(Debug, Default)]
pub struct ConsoleModule;

impl Module for ConsoleModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "console", version: env!("CARGO_PKG_VERSION"), dependencies: &["audit"] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config: ConsoleConfig = ctx.config()?;
        let system = ctx.system().clone();
        let setup = Setup {
            system: system.clone(),
            clock: ctx.clock(),
            audit: ctx.require::<dyn AuditLog>()?,
            declarations: ctx.declarations(),
            taps: TapBook::new(system.clone(), config.tap_lease),
        };
        let (inspector, child) =
            Spec::new(&system, "console", move || Inspector::new(setup.clone()))
                .capacity(CAPACITY)
                .build();
        Ok(Parts::new()
            .permissions(permissions::permissions())
            .child(child)
            .routes(routes::routes(&inspector)))
    }
}
