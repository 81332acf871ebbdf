//! Limits by key, in memory.

use std::error::Error;
use std::hash::Hash;
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

/// One quota for each key.
pub struct Limits<K: Hash + Eq + Clone> {
    quota: u32,
    policy: String,
    limiter: RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>,
}

/// What a limit says of a request.
pub struct Verdict {
    pub remaining: u32,
    pub reset_secs: u64,
    /// When to come back, if the request is refused.
    pub retry_secs: Option<u64>,
}

impl<K: Hash + Eq + Clone> Limits<K> {
    pub fn new(per_minute: u32) -> Result<Self, Box<dyn Error>> {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).ok_or("a quota is not 0")?);
        Ok(Self {
            quota: per_minute,
            policy: format!("\"subject\";q={per_minute};w=60"),
            limiter: RateLimiter::dashmap(quota).with_middleware(),
        })
    }

    /// The value of `RateLimit-Policy`.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    pub fn take(&self, key: &K) -> Verdict {
        match self.limiter.check_key(key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = u64::from(self.quota.saturating_sub(remaining));
                let reset_secs = (used * 60).div_ceil(u64::from(self.quota));
                Verdict { remaining, reset_secs, retry_secs: None }
            }
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                Verdict { remaining: 0, reset_secs: 60, retry_secs: Some(wait.as_secs() + 1) }
            }
        }
    }

    /// Forgets the keys that have their whole quota again; to be called now and then.
    pub fn tidy(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}
