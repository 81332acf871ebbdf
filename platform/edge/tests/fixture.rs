//! A node with an edge, one service and made-up users.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use troupe_actors::{
    ChildSpec, Context, Handled, Lent, PermissionSet, Principal, PrincipalKind, Restart, Running,
    Scope, Service, ServiceRef, Spec, Supervisor, System, SystemConfig,
};
use troupe_edge::{Edge, EdgeConfig, EdgeParts, RateConfig};
use troupe_kernel::utoipa::{self, ToSchema};
use troupe_kernel::{
    Authenticated, Authenticator, Authorizer, BoxFuture, Catalog, Credential, Decision, Failure,
    HttpResponse, Invalidations, ManualClock, PermissionDef, Question, Route, Uuid,
};
use troupe_telemetry::{Health, Phase, Sampling, TelemetryConfig};

use crate::client::{Answer, Ask, Client};

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// What it says.
    pub text: String,
    #[serde(default)]
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Filter {
    /// How many.
    pub count: u32,
    pub tag: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetNote {
    pub id: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateNote {
    pub note: Note,
}

/// Waits, panics or answers what its scope says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Act {
    pub how: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Blob {
    pub bytes: usize,
}

troupe_actors::protocol! {
    /// The notes of the tests.
    pub enum NotesMessage("notes", 1) redact [] {
        GetNote => Note,
        CreateNote => Note,
        Act => serde_json::Value,
        Blob => usize,
    }
}

/// What the tests look at from outside.
#[derive(Default)]
pub struct Seen {
    pub handled: AtomicUsize,
}

pub struct Notes {
    seen: Arc<Seen>,
    gate: Arc<Semaphore>,
}

impl Notes {
    async fn act(&self, act: &Act, ctx: &mut Context<NotesMessage>) -> Handled {
        let answer = match act.how.as_str() {
            "panic" => panic!("this note is cursed"),
            "wait" => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                serde_json::json!("waited")
            }
            "gate" => {
                drop(self.gate.acquire().await.unwrap());
                serde_json::json!("let through")
            }
            "mismatch" => {
                return Err(Failure::invalid("database.idempotency.mismatch", "use a new key"));
            }
            "replayed" => {
                ctx.amend(|origin| origin.trailers.replayed = true);
                serde_json::json!("stored")
            }
            "write" => {
                ctx.scope().wrote(0xBEEF);
                serde_json::json!("written")
            }
            "nothing" => return Ok(()),
            _ => describe(ctx.scope()),
        };
        ctx.reply(act, answer)
    }
}

fn describe(scope: &Scope) -> serde_json::Value {
    let principal = scope.principal();
    serde_json::json!({
        "subject": scope.subject(),
        "tenant": scope.tenant(),
        "permissions": principal.map(|principal| principal.permissions.iter().collect::<Vec<_>>()),
        "request": scope.request_id(),
        "trace": scope.trace_id(),
        "address": scope.origin().and_then(|origin| origin.address),
        "idempotency": scope.idempotency(),
        "seen": scope.seen(),
        "remaining_ms": u64::try_from(scope.remaining().as_millis()).unwrap(),
    })
}

impl Service for Notes {
    type Message = NotesMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<NotesMessage>,
        ctx: &mut Context<NotesMessage>,
    ) -> Handled {
        self.seen.handled.fetch_add(1, Ordering::SeqCst);
        match &**message {
            NotesMessage::GetNote(get) if get.id == 404 => {
                Err(Failure::not_found("notes.note.unknown", "there is no such note"))
            }
            NotesMessage::GetNote(get) => {
                let text = format!("note {}", get.id);
                ctx.reply(get, Note { text, tags: Vec::new() })
            }
            NotesMessage::CreateNote(create) => ctx.reply(create, create.note.clone()),
            NotesMessage::Blob(blob) => ctx.reply(blob, blob.bytes),
            NotesMessage::Act(act) => self.act(act, ctx).await,
        }
    }
}

pub const READ: &str = "notes.note.read";
pub const WRITE: &str = "notes.note.write";

pub fn routes(notes: &ServiceRef<NotesMessage>) -> Vec<Route> {
    let act = |path: &str| Route::post(path).public().tag("acts");
    vec![
        Route::get("/v1/notes/{id}")
            .permission(READ)
            .summary("One note")
            .tag("notes")
            .returns::<Note>(200)
            .ask(
                notes,
                |request| Ok(GetNote { id: request.parameter("id")? }),
                |note| Ok(HttpResponse::ok(&note).etag(note.text.len())),
            ),
        Route::post("/v1/notes")
            .permission(WRITE)
            .tag("notes")
            .body::<Note>()
            .returns::<Note>(201)
            .ask(
                notes,
                |request| Ok(CreateNote { note: request.json()? }),
                |note| Ok(HttpResponse::created("/v1/notes/1", &note)),
            ),
        Route::get("/v1/notes").authenticated().tag("notes").query::<Filter>().paginated().ask(
            notes,
            |request| {
                let filter: Filter = request.query()?;
                request.page()?;
                Ok(GetNote { id: u64::from(filter.count) })
            },
            |note| Ok(HttpResponse::ok(&note)),
        ),
        Route::get("/v1/me").authenticated().ask(
            notes,
            |_| Ok(Act { how: "describe".to_owned() }),
            |scope| Ok(HttpResponse::ok(&scope)),
        ),
        act("/v1/acts/{how}").timeout(Duration::from_secs(2)).ask(
            notes,
            |request| {
                let how: String = request.parameter("how")?;
                assert_ne!(how, "translation-panic", "a defect of this route");
                Ok(Act { how })
            },
            |answer| {
                assert_ne!(answer["request"], "never", "never so");
                Ok(HttpResponse::ok(&answer))
            },
        ),
        act("/v1/hurry/{how}").timeout(Duration::from_millis(100)).ask(
            notes,
            |request| Ok(Act { how: request.parameter("how")? }),
            |answer| Ok(HttpResponse::ok(&answer)),
        ),
        act("/v1/letters/{token}/open").ask(
            notes,
            |_| Ok(Act { how: "describe".to_owned() }),
            |answer| Ok(HttpResponse::ok(&answer)),
        ),
        act("/v1/respond-panic").ask(
            notes,
            |_| Ok(Act { how: "describe".to_owned() }),
            |_| panic!("a defect of this route"),
        ),
        Route::put("/v1/blobs/{*key}").public().body_limit(64 * 1024).body_media("*/*").ask(
            notes,
            |request| {
                let key: String = request.parameter("key")?;
                Ok(Blob { bytes: request.body.len() + key.len() })
            },
            |bytes| Ok(HttpResponse::ok(&bytes)),
        ),
    ]
}

/// Users by token; counts what it is asked.
#[derive(Default)]
pub struct Users {
    pub tokens: Mutex<HashMap<String, Authenticated>>,
    pub permissions: Mutex<HashMap<Uuid, PermissionSet>>,
    pub authenticated: AtomicUsize,
    pub resolved: AtomicUsize,
    /// While set, look-ups wait for a permit after they have read their answer.
    pub hold: Mutex<Option<Arc<Semaphore>>>,
}

impl Users {
    async fn held(&self) {
        let hold = self.hold.lock().unwrap().clone();
        if let Some(hold) = hold {
            hold.acquire().await.unwrap().forget();
        }
    }
}

impl Authenticator for Users {
    fn authenticate<'a>(
        &'a self,
        credential: Credential,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Authenticated, Failure>> {
        Box::pin(async move {
            self.authenticated.fetch_add(1, Ordering::SeqCst);
            let (Credential::Bearer(secret) | Credential::ApiKey(secret)) = credential;
            let known = self.tokens.lock().unwrap().get(secret.expose()).cloned();
            assert_ne!(secret.expose(), "cursed", "a defect of the authenticator");
            self.held().await;
            known.ok_or_else(|| Failure::unauthenticated("auth.token.unknown", "sign in again"))
        })
    }
}

impl Authorizer for Users {
    fn resolve<'a>(
        &'a self,
        subject: Uuid,
        _tenant: Option<Uuid>,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<PermissionSet, Failure>> {
        Box::pin(async move {
            self.resolved.fetch_add(1, Ordering::SeqCst);
            let known = self.permissions.lock().unwrap().get(&subject).cloned();
            self.held().await;
            Ok(known.unwrap_or_default())
        })
    }

    fn decide<'a>(
        &'a self,
        _question: Question,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Decision, Failure>> {
        unreachable!("the edge decides by permissions only")
    }
}

/// A running node.
pub struct Node {
    pub edge: Edge,
    pub address: SocketAddr,
    pub users: Arc<Users>,
    pub clock: Arc<ManualClock>,
    pub catalog: Arc<Catalog>,
    pub invalidations: Invalidations,
    pub health: Health,
    pub seen: Arc<Seen>,
    pub gate: Arc<Semaphore>,
    pub system: System,
    running: Running,
}

/// The tests' own configuration: no limits, any port.
pub fn config() -> EdgeConfig {
    let off = RateConfig { quota: 0, ..RateConfig::default() };
    EdgeConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        address_limit: off,
        principal_limit: off,
        shards: 2,
        ..EdgeConfig::default()
    }
}

/// Runs a test under native sends and under forced wire encoding.
pub async fn both<F: Future<Output = ()>>(test: impl Fn(bool) -> F) {
    for wire_always in [false, true] {
        tokio::time::timeout(Duration::from_secs(60), test(wire_always))
            .await
            .expect("a test ends");
    }
}

/// How the service of a node is set up.
pub struct Setup {
    pub config: EdgeConfig,
    pub wire_always: bool,
    pub capacity: usize,
    pub workers: usize,
    pub cores: usize,
}

impl Setup {
    pub fn new(wire_always: bool) -> Self {
        Self { config: config(), wire_always, capacity: 1024, workers: 8, cores: 0 }
    }

    pub async fn start(self) -> Node {
        let system = System::new(SystemConfig {
            wire_always: self.wire_always,
            cores: self.cores,
            ..SystemConfig::default()
        });
        let seen = Arc::new(Seen::default());
        let gate = Arc::new(Semaphore::new(0));
        let (notes, notes_spec) = {
            let (seen, gate) = (seen.clone(), gate.clone());
            Spec::new(&system, "notes", move || Notes { seen: seen.clone(), gate: gate.clone() })
                .capacity(self.capacity)
                .workers(self.workers)
                .stop_within(Duration::from_millis(200))
                .build()
        };
        let clock = Arc::new(ManualClock::default());
        let definition = |key| PermissionDef { key, description: "for tests" };
        let catalog = Arc::new(Catalog::new([READ, WRITE].map(definition)));
        let users = Arc::new(Users::default());
        let invalidations = Invalidations::new();
        let health = Health::new(clock.clone(), &TelemetryConfig::default());
        health.enter(Phase::Started);
        let (edge, edge_spec) = Edge::build(EdgeParts {
            system: system.clone(),
            config: self.config,
            version: "0.0.1".to_owned(),
            routes: routes(&notes),
            catalog: catalog.clone(),
            authenticator: users.clone(),
            authorizer: users.clone(),
            invalidations: invalidations.clone(),
            ledger: None,
            sampling: Sampling::default(),
            health: health.clone(),
            metrics: Arc::new(|| "troupe_up 1\n".to_owned()),
            clock: clock.clone(),
        })
        .unwrap();
        let running = system.start(root(&system, [notes_spec, edge_spec])).await.unwrap();
        let address = edge.address().await.unwrap();
        Node {
            edge,
            address,
            users,
            clock,
            catalog,
            invalidations,
            health,
            seen,
            gate,
            system,
            running,
        }
    }
}

pub fn root(system: &System, children: impl IntoIterator<Item = ChildSpec>) -> ChildSpec {
    Supervisor::new(system, "root").restart(Restart::Permanent).children(children).into_spec()
}

impl Node {
    pub async fn start(wire_always: bool) -> Self {
        Setup::new(wire_always).start().await
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Sends one request on a connection of its own.
    pub async fn send(&self, ask: Ask) -> Answer {
        self.client().await.send(ask).await
    }

    /// Lets `name` sign in with these permissions; answers the token.
    pub fn sign_in(&self, name: &str, permissions: &[&str]) -> String {
        let number = u128::from(name.bytes().fold(7_u64, |sum, byte| sum * 31 + u64::from(byte)));
        let subject = Uuid::from_u128(number);
        let token = format!("token-of-{name}");
        let principal = Principal {
            subject,
            kind: PrincipalKind::User,
            tenant: Some(Uuid::from_u128(number + 1)),
            session: Some(Uuid::from_u128(number + 2)),
            permissions: PermissionSet::new(),
            bound: None,
            label: name.to_owned(),
        };
        let expires = troupe_kernel::Clock::now(&*self.clock).plus(Duration::from_secs(3600));
        self.users
            .tokens
            .lock()
            .unwrap()
            .insert(token.clone(), Authenticated { principal, expires });
        self.permit(&token, permissions);
        token
    }

    pub fn principal(&self, token: &str) -> Principal {
        self.users.tokens.lock().unwrap()[token].principal.clone()
    }

    pub fn permit(&self, token: &str, permissions: &[&str]) {
        let set = self.catalog.compile(permissions.iter().copied());
        let subject = self.principal(token).subject;
        self.users.permissions.lock().unwrap().insert(subject, set);
    }

    pub fn authenticated(&self) -> usize {
        self.users.authenticated.load(Ordering::SeqCst)
    }

    pub fn resolved(&self) -> usize {
        self.users.resolved.load(Ordering::SeqCst)
    }

    /// Makes look-ups wait; each permit that is added lets one go on.
    pub fn hold(&self) -> Arc<Semaphore> {
        let hold = Arc::new(Semaphore::new(0));
        *self.users.hold.lock().unwrap() = Some(hold.clone());
        hold
    }

    pub async fn stop(self) {
        self.gate.close();
        self.running.shutdown().await;
    }
}

/// Waits until something is true.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never happened: {what}");
}
