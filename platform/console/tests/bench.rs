//! A universe with the console in it, a worker to look at, and a way to call a route.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Mutex;
use troupe_actors::testing::Universe;
use troupe_actors::{Context, Handled, Lent, Origin, Service, ServiceRef, Spec};
use troupe_console::ConsoleModule;
use troupe_kernel::module::{Declarations, Declared, Module, Surroundings};
use troupe_kernel::routes::Access;
use troupe_kernel::{
    AuditLog, AuditRecord, BoxFuture, Bytes, Catalog, Failure, HeaderValue, HttpRequest,
    HttpResponse, ManualClock, Method, PermissionSet, Principal, PrincipalKind, Route, Scope, Uuid,
    header,
};

/// An audit log that a test reads, and can break.
#[derive(Default)]
pub struct FakeAudit {
    pub records: Mutex<Vec<AuditRecord>>,
    pub broken: AtomicBool,
}

impl AuditLog for FakeAudit {
    fn record<'a>(
        &'a self,
        record: AuditRecord,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.broken.load(Ordering::SeqCst) {
                return Err(Failure::unavailable("test.audit.away", "the audit log is away"));
            }
            self.records.lock().unwrap().push(record);
            Ok(())
        })
    }
}

pub struct Bench {
    pub universe: Universe,
    pub audit: Arc<FakeAudit>,
    pub routes: Vec<Route>,
    declarations: Declarations,
}

impl Bench {
    pub async fn start() -> Self {
        let universe = Universe::start().await;
        let audit = Arc::new(FakeAudit::default());
        let clock = Arc::new(ManualClock::default());
        let mut surroundings = Surroundings::new(universe.system().clone(), clock);
        surroundings.container.provide::<dyn AuditLog>(audit.clone());
        let parts = ConsoleModule.init(&mut surroundings.context()).unwrap();
        let catalog = Arc::new(Catalog::new(parts.permissions.clone()));
        let declared = Declared { catalog, ..Declared::default() };
        assert!(surroundings.declarations.seal(declared));
        for child in parts.children {
            universe.add(child).await;
        }
        let declarations = surroundings.declarations;
        Self { universe, audit, routes: parts.routes, declarations }
    }

    /// A caller with these permissions.
    pub fn caller<'a>(&'a self, subject: u128, permissions: &[&str]) -> Caller<'a> {
        let permissions = self.declarations.get().catalog.compile(permissions.iter().copied());
        Caller { bench: self, subject: Uuid::from_u128(subject), permissions }
    }

    /// The actions in the audit with how they ended, oldest first.
    pub fn audited(&self) -> Vec<(String, String)> {
        let records = self.audit.records.lock().unwrap();
        let shown = |record: &AuditRecord| (record.action.clone(), format!("{:?}", record.outcome));
        records.iter().map(shown).collect()
    }

    pub async fn worker(&self, name: &str) -> ServiceRef<WorkMessage> {
        self.universe.spawn(Spec::new(self.universe.system(), name, || Worker)).await
    }
}

pub struct Caller<'a> {
    bench: &'a Bench,
    subject: Uuid,
    permissions: PermissionSet,
}

impl Caller<'_> {
    pub async fn get(&self, target: &str) -> Result<Value, Failure> {
        let response = self.call(Method::GET, target, None).await?;
        assert_eq!(response.headers[header::CACHE_CONTROL], "no-store", "{target}");
        Ok(serde_json::from_slice(&response.body).unwrap())
    }

    pub async fn post(&self, target: &str, body: Value) -> Result<Value, Failure> {
        let response = self.call(Method::POST, target, Some(body)).await?;
        assert_eq!(response.status, 201);
        Ok(serde_json::from_slice(&response.body).unwrap())
    }

    pub async fn delete(&self, target: &str) -> Result<(), Failure> {
        let response = self.call(Method::DELETE, target, None).await?;
        assert_eq!(response.status, 204);
        Ok(())
    }

    /// Does what the edge does: finds the route, checks its permission, delivers.
    async fn call(
        &self,
        method: Method,
        target: &str,
        body: Option<Value>,
    ) -> Result<HttpResponse, Failure> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let found = self.bench.routes.iter().find_map(|route| {
            let parameters = matching(route.path(), path)?;
            (*route.method() == method).then_some((route, parameters))
        });
        let (route, parameters) = found.unwrap_or_else(|| panic!("no route for {method} {path}"));
        let Some(Access::Permission(key)) = route.access() else { panic!("{route} is open") };
        let bit = self.bench.declarations.get().catalog.bit(key).unwrap();
        if !self.permissions.contains(bit) {
            return Err(Failure::forbidden("edge.forbidden", *key));
        }
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut request = HttpRequest::new(method, path, peer, self.scope());
        request.query = query.to_owned();
        request.parameters = parameters;
        if let Some(body) = body {
            request
                .headers
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = Bytes::from(serde_json::to_vec(&body).unwrap());
        }
        let (port, response) = route.target().open(&request.scope);
        route.target().deliver(&request, port);
        response.await.response
    }

    fn scope(&self) -> Scope {
        let mut origin = Origin::new(Uuid::from_u128(77));
        origin.principal = Some(Arc::new(Principal {
            subject: self.subject,
            kind: PrincipalKind::User,
            tenant: None,
            session: None,
            permissions: self.permissions.clone(),
            bound: None,
            label: "root".to_owned(),
        }));
        Scope::root(Duration::from_secs(10), origin)
    }
}

/// The parameters of a path when it fits the template.
fn matching(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    let mut rest: Vec<&str> = path.split('/').collect();
    for part in template.split('/') {
        if let Some(name) = part.strip_prefix("{*") {
            parameters.push((name.trim_end_matches('}').to_owned(), rest.join("/")));
            return (!rest.is_empty()).then_some(parameters);
        }
        if rest.is_empty() {
            return None;
        }
        let given = rest.remove(0);
        if let Some(name) = part.strip_prefix('{') {
            parameters.push((name.trim_end_matches('}').to_owned(), given.to_owned()));
        } else if part != given {
            return None;
        }
    }
    rest.is_empty().then_some(parameters)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Work {
    pub note: String,
    pub password: String,
    pub panics: bool,
}

impl Work {
    pub fn new(note: &str) -> Self {
        Self { note: note.to_owned(), password: "hunter2".to_owned(), panics: false }
    }
}

troupe_actors::protocol! {
    /// Something to look at.
    pub enum WorkMessage("work", 1) redact ["password"] {
        /// Answers nothing, or panics.
        Work => (),
    }
}

pub struct Worker;

impl Service for Worker {
    type Message = WorkMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<WorkMessage>,
        ctx: &mut Context<WorkMessage>,
    ) -> Handled {
        let WorkMessage::Work(work) = &**message;
        assert!(!work.panics, "asked to");
        ctx.reply(work, ())
    }
}
