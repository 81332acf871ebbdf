//! Revocations travel from the hub of one node to the caches of all.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use troupe_actors::{
    ChildSpec, Context, Handled, Lent, Message as _, Scope, Service, Spec, System,
};
use troupe_cache::CacheConfig;
use troupe_kernel::invalidation::RevokeEverybody;
use troupe_kernel::{InvalidationMessage, Invalidations, PermissionsChanged, RevokeSession, Uuid};

use crate::house::{LONG, Node, config, eventually, prefix, redis_url};
use crate::proxy::{Network, Proxy};

type Seen = Arc<Mutex<Vec<InvalidationMessage>>>;

/// A cache that notes what it is told.
struct Recorder {
    seen: Seen,
}

impl Service for Recorder {
    type Message = InvalidationMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<InvalidationMessage>,
        ctx: &mut Context<InvalidationMessage>,
    ) -> Handled {
        self.seen.lock().push((**message).clone());
        match &**message {
            InvalidationMessage::RevokeSession(revoke) => ctx.reply(revoke, ()),
            InvalidationMessage::RevokeSubject(revoke) => ctx.reply(revoke, ()),
            InvalidationMessage::RevokeEverybody(revoke) => ctx.reply(revoke, ()),
            InvalidationMessage::PermissionsChanged(change) => ctx.reply(change, ()),
        }
    }
}

/// A node whose hub has a recorder.
struct Watched {
    prefix: String,
    node: Node,
    seen: Seen,
    _recorder: troupe_actors::Running,
}

impl Watched {
    async fn start(config: CacheConfig) -> Self {
        let prefix = config.prefix.clone();
        let system = System::new(troupe_actors::SystemConfig::default());
        let seen = Seen::default();
        let hub = Invalidations::new();
        let spec: ChildSpec = {
            let seen = seen.clone();
            let make = move || Recorder { seen: seen.clone() };
            let (cache, spec) = Spec::new(&system, "recorder", make).build();
            hub.subscribe(cache);
            spec
        };
        let recorder = system.start(spec).await.unwrap();
        let node = Node::start_alone(config, hub).await;
        Self { prefix, node, seen, _recorder: recorder }
    }

    async fn up(config: CacheConfig) -> Self {
        let watched = Self::start(config).await;
        watched.node.wait_until_up().await;
        assert!(watched.forgot_everything(), "a node that joins knows of nothing before");
        watched
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.seen.lock().iter().map(InvalidationMessage::kind).collect()
    }

    /// Whether it was told to forget everything, and nothing else, since the last question.
    fn forgot_everything(&self) -> bool {
        let seen = std::mem::take(&mut *self.seen.lock());
        matches!(
            seen[..],
            [
                InvalidationMessage::RevokeEverybody(_),
                InvalidationMessage::PermissionsChanged(PermissionsChanged {
                    subject: None,
                    tenant: None
                })
            ]
        )
    }

    async fn revoke(&self, session: u128) {
        let scope = Scope::bare(Duration::from_secs(5));
        let session = Uuid::from_u128(session);
        self.node.invalidations.publish(&scope, RevokeSession { session }).await.unwrap();
    }

    fn sessions(&self) -> Vec<u128> {
        let session = |message: &InvalidationMessage| match message {
            InvalidationMessage::RevokeSession(revoke) => Some(revoke.session.as_u128()),
            _ => None,
        };
        self.seen.lock().iter().filter_map(session).collect()
    }
}

fn patient(url: &str, prefix: &str) -> CacheConfig {
    CacheConfig { away_forget: LONG, ..config(url, prefix) }
}

/// Two nodes; the network of the second can be broken.
async fn pair() -> Option<(Watched, Watched, Proxy)> {
    let (url, prefix) = (redis_url()?, prefix());
    let proxy = Proxy::before(&url).await;
    let near = Watched::up(patient(&url, &prefix)).await;
    let far = Watched::up(patient(&proxy.url(), &prefix)).await;
    Some((near, far, proxy))
}

#[tokio::test]
async fn a_revocation_reaches_every_node_once() {
    let Some((near, far, _proxy)) = pair().await else { return };
    for (publisher, other) in [(&near, &far), (&far, &near)] {
        for session in 0..100 {
            publisher.revoke(session).await;
        }
        let scope = Scope::bare(Duration::from_secs(5));
        let hub = &publisher.node.invalidations;
        let change = PermissionsChanged { subject: Some(Uuid::nil()), tenant: None };
        hub.publish(&scope, change).await.unwrap();
        hub.publish(&scope, RevokeEverybody).await.unwrap();
        eventually("all arrive", async || other.kinds().len() >= 102).await;
        assert_eq!(other.sessions(), (0..100).collect::<Vec<_>>());
        assert_eq!(publisher.sessions(), (0..100).collect::<Vec<_>>());
        assert_eq!(other.kinds()[100..], ["PermissionsChanged", "RevokeEverybody"]);
        assert_eq!(publisher.kinds().len(), 102, "its own news do not come back");
        near.seen.lock().clear();
        far.seen.lock().clear();
    }
}

#[tokio::test]
async fn a_revocation_while_redis_is_away_succeeds_and_reaches_the_others_afterwards() {
    let Some((near, far, proxy)) = pair().await else { return };
    proxy.set(Network::Cut);
    far.node.wait_until_away().await;
    far.revoke(7).await;
    assert_eq!(far.sessions(), [7], "it is true here at once");
    assert!(near.sessions().is_empty());
    proxy.heal();
    eventually("it arrives", async || near.sessions() == [7]).await;
}

#[tokio::test]
async fn a_node_that_was_cut_off_forgets_everything_if_it_missed_something_and_nothing_otherwise() {
    let Some((near, far, proxy)) = pair().await else { return };
    for broken in [Network::Cut, Network::Stalled] {
        proxy.set(broken);
        far.node.wait_until_away().await;
        near.revoke(1).await;
        proxy.heal();
        far.node.wait_until_up().await;
        assert!(far.forgot_everything(), "{broken:?}");
    }
    proxy.set(Network::Cut);
    far.node.wait_until_away().await;
    proxy.heal();
    far.node.wait_until_up().await;
    assert_eq!(far.kinds(), [""; 0]);
}

#[tokio::test]
async fn a_number_that_was_never_heard_makes_a_node_forget_everything() {
    let Some((near, far, _proxy)) = pair().await else { return };
    near.revoke(1).await;
    eventually("it arrives", async || far.sessions() == [1]).await;
    far.seen.lock().clear();
    let mut conn = raw().await;
    let pattern = format!("{}:*:number", far.prefix);
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut conn).await.unwrap();
    let _: u64 = redis::cmd("INCR").arg(&keys[0]).query_async(&mut conn).await.unwrap();
    // Nobody says anything: the node asks for the number by itself.
    eventually("it notices", async || far.kinds().len() == 2).await;
    assert!(far.forgot_everything());
    let _: u64 = redis::cmd("INCR").arg(&keys[0]).query_async(&mut conn).await.unwrap();
    near.revoke(2).await;
    eventually("it notices", async || far.kinds().len() >= 2).await;
    assert_eq!(far.kinds()[..2], ["RevokeEverybody", "PermissionsChanged"]);
}

#[tokio::test]
async fn while_redis_is_away_a_node_forgets_again_and_again() {
    let every = Duration::from_millis(100);
    let alone = CacheConfig { away_forget: every, ..config("redis://127.0.0.1:1", &prefix()) };
    let watched = Watched::start(alone).await;
    for _ in 0..3 {
        eventually("it forgets", async || watched.kinds().len() >= 2).await;
        assert!(watched.forgot_everything());
    }
    watched.node.stop().await;
}

async fn raw() -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis_url().unwrap()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}
