//! Reads by key that arrive together become one query.
//!
//! A [`Batcher`] drains every key that waits and loads them with one `= ANY` / `IN` query, with at most
//! a few such queries under way; under load that serves many times the requests that single look-ups
//! do. [`Keyed::get`] goes straight to the database while nothing is under way, because then a hop
//! through the actor only costs.
//!
//! The mailbox is bounded by the spec's capacity; the service is permanent; a crash fails the askers
//! whose keys it held.

use std::collections::HashMap;
use std::hash::Hash;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use troupe_actors::{
    Batch, ChildSpec, Context, Failure, Handled, Lent, Message, Reply, Request, Scope, Service,
    ServiceRef, Spec, System,
};

/// How one kind of thing is read by key.
pub trait KeyedLoad: Send + Sync + 'static {
    /// What it is found by.
    type Key: Clone + Eq + Hash + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What is found.
    type Value: Clone + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Name of the protocol and the actor, for example `blog.posts.by_id`.
    const NAME: &'static str;

    /// Reads the values of these distinct keys; a key without a value is left out.
    fn load(
        &self,
        keys: Vec<Self::Key>,
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Value>, Failure>> + Send;
}

/// Bounds of a batcher.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Keys in one query.
    pub keys_max: usize,
    /// Queries under way at once.
    pub queries_max: usize,
    /// Askers that may wait.
    pub waiting_max: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { keys_max: 256, queries_max: 2, waiting_max: 4096 }
    }
}

/// Asks for the value of one key.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct GetKeyed<L: KeyedLoad> {
    key: L::Key,
}

/// A query has ended.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Landed<L: KeyedLoad> {
    of: PhantomData<fn() -> L>,
}

/// What a batcher understands.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum BatchMessage<L: KeyedLoad> {
    /// Asks for a value.
    Get(GetKeyed<L>),
    /// Tells that there is room for another query.
    Landed(Landed<L>),
}

impl<L: KeyedLoad> Message for BatchMessage<L> {
    const PROTOCOL: &'static str = L::NAME;
    const VERSION: u16 = 1;
    const REDACT: &'static [&'static str] = &[];

    fn kind(&self) -> &'static str {
        match self {
            Self::Get(_) => "Get",
            Self::Landed(_) => "Landed",
        }
    }
}

impl<L: KeyedLoad> From<GetKeyed<L>> for BatchMessage<L> {
    fn from(part: GetKeyed<L>) -> Self {
        Self::Get(part)
    }
}

impl<L: KeyedLoad> GetKeyed<L> {
    /// Asks for the value of this key.
    #[must_use]
    pub const fn new(key: L::Key) -> Self {
        Self { key }
    }
}

impl<L: KeyedLoad> Request for GetKeyed<L> {
    type Protocol = BatchMessage<L>;
    type Reply = Option<L::Value>;
}

/// Reads by key, together with whoever reads at the same time.
pub struct Keyed<L: KeyedLoad> {
    load: Arc<L>,
    under_way: Arc<AtomicUsize>,
    batcher: ServiceRef<BatchMessage<L>>,
}

impl<L: KeyedLoad> Clone for Keyed<L> {
    fn clone(&self) -> Self {
        Self {
            load: self.load.clone(),
            under_way: self.under_way.clone(),
            batcher: self.batcher.clone(),
        }
    }
}

impl<L: KeyedLoad> Keyed<L> {
    /// The handle, and the batcher's specification for a supervisor.
    #[must_use]
    pub fn new(system: &System, load: L, limits: BatchLimits) -> (Self, ChildSpec) {
        let (load, under_way) = (Arc::new(load), Arc::new(AtomicUsize::new(0)));
        let (of_actor, counter) = (load.clone(), under_way.clone());
        let spec = Spec::new(system, L::NAME, move || Batcher {
            load: of_actor.clone(),
            under_way: counter.clone(),
            limits,
            queries: 0,
            waiting: HashMap::new(),
            askers: 0,
        });
        let (batcher, child) = spec.capacity(limits.waiting_max).build();
        (Self { load, under_way, batcher }, child)
    }

    /// The batcher itself, for a route that asks it without a service in between.
    #[must_use]
    pub fn service(&self) -> &ServiceRef<BatchMessage<L>> {
        &self.batcher
    }

    /// The value of a key, if there is one.
    ///
    /// # Errors
    /// The failure of the query, or that of a full mailbox or a passed deadline.
    pub async fn get(&self, scope: &Scope, key: L::Key) -> Result<Option<L::Value>, Failure> {
        let alone =
            self.under_way.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !alone {
            return self.batcher.ask(scope, GetKeyed { key }).await;
        }
        let _under_way = UnderWay(self.under_way.clone());
        let load = self.load.load(vec![key.clone()]);
        let mut values =
            tokio::time::timeout(scope.remaining(), load).await.map_err(|_| too_late())??;
        Ok(values.remove(&key))
    }
}

fn too_late() -> Failure {
    Failure::new(
        troupe_actors::FailureKind::Expired,
        "database.deadline",
        "the deadline passed before the row was read",
    )
}

/// Counts a query off, also when its future is dropped.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The actor that gathers keys; made by [`Keyed::new`].
pub struct Batcher<L: KeyedLoad> {
    load: Arc<L>,
    under_way: Arc<AtomicUsize>,
    limits: BatchLimits,
    queries: usize,
    waiting: Askers<L::Key, L::Value>,
    askers: usize,
}

impl<L: KeyedLoad> Service for Batcher<L> {
    type Message = BatchMessage<L>;

    const BATCHES: bool = true;

    async fn handle(
        &mut self,
        message: &mut Lent<BatchMessage<L>>,
        ctx: &mut Context<BatchMessage<L>>,
    ) -> Handled {
        match &**message {
            BatchMessage::Get(request) => {
                let reply = ctx.defer(request);
                self.wait(request.key.clone(), reply);
            }
            BatchMessage::Landed(_) => self.queries = self.queries.saturating_sub(1),
        }
        self.depart(ctx)
    }

    async fn handle_batch(
        &mut self,
        batch: &mut Batch<'_, BatchMessage<L>>,
        ctx: &mut Context<BatchMessage<L>>,
    ) -> Handled {
        while let Some(mail) = batch.next() {
            let (message, _, reply) = mail.into_parts::<GetKeyed<L>>();
            match message {
                BatchMessage::Get(request) => self.wait(request.key, reply),
                BatchMessage::Landed(_) => self.queries = self.queries.saturating_sub(1),
            }
        }
        self.depart(ctx)
    }
}

impl<L: KeyedLoad> Batcher<L> {
    fn wait(&mut self, key: L::Key, reply: Reply<Option<L::Value>>) {
        if self.askers >= self.limits.waiting_max {
            reply.send(Err(Failure::new(
                troupe_actors::FailureKind::Overloaded,
                "database.batch.full",
                "too many reads wait; try again shortly",
            )
            .retry_after(std::time::Duration::from_secs(1))));
            return;
        }
        self.askers += 1;
        self.waiting.entry(key).or_default().push(reply);
    }

    /// Starts as many queries as there is room for.
    fn depart(&mut self, ctx: &mut Context<BatchMessage<L>>) -> Handled {
        while self.queries < self.limits.queries_max && !self.waiting.is_empty() {
            let keys: Vec<L::Key> =
                self.waiting.keys().take(self.limits.keys_max).cloned().collect();
            let mut askers = HashMap::with_capacity(keys.len());
            for key in &keys {
                if let Some(replies) = self.waiting.remove(key) {
                    self.askers -= replies.len();
                    askers.insert(key.clone(), replies);
                }
            }
            self.queries += 1;
            self.under_way.fetch_add(1, Ordering::AcqRel);
            let under_way = UnderWay(self.under_way.clone());
            let load = self.load.clone();
            ctx.run(async move {
                let loaded = AssertUnwindSafe(load.load(keys)).catch_unwind().await;
                drop(under_way);
                answer(loaded, askers);
                Some(BatchMessage::Landed(Landed { of: PhantomData }))
            })?;
        }
        Ok(())
    }
}

type Askers<K, V> = HashMap<K, Vec<Reply<Option<V>>>>;

fn answer<K, V>(loaded: std::thread::Result<Result<HashMap<K, V>, Failure>>, askers: Askers<K, V>)
where
    K: Eq + Hash,
    V: Clone + Serialize + DeserializeOwned + Send + 'static,
{
    let loaded = loaded.unwrap_or_else(|_| {
        Err(Failure::new(
            troupe_actors::FailureKind::Crashed,
            "database.batch.crashed",
            "reading the rows crashed; the crash is in the log",
        ))
    });
    for (key, replies) in askers {
        for reply in replies {
            reply.send(
                loaded.as_ref().map(|values| values.get(&key).cloned()).map_err(Clone::clone),
            );
        }
    }
}
