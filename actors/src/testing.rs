//! The test kit: probes that stand in for services, and a universe that fails a test whose actors
//! leak. Time is tokio's: `#[tokio::test(start_paused = true)]` makes it virtual.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::adding::SupervisorRef;
use crate::context::Context;
use crate::message::{Message, Request};
use crate::reference::ServiceRef;
use crate::running::Running;
use crate::scope::Scope;
use crate::service::{Handled, Lent, Service};
use crate::spec::{ChildSpec, Spec};
use crate::supervisor::Supervisor;
use crate::system::{System, SystemConfig};

/// Messages a probe keeps.
const SEEN_MAX: usize = 10_000;
/// How long [`Probe::expect`] waits.
const EXPECT_WITHIN: Duration = Duration::from_secs(5);

/// A system for one test, with a root supervisor that takes children while the test runs.
pub struct Universe {
    running: Running,
    root: SupervisorRef,
}

impl Universe {
    /// Starts an empty universe. `TROUPE_WIRE=always` in the environment encodes every message.
    ///
    /// # Panics
    /// When the root does not start.
    pub async fn start() -> Self {
        let system = System::new(SystemConfig {
            name: "test".to_owned(),
            wire_always: wire_always(),
            ..SystemConfig::default()
        });
        let (root, spec) =
            Supervisor::new(&system, "root").intensity(1000, Duration::from_secs(1)).build();
        let running = system.start(spec).await.expect("an empty root starts");
        Self { running, root }
    }

    /// The system.
    #[must_use]
    pub fn system(&self) -> &System {
        self.running.system()
    }

    /// Starts a child under the root.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn add(&self, child: ChildSpec) {
        self.root.start_child(child).await.expect("the child starts");
    }

    /// Starts a service under the root.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn spawn<S: Service>(&self, spec: Spec<S>) -> ServiceRef<S::Message> {
        let (service, child) = spec.build();
        self.add(child).await;
        service
    }

    /// A scope with the time a test needs.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::bare(Duration::from_secs(10))
    }

    /// Stops everything in order.
    ///
    /// # Panics
    /// When an actor is left or a message was lost on the way.
    pub async fn finish(self) {
        let system = self.running.system().clone();
        self.running.shutdown().await;
        assert_eq!(system.actor_count(), 0, "actors leaked: {:?}", system.tree(20));
        let dead = system.dead_letters(5);
        assert!(dead.is_empty(), "messages were left over: {dead:?}");
    }
}

fn wire_always() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the test run chooses the encoding")]
    let wire = std::env::var("TROUPE_WIRE");
    wire.is_ok_and(|wire| wire == "always")
}

struct Seen<M> {
    messages: Mutex<VecDeque<M>>,
    came: Notify,
}

/// Stands in for a service of protocol `M`: it keeps what it receives.
pub struct Probe<M: Message> {
    seen: Arc<Seen<M>>,
    service: ServiceRef<M>,
}

struct ProbeService<M: Message> {
    seen: Arc<Seen<M>>,
    answer: Arc<Answering<M>>,
}

type Answering<M> = dyn Fn(&M, &mut Context<M>) -> Handled + Send + Sync;

impl<M: Message> Service for ProbeService<M> {
    type Message = M;

    async fn handle(&mut self, message: &mut Lent<M>, ctx: &mut Context<M>) -> Handled {
        let answered = (self.answer)(message, ctx);
        let mut messages = self.seen.messages.lock();
        if messages.len() < SEEN_MAX {
            messages.push_back(message.take());
        }
        drop(messages);
        self.seen.came.notify_one();
        answered
    }
}

impl<M: Message> Probe<M> {
    /// A probe that answers nothing: an ask of it fails as unanswered.
    pub async fn start(universe: &Universe, name: &str) -> Self {
        Self::answering(universe, name, |_, _| Ok(())).await
    }

    /// A probe that answers as `answer` says.
    pub async fn answering(
        universe: &Universe,
        name: &str,
        answer: impl Fn(&M, &mut Context<M>) -> Handled + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Seen { messages: Mutex::new(VecDeque::new()), came: Notify::new() });
        let answer: Arc<Answering<M>> = Arc::new(answer);
        let shared = seen.clone();
        let spec = Spec::new(universe.system(), name, move || ProbeService {
            seen: shared.clone(),
            answer: answer.clone(),
        });
        let service = universe.spawn(spec).await;
        Self { seen, service }
    }

    /// The probe as a service.
    #[must_use]
    pub fn service(&self) -> &ServiceRef<M> {
        &self.service
    }

    /// The next message.
    ///
    /// # Panics
    /// When none comes within five seconds.
    pub async fn expect(&self) -> M {
        let next = async {
            loop {
                if let Some(message) = self.seen.messages.lock().pop_front() {
                    return message;
                }
                self.seen.came.notified().await;
            }
        };
        tokio::time::timeout(EXPECT_WITHIN, next).await.expect("a message comes")
    }

    /// Number of messages that were not taken by [`expect`](Self::expect).
    #[must_use]
    pub fn unread(&self) -> usize {
        self.seen.messages.lock().len()
    }
}

/// Asks and expects success; a shorthand for tests.
///
/// # Panics
/// When the answer is a failure.
pub async fn ask<Q: Request>(
    universe: &Universe,
    service: &ServiceRef<Q::Protocol>,
    request: Q,
) -> Q::Reply {
    service.ask(&universe.scope(), request).await.expect("the request succeeds")
}
