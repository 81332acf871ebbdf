//! Identity with its actors, a database and a stand-in for authorization.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use troupe_actors::testing::{Probe, Universe};
use troupe_actors::{Origin, Principal, PrincipalKind, Scope, ServiceRef};
use troupe_authz_messages::{AuthzMessage, SetMemberRole};
use troupe_database::prelude::*;
use troupe_database::schema::{audit_queue, jobs, outbox};
use troupe_database::testing::for_both_with;
use troupe_database::{Db, UnitOfWork};
use troupe_identity::{IdentityModule, MIGRATIONS};
use troupe_identity_messages::{
    CreateOrganisation, CreateUser, IdentityMessage, Organisation, User,
};
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::{
    BoxFuture, ConfigTree, Failure, HttpRequest, HttpResponse, InvalidationMessage, Job,
    JobContext, Layers, ManualClock, Method, Module, PermissionSet, Reauthentication,
    Reauthenticator, SecretText, SharedClock, Surroundings, Uuid,
};

/// The password of everybody in these tests.
pub(crate) const PASSWORD: &str = "gravel lantern oboe";

/// A stand-in for auth, which knows one password.
struct OnePassword;

impl Reauthenticator for OnePassword {
    fn reauthenticate<'a>(
        &'a self,
        password: SecretText,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        let right = password.expose() == PASSWORD && scope.principal().is_some();
        let wrong = || Failure::forbidden("auth.password.wrong", "the password is wrong");
        Box::pin(std::future::ready(right.then_some(()).ok_or_else(wrong)))
    }
}

/// What the tests of one dialect work with.
pub(crate) struct House {
    pub(crate) universe: Universe,
    pub(crate) db: Db,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) identity: ServiceRef<IdentityMessage>,
    pub(crate) authz: Probe<AuthzMessage>,
    pub(crate) revocations: Probe<InvalidationMessage>,
    pub(crate) parts: troupe_kernel::Parts,
    /// Roles that the stand-in lets nobody give.
    pub(crate) forbidden: Arc<Mutex<Vec<String>>>,
}

/// Runs a test on both dialects.
pub(crate) async fn in_house(test: impl AsyncFn(&House)) {
    in_house_with("", test).await;
}

/// The same with settings of `[identity]`.
pub(crate) async fn in_house_with(settings: &str, test: impl AsyncFn(&House)) {
    let clock = Arc::new(ManualClock::default());
    let shared: SharedClock = clock.clone();
    let settings = format!("[identity]\nworkers = 2\n{settings}");
    for_both_with(MIGRATIONS, shared, async |db: Db| {
        let house = House::open(db, clock.clone(), &settings).await;
        test(&house).await;
        house.universe.finish().await;
    })
    .await;
}

impl House {
    async fn open(db: Db, clock: Arc<ManualClock>, settings: &str) -> Self {
        Self::build(Universe::start().await, db, clock, settings).await
    }

    /// For a test that ends the universe itself.
    pub(crate) async fn in_universe(universe: Universe, db: Db) -> Self {
        Self::build(universe, db, Arc::default(), "[identity]\nworkers = 2").await
    }

    async fn build(universe: Universe, db: Db, clock: Arc<ManualClock>, settings: &str) -> Self {
        let forbidden: Arc<Mutex<Vec<String>>> = Arc::default();
        let refused = forbidden.clone();
        let authz = Probe::answering(&universe, "authz", move |message, ctx| match message {
            AuthzMessage::CheckAssignable(query) => {
                if refused.lock().unwrap().contains(&query.role) {
                    return ctx
                        .fail(Failure::forbidden("authz.grant.exceeds", "above the caller's"));
                }
                ctx.reply(query, ())
            }
            AuthzMessage::SetMemberRole(command) => ctx.reply(command, ()),
            _ => Ok(()),
        })
        .await;
        let revocations =
            Probe::answering(&universe, "revocations", |message, ctx| match message {
                InvalidationMessage::RevokeSubject(command) => ctx.reply(command, ()),
                _ => Ok(()),
            })
            .await;
        let config: ConfigTree = Layers::new().file("test", settings).build().expect("valid TOML");
        let mut around = Surroundings::new(universe.system().clone(), clock.clone()).config(config);
        around.container.provide(Arc::new(db.clone()));
        around.container.provide(Arc::new(authz.service().clone()));
        around.invalidations.subscribe(revocations.service().clone());
        let mut parts = IdentityModule.init(&mut around.context()).expect("the module initialises");
        for child in std::mem::take(&mut parts.children) {
            universe.add(child).await;
        }
        let place = around.container.require::<Reauthentication>().unwrap();
        assert!(place.fill(Arc::new(OnePassword)), "auth fills it");
        let identity =
            (*around.container.require::<ServiceRef<IdentityMessage>>().unwrap()).clone();
        Self { universe, db, clock, identity, authz, revocations, parts, forbidden }
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::system("test", Duration::from_secs(20))
    }

    /// Ids of one microsecond have no order among each other.
    fn pass_a_moment(&self) {
        self.clock.advance(Duration::from_millis(1));
    }

    /// A user whose address is proven.
    pub(crate) async fn user(&self, name: &str) -> User {
        self.pass_a_moment();
        let command = CreateUser {
            id: UserId::new(&*self.clock),
            email: format!("{name}@example.org"),
            display_name: name.to_owned(),
            locale: None,
            time_zone: None,
            email_verified: true,
        };
        self.identity.ask(&self.scope(), command).await.expect("the user is made")
    }

    /// An organisation of this user.
    pub(crate) async fn organisation(&self, name: &str, owner: &User) -> Organisation {
        self.pass_a_moment();
        let command = CreateOrganisation {
            id: TenantId::new(&*self.clock),
            slug: None,
            name: name.to_owned(),
            owner: owner.id,
        };
        self.identity.ask(&self.scope(), command).await.expect("the organisation is made")
    }

    /// A user who joined by an invitation.
    pub(crate) async fn member(
        &self,
        name: &str,
        role: &str,
        of: &Organisation,
        by: &User,
    ) -> User {
        let user = self.user(name).await;
        let body = serde_json::json!({ "email": user.email, "role": role });
        let path = format!("/v1/organisations/{}/invitations", of.id);
        let made = self.post(&path, &self.token(by, Some(of)), body).await;
        assert_eq!(made.status(), 201, "{made:?}");
        let token = self.mailed_token("identity.invitation").await;
        let path = format!("/v1/invitations/{token}/accept");
        let accepted = self.post(&path, &self.token(&user, None), Value::Null).await;
        assert_eq!(accepted.status(), 200, "{accepted:?}");
        user
    }

    /// Who a user is in an organisation.
    pub(crate) fn token(&self, user: &User, tenant: Option<&Organisation>) -> Caller {
        Caller {
            principal: Some(Principal {
                subject: user.id.uuid(),
                kind: PrincipalKind::User,
                tenant: tenant.map(|organisation| organisation.id.uuid()),
                session: None,
                permissions: PermissionSet::new(),
                bound: None,
                label: user.display_name.clone(),
            }),
            headers: Vec::new(),
            key: None,
        }
    }

    pub(crate) async fn get(&self, path: &str, caller: &Caller) -> Answer {
        self.call(Method::GET, path, caller, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, caller: &Caller, body: Value) -> Answer {
        self.call(Method::POST, path, caller, body).await
    }

    pub(crate) async fn patch(&self, path: &str, caller: &Caller, body: Value) -> Answer {
        self.call(Method::PATCH, path, caller, body).await
    }

    pub(crate) async fn delete(&self, path: &str, caller: &Caller) -> Answer {
        self.call(Method::DELETE, path, caller, Value::Null).await
    }

    /// Sends a request the way the edge does after its gates.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        caller: &Caller,
        body: Value,
    ) -> Answer {
        self.pass_a_moment();
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let found = self.parts.routes.iter().filter(|route| *route.method() == method);
        let mut found = found.filter_map(|route| Some((route, parameters(route.path(), bare)?)));
        let (route, parameters) =
            found.next().unwrap_or_else(|| panic!("there is no route {method} {bare}"));
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut request = HttpRequest::new(method, bare, peer, caller.scope());
        request.parameters = parameters;
        query.clone_into(&mut request.query);
        for (name, value) in &caller.headers {
            request
                .headers
                .insert(name.parse::<troupe_kernel::HeaderName>().unwrap(), value.parse().unwrap());
        }
        if body != Value::Null {
            request.headers.insert("content-type", "application/json".parse().unwrap());
            request.body = serde_json::to_vec(&body).unwrap().into();
        }
        let (port, response) = route.target().open(&request.scope);
        route.target().deliver(&request, port);
        let delivered = response.await;
        Answer {
            replayed: delivered.origin.is_some_and(|origin| origin.trailers.replayed),
            response: delivered.response.unwrap_or_else(|failure| HttpResponse::from(&failure)),
        }
    }

    /// The jobs that wait, oldest first, and takes them away.
    pub(crate) async fn take_jobs(&self, kind: &str) -> Vec<Value> {
        let kind = kind.to_owned();
        self.db
            .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                let found: Vec<Json> = run!(uow.conn(), |c| jobs::table
                    .filter(jobs::kind.eq(kind.clone()))
                    .order(jobs::id.asc())
                    .select(jobs::payload)
                    .load(c))?;
                run!(uow.conn(), |c| diesel::delete(
                    jobs::table.filter(jobs::kind.eq(kind.clone()))
                )
                .execute(c))?;
                Ok(found.into_iter().map(|payload| payload.0).collect::<Vec<Value>>())
            })
            .await
            .expect("jobs can be read")
    }

    /// The mails that wait, and takes them away.
    pub(crate) async fn take_mails(&self) -> Vec<Value> {
        self.take_jobs("notify.mail").await
    }

    /// The token in the link of the only mail that waits, which has this template.
    pub(crate) async fn mailed_token(&self, template: &str) -> String {
        let mails = self.take_mails().await;
        let links: Vec<&str> = mails
            .iter()
            .filter(|mail| mail["template"] == template)
            .filter_map(|mail| mail["data"]["link"].as_str())
            .collect();
        let [link] = links[..] else { panic!("not one mail {template}: {mails:?}") };
        link.rsplit('/').next().expect("a link has a last part").to_owned()
    }

    /// Runs the handler of a job with this payload.
    pub(crate) async fn run_job(&self, kind: &str, payload: &Value) -> Result<(), Failure> {
        let handler = self.parts.jobs.iter().find(|handler| handler.kind() == kind).expect(kind);
        let job = JobContext { id: Uuid::nil(), attempt: 1, job: Job::new(kind, payload) };
        handler.run(&job, &self.scope()).await
    }

    /// Kinds of all events so far, in order.
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

    /// Actions of all audit records so far with their tenants, in order.
    pub(crate) async fn audit(&self) -> Vec<(String, Option<Uuid>)> {
        let rows: Vec<(Json, Option<DbUuid>)> = self
            .db
            .read(async |conn: &mut DbConn| {
                Ok(run!(conn, |c| audit_queue::table
                    .order(audit_queue::position.asc())
                    .select((audit_queue::record, audit_queue::tenant))
                    .load(c))?)
            })
            .await
            .expect("audit records can be read");
        let action = |record: &Json| record.0["action"].as_str().unwrap_or_default().to_owned();
        rows.iter().map(|(record, tenant)| (action(record), tenant.map(Into::into))).collect()
    }

    /// The roles that authorization was told so far, and forgets them.
    pub(crate) async fn told_roles(&self) -> Vec<SetMemberRole> {
        let mut told = Vec::new();
        while self.authz.unread() > 0 {
            if let AuthzMessage::SetMemberRole(command) = self.authz.expect().await {
                told.push(command);
            }
        }
        told
    }
}

/// Who asks, and with which header fields.
#[derive(Clone)]
pub(crate) struct Caller {
    principal: Option<Principal>,
    headers: Vec<(String, String)>,
    key: Option<String>,
}

impl Caller {
    pub(crate) fn nobody() -> Self {
        Self { principal: None, headers: Vec::new(), key: None }
    }

    pub(crate) fn if_match(mut self, version: i64) -> Self {
        self.headers.push(("if-match".to_owned(), format!("\"{version}\"")));
        self
    }

    /// The same user's API key.
    pub(crate) fn by_api_key(mut self) -> Self {
        if let Some(principal) = &mut self.principal {
            principal.kind = PrincipalKind::Service;
        }
        self
    }

    pub(crate) fn idempotency_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    fn scope(&self) -> Scope {
        let mut origin = Origin::new(Uuid::from_u128(1));
        origin.principal = self.principal.clone().map(Arc::new);
        origin.idempotency = self.key.clone().map(|key| troupe_actors::Idempotency {
            key,
            fingerprint: "the same request".to_owned(),
        });
        Scope::root(Duration::from_secs(20), origin)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: HttpResponse,
    pub(crate) replayed: bool,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status.as_u16()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.response.body).expect("the body is JSON")
    }

    /// Status and code of a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        let kind = self.json()["type"].as_str().unwrap_or_default().to_owned();
        let code = kind.rsplit('/').next().unwrap_or_default().to_owned();
        (self.status(), code)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.response.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

fn parameters(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let mut found = Vec::new();
    for (pattern, part) in template.iter().zip(&path) {
        if let Some(name) = pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            found.push((name.to_owned(), (*part).to_owned()));
        } else if pattern != part {
            return None;
        }
    }
    Some(found)
}
