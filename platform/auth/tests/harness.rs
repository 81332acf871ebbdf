//! Builds the module as the node does and runs a test against it on both dialects.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::testing::{Probe, Universe};
use troupe_actors::{Origin, PermissionSet, Principal, PrincipalKind, Scope, Supervisor};
use troupe_auth::messages::{CompleteSetup, CreatedAccount, Login, Register, SignIn, Tokens};
use troupe_auth::{AuthHandle, AuthModule, MIGRATIONS, SecretText};
use troupe_authz_messages::{AuthzMessage, Binding, BindingId, Grant};
use troupe_database::testing::for_both_with;
use troupe_database::{Db, DbUuid, run, schema};
use troupe_kernel::clock::{Clock, ManualClock, Timestamp};
use troupe_kernel::config::Layers;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::invalidation::InvalidationMessage;
use troupe_kernel::module::{Declared, Module, Surroundings};
use troupe_kernel::parts::Parts;
use troupe_kernel::permissions::{Catalog, PermissionDef};
use troupe_kernel::ports::{Authenticated, Authenticator, Credential, Reauthentication};
use troupe_kernel::{Secret, SharedClock};
use uuid::Uuid;

use crate::identity::Identity;

/// A password that the rule accepts.
pub(crate) const PASSWORD: &str = "gravel lantern oboe";
/// Another one.
pub(crate) const OTHER_PASSWORD: &str = "eleven quiet foxes";
/// The address of the administrator that [`House::set_up`] makes.
pub(crate) const ADMINISTRATOR: &str = "ada@windmill.example";
/// The address of the member that [`House::member`] makes.
pub(crate) const MEMBER: &str = "ben@sawmill.example";
/// A permission of another module.
pub(crate) const POST_READ: &str = "blog.post.read";
/// Another one.
pub(crate) const POST_CREATE: &str = "blog.post.create";

/// Cheap hashes and a fixed key-encryption key.
const CONFIG: &str = r#"
[auth]
key_encryption_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
password_hash = { memory_kib = 64, iterations = 1, parallelism = 1 }
"#;

/// The module with all it needs.
pub(crate) struct House {
    pub(crate) universe: Universe,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) db: Db,
    pub(crate) auth: AuthHandle,
    pub(crate) identity: Identity,
    pub(crate) authz: Probe<AuthzMessage>,
    pub(crate) gate: Probe<InvalidationMessage>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) reauthentication: Arc<Reauthentication>,
    pub(crate) parts: Parts,
    pub(crate) catalog: Arc<Catalog>,
}

/// Runs a test on both dialects.
pub(crate) async fn with_house(test: impl AsyncFn(&House)) {
    with_config("", test).await;
}

/// Runs a test on both dialects with further settings (lines of TOML below `[auth]`).
pub(crate) async fn with_config(settings: &str, test: impl AsyncFn(&House)) {
    with_clock(ManualClock::default(), settings, test).await;
}

/// Runs a test on both dialects with a clock that stands at some time.
pub(crate) async fn with_clock(clock: ManualClock, settings: &str, test: impl AsyncFn(&House)) {
    let start = clock.now();
    let clock = Arc::new(clock);
    let shared: SharedClock = clock.clone();
    for_both_with(MIGRATIONS, shared, async |db: Db| {
        clock.set(start);
        let house = House::build(db, clock.clone(), settings).await.expect("the module starts");
        test(&house).await;
        house.universe.finish().await;
    })
    .await;
}

/// The module, initialised and not started.
struct Wired {
    universe: Universe,
    identity: Identity,
    authz: Probe<AuthzMessage>,
    gate: Probe<InvalidationMessage>,
    around: Surroundings,
    module: AuthModule,
    parts: Parts,
    catalog: Arc<Catalog>,
}

async fn wire(db: &Db, clock: &Arc<ManualClock>, settings: &str) -> Wired {
    let universe = Universe::start().await;
    let identity = Identity::start(&universe).await;
    let authz = Probe::answering(&universe, "authz", grant).await;
    let gate = Probe::answering(&universe, "gate", acknowledge).await;
    let config = Layers::new()
        .file("test.toml", CONFIG)
        .file("settings.toml", &format!("[auth]\n{settings}"))
        .build()
        .expect("the settings of a test are TOML");
    let mut around = Surroundings::new(universe.system().clone(), clock.clone()).config(config);
    around.container.provide(Arc::new(db.clone()));
    around.container.provide(Arc::new(identity.service().clone()));
    around.container.provide(Arc::new(authz.service().clone()));
    around.container.provide(Arc::new(Reauthentication::default()));
    around.invalidations.subscribe(gate.service().clone());
    let mut module = AuthModule::new();
    let parts = module.init(&mut around.context()).expect("the settings are valid");
    let catalog = Arc::new(Catalog::new(permissions(&parts)));
    Wired { universe, identity, authz, gate, around, module, parts, catalog }
}

impl House {
    pub(crate) async fn build(
        db: Db,
        clock: Arc<ManualClock>,
        settings: &str,
    ) -> Result<Self, Failure> {
        let (house, seal) = Self::build_unsealed(db, clock, settings).await?;
        seal();
        Ok(house)
    }

    /// Why the actors of the module do not start.
    pub(crate) async fn start_failure(db: Db, clock: Arc<ManualClock>, settings: &str) -> Failure {
        let wired = wire(&db, &clock, settings).await;
        let system = wired.universe.system().clone();
        let tree = Supervisor::new(&system, "refused").children(wired.parts.children).into_spec();
        let started = system.start(tree).await;
        wired.universe.finish().await;
        started.err().expect("the actors must not start")
    }

    /// The module with actors that run and declarations that nobody sealed yet.
    pub(crate) async fn build_unsealed(
        db: Db,
        clock: Arc<ManualClock>,
        settings: &str,
    ) -> Result<(Self, impl Fn()), Failure> {
        let mut wired = wire(&db, &clock, settings).await;
        for child in std::mem::take(&mut wired.parts.children) {
            wired.universe.add(child).await;
        }
        wired.module.start(&scope()).await?;
        let container = &wired.around.container;
        let auth = (*container.require::<AuthHandle>().expect("provided")).clone();
        let authenticator = container.require::<dyn Authenticator>().expect("provided");
        let reauthentication = container.require::<Reauthentication>().expect("provided");
        let Wired { universe, identity, authz, gate, parts, catalog, around, .. } = wired;
        let (declarations, declared) = (around.declarations, catalog.clone());
        let seal = move || {
            let catalog = declared.clone();
            assert!(declarations.seal(Declared { catalog, ..Declared::default() }), "sealed once");
        };
        let house = Self {
            universe,
            clock,
            db,
            auth,
            identity,
            authz,
            gate,
            authenticator,
            reauthentication,
            parts,
            catalog,
        };
        Ok((house, seal))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The token of the set-up link of this start.
    pub(crate) fn setup_token(&self) -> SecretText {
        let link = self.auth.setup_link().expect("a new platform has a link");
        SecretText::new(link.split_once("#token=").expect("the link has a token").1)
    }

    pub(crate) async fn set_up(&self) -> CreatedAccount {
        let request = CompleteSetup {
            token: self.setup_token(),
            email: ADMINISTRATOR.to_owned(),
            password: SecretText::new(PASSWORD),
            display_name: "Ada".to_owned(),
            organisation: "Windmill".to_owned(),
        };
        self.auth.accounts.ask(&scope(), request).await.expect("the set-up succeeds")
    }

    /// A platform that is set up, and a member with an organisation.
    pub(crate) async fn member(&self) -> CreatedAccount {
        self.set_up().await;
        let request = registration(MEMBER);
        self.auth.accounts.ask(&scope(), request).await.expect("the registration succeeds")
    }

    /// The first step of a login.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Result<SignIn, Failure> {
        self.auth.login.ask(&from("192.0.2.1"), login(email, password)).await
    }

    /// A login of an account without a second factor.
    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Result<Tokens, Failure> {
        match self.sign_in(email, password).await? {
            SignIn::Complete(tokens) => Ok(tokens),
            SignIn::Challenged(_) => Err(Failure::conflict("test.challenged", "asks for a code")),
        }
    }

    /// A member's session.
    pub(crate) async fn session(&self) -> Tokens {
        self.log_in(MEMBER, PASSWORD).await.expect("the member logs in")
    }

    pub(crate) async fn check(&self, token: &SecretText) -> Result<Authenticated, Failure> {
        let credential = Credential::Bearer(Secret::new(token.expose()));
        self.authenticator.authenticate(credential, &scope()).await
    }

    /// Everything that was added to the log of events, in order.
    pub(crate) async fn events(&self) -> Vec<(String, Event)> {
        use diesel::{ExpressionMethods as _, QueryDsl as _};
        use schema::outbox::dsl;
        let rows = self
            .db
            .read(async |conn| {
                Ok(run!(conn, |c| dsl::outbox
                    .order(dsl::position.asc())
                    .select((dsl::kind, dsl::subject, dsl::data))
                    .get_results::<(String, String, troupe_database::Json)>(c))?)
            })
            .await
            .expect("the log can be read");
        rows.into_iter()
            .map(|(kind, subject, data)| (kind.clone(), Event::new(kind, subject, &data.0)))
            .collect()
    }

    pub(crate) async fn event_kinds(&self) -> Vec<String> {
        self.events().await.into_iter().map(|(kind, _)| kind).collect()
    }

    /// The audit records that wait to be chained.
    pub(crate) async fn audit(&self) -> Vec<serde_json::Value> {
        use diesel::{ExpressionMethods as _, QueryDsl as _};
        use schema::audit_queue::dsl;
        let rows = self
            .db
            .read(async |conn| {
                Ok(run!(conn, |c| dsl::audit_queue
                    .order(dsl::position.asc())
                    .select(dsl::record)
                    .get_results::<troupe_database::Json>(c))?)
            })
            .await
            .expect("the queue can be read");
        rows.into_iter().map(|record| record.0).collect()
    }

    /// The payloads of the mails that wait.
    pub(crate) async fn mails(&self) -> Vec<serde_json::Value> {
        use diesel::{ExpressionMethods as _, QueryDsl as _};
        use schema::jobs::dsl;
        let rows = self
            .db
            .read(async |conn| {
                Ok(run!(conn, |c| dsl::jobs
                    .filter(dsl::kind.eq("notify.mail"))
                    .order(dsl::id.asc())
                    .select(dsl::payload)
                    .get_results::<troupe_database::Json>(c))?)
            })
            .await
            .expect("the jobs can be read");
        rows.into_iter().map(|payload| payload.0).collect()
    }
}

fn permissions(parts: &Parts) -> Vec<PermissionDef> {
    let of_blog = [POST_READ, POST_CREATE]
        .map(|key| PermissionDef { key, description: "a permission of another module" });
    parts.permissions.iter().copied().chain(of_blog).collect()
}

fn grant(
    message: &AuthzMessage,
    ctx: &mut troupe_actors::Context<AuthzMessage>,
) -> troupe_actors::Handled {
    let AuthzMessage::Grant(request) = message else {
        return Err(Failure::internal("test.unexpected", format!("{message:?}")));
    };
    let system = ctx.scope().principal().is_some_and(|one| one.kind == PrincipalKind::System);
    if !system {
        return Err(Failure::forbidden("authz.grant.exceeds", "only the platform may"));
    }
    let binding = binding(request);
    ctx.reply(request, binding)
}

fn binding(request: &Grant) -> Binding {
    Binding {
        id: BindingId::from(Uuid::from_u128(1)),
        subject: request.subject,
        tenant: request.tenant,
        role: request.role.clone(),
        condition: None,
        granted_by: None,
        granted_at: Timestamp::EPOCH,
        expires_at: None,
    }
}

fn acknowledge(
    message: &InvalidationMessage,
    ctx: &mut troupe_actors::Context<InvalidationMessage>,
) -> troupe_actors::Handled {
    match message {
        InvalidationMessage::RevokeSession(request) => ctx.reply(request, ()),
        InvalidationMessage::RevokeSubject(request) => ctx.reply(request, ()),
        InvalidationMessage::RevokeEverybody(request) => ctx.reply(request, ()),
        InvalidationMessage::PermissionsChanged(request) => ctx.reply(request, ()),
    }
}

pub(crate) fn scope() -> Scope {
    from("192.0.2.1")
}

/// A scope of a request from this address.
pub(crate) fn from(address: &str) -> Scope {
    let origin = Origin { address: address.parse().ok(), ..Origin::new(Uuid::now_v7()) };
    Scope::root(Duration::from_secs(20), origin)
}

/// A scope of somebody who is logged in, with these permissions.
pub(crate) fn acting(tokens: &Tokens, permissions: PermissionSet) -> Scope {
    let mut scope = scope();
    scope.origin_mut().principal = Some(Arc::new(Principal {
        subject: tokens.user.uuid(),
        kind: PrincipalKind::User,
        tenant: tokens.organisation.map(Uuid::from),
        session: Some(tokens.session.uuid()),
        permissions,
        bound: None,
        label: "a member".to_owned(),
    }));
    scope
}

pub(crate) fn registration(email: &str) -> Register {
    Register {
        email: email.to_owned(),
        password: SecretText::new(PASSWORD),
        display_name: "Ben".to_owned(),
        locale: None,
        organisation: Some("Saw Mill".to_owned()),
    }
}

pub(crate) fn login(email: &str, password: &str) -> Login {
    Login {
        email: email.to_owned(),
        password: SecretText::new(password),
        organisation: None,
        device: Some("a browser".to_owned()),
    }
}

/// The code of a failure, or of the lack of one.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result {
        Ok(value) => format!("no failure: {value:?}"),
        Err(failure) => failure.code().to_owned(),
    }
}

/// The session a gate was told to forget.
pub(crate) async fn forgotten_session(gate: &Probe<InvalidationMessage>) -> Uuid {
    match gate.expect().await {
        InvalidationMessage::RevokeSession(request) => request.session,
        other => panic!("expected the end of a session, got {other:?}"),
    }
}

/// The subject a gate was told to forget.
pub(crate) async fn forgotten_subject(gate: &Probe<InvalidationMessage>) -> Uuid {
    match gate.expect().await {
        InvalidationMessage::RevokeSubject(request) => request.subject,
        other => panic!("expected the end of a subject, got {other:?}"),
    }
}

/// A random id as a column value.
pub(crate) fn column_id() -> DbUuid {
    DbUuid::from(Uuid::now_v7())
}
