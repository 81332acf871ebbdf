//! Files in a small house: a database, a universe, a blob store in a directory, two organisations and a
//! few people; requests go through the routes as the edge would send them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use troupe_actors::Origin;
use troupe_actors::testing::Universe;
use troupe_blobs::{BlobsConfig, LocalBlobs};
use troupe_database::Db;
use troupe_database::prelude::*;
use troupe_database::schema::{audit_queue, jobs, outbox};
use troupe_database::testing::for_both_with;
use troupe_files::FilesModule;
use troupe_files::repository::MIGRATIONS;
use troupe_kernel::{
    Authorizer, BlobStore, BoxFuture, Clock, Decision, Failure, HttpRequest, HttpResponse, Job,
    JobContext, Layers, ManualClock, Method, Module, Parts, PermissionSet, Principal,
    PrincipalKind, Question, Route, Scope, Surroundings, Uuid,
};

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Lets everybody delete what is their own, and the editor everything.
struct Rules;

const EDITOR: u128 = 1;

impl Authorizer for Rules {
    fn resolve<'a>(
        &'a self,
        _: Uuid,
        _: Option<Uuid>,
        _: &'a Scope,
    ) -> BoxFuture<'a, Result<PermissionSet, Failure>> {
        Box::pin(async { Ok(PermissionSet::new()) })
    }

    fn decide<'a>(
        &'a self,
        question: Question,
        _: &'a Scope,
    ) -> BoxFuture<'a, Result<Decision, Failure>> {
        let subject = question.principal.subject;
        let allowed =
            question.resource.owner == Some(subject) || subject == Uuid::from_u128(EDITOR);
        let decision = Decision { allowed, reason: "not yours".to_owned(), policy: None };
        Box::pin(async move { Ok(decision) })
    }
}

/// Somebody who sends requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    pub(crate) id: Uuid,
    pub(crate) tenant: Uuid,
}

pub(crate) struct House {
    universe: Universe,
    db: Db,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) blobs: LocalBlobs,
    pub(crate) parts: Parts,
    directory: PathBuf,
    pub(crate) editor: Person,
    pub(crate) author: Person,
    pub(crate) rival: Person,
    pub(crate) stranger: Person,
}

/// Runs a test in a house on each dialect.
pub(crate) async fn in_both(test: impl AsyncFn(&House)) {
    in_both_with("", test).await;
}

/// [`in_both`] with settings of `[files]`.
pub(crate) async fn in_both_with(settings: &str, test: impl AsyncFn(&House)) {
    let clock = Arc::new(ManualClock::default());
    for_both_with(MIGRATIONS, clock.clone(), async |db| {
        clock.set(ManualClock::default().now());
        let house = House::open(db, clock.clone(), settings).await;
        test(&house).await;
        drop(std::fs::remove_dir_all(&house.directory));
        house.universe.finish().await;
    })
    .await;
}

impl House {
    async fn open(db: Db, clock: Arc<ManualClock>, settings: &str) -> Self {
        let universe = Universe::start().await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("troupe-files-{}-{number}", std::process::id()));
        let blobs = LocalBlobs::open(&BlobsConfig::default(), &directory, clock.clone())
            .expect("the directory can be written");
        let settings = format!("[files]\nworkers = 2\n{settings}");
        let tree = Layers::new().file("test", &settings).build().expect("valid TOML");
        let mut around = Surroundings::new(universe.system().clone(), clock.clone()).config(tree);
        around.container.provide(Arc::new(db.clone()));
        around.container.provide::<dyn BlobStore>(Arc::new(blobs.clone()));
        around.container.provide::<dyn Authorizer>(Arc::new(Rules));
        let mut parts = FilesModule.init(&mut around.context()).expect("the module initialises");
        for child in std::mem::take(&mut parts.children) {
            universe.add(child).await;
        }
        let (acme, other) = (Uuid::from_u128(0xA), Uuid::from_u128(0xB));
        let person = |number, tenant| Person { id: Uuid::from_u128(number), tenant };
        Self {
            universe,
            db,
            clock,
            blobs,
            parts,
            directory,
            editor: person(EDITOR, acme),
            author: person(2, acme),
            rival: person(3, acme),
            stranger: person(4, other),
        }
    }

    /// Sends a request the way the edge does after its gates.
    pub(crate) async fn send(
        &self,
        who: Person,
        method: Method,
        target: &str,
        body: impl Into<Vec<u8>>,
    ) -> HttpResponse {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let address = "192.0.2.7".parse().expect("an address");
        let scope = Scope::root(Duration::from_secs(20), Origin::new(Uuid::from_u128(99)));
        let mut request = HttpRequest::new(method, path, address, scope);
        request.query = query.to_owned();
        let body: Vec<u8> = body.into();
        request.body = body.into();
        request.headers.insert(
            troupe_kernel::header::CONTENT_TYPE,
            troupe_kernel::HeaderValue::from_static("application/json"),
        );
        request.scope.origin_mut().principal = Some(Arc::new(Principal {
            subject: who.id,
            kind: PrincipalKind::User,
            tenant: Some(who.tenant),
            session: None,
            permissions: PermissionSet::new(),
            bound: None,
            label: "test".to_owned(),
        }));
        let (route, parameters) = self.route(&request.method, path);
        request.parameters = parameters;
        let (port, response) = route.target().open(&request.scope);
        route.target().deliver(&request, port);
        response.await.response.unwrap_or_else(|failure| HttpResponse::from(&failure))
    }

    pub(crate) async fn get(&self, who: Person, target: &str) -> HttpResponse {
        self.send(who, Method::GET, target, "").await
    }

    pub(crate) async fn post(&self, who: Person, target: &str) -> HttpResponse {
        self.send(who, Method::POST, target, "").await
    }

    pub(crate) async fn delete(&self, who: Person, target: &str) -> HttpResponse {
        self.send(who, Method::DELETE, target, "").await
    }

    /// Announces content and answers the response.
    pub(crate) async fn announce(&self, who: Person, content: &[u8]) -> HttpResponse {
        let announced = json!({
            "name": "C:\\notes.txt",
            "content_type": "text/plain",
            "size_bytes": content.len(),
            "digest": digest(content),
        });
        self.send(who, Method::POST, "/v1/files/uploads", announced.to_string()).await
    }

    /// Begins an upload and answers its address.
    pub(crate) async fn begin(&self, who: Person, content: &[u8]) -> String {
        let response = self.announce(who, content).await;
        assert_eq!(response.status, 201, "{response:?}");
        response.headers["location"].to_str().expect("text").to_owned()
    }

    pub(crate) async fn part(
        &self,
        who: Person,
        upload: &str,
        number: u32,
        content: &[u8],
    ) -> HttpResponse {
        self.send(who, Method::PUT, &format!("{upload}/parts/{number}"), content).await
    }

    /// Uploads a file and answers it.
    pub(crate) async fn file(&self, who: Person, content: &[u8]) -> Value {
        let upload = self.begin(who, content).await;
        assert_eq!(self.part(who, &upload, 1, content).await.status, 200);
        let file = self.post(who, &format!("{upload}/complete")).await;
        assert_eq!(file.status, 201, "{file:?}");
        json_of(&file)
    }

    /// The keys of all blobs.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let page = self.blobs.list("", troupe_kernel::PageRequest::default()).await;
        page.expect("blobs are listed").items.into_iter().map(|info| info.key).collect()
    }

    /// Runs the waiting jobs of a kind, and the job of a schedule once.
    pub(crate) async fn run_jobs(&self, kind: &str) {
        let handler = self.parts.jobs.iter().find(|each| each.kind() == kind).expect("a handler");
        let payloads = match handler.schedule() {
            Some(_) => vec![Value::Null],
            None => self.jobs(kind).await,
        };
        for payload in payloads {
            let job = Job::new(kind, &payload);
            let context = JobContext { id: Uuid::nil(), attempt: 1, job };
            let scope = Scope::system("jobs", Duration::from_secs(20));
            handler.run(&context, &scope).await.expect("the job is done");
        }
    }

    async fn jobs(&self, kind: &str) -> Vec<Value> {
        let kind = kind.to_owned();
        let rows: Vec<Json> = self
            .db
            .read(async move |conn: &mut DbConn| {
                Ok(run!(conn, |c| jobs::table
                    .filter(jobs::kind.eq(&kind))
                    .order(jobs::id.asc())
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
        let rows: Vec<Json> = self
            .db
            .read(async move |conn: &mut DbConn| {
                Ok(run!(conn, |c| audit_queue::table
                    .order(audit_queue::position.asc())
                    .select(audit_queue::record)
                    .load(c))?)
            })
            .await
            .expect("audit records are read");
        rows.iter().map(|record| text(&record.0["action"]).to_owned()).collect()
    }

    fn route(&self, method: &Method, path: &str) -> (&Route, Vec<(String, String)>) {
        let mut candidates: Vec<_> = self
            .parts
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
    let mut found = Vec::new();
    for (expected, actual) in template.iter().zip(&path) {
        match expected.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            Some(name) => found.push((name.to_owned(), (*actual).to_owned())),
            None if expected == actual => {}
            None => return None,
        }
    }
    (template.len() == path.len()).then_some(found)
}

pub(crate) fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The body of a response as JSON.
pub(crate) fn json_of(response: &HttpResponse) -> Value {
    serde_json::from_slice(&response.body).expect("the body is JSON")
}

/// The code of a refusal.
pub(crate) fn refused(response: &HttpResponse) -> (u16, String) {
    let kind = json_of(response)["type"].as_str().expect("a problem").to_owned();
    let code = kind.rsplit(['/', ':', '#']).next().unwrap_or_default();
    (response.status.as_u16(), code.to_owned())
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}
