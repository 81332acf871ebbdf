//! What this module registers: permissions, roles, tables, actors, routes and subscriptions.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{ServiceRef, Shards, Spec, Supervisor};
use troupe_authz_messages::{AuthzMessage, ForgetSubject, SetMemberRole};
use troupe_database::Db;
use troupe_identity_messages::{
    MEMBER_JOINED, MEMBER_REMOVED, MEMBER_ROLE_CHANGED, MemberEvent, USER_ANONYMISED, UserEvent,
};
use troupe_kernel::module::{InitFault, Manifest, Module, ModuleContext};
use troupe_kernel::parts::{Parts, Subscription};
use troupe_kernel::ports::{AuditLog, Authorizer};
use troupe_kernel::{Failure, Migration};

use crate::config::AuthzConfig;
use crate::engine::SharedEngine;
use crate::port::Port;
use crate::service::{Decisions, DecisionsSetup, Expiry, ExpirySetup, Roles, RolesSetup, Spread};
use crate::{permissions, routes};

/// The tables of this module.
pub const MIGRATIONS: &[Migration] = troupe_database::migrations!("authz", ["0001_authz"]);

const DECISIONS_CAPACITY: usize = 4096;
const ROLES_CAPACITY: usize = 1024;
const EXPIRY_CAPACITY: usize = 64;

/// Roles, permissions and policies.
///
/// Requires `Db`; takes `dyn AuditLog` when it is there. Provides `dyn Authorizer`,
/// `ServiceRef<AuthzMessage>` and `Shards<DecisionMessage>`.
#[derive(Debug, Default)]
pub struct AuthzModule;

impl Module for AuthzModule {
    fn manifest(&self) -> Manifest {
        Manifest {
            name: "authz",
            version: env!("CARGO_PKG_VERSION"),
            dependencies: &["database", "audit"],
        }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config: AuthzConfig = ctx.config()?;
        let db = ctx.require::<Db>()?;
        let audit = ctx.container().find::<dyn AuditLog>();
        let system = ctx.system().clone();
        let engine = SharedEngine::new(ctx.declarations());
        let mut supervisor = Supervisor::new(&system, "authz");

        let setup = DecisionsSetup {
            db: (*db).clone(),
            clock: ctx.clock(),
            engine: engine.clone(),
            remembered_max: config.subjects_per_shard_max,
            age_max: config.age_max,
        };
        let mut shards = Vec::new();
        for index in 1..=config.shards {
            let setup = setup.clone();
            let (shard, child) = Spec::new(&system, format!("decisions-{index}"), move || {
                Decisions::new(setup.clone())
            })
            .capacity(DECISIONS_CAPACITY)
            .build();
            shards.push(shard);
            supervisor = supervisor.child(child);
        }
        let decisions = Shards::new(shards);

        let (expiry_spec, spread) = {
            // The expiry and the spread know each other: the cell is filled before either runs.
            let cell: Arc<std::sync::OnceLock<ExpirySetup>> = Arc::default();
            let given = cell.clone();
            let (expiry, child) = Spec::new(&system, "expiry", move || {
                Expiry::new(given.get().expect("the module fills it before it starts").clone())
            })
            .capacity(EXPIRY_CAPACITY)
            .build();
            let spread = Spread::new(decisions.clone(), ctx.invalidations(), expiry);
            let setup =
                ExpirySetup { db: (*db).clone(), clock: ctx.clock(), spread: spread.clone() };
            drop(cell.set(setup));
            (child, spread)
        };

        let setup =
            RolesSetup { db: (*db).clone(), engine, spread, decisions: decisions.clone(), audit };
        let (roles, child) = Spec::new(&system, "roles", move || Roles::new(setup.clone()))
            .capacity(ROLES_CAPACITY)
            .workers(config.workers)
            .stop_within(Duration::from_secs(10))
            .build();
        let supervisor = supervisor.child(child).child(expiry_spec);

        ctx.provide::<dyn Authorizer>(Arc::new(Port::new(decisions.clone())));
        ctx.provide(Arc::new(roles.clone()));
        ctx.provide(Arc::new(decisions.clone()));
        Ok(Parts::new()
            .permissions(permissions::permissions())
            .roles(permissions::roles())
            .migrations(MIGRATIONS)
            .child(supervisor.into_spec())
            .routes(routes::routes(&roles))
            .subscription(members(&roles))
            .subscription(leavers(&roles)))
    }
}

/// Brings the roles of memberships again, in case the report at the time of the change was lost.
fn members(roles: &ServiceRef<AuthzMessage>) -> Subscription {
    let kinds = [MEMBER_JOINED, MEMBER_ROLE_CHANGED, MEMBER_REMOVED];
    Subscription::new("authz.members", &kinds).ask(roles, |event| {
        let data: MemberEvent = event.data()?;
        Ok::<_, Failure>(SetMemberRole {
            subject: data.user.uuid(),
            tenant: data.organisation,
            role: data.role,
            at: event.time,
        })
    })
}

/// Takes everything from accounts that are gone.
fn leavers(roles: &ServiceRef<AuthzMessage>) -> Subscription {
    Subscription::new("authz.leavers", &[USER_ANONYMISED]).ask(roles, |event| {
        let data: UserEvent = event.data()?;
        Ok::<_, Failure>(ForgetSubject { subject: data.user.uuid() })
    })
}
