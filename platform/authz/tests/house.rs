//! The module in a small house: a database, a universe, a module that registers things to decide
//! about, and an audit that remembers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use std::sync::Mutex;
use troupe_actors::testing::Universe;
use troupe_actors::{ChildSpec, Origin, ServiceRef};
use troupe_authz::{AuthzModule, MIGRATIONS};
use troupe_authz_messages::{AuthzMessage, Binding, Grant, ROLE_ADMINISTRATOR, SetMemberRole};
use troupe_database::Db;
use troupe_database::testing::for_both_with;
use troupe_kernel::lifecycle::Modules;
use troupe_kernel::module::{InitFault, Manifest, Module, ModuleContext, Surroundings};
use troupe_kernel::parts::Parts;
use troupe_kernel::permissions::{Catalog, PermissionDef, RoleDef};
use troupe_kernel::policies::{PolicyDef, PolicyEffect};
use troupe_kernel::ports::{AuditLog, Authorizer, BoxFuture};
use troupe_kernel::{
    AuditRecord, Clock, Failure, Invalidations, ManualClock, PermissionSet, Principal,
    PrincipalKind, Route, Scope, SharedClock, TenantId, Timestamp, Uuid,
};

pub(crate) const READ: &str = "press.article.read";
pub(crate) const EDIT: &str = "press.article.edit";
pub(crate) const EDIT_ANY: &str = "press.article.edit_any";
pub(crate) const DELETE: &str = "press.article.delete";

/// What a press registers: `edit` is decided per resource, `read` and `delete` are not.
pub(crate) struct Press {
    policies: Vec<PolicyDef>,
}

pub(crate) fn press_policies() -> Vec<PolicyDef> {
    vec![
        PolicyDef {
            id: "press.own_articles",
            action: EDIT,
            effect: PolicyEffect::Permit,
            condition: "resource.owner == principal.id && resource.attributes.status == 'draft'",
            description: "authors edit their own drafts",
        },
        PolicyDef {
            id: "press.any_article",
            action: EDIT,
            effect: PolicyEffect::Permit,
            condition: "permitted('press.article.edit_any')",
            description: "editors edit every article",
        },
        PolicyDef {
            id: "press.locked",
            action: "press.article.*",
            effect: PolicyEffect::Forbid,
            condition: "has(resource.attributes.locked) && resource.attributes.locked",
            description: "nobody touches a locked article",
        },
    ]
}

impl Module for Press {
    fn manifest(&self) -> Manifest {
        Manifest { name: "press", version: "1.0.0", dependencies: &[] }
    }

    fn init(&mut self, _ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let permissions = [READ, EDIT, EDIT_ANY, DELETE]
            .map(|key| PermissionDef { key, description: "allows it" });
        Ok(Parts::new()
            .permissions(permissions)
            .roles([
                RoleDef { key: "reader", title: "Reader", permissions: vec![READ] },
                RoleDef { key: "author", title: "Author", permissions: vec![EDIT] },
                RoleDef { key: "editor", title: "Editor", permissions: vec![EDIT_ANY] },
                RoleDef { key: "owner", title: "Owner", permissions: vec![DELETE] },
            ])
            .policies(self.policies.clone()))
    }
}

/// How the remembered audit behaves: 0 remembers, 1 panics, 2 makes one wait until it changes.
#[derive(Default)]
pub(crate) struct Remembering {
    pub(crate) records: Mutex<Vec<AuditRecord>>,
    pub(crate) mood: AtomicU8,
}

impl AuditLog for Remembering {
    fn record<'a>(
        &'a self,
        record: AuditRecord,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            match self.mood.load(Ordering::SeqCst) {
                1 => panic!("the audit is in a bad mood"),
                2 => {
                    while self.mood.load(Ordering::SeqCst) == 2 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                _ => self.records.lock().expect("nobody panics with it").push(record),
            }
            Ok(())
        })
    }
}

struct Database(Db);

impl Module for Database {
    fn manifest(&self) -> Manifest {
        Manifest { name: "database", version: "1.0.0", dependencies: &[] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        ctx.provide(Arc::new(self.0.clone()));
        Ok(Parts::new())
    }
}

struct Audit(Arc<Remembering>);

impl Module for Audit {
    fn manifest(&self) -> Manifest {
        Manifest { name: "audit", version: "1.0.0", dependencies: &[] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        ctx.provide::<dyn AuditLog>(self.0.clone());
        Ok(Parts::new())
    }
}

pub(crate) struct House {
    pub(crate) universe: Universe,
    pub(crate) db: Db,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) service: ServiceRef<AuthzMessage>,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) invalidations: Invalidations,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) audit: Arc<Remembering>,
    pub(crate) routes: Vec<Route>,
}

/// Runs a test in a house on each dialect.
pub(crate) async fn in_both(test: impl AsyncFn(&House)) {
    let clock = Arc::new(ManualClock::default());
    for_both_with(MIGRATIONS, clock.clone(), async |db| {
        let house = House::open(db, clock.clone(), press_policies()).await;
        test(&house).await;
        house.universe.finish().await;
    })
    .await;
}

/// The actors of the module with these policies, not yet started.
pub(crate) fn assemble(
    universe: &Universe,
    db: &Db,
    clock: SharedClock,
    policies: Vec<PolicyDef>,
) -> (Surroundings, troupe_kernel::lifecycle::Loaded, Arc<Remembering>) {
    let mut around = Surroundings::new(universe.system().clone(), clock);
    let audit = Arc::new(Remembering::default());
    let modules: Vec<Box<dyn Module>> = vec![
        Box::new(AuthzModule),
        Box::new(Press { policies }),
        Box::new(Audit(audit.clone())),
        Box::new(Database(db.clone())),
    ];
    let modules = Modules::validate(modules).expect("the modules fit together");
    let loaded = modules.initialise(&mut around).expect("the modules initialise");
    (around, loaded, audit)
}

pub(crate) fn children(
    loaded: &mut troupe_kernel::lifecycle::Loaded,
) -> (Vec<ChildSpec>, Vec<Route>, Arc<Catalog>) {
    let assembly = loaded.take_assembly();
    let children = assembly.children.into_iter().flat_map(|(_, children)| children).collect();
    (children, assembly.routes, assembly.catalog)
}

impl House {
    pub(crate) async fn open(db: Db, clock: Arc<ManualClock>, policies: Vec<PolicyDef>) -> Self {
        let shared: SharedClock = clock.clone();
        Self::open_with(db, clock, shared, policies).await
    }

    pub(crate) async fn open_with(
        db: Db,
        clock: Arc<ManualClock>,
        shared: SharedClock,
        policies: Vec<PolicyDef>,
    ) -> Self {
        let universe = Universe::start().await;
        let (around, mut loaded, audit) = assemble(&universe, &db, shared, policies);
        let (specs, routes, catalog) = children(&mut loaded);
        for spec in specs {
            universe.add(spec).await;
        }
        let service =
            around.container.require::<ServiceRef<AuthzMessage>>().expect("it is provided");
        Self {
            universe,
            db,
            clock,
            service: (*service).clone(),
            authorizer: around.container.require::<dyn Authorizer>().expect("it is provided"),
            invalidations: around.invalidations.clone(),
            catalog,
            audit,
            routes,
        }
    }

    /// A platform administrator that the platform itself named.
    pub(crate) async fn administrator(&self) -> Uuid {
        let subject = self.id();
        self.grant(&system(), grant(subject, None, ROLE_ADMINISTRATOR))
            .await
            .expect("the platform may");
        subject
    }

    /// A member of a tenant.
    pub(crate) async fn member(&self, tenant: TenantId, role: &str) -> Uuid {
        let subject = self.id();
        let command =
            SetMemberRole { subject, tenant, role: Some(role.to_owned()), at: self.clock.now() };
        self.service.ask(&system(), command).await.expect("a membership is kept");
        subject
    }

    pub(crate) async fn grant(&self, scope: &Scope, command: Grant) -> Result<Binding, Failure> {
        self.service.ask(scope, command).await
    }

    /// Names of what the gate lets pass.
    pub(crate) async fn held(&self, subject: Uuid, tenant: Option<TenantId>) -> Vec<String> {
        let set = self
            .authorizer
            .resolve(subject, tenant.map(TenantId::uuid), &system())
            .await
            .expect("permissions are resolved");
        self.names(&set)
    }

    pub(crate) fn names(&self, set: &PermissionSet) -> Vec<String> {
        self.catalog.names(set).into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn id(&self) -> Uuid {
        troupe_kernel::new_id(self.clock.as_ref())
    }

    pub(crate) fn tenant(&self) -> TenantId {
        TenantId(self.id())
    }

    pub(crate) fn in_an_hour(&self) -> Timestamp {
        self.clock.now().plus(Duration::from_secs(3600))
    }
}

/// A scope of the platform itself.
pub(crate) fn system() -> Scope {
    Scope::system("test", Duration::from_secs(20))
}

/// A scope of a person with a token of a tenant.
pub(crate) fn person(subject: Uuid, tenant: Option<TenantId>) -> Scope {
    person_with(subject, tenant, None)
}

/// The same with a credential that reaches only so far.
pub(crate) fn person_with(
    subject: Uuid,
    tenant: Option<TenantId>,
    bound: Option<PermissionSet>,
) -> Scope {
    let mut origin = Origin::new(Uuid::now_v7());
    origin.principal = Some(Arc::new(principal(subject, tenant, bound)));
    origin.address = Some([192, 0, 2, 7].into());
    Scope::root(Duration::from_secs(20), origin)
}

pub(crate) fn principal(
    subject: Uuid,
    tenant: Option<TenantId>,
    bound: Option<PermissionSet>,
) -> Principal {
    Principal {
        subject,
        kind: PrincipalKind::User,
        tenant: tenant.map(TenantId::uuid),
        session: None,
        permissions: PermissionSet::new(),
        bound,
        label: "test".to_owned(),
    }
}

pub(crate) fn grant(subject: Uuid, tenant: Option<TenantId>, role: &str) -> Grant {
    Grant { subject, tenant, role: role.to_owned(), condition: None, expires_at: None }
}

/// The code of a failure.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    result.expect_err("it is refused").code().to_owned()
}
