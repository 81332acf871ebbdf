//! What a decision of a shared limit costs: counted here and settled with Redis ten times a second,
//! beside a script that Redis runs for each request.
//!
//! Ours is what a request costs more that enters at the limit than one that enters behind it.

use std::sync::Arc;
use std::time::Duration;

use bb8_redis::RedisConnectionManager;
use bb8_redis::bb8::Pool;
use redis::Script;
use tokio::task::JoinSet;
use troupe_actors::Principal;
use troupe_edge::Station;

use super::cache::{self, joined};
use super::limits::{Node, caller, passes};
use super::{Began, Effort, Job, Row, Turn, alternate};

const CALLERS: u64 = 64;
const REQUESTS: u64 = 64_000;
/// What nobody reaches: each request is let pass.
const QUOTA: u32 = 1_000_000_000;
const WINDOW: Duration = Duration::from_secs(60);

const JOB: Job = Job {
    name: "a decision of a limit that nodes share",
    bare: "a script in Redis for each request, by bb8-redis",
    at_least: None,
};

/// The same algorithm (GCRA) in Redis.
const GCRA: &str = "\
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local next = arrival + tonumber(ARGV[1])
if next - now > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 1)
return 1";

pub(super) async fn measure(url: &str, effort: Effort) -> anyhow::Result<Row> {
    let prefix = cache::prefix();
    let shared = cache::Node::start(url, &prefix, Duration::ZERO).await?;
    let node = Node::start(QUOTA, WINDOW, Some(shared.redis.ledger())).await?;
    let pool = Pool::builder().build(RedisConnectionManager::new(url)?).await?;
    let callers: Arc<[Arc<Principal>]> = (0..CALLERS).map(|_| caller()).collect();
    let script = Arc::new(Script::new(GCRA));
    let each = REQUESTS / effort.divisor / CALLERS;
    let row = alternate(
        &JOB,
        effort.rounds,
        async || {
            let limited = entering(&node, Station::Principal, &callers, each).await?;
            let behind = entering(&node, Station::Delivery, &callers, each).await?;
            Ok(difference(limited, behind))
        },
        async || bare(&pool, &script, &prefix, each).await,
    )
    .await?;
    node.stop().await;
    shared.stop().await;
    Ok(row)
}

/// What one turn costs more than another, as if by itself.
fn difference(whole: Turn, part: Turn) -> Turn {
    let seconds = (1.0 / whole.rate - 1.0 / part.rate).max(1e-9);
    Turn { cpu_ns: (whole.cpu_ns - part.cpu_ns).max(1.0), rate: 1.0 / seconds }
}

async fn entering(
    node: &Node,
    at: Station,
    callers: &Arc<[Arc<Principal>]>,
    each: u64,
) -> anyhow::Result<Turn> {
    let began = Began::now();
    let mut set = JoinSet::new();
    for number in 0..callers.len() {
        let (gates, callers) = (node.gates(), callers.clone());
        set.spawn(async move {
            for _ in 0..each {
                let passed = passes(&gates, at, &callers[number]).await?;
                anyhow::ensure!(passed, "nobody reaches the quota");
            }
            Ok(())
        });
    }
    joined(set).await?;
    Ok(began.turn(each * CALLERS))
}

async fn bare(
    pool: &Pool<RedisConnectionManager>,
    script: &Arc<Script>,
    prefix: &str,
    each: u64,
) -> anyhow::Result<Turn> {
    let began = Began::now();
    let mut set = JoinSet::new();
    for number in 0..CALLERS {
        let (pool, script) = (pool.clone(), script.clone());
        let key = format!("{prefix}-limit:{number}");
        let cost = WINDOW.as_micros().div_ceil(u128::from(QUOTA)).to_string();
        let window = WINDOW.as_micros().to_string();
        set.spawn(async move {
            for _ in 0..each {
                let mut conn = pool.get().await?;
                let mut call = script.key(&key);
                let passed: u8 = call.arg(&cost).arg(&window).invoke_async(&mut *conn).await?;
                anyhow::ensure!(passed == 1, "nobody reaches the quota");
            }
            Ok(())
        });
    }
    joined(set).await?;
    Ok(began.turn(each * CALLERS))
}
