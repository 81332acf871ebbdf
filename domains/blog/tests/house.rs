//! The blog in a small house: a database, a universe, stand-ins for the rest, two organisations and
//! a few people; requests go through the routes as the edge would send them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use troupe_actors::testing::Universe;
use troupe_actors::{Idempotency, Origin, ServiceRef, Spec};
use troupe_blog::BlogModule;
use troupe_blog::repository::MIGRATIONS;
use troupe_database::Db;
use troupe_database::prelude::*;
use troupe_database::schema::{audit_queue, jobs, outbox};
use troupe_database::testing::for_both_with;
use troupe_identity_messages::{IdentityMessage, OrganisationStatus};
use troupe_kernel::lifecycle::{Assembly, Modules};
use troupe_kernel::module::{InitFault, Manifest, Module, ModuleContext, Surroundings};
use troupe_kernel::{
    Authorizer, BlobStore, Bytes, Cache, Clock, Event, HeaderName, HeaderValue, HttpRequest,
    HttpResponse, Job, JobContext, Layers, ManualClock, Method, Parts, PermissionSet, Principal,
    PrincipalKind, Route, Scope, StatusCode, TenantId, Uuid, header,
};

use crate::fakes::{Identity, Known, MemoryBlobs, MemoryCache, Rules};

/// A module that only provides what the blog requires of it.
struct Stub {
    name: &'static str,
    identity: Option<ServiceRef<IdentityMessage>>,
    authorizer: Option<Arc<Rules>>,
}

impl Module for Stub {
    fn manifest(&self) -> Manifest {
        Manifest { name: self.name, version: "1.0.0", dependencies: &[] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        if let Some(identity) = self.identity.take() {
            ctx.provide(Arc::new(identity));
        }
        if let Some(authorizer) = self.authorizer.take() {
            ctx.provide::<dyn Authorizer>(authorizer);
        }
        Ok(Parts::new())
    }
}

pub(crate) struct House {
    pub(crate) universe: Universe,
    pub(crate) db: Db,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) cache: Arc<MemoryCache>,
    pub(crate) blobs: Arc<MemoryBlobs>,
    pub(crate) known: Arc<Mutex<Known>>,
    pub(crate) assembly: Assembly,
    pub(crate) acme: TenantId,
    pub(crate) editor: Person,
    pub(crate) author: Person,
    pub(crate) rival: Person,
    pub(crate) reader: Person,
    pub(crate) stranger: Person,
}

/// Somebody who sends requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    pub(crate) id: Uuid,
    pub(crate) tenant: TenantId,
}

/// Runs a test in a house on each dialect.
pub(crate) async fn in_both(test: impl AsyncFn(&House)) {
    in_both_with("", test).await;
}

/// [`in_both`] with a configuration in TOML.
pub(crate) async fn in_both_with(config: &str, test: impl AsyncFn(&House)) {
    let clock = Arc::new(ManualClock::default());
    for_both_with(MIGRATIONS, clock.clone(), async |db| {
        clock.set(ManualClock::default().now());
        let house = House::open(db, clock.clone(), config).await;
        test(&house).await;
        house.universe.finish().await;
    })
    .await;
}

fn person(number: u128, tenant: TenantId) -> Person {
    Person { id: Uuid::from_u128(number), tenant }
}

impl House {
    pub(crate) async fn open(db: Db, clock: Arc<ManualClock>, config: &str) -> Self {
        let universe = Universe::start().await;
        let (acme, other) = (TenantId(Uuid::from_u128(0xA)), TenantId(Uuid::from_u128(0xB)));
        let people = [
            (person(1, acme), "Edna Editor"),
            (person(2, acme), "Ada Author"),
            (person(3, acme), "Rita Rival"),
            (person(4, acme), "Rea Reader"),
            (person(5, other), "Stan Stranger"),
        ];
        let known = Arc::new(Mutex::new(Known {
            organisations: vec![
                ("acme".to_owned(), acme, OrganisationStatus::Active),
                ("other".to_owned(), other, OrganisationStatus::Active),
            ],
            names: people.iter().map(|(person, name)| (person.id, (*name).to_owned())).collect(),
        }));
        let shared = known.clone();
        let spec =
            Spec::new(universe.system(), "identity", move || Identity { known: shared.clone() });
        let identity = universe.spawn(spec).await;
        let rules = Arc::new(Rules::default());
        rules.managers.lock().expect("new").extend([Uuid::from_u128(1), Uuid::from_u128(5)]);
        let (cache, blobs) = (Arc::new(MemoryCache::default()), Arc::new(MemoryBlobs::default()));

        let tree = Layers::new().file("troupe.toml", config).build().expect("valid TOML");
        let mut around = Surroundings::new(universe.system().clone(), clock.clone()).config(tree);
        around.container.provide(Arc::new(db.clone()));
        around.container.provide::<dyn Cache>(cache.clone());
        around.container.provide::<dyn BlobStore>(blobs.clone());
        let modules: Vec<Box<dyn Module>> = vec![
            Box::new(BlogModule),
            Box::new(Stub { name: "database", identity: None, authorizer: None }),
            Box::new(Stub { name: "identity", identity: Some(identity), authorizer: None }),
            Box::new(Stub { name: "authz", identity: None, authorizer: Some(rules.clone()) }),
        ];
        let mut loaded = Modules::validate(modules)
            .and_then(|modules| modules.initialise(&mut around))
            .unwrap_or_else(|faults| panic!("the module is valid: {faults:?}"));
        let mut assembly = loaded.take_assembly();
        for (_, children) in std::mem::take(&mut assembly.children) {
            for child in children {
                universe.add(child).await;
            }
        }
        let [editor, author, rival, reader, stranger] = people.map(|(person, _)| person);
        Self {
            universe,
            db,
            clock,
            rules,
            cache,
            blobs,
            known,
            assembly,
            acme,
            editor,
            author,
            rival,
            reader,
            stranger,
        }
    }

    /// A request of somebody, or of a guest.
    pub(crate) fn request(&self, method: Method, target: &str) -> Call<'_> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let address = "192.0.2.7".parse().expect("an address");
        let scope = Scope::root(Duration::from_secs(20), Origin::new(Uuid::from_u128(99)));
        let mut request = HttpRequest::new(method, path, address, scope);
        request.query = query.to_owned();
        Call { house: self, request }
    }

    pub(crate) fn get(&self, target: &str) -> Call<'_> {
        self.request(Method::GET, target)
    }

    pub(crate) fn post(&self, target: &str) -> Call<'_> {
        self.request(Method::POST, target)
    }

    pub(crate) fn patch(&self, target: &str) -> Call<'_> {
        self.request(Method::PATCH, target)
    }

    pub(crate) fn put(&self, target: &str) -> Call<'_> {
        self.request(Method::PUT, target)
    }

    pub(crate) fn delete(&self, target: &str) -> Call<'_> {
        self.request(Method::DELETE, target)
    }

    /// Writes a draft and answers it.
    pub(crate) async fn draft(&self, who: Person, title: &str, body: &str) -> Value {
        let document = serde_json::json!({ "title": title, "body": body });
        self.post("/v1/blog/posts").by(who).json(&document).expect(StatusCode::CREATED).await
    }

    /// Writes and publishes a post and answers it.
    pub(crate) async fn published(&self, who: Person, title: &str, body: &str) -> Value {
        let post = self.draft(who, title, body).await;
        self.clock.advance(Duration::from_secs(1));
        let target = format!("/v1/blog/posts/{}/publish", text(&post["id"]));
        self.post(&target).by(who).expect(StatusCode::OK).await
    }

    /// Does the waiting jobs of a kind as the job runner would, also those whose time has not come.
    pub(crate) async fn run_jobs(&self, kind: &str) -> Vec<Result<(), troupe_kernel::Failure>> {
        let rows = self.jobs(kind).await;
        let handler =
            self.assembly.jobs.iter().find(|each| each.kind() == kind).expect("a handler");
        let mut results = Vec::new();
        for payload in rows {
            let job = Job::new(kind, &payload);
            let job = JobContext { id: Uuid::nil(), attempt: 1, job };
            let scope = Scope::system("jobs", Duration::from_secs(20));
            results.push(handler.run(&job, &scope).await);
        }
        results
    }

    /// The payloads of all jobs of a kind, in the order in which they are due.
    pub(crate) async fn jobs(&self, kind: &str) -> Vec<Value> {
        let kind = kind.to_owned();
        let rows: Vec<Json> = self
            .db
            .read(async move |conn: &mut DbConn| {
                Ok(run!(conn, |c| jobs::table
                    .filter(jobs::kind.eq(&kind))
                    .order((jobs::run_at.asc(), jobs::id.asc()))
                    .select(jobs::payload)
                    .load(c))?)
            })
            .await
            .expect("jobs are read");
        rows.into_iter().map(|row| row.0).collect()
    }

    /// The kinds of all events, oldest first.
    pub(crate) async fn events(&self) -> Vec<String> {
        self.db
            .read(async move |conn: &mut DbConn| {
                Ok(run!(conn, |c| outbox::table
                    .order(outbox::position.asc())
                    .select(outbox::kind)
                    .load(c))?)
            })
            .await
            .expect("events are read")
    }

    /// The actions of all audit records, oldest first.
    pub(crate) async fn audits(&self) -> Vec<String> {
        let rows: Vec<(Option<DbUuid>, Json)> = self
            .db
            .read(async move |conn: &mut DbConn| {
                Ok(run!(conn, |c| audit_queue::table
                    .order(audit_queue::position.asc())
                    .select((audit_queue::tenant, audit_queue::record))
                    .load(c))?)
            })
            .await
            .expect("audit records are read");
        assert!(rows.iter().all(|(tenant, _)| tenant.is_some()), "each belongs to a tenant");
        rows.into_iter().map(|(_, record)| text(&record.0["action"]).to_owned()).collect()
    }

    /// Hands an event to the subscriptions that take it.
    pub(crate) async fn deliver(&self, event: Event) {
        let scope = Scope::system("events", Duration::from_secs(20));
        for subscription in
            self.assembly.subscriptions.iter().filter(|each| each.takes(&event.kind))
        {
            subscription.run(&event, &scope).await.expect("the event is handled");
        }
    }

    fn route(&self, method: &Method, path: &str) -> (&Route, Vec<(String, String)>) {
        let mut candidates: Vec<_> = self
            .assembly
            .routes
            .iter()
            .filter(|route| route.method() == method)
            .filter_map(|route| Some((route, parameters(route.path(), path)?)))
            .collect();
        candidates.sort_by_key(|(_, parameters)| parameters.len());
        candidates.into_iter().next().unwrap_or_else(|| panic!("no route for {method} {path}"))
    }
}

fn parameters(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let mut found = Vec::new();
    for (expected, actual) in template.into_iter().zip(path) {
        match expected.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            Some(name) => found.push((name.to_owned(), actual.to_owned())),
            None if expected == actual => {}
            None => return None,
        }
    }
    Some(found)
}

/// A request that is being put together.
pub(crate) struct Call<'house> {
    house: &'house House,
    request: HttpRequest,
}

impl Call<'_> {
    pub(crate) fn by(mut self, who: Person) -> Self {
        self.request.scope.origin_mut().principal = Some(Arc::new(Principal {
            subject: who.id,
            kind: PrincipalKind::User,
            tenant: Some(who.tenant.uuid()),
            session: None,
            permissions: PermissionSet::new(),
            bound: None,
            label: "test".to_owned(),
        }));
        self
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.request.body = serde_json::to_vec(body).expect("JSON").into();
        self.header(header::CONTENT_TYPE, "application/json")
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.request.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.request.headers.insert(name, HeaderValue::try_from(value).expect("a header value"));
        self
    }

    pub(crate) fn if_match(self, version: &Value) -> Self {
        self.header(header::IF_MATCH, &format!("\"{version}\""))
    }

    /// The same key makes the same request again.
    pub(crate) fn idempotent(mut self, key: &str) -> Self {
        let fingerprint = format!("{:?}", self.request.body);
        self.request.scope.origin_mut().idempotency =
            Some(Idempotency { key: key.to_owned(), fingerprint });
        self
    }

    pub(crate) fn address(mut self, address: &str) -> Self {
        self.request.peer = address.parse().expect("an address");
        self
    }

    pub(crate) async fn send(mut self) -> HttpResponse {
        let (route, parameters) = self.house.route(&self.request.method, &self.request.path);
        self.request.parameters = parameters;
        let (port, delivered) = route.target().open(&self.request.scope);
        route.target().deliver(&self.request, port);
        match delivered.await.response {
            Ok(response) => response,
            Err(failure) => HttpResponse::from(&failure),
        }
    }

    /// Sends it and expects a status; answers the JSON body.
    pub(crate) async fn expect(self, status: StatusCode) -> Value {
        let what = format!("{} {}", self.request.method, self.request.path);
        let response = self.send().await;
        let shown = String::from_utf8_lossy(&response.body);
        assert_eq!(response.status, status, "{what}: {shown}");
        if response.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&response.body).unwrap_or(Value::Null)
    }

    /// Sends it and expects a problem; answers its code.
    pub(crate) async fn refused(self, status: u16) -> String {
        let status = StatusCode::from_u16(status).expect("a status");
        let problem = self.expect(status).await;
        text(&problem["type"]).trim_start_matches("https://troupe.dev/problems/").to_owned()
    }
}

/// The text of a JSON string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is a string"))
}

/// One field of each item of a page.
pub(crate) fn each<'value>(page: &'value Value, field: &str) -> Vec<&'value str> {
    page["items"].as_array().expect("a page").iter().map(|item| text(&item[field])).collect()
}
