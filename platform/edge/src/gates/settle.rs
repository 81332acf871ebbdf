//! Settles the counts of the limits with the ledger of all nodes, beside the requests.
//!
//! A request is counted here and nowhere else. Ten times a second, and at once when a key has spent
//! a large part of its quota, what was counted is added to the ledger, which answers how far all
//! nodes together have come. So a caller of several nodes gets, beyond its quota, what the others
//! let pass until they have settled; it is taken from what comes back afterwards, so that the
//! configured rate holds over time. While the ledger is away each node has its own quota.
//!
//! Mailbox: the kit's default. Restart: permanent. A crash loses what was on its way to the ledger.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{ChildSpec, Context, Handled, Lent, Moment, Service, Spec, System};
use troupe_kernel::ports::{QuotaLedger, Spending};

use super::gcra::Unsettled;
use super::rate::{Bell, Limit, RateKey};

/// What is not urgent waits this long.
const EVERY: Duration = Duration::from_millis(100);
/// Keys of each part of a limit that are settled in one step.
const KEYS_MAX: usize = 64;
/// A settling that died is noticed within this time.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// A settling ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settled;

/// Time to see whether a settling is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Watch;

troupe_actors::protocol! {
    /// What the settlement tells itself.
    pub(crate) enum SettleMessage("edge.settle", 1) redact [] {
        /// A settling ended; the next one begins.
        Settled,
        /// Time to see whether one is under way.
        Watch,
    }
}

/// What settling takes. Clones share it.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) ledger: Arc<dyn QuotaLedger>,
    pub(crate) limits: Arc<[Limit]>,
    pub(crate) bell: Arc<Bell>,
}

pub(crate) fn service(system: &System, desk: Desk) -> ChildSpec {
    Spec::new(system, "settle", move || Settle { desk: desk.clone() }).build().1
}

struct Settle {
    desk: Desk,
}

impl Desk {
    /// Waits for something to settle and settles it; answers whether the ledger was there.
    async fn settle_next(&self) -> bool {
        tokio::select! {
            () = self.bell.heard() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        self.bell.hush();
        let asked = Moment::now().as_nanos();
        let mut owners: Vec<(&Limit, Unsettled<RateKey>)> = Vec::new();
        for limit in &*self.limits {
            owners
                .extend(limit.take_unsettled(asked, KEYS_MAX).into_iter().map(|one| (limit, one)));
        }
        if owners.is_empty() {
            return true;
        }
        let spendings: Vec<Spending> = owners
            .iter()
            .map(|(limit, one)| Spending { caller: limit.caller(one.key), spent: one.spent })
            .collect();
        match self.ledger.spend(&spendings).await {
            Ok(ahead) => {
                for ((limit, one), ahead) in owners.iter().zip(ahead) {
                    limit.settle(one.key, asked, ahead);
                }
                true
            }
            Err(failure) => {
                metrics::counter!("troupe_http_rate_unsettled_total").increment(1);
                tracing::debug!(%failure, "the limits are those of this node alone");
                for (limit, one) in &owners {
                    limit.put_back(one);
                }
                false
            }
        }
    }
}

impl Settle {
    fn begin(&self, ctx: &mut Context<SettleMessage>) -> Handled {
        let desk = self.desk.clone();
        ctx.run(async move {
            if !desk.settle_next().await {
                tokio::time::sleep(EVERY).await;
            }
            Some(Settled.into())
        })
    }
}

impl Service for Settle {
    type Message = SettleMessage;

    async fn start(&mut self, ctx: &mut Context<SettleMessage>) -> Handled {
        ctx.every(WATCH_EVERY, || Watch.into())?;
        self.begin(ctx)
    }

    async fn handle(
        &mut self,
        message: &mut Lent<SettleMessage>,
        ctx: &mut Context<SettleMessage>,
    ) -> Handled {
        match &**message {
            SettleMessage::Settled(_) => self.begin(ctx),
            // The watch is one of those that run.
            SettleMessage::Watch(_) if ctx.running() < 2 => self.begin(ctx),
            SettleMessage::Watch(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use parking_lot::Mutex;
    use tokio::task::JoinSet;
    use tokio::time::{Instant, interval, sleep};
    use troupe_actors::{Running, Supervisor, SystemConfig};
    use troupe_cache::{CacheConfig, Redis, RedisParts};
    use troupe_kernel::ports::BoxFuture;
    use troupe_kernel::{Failure, Invalidations, Secret, SystemClock, Uuid};

    use super::*;
    use crate::config::RateConfig;

    const QUOTA: u32 = 400;
    const WINDOW: Duration = Duration::from_secs(4);
    /// What three nodes may let pass beyond the quota and what came back, in percent of it. Each node
    /// is late by a round trip and what it counts before it settles, and the machine is busy.
    const BEYOND_PERCENT: u32 = 15;

    /// A ledger in memory that can go away, and that panics on demand.
    #[derive(Default)]
    struct TableLedger {
        arrivals: Mutex<HashMap<String, u64>>,
        away: AtomicBool,
        panics: AtomicU32,
    }

    impl QuotaLedger for TableLedger {
        fn spend<'a>(
            &'a self,
            spendings: &'a [Spending],
        ) -> BoxFuture<'a, Result<Vec<Duration>, Failure>> {
            Box::pin(async move {
                if self.panics.load(Ordering::SeqCst) > 0 {
                    self.panics.fetch_sub(1, Ordering::SeqCst);
                    panic!("a ledger with a defect");
                }
                if self.away.load(Ordering::SeqCst) {
                    return Err(Failure::unavailable("test.away", "the ledger is away"));
                }
                let now = Moment::now().as_nanos();
                let mut arrivals = self.arrivals.lock();
                let add = |spending: &Spending| {
                    let arrival = arrivals.entry(spending.caller.clone()).or_default();
                    let spent = u64::try_from(spending.spent.as_nanos()).unwrap();
                    *arrival = (*arrival).max(now) + spent;
                    Duration::from_nanos(*arrival - now)
                };
                Ok(spendings.iter().map(add).collect())
            })
        }
    }

    /// The limit of a node with its settlement.
    struct Node {
        limit: Limit,
        running: Running,
    }

    async fn node(ledger: Arc<dyn QuotaLedger>) -> Node {
        let system = System::new(SystemConfig::default());
        let bell = Arc::<Bell>::default();
        let config = RateConfig { quota: QUOTA, window: WINDOW };
        let limit = Limit::new("principal", config, Some(bell.clone()));
        let limits = [limit.clone()].into();
        let spec = service(&system, Desk { ledger, limits, bell });
        let root = Supervisor::new(&system, "test").child(spec).into_spec();
        Node { limit, running: system.start(root).await.unwrap() }
    }

    fn passes(limit: &Limit, caller: u128) -> bool {
        let key = RateKey::Subject(Uuid::from_u128(caller));
        limit.check(key).unwrap().allowed.is_ok()
    }

    /// Waits until a node knows that the quota is spent.
    async fn refuses(node: &Node, caller: u128) {
        let begun = Instant::now();
        while passes(&node.limit, caller) {
            assert!(begun.elapsed() < WINDOW / 2, "it never hears of the others");
            sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn what_one_node_let_pass_the_others_do_not() {
        let ledger = Arc::<TableLedger>::default();
        let (one, two) = (node(ledger.clone()).await, node(ledger.clone()).await);
        let passed = (0..QUOTA * 2).filter(|_| passes(&one.limit, 1)).count();
        assert!(passed >= QUOTA as usize, "one caller of one node gets its whole quota");
        sleep(EVERY * 2).await;
        refuses(&two, 1).await;
        assert!(passes(&two.limit, 2), "another caller is not concerned");
        one.running.shutdown().await;
        two.running.shutdown().await;
    }

    #[tokio::test]
    async fn a_caller_that_is_slow_on_each_node_is_counted_on_all() {
        let ledger = Arc::<TableLedger>::default();
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(node(ledger.clone()).await);
        }
        assert!((0..QUOTA).all(|_| passes(&nodes[0].limit, 1)));
        let begun = Instant::now();
        let (mut asked, mut passed) = (0_u32, 0_u32);
        while begun.elapsed() < WINDOW / 2 {
            // 67 times a second: less than comes back, so that no node alone refuses anything.
            sleep(Duration::from_millis(15)).await;
            asked += 3;
            passed += nodes.iter().map(|node| u32::from(passes(&node.limit, 1))).sum::<u32>();
        }
        let back = f64::from(QUOTA) * begun.elapsed().as_secs_f64() / WINDOW.as_secs_f64();
        let most = back * 1.25 + 10.0;
        assert!(f64::from(passed) <= most, "{passed} of {asked} passed, {back:.0} came back");
        for node in nodes {
            node.running.shutdown().await;
        }
    }

    #[tokio::test]
    async fn while_the_ledger_is_away_each_node_has_its_quota_and_tells_it_afterwards() {
        let ledger = Arc::<TableLedger>::default();
        ledger.away.store(true, Ordering::SeqCst);
        let (one, two) = (node(ledger.clone()).await, node(ledger.clone()).await);
        for node in [&one, &two] {
            let passed = (0..QUOTA * 2).filter(|_| passes(&node.limit, 1)).count();
            assert!((QUOTA as usize..QUOTA as usize + 20).contains(&passed), "{passed}");
        }
        assert!((0..QUOTA).all(|_| passes(&one.limit, 2)));
        sleep(EVERY * 3).await;
        ledger.away.store(false, Ordering::SeqCst);
        sleep(EVERY * 3).await;
        assert!(passes(&two.limit, 2));
        sleep(EVERY * 2).await;
        let key = RateKey::Subject(Uuid::from_u128(2));
        let left = two.limit.check(key).unwrap().state.remaining;
        assert!(left < QUOTA * 3 / 4, "{left} are left of what the other node spent");
        one.running.shutdown().await;
        two.running.shutdown().await;
    }

    #[tokio::test]
    async fn a_settling_that_died_begins_again() {
        let ledger = Arc::<TableLedger>::default();
        ledger.panics.store(1, Ordering::SeqCst);
        let one = node(ledger.clone()).await;
        assert!(passes(&one.limit, 1));
        sleep(EVERY * 2).await;
        assert!(ledger.arrivals.lock().is_empty(), "the first one died");
        sleep(WATCH_EVERY * 2).await;
        assert!(passes(&one.limit, 2));
        sleep(EVERY * 3).await;
        assert_eq!(ledger.arrivals.lock().len(), 1);
        one.running.shutdown().await;
    }

    /// Three nodes share a Redis; each is asked a thousand times a second for one caller.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn three_nodes_let_pass_what_one_would() {
        let Some(url) = redis_url() else { return };
        let prefix = format!("t-{}", &Uuid::now_v7().simple().to_string()[14..]);
        let mut nodes = Vec::new();
        let mut shares = Vec::new();
        for _ in 0..3 {
            let (redis, running) = redis(&url, &prefix).await;
            nodes.push(node(redis.ledger()).await);
            shares.push(running);
        }
        let begun = Instant::now();
        let mut callers = JoinSet::new();
        for node in &nodes {
            let limit = node.limit.clone();
            callers.spawn(async move {
                let (mut passed, mut asked) = (0_u32, 0_u32);
                let mut ticks = interval(Duration::from_millis(1));
                while begun.elapsed() < WINDOW {
                    ticks.tick().await;
                    asked += 1;
                    passed += u32::from(passes(&limit, 1));
                }
                (passed, asked)
            });
        }
        let counts = callers.join_all().await;
        let ideal = f64::from(QUOTA) * (1.0 + begun.elapsed().as_secs_f64() / WINDOW.as_secs_f64());
        let passed: u32 = counts.iter().map(|(passed, _)| passed).sum();
        println!("{counts:?}: {passed} passed where one node would let pass {ideal:.0}");
        let share = f64::from(passed) / ideal * 100.0;
        assert!(share <= f64::from(100 + BEYOND_PERCENT), "{share:.1} % passed");
        assert!(share >= 95.0, "{share:.1} % passed: callers are refused what is theirs");
        for node in nodes {
            node.running.shutdown().await;
        }
    }

    async fn redis(url: &str, prefix: &str) -> (Redis, Running) {
        let system = System::new(SystemConfig::default());
        let (redis, spec) = Redis::new(RedisParts {
            system: system.clone(),
            config: CacheConfig {
                url: Secret::new(url),
                prefix: prefix.to_owned(),
                timeout: Duration::from_secs(1),
                ..CacheConfig::default()
            },
            clock: Arc::new(SystemClock),
            invalidations: Invalidations::new(),
        });
        let running = system.start(spec).await.unwrap();
        let begun = Instant::now();
        while !redis.is_up() {
            assert!(begun.elapsed() < Duration::from_secs(5), "the test server does not answer");
            sleep(Duration::from_millis(5)).await;
        }
        (redis, running)
    }

    /// The test server; says that the test is skipped when there is none.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no configuration; this is their one variable"
    )]
    fn redis_url() -> Option<String> {
        let url = std::env::var("TROUPE_TEST_REDIS_URL").ok().filter(|url| !url.is_empty());
        if url.is_none() {
            let test = std::thread::current().name().unwrap_or("?").to_owned();
            let why = "TROUPE_TEST_REDIS_URL is not set";
            drop(writeln!(std::io::stderr(), "TROUPE-SKIPPED redis: {test} ({why})"));
        }
        url
    }
}
