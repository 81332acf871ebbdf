//! A route's way to its service and back, jobs and events by the same means, and revocation.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{
    ChildSpec, Context, Handled, Lent, Running, Service, ServiceRef, Spec, Supervisor, System,
    SystemConfig,
};
use troupe_kernel::invalidation::{InvalidationMessage, Invalidations, RevokeSession};
use troupe_kernel::utoipa::ToSchema;
use troupe_kernel::{
    Event, Failure, FailureKind, HttpRequest, HttpResponse, Job, JobContext, JobHandler, Method,
    Route, Scope, Subscription, Uuid,
};

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Double {
    /// What to double.
    pub number: i64,
}

troupe_actors::protocol! {
    /// Doubles numbers.
    pub enum DoublerMessage("doubler", 1) redact [] {
        /// Answers twice the number.
        Double => i64,
    }
}

pub struct Doubler;

impl Service for Doubler {
    type Message = DoublerMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<DoublerMessage>,
        ctx: &mut Context<DoublerMessage>,
    ) -> Handled {
        let DoublerMessage::Double(double) = &**message;
        assert_ne!(double.number, 13, "this number is unlucky");
        let doubled = double
            .number
            .checked_mul(2)
            .ok_or_else(|| Failure::invalid("doubler.number.large", "send a smaller number"))?;
        ctx.reply(double, doubled)
    }
}

pub async fn start(children: Vec<ChildSpec>, system: &System) -> Running {
    let root =
        children.into_iter().fold(Supervisor::new(system, "root"), Supervisor::child).into_spec();
    system.start(root).await.unwrap()
}

pub fn systems() -> [System; 2] {
    [false, true]
        .map(|wire_always| System::new(SystemConfig { wire_always, ..SystemConfig::default() }))
}

fn doubling(service: &ServiceRef<DoublerMessage>) -> Route {
    Route::post("/v1/double/{number}")
        .public()
        .summary("Doubles")
        .tag("numbers")
        .returns::<i64>(200)
        .ask(
            service,
            |request| Ok(Double { number: request.parameter("number")? }),
            |doubled| Ok(HttpResponse::ok(&doubled)),
        )
}

fn request(scope: &Scope, number: &str) -> HttpRequest {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut request = HttpRequest::new(Method::POST, "/v1/double/x", peer, scope.clone());
    request.parameters.push(("number".to_owned(), number.to_owned()));
    request
}

async fn travel(route: &Route, number: &str) -> Result<HttpResponse, Failure> {
    let mut scope = Scope::bare(Duration::from_secs(5));
    scope.origin_mut().trailers.replayed = true;
    let (port, response) = route.target().open(&scope);
    route.target().deliver(&request(&scope, number), port);
    let delivered = response.await;
    if delivered.response.as_ref().map_err(Failure::kind) != Err(FailureKind::Crashed) {
        let origin = delivered.origin.expect("the origin comes back with the answer");
        assert!(origin.trailers.replayed);
    }
    delivered.response
}

#[tokio::test]
async fn a_request_becomes_a_message_and_its_reply_a_response() {
    for system in systems() {
        let (service, child) = Spec::new(&system, "doubler", || Doubler).build();
        let running = start(vec![child], &system).await;
        let route = doubling(&service);
        assert_eq!(travel(&route, "21").await.unwrap().body, "42");
        let malformed = travel(&route, "x").await.unwrap_err();
        assert_eq!(malformed.kind(), FailureKind::Malformed);
        assert_eq!(malformed.fields()[0].pointer, "number");
        let refused = travel(&route, &i64::MAX.to_string()).await.unwrap_err();
        assert_eq!(refused.code(), "doubler.number.large");
        let crashed = travel(&route, "13").await.unwrap_err();
        assert_eq!(crashed.kind(), FailureKind::Crashed);
        assert_eq!(travel(&route, "1").await.unwrap().body, "2", "the service is up again");
        assert_eq!(&*route.target().service(), &*service.path());
        running.shutdown().await;
    }
}

#[tokio::test]
async fn a_port_that_is_lost_on_the_way_fails_its_request() {
    let [system, _] = systems();
    let (service, child) = Spec::new(&system, "doubler", || Doubler).build();
    let running = start(vec![child], &system).await;
    let route = doubling(&service);
    let (port, response) = route.target().open(&Scope::bare(Duration::from_secs(5)));
    drop(port);
    assert_eq!(response.await.response.unwrap_err().kind(), FailureKind::Internal);
    let (_port, response) = route.target().open(&Scope::bare(Duration::from_millis(20)));
    assert_eq!(response.await.response.unwrap_err().kind(), FailureKind::Expired);
    running.shutdown().await;
}

#[tokio::test]
async fn jobs_and_events_become_requests_of_their_service() {
    let [system, _] = systems();
    let (service, child) = Spec::new(&system, "doubler", || Doubler).build();
    let running = start(vec![child], &system).await;
    let scope = Scope::bare(Duration::from_secs(5));

    let handler = JobHandler::new("numbers.double")
        .queue("slow")
        .cron("0 3 * * *")
        .ask(&service, |job: &JobContext| job.payload::<Double>());
    assert_eq!((handler.kind(), handler.queue()), ("numbers.double", "slow"));
    assert_eq!(handler.schedule(), Some("0 3 * * *"));
    let context = |job: Job| JobContext { id: Uuid::nil(), attempt: 1, job };
    let good = context(Job::new("numbers.double", &Double { number: 1 }));
    handler.run(&good, &scope).await.unwrap();
    let bad = context(Job::new("numbers.double", &"no number"));
    assert_eq!(handler.run(&bad, &scope).await.unwrap_err().code(), "kernel.job.payload");

    let subscription = Subscription::new("numbers.doubler", &["numbers.number.*"])
        .ask(&service, |event: &Event| event.data::<Double>());
    assert!(subscription.takes("numbers.number.added") && !subscription.takes("numbers.gone"));
    let event = Event::new("numbers.number.added", "n1", &Double { number: 1 });
    subscription.run(&event, &scope).await.unwrap();
    let poisoned = Event::new("numbers.number.added", "n1", &1);
    let failure = subscription.run(&poisoned, &scope).await.unwrap_err();
    assert_eq!(failure.code(), "kernel.event.data");
    running.shutdown().await;
}

struct Forgetful {
    forgotten: Arc<std::sync::Mutex<Vec<Uuid>>>,
    refuses: bool,
}

impl Service for Forgetful {
    type Message = InvalidationMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<InvalidationMessage>,
        ctx: &mut Context<InvalidationMessage>,
    ) -> Handled {
        let InvalidationMessage::RevokeSession(revoke) = &**message else { return Ok(()) };
        if self.refuses {
            return Err(Failure::internal("test.refused", "no"));
        }
        self.forgotten.lock().unwrap().push(revoke.session);
        ctx.reply(revoke, ())
    }
}

#[tokio::test]
async fn a_revocation_is_complete_when_every_cache_has_forgotten() {
    let [system, _] = systems();
    let forgotten = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hub = Invalidations::new();
    let mut children = Vec::new();
    for name in ["one", "two"] {
        let forgotten = forgotten.clone();
        let (cache, child) = Spec::new(&system, name, move || Forgetful {
            forgotten: forgotten.clone(),
            refuses: false,
        })
        .build();
        hub.subscribe(cache);
        children.push(child);
    }
    let running = start(children, &system).await;
    let scope = Scope::bare(Duration::from_secs(5));
    let session = Uuid::from_u128(1);
    hub.publish(&scope, RevokeSession { session }).await.unwrap();
    assert_eq!(*forgotten.lock().unwrap(), [session, session]);
    running.shutdown().await;
    hub.publish(&scope, RevokeSession { session }).await.unwrap();
    assert_eq!(forgotten.lock().unwrap().len(), 2, "a stopped cache holds nothing");
}

#[tokio::test]
async fn a_relay_gets_what_this_node_publishes_and_not_what_it_applies_for_others() {
    let [system, _] = systems();
    let hub = Invalidations::new();
    let [cached, relayed] = [(); 2].map(|()| Arc::new(std::sync::Mutex::new(Vec::new())));
    let mut children = Vec::new();
    for (name, seen) in [("cache", &cached), ("relay", &relayed)] {
        let forgotten = seen.clone();
        let (service, child) = Spec::new(&system, name, move || Forgetful {
            forgotten: forgotten.clone(),
            refuses: false,
        })
        .build();
        match name {
            "cache" => hub.subscribe(service),
            _ => hub.relay_through(service),
        }
        children.push(child);
    }
    let running = start(children, &system).await;
    let scope = Scope::bare(Duration::from_secs(5));
    let [own, foreign] = [1, 2].map(Uuid::from_u128);
    hub.publish(&scope, RevokeSession { session: own }).await.unwrap();
    hub.apply(&scope, RevokeSession { session: foreign }).await.unwrap();
    assert_eq!(*cached.lock().unwrap(), [own, foreign]);
    assert_eq!(*relayed.lock().unwrap(), [own]);
    running.shutdown().await;
}

#[tokio::test]
async fn a_cache_that_does_not_forget_is_reported() {
    let [system, _] = systems();
    let hub = Invalidations::new();
    let (cache, child) =
        Spec::new(&system, "stubborn", || Forgetful { forgotten: Arc::default(), refuses: true })
            .build();
    hub.subscribe(cache);
    let running = start(vec![child], &system).await;
    let scope = Scope::bare(Duration::from_secs(5));
    let failure = hub.publish(&scope, RevokeSession { session: Uuid::nil() }).await.unwrap_err();
    assert_eq!(failure.code(), "kernel.invalidation.incomplete");
    assert!(failure.detail().contains("stubborn"), "{failure}");
    running.shutdown().await;
}
