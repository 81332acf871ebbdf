//! Counts in Redis what callers have spent of their quotas on all nodes.

use std::time::Duration;

use troupe_kernel::error::Failure;
use troupe_kernel::ports::{BoxFuture, QuotaLedger, Spending};

use super::error::RedisError;
use super::{Redis, scripts};

/// Callers that one script counts: Redis does nothing else meanwhile.
const CALLERS_MAX: usize = 256;

/// The port over Redis.
pub(super) struct RedisLedger {
    redis: Redis,
}

impl RedisLedger {
    pub(super) fn new(redis: Redis) -> Self {
        Self { redis }
    }

    async fn count(&self, spendings: &[Spending]) -> Result<Vec<Duration>, RedisError> {
        let session = self.redis.session()?;
        let mut ahead = Vec::with_capacity(spendings.len());
        for part in spendings.chunks(CALLERS_MAX) {
            let keys: Vec<String> = part.iter().map(|one| session.spent_key(&one.caller)).collect();
            let spent: Vec<String> =
                part.iter().map(|one| one.spent.as_micros().to_string()).collect();
            let spent: Vec<&[u8]> = spent.iter().map(String::as_bytes).collect();
            let answer: Vec<u64> = session.script(&scripts::SPEND, &keys, &spent).await?;
            ahead.extend(answer.into_iter().map(Duration::from_micros));
        }
        Ok(ahead)
    }
}

impl QuotaLedger for RedisLedger {
    fn spend<'a>(
        &'a self,
        spendings: &'a [Spending],
    ) -> BoxFuture<'a, Result<Vec<Duration>, Failure>> {
        Box::pin(async { Ok(self.count(spendings).await?) })
    }
}
