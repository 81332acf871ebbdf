//! What a module contributes to the node.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use troupe_actors::{ChildSpec, Failure, Request, Scope, ServiceRef};
use uuid::Uuid;

use crate::event::Event;
use crate::health::HealthCheck;
use crate::job::Job;
use crate::mail::NoticeDef;
use crate::migration::Migration;
use crate::permissions::{PermissionDef, RoleDef};
use crate::policies::PolicyDef;
use crate::ports::BoxFuture;
use crate::reload::Reload;
use crate::routes::Route;

/// What a module contributes to the node.
#[derive(Default)]
pub struct Parts {
    /// Permissions it checks.
    pub permissions: Vec<PermissionDef>,
    /// Roles it proposes.
    pub roles: Vec<RoleDef>,
    /// Policies for its resources.
    pub policies: Vec<PolicyDef>,
    /// Letters it sends that their recipients may switch off.
    pub notices: Vec<NoticeDef>,
    /// Steps of its schema, in order.
    pub migrations: Vec<Migration>,
    /// Its actors, in start order.
    pub children: Vec<ChildSpec>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// The jobs it does.
    pub jobs: Vec<JobHandler>,
    /// The events it listens to.
    pub subscriptions: Vec<Subscription>,
    /// Its health checks.
    pub health: Vec<HealthCheck>,
    /// What it takes anew while the node runs.
    pub reloads: Vec<Reload>,
}

impl Parts {
    /// No parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds permissions.
    #[must_use]
    pub fn permissions(mut self, permissions: impl IntoIterator<Item = PermissionDef>) -> Self {
        self.permissions.extend(permissions);
        self
    }

    /// Adds roles.
    #[must_use]
    pub fn roles(mut self, roles: impl IntoIterator<Item = RoleDef>) -> Self {
        self.roles.extend(roles);
        self
    }

    /// Adds policies.
    #[must_use]
    pub fn policies(mut self, policies: impl IntoIterator<Item = PolicyDef>) -> Self {
        self.policies.extend(policies);
        self
    }

    /// Adds letters that may be switched off.
    #[must_use]
    pub fn notices(mut self, notices: impl IntoIterator<Item = NoticeDef>) -> Self {
        self.notices.extend(notices);
        self
    }

    /// Adds migrations.
    #[must_use]
    pub fn migrations(mut self, migrations: &'static [Migration]) -> Self {
        self.migrations.extend_from_slice(migrations);
        self
    }

    /// Adds an actor; it starts after those added before.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// Adds a route.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Adds routes.
    #[must_use]
    pub fn routes(mut self, routes: impl IntoIterator<Item = Route>) -> Self {
        self.routes.extend(routes);
        self
    }

    /// Adds a handler of jobs.
    #[must_use]
    pub fn job(mut self, handler: JobHandler) -> Self {
        self.jobs.push(handler);
        self
    }

    /// Adds a subscription to events.
    #[must_use]
    pub fn subscription(mut self, subscription: Subscription) -> Self {
        self.subscriptions.push(subscription);
        self
    }

    /// Adds a health check.
    #[must_use]
    pub fn health(mut self, check: HealthCheck) -> Self {
        self.health.push(check);
        self
    }

    /// Adds keys that are taken anew while the node runs.
    #[must_use]
    pub fn reload(mut self, reload: Reload) -> Self {
        self.reloads.push(reload);
        self
    }
}

/// A job as its handler sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobContext {
    /// Which job.
    pub id: Uuid,
    /// Which attempt, from 1.
    pub attempt: u16,
    /// The job as it was added.
    pub job: Job,
}

impl JobContext {
    /// The payload as a type.
    ///
    /// # Errors
    /// `kernel.job.payload` when it has another shape; another attempt will not help.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.job.payload).map_err(|error| {
            Failure::invalid(
                "kernel.job.payload",
                format!("the payload of a {} job has another shape: {error}", self.job.kind),
            )
        })
    }
}

type RunJob = dyn Fn(&JobContext, &Scope) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync;

/// Does the jobs of one kind by asking a service.
#[derive(Clone)]
pub struct JobHandler {
    kind: String,
    queue: String,
    cron: Option<String>,
    timeout: Duration,
    run: Arc<RunJob>,
}

/// A job handler that does not yet say which service it asks.
#[must_use = "a handler is complete when it asks a service"]
pub struct JobHandlerBuilder {
    kind: String,
    queue: String,
    cron: Option<String>,
    timeout: Duration,
}

impl JobHandler {
    /// Begins the handler of jobs of `kind`: `owner.verb`.
    #[expect(clippy::new_ret_no_self, reason = "a handler is complete when it asks a service")]
    pub fn new(kind: impl Into<String>) -> JobHandlerBuilder {
        JobHandlerBuilder {
            kind: kind.into(),
            queue: "default".to_owned(),
            cron: None,
            timeout: Duration::from_secs(60),
        }
    }

    /// Adds such a job by this schedule (cron with five fields, UTC), with a null payload.
    #[must_use]
    pub fn cron(mut self, schedule: impl Into<String>) -> Self {
        self.cron = Some(schedule.into());
        self
    }

    /// The kind of its jobs.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The queue of the jobs that its schedule adds.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Its schedule.
    #[must_use]
    pub fn schedule(&self) -> Option<&str> {
        self.cron.as_deref()
    }

    /// How long one attempt may take.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.timeout
    }

    /// Does a job; the future ends by the scope's deadline.
    #[must_use]
    pub fn run(&self, job: &JobContext, scope: &Scope) -> BoxFuture<'static, Result<(), Failure>> {
        (self.run)(job, scope)
    }
}

impl JobHandlerBuilder {
    /// The queue of the jobs that its schedule adds; `default` unless set.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = queue.into();
        self
    }

    /// Adds such a job by this schedule (cron with five fields, UTC), with a null payload.
    pub fn cron(mut self, schedule: impl Into<String>) -> Self {
        self.cron = Some(schedule.into());
        self
    }

    /// How long one attempt may take; a minute unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Completes the handler: which request of which service a job becomes.
    pub fn ask<Q, F>(self, service: &ServiceRef<Q::Protocol>, translate: F) -> JobHandler
    where
        Q: Request,
        F: Fn(&JobContext) -> Result<Q, Failure> + Send + Sync + 'static,
    {
        let service = service.clone();
        JobHandler {
            kind: self.kind,
            queue: self.queue,
            cron: self.cron,
            timeout: self.timeout,
            run: Arc::new(move |job, scope| ask_later(&service, scope, translate(job))),
        }
    }
}

type RunEvent = dyn Fn(&Event, &Scope) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync;

/// Hands events on to a service.
#[derive(Clone)]
pub struct Subscription {
    name: String,
    patterns: Vec<String>,
    schema_max: u16,
    run: Arc<RunEvent>,
}

/// A subscription that does not yet say which service it asks.
#[must_use = "a subscription is complete when it asks a service"]
pub struct SubscriptionBuilder {
    name: String,
    patterns: Vec<String>,
    schema_max: u16,
}

impl Subscription {
    /// Begins the subscription `name` (`owner.purpose`, the name of the consumer and of its offset)
    /// to the kinds that match one of the patterns; see [`crate::event::matches`].
    #[expect(clippy::new_ret_no_self, reason = "a subscription is complete when it asks a service")]
    pub fn new(name: impl Into<String>, patterns: &[&str]) -> SubscriptionBuilder {
        SubscriptionBuilder {
            name: name.into(),
            patterns: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
            schema_max: 1,
        }
    }

    /// The name of the consumer.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The patterns of the kinds it takes.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether it takes events of this kind.
    #[must_use]
    pub fn takes(&self, kind: &str) -> bool {
        self.patterns.iter().any(|pattern| crate::event::matches(pattern, kind))
    }

    /// Whether it can read the data of this event.
    ///
    /// # Errors
    /// `kernel.event.schema` when the schema of the data is newer than the subscription knows.
    pub fn reads(&self, event: &Event) -> Result<(), Failure> {
        if event.schema_version <= self.schema_max {
            return Ok(());
        }
        Err(Failure::invalid(
            "kernel.event.schema",
            format!(
                "the data of this {} event has schema {}, and the subscription {} reads up to {}; \
                 update its module and replay the event",
                event.kind, event.schema_version, self.name, self.schema_max
            ),
        ))
    }

    /// Hands an event on; the future ends by the scope's deadline. An event may come twice: the
    /// service drops the second by its id in its own transaction.
    #[must_use]
    pub fn run(&self, event: &Event, scope: &Scope) -> BoxFuture<'static, Result<(), Failure>> {
        (self.run)(event, scope)
    }
}

impl SubscriptionBuilder {
    /// The newest schema of the data that it can read; 1 unless set. Raise it before events of a newer
    /// one are written: those that come too early are kept as dead letters.
    pub fn schema_max(mut self, version: u16) -> Self {
        self.schema_max = version;
        self
    }

    /// Completes the subscription: which request of which service an event becomes.
    pub fn ask<Q, F>(self, service: &ServiceRef<Q::Protocol>, translate: F) -> Subscription
    where
        Q: Request,
        F: Fn(&Event) -> Result<Q, Failure> + Send + Sync + 'static,
    {
        let service = service.clone();
        Subscription {
            name: self.name,
            patterns: self.patterns,
            schema_max: self.schema_max,
            run: Arc::new(move |event, scope| ask_later(&service, scope, translate(event))),
        }
    }
}

fn ask_later<Q: Request>(
    service: &ServiceRef<Q::Protocol>,
    scope: &Scope,
    request: Result<Q, Failure>,
) -> BoxFuture<'static, Result<(), Failure>> {
    let (service, scope) = (service.clone(), scope.clone());
    Box::pin(async move { service.ask(&scope, request?).await.map(|_| ()) })
}
