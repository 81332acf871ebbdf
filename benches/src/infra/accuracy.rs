//! How exact a limit is that three nodes share: what they let pass of one caller, beside what one
//! limiter for all would.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use troupe_actors::Principal;
use troupe_edge::{Gates, Station};

use super::limits::{Node, caller, passes};
use super::{Effort, cache};

const NODES: usize = 3;
const QUOTA: u32 = 400;
const WINDOW: Duration = Duration::from_secs(4);
/// How long a caller asks.
const LASTS: Duration = Duration::from_secs(8);
/// Requests come in bursts of this distance.
const TICK: Duration = Duration::from_millis(10);
/// Offered rates, as multiples of the rate at which the quota comes back.
const OFFERED: [f64; 6] = [0.5, 0.9, 1.5, 3.0, 10.0, 30.0];

/// What was let pass at one rate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Share {
    /// The offered rate, as a multiple of the limit's.
    pub offered: f64,
    /// Requests that came.
    pub asked: u64,
    /// Requests that one limiter for all would let pass: the quota, and what comes back.
    pub ideal: f64,
    /// Requests that the three let pass.
    pub passed: u64,
}

pub(super) async fn measure(url: &str, effort: Effort) -> anyhow::Result<Vec<Share>> {
    let prefix = cache::prefix();
    let (mut shared, mut nodes) = (Vec::new(), Vec::new());
    for _ in 0..NODES {
        let own = cache::Node::start(url, &prefix, Duration::ZERO).await?;
        nodes.push(Node::start(QUOTA, WINDOW, Some(own.redis.ledger())).await?);
        shared.push(own);
    }
    let lasts = if effort.divisor > 1 { WINDOW } else { LASTS };
    let mut shares = Vec::new();
    for offered in OFFERED {
        shares.push(share(&nodes, offered, lasts).await?);
        sleep(TICK * 30).await;
    }
    for node in nodes {
        node.stop().await;
    }
    for own in shared {
        own.stop().await;
    }
    Ok(shares)
}

/// A caller that is new asks all nodes alike.
async fn share(nodes: &[Node], offered: f64, lasts: Duration) -> anyhow::Result<Share> {
    let caller = caller();
    let back = f64::from(QUOTA) / WINDOW.as_secs_f64();
    let each = offered * back * TICK.as_secs_f64() / NODES as f64;
    let began = Instant::now();
    let mut set = JoinSet::new();
    for node in nodes {
        set.spawn(asks(node.gates(), caller.clone(), each, began + lasts));
    }
    let (mut asked, mut passed) = (0, 0);
    while let Some(ended) = set.join_next().await {
        let (came, went) = ended??;
        asked += came;
        passed += went;
    }
    let whole = f64::from(QUOTA) + back * began.elapsed().as_secs_f64();
    Ok(Share { offered, asked, ideal: whole.min(asked as f64), passed })
}

/// Asks one node so many times each tick, and tells how often, and how often it was let pass.
async fn asks(
    gates: Gates,
    caller: Arc<Principal>,
    each: f64,
    until: Instant,
) -> anyhow::Result<(u64, u64)> {
    let mut ticks = interval_at(Instant::now(), TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut due, mut asked, mut passed) = (0.0, 0, 0);
    loop {
        ticks.tick().await;
        if Instant::now() >= until {
            return Ok((asked, passed));
        }
        due += each;
        while due >= 1.0 {
            due -= 1.0;
            asked += 1;
            passed += u64::from(passes(&gates, Station::Principal, &caller).await?);
        }
    }
}
