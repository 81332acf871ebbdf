//! Notify with its actors, a database and a directory of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Value, json};
use troupe_actors::testing::Universe;
use troupe_actors::{Origin, Scope, ServiceRef};
use troupe_database::prelude::*;
use troupe_database::schema::{jobs, outbox};
use troupe_database::testing::for_both_with;
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::{
    Declared, Failure, HttpRequest, HttpResponse, Job, JobContext, Layers, Mail, ManualClock,
    Method, Module, NoticeDef, Notifier, Parts, PermissionSet, Principal, PrincipalKind,
    SecretSealer, SharedClock, Surroundings, Uuid,
};
use troupe_notify::messages::{GetMail, MailId, MailMessage, MailRecord};
use troupe_notify::{MIGRATIONS, NotifyModule};

/// The kind of letter that may be switched off here; identity declares it in the product.
pub(crate) const NOTICE: NoticeDef =
    NoticeDef { key: "identity.webhook_disabled", title: "An endpoint <was> disabled" };

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// What the tests of one dialect work with.
pub(crate) struct House {
    pub(crate) universe: Universe,
    pub(crate) db: Db,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) mails: ServiceRef<MailMessage>,
    pub(crate) notifier: Arc<dyn Notifier>,
    pub(crate) parts: Parts,
    pub(crate) directory: PathBuf,
}

/// Runs a test on both dialects with mails in files.
pub(crate) async fn in_house(test: impl AsyncFn(&House)) {
    in_house_with("", test).await;
}

/// The same with settings of `[notify]`.
pub(crate) async fn in_house_with(settings: &str, test: impl AsyncFn(&House)) {
    let clock = Arc::new(ManualClock::default());
    let shared: SharedClock = clock.clone();
    for_both_with(MIGRATIONS, shared, async |db: Db| {
        let house = House::open(db, clock.clone(), settings).await;
        test(&house).await;
        drop(std::fs::remove_dir_all(&house.directory));
        house.universe.finish().await;
    })
    .await;
}

impl House {
    pub(crate) async fn open(db: Db, clock: Arc<ManualClock>, settings: &str) -> Self {
        let universe = Universe::start().await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir()
            .join(format!("troupe-notify-test-{}-{number}", std::process::id()));
        let settings = format!(
            "[notify]\nworkers = 2\ndirectory = {:?}\n{settings}",
            directory.display().to_string()
        );
        let config = Layers::new().file("test", &settings).build().expect("valid TOML");
        let mut around = Surroundings::new(universe.system().clone(), clock.clone()).config(config);
        around.container.provide(Arc::new(db.clone()));
        around.container.provide::<dyn SecretSealer>(Arc::new(TestSealer));
        let notices = vec![NOTICE];
        assert!(around.declarations.seal(Declared { notices, ..Declared::default() }), "once");
        let mut parts = NotifyModule.init(&mut around.context()).expect("the module initialises");
        for child in std::mem::take(&mut parts.children) {
            universe.add(child).await;
        }
        let mails = (*around.container.require::<ServiceRef<MailMessage>>().unwrap()).clone();
        let notifier = around.container.require::<dyn Notifier>().unwrap();
        Self { universe, db, clock, mails, notifier, parts, directory }
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::system("test", Duration::from_secs(20))
    }

    /// Runs the handler of a job.
    pub(crate) async fn run(&self, id: Uuid, job: &Job, attempt: u16) -> Result<(), Failure> {
        let handler =
            self.parts.jobs.iter().find(|handler| handler.kind() == job.kind).expect("a handler");
        let context = JobContext { id, attempt, job: job.clone() };
        handler.run(&context, &self.scope()).await
    }

    pub(crate) async fn record(&self, id: Uuid) -> MailRecord {
        self.mails.ask(&self.scope(), GetMail { id: MailId(id) }).await.expect("the mail is there")
    }

    /// The mails that were written, in order of their names.
    pub(crate) fn written(&self) -> Vec<(String, String)> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return Vec::new() };
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    /// Jobs that wait, and takes them away.
    pub(crate) async fn take_jobs(&self) -> Vec<(String, Value)> {
        self.db
            .transaction(&self.scope(), async |uow: &mut UnitOfWork| {
                let found: Vec<(String, Json)> = run!(uow.conn(), |c| jobs::table
                    .order(jobs::id.asc())
                    .select((jobs::kind, jobs::payload))
                    .load(c))?;
                run!(uow.conn(), |c| diesel::delete(jobs::table).execute(c))?;
                Ok(found.into_iter().map(|(kind, payload)| (kind, payload.0)).collect())
            })
            .await
            .expect("jobs can be read")
    }

    /// Kinds of all events so far.
    pub(crate) async fn events(&self) -> Vec<String> {
        self.db
            .read(async |conn: &mut DbConn| {
                Ok(run!(conn, |c| outbox::table
                    .order(outbox::position.asc())
                    .select(outbox::kind)
                    .load(c))?)
            })
            .await
            .expect("events can be read")
    }

    /// Sends a request the way the edge does after its gates.
    pub(crate) async fn call(&self, method: Method, path: &str, query: &str) -> HttpResponse {
        self.send(method, &format!("{path}?{query}"), |_| ()).await
    }

    /// The same after `prepare`; the path may have a query.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        prepare: impl FnOnce(&mut HttpRequest),
    ) -> HttpResponse {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let shape = |template: &str| -> Option<Vec<(String, String)>> {
            let (wanted, given): (Vec<_>, Vec<_>) =
                (template.split('/').collect(), path.split('/').collect());
            let fits = wanted.len() == given.len()
                && wanted.iter().zip(&given).all(|(a, b)| a == b || a.starts_with('{'));
            fits.then(|| {
                let named = wanted.iter().zip(&given).filter(|(name, _)| name.starts_with('{'));
                named
                    .map(|(name, part)| {
                        (name.trim_matches(['{', '}']).to_owned(), (*part).to_owned())
                    })
                    .collect()
            })
        };
        let mut routes = self.parts.routes.iter().filter(|route| *route.method() == method);
        let (route, parameters) =
            routes.find_map(|route| Some((route, shape(route.path())?))).expect("there is a route");
        let scope = Scope::root(Duration::from_secs(20), Origin::new(Uuid::nil()));
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut request = HttpRequest::new(method, path, peer, scope);
        request.parameters = parameters;
        query.clone_into(&mut request.query);
        prepare(&mut request);
        let (port, response) = route.target().open(&request.scope);
        route.target().deliver(&request, port);
        response.await.response.unwrap_or_else(|failure| HttpResponse::from(&failure))
    }
}

/// Somebody who is signed in, without a permission: the gates are not here.
pub(crate) fn person(subject: Uuid, tenant: Option<Uuid>) -> Arc<Principal> {
    Arc::new(Principal {
        subject,
        kind: PrincipalKind::User,
        tenant,
        session: None,
        permissions: PermissionSet::default(),
        bound: None,
        label: "somebody".to_owned(),
    })
}

/// Seals as the module auth does, with a key of the test's own.
pub(crate) struct TestSealer;

impl TestSealer {
    fn key() -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &[7; 32]).expect("32 bytes"))
    }

    fn nonce() -> Nonce {
        Nonce::assume_unique_for_key([1; NONCE_LEN])
    }
}

impl SecretSealer for TestSealer {
    fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut bytes = secret.to_vec();
        Self::key()
            .seal_in_place_append_tag(Self::nonce(), Aad::from(purpose.as_bytes()), &mut bytes)
            .expect("it seals");
        Ok(bytes)
    }

    fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut bytes = sealed.to_vec();
        let opened =
            Self::key().open_in_place(Self::nonce(), Aad::from(purpose.as_bytes()), &mut bytes);
        opened.map(|bytes| bytes.to_vec()).map_err(|_| Failure::internal("test.seal", "changed"))
    }
}

/// The body of a response as JSON.
pub(crate) fn json_of(response: &HttpResponse) -> Value {
    serde_json::from_slice(&response.body).expect("the body is JSON")
}

/// The link of [`reset`], which nobody but the recipient may see.
pub(crate) const LINK: &str = "https://troupe.example/reset/Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4";

/// A mail with a secret link.
pub(crate) fn reset(to: &str) -> Job {
    let data = json!({ "display_name": "Ada", "link": LINK, "expires_at": "2026-01-02T00:00:00Z" });
    Mail::new("auth.password_reset", to, &data).into_job()
}
