//! Another user or password for the connections to Redis that are made from then on.

use redis::{ConnectionInfo, IntoConnectionInfo as _};
use troupe_kernel::{Change, ConfigFault, Reload, Secret};

use super::Redis;
use super::client;
use super::error::{RedisError, is_refusal};
use crate::config::CacheConfig;

impl Redis {
    /// Takes another login. What stands goes on with the one before, until it breaks.
    #[must_use]
    pub fn reload(&self) -> Reload {
        let redis = self.clone();
        Reload::new(&["url"], move |config: CacheConfig| {
            let redis = redis.clone();
            Box::pin(async move { redis.change_to(config.url).await })
        })
    }

    async fn change_to(&self, url: Secret) -> Result<Change, Vec<ConfigFault>> {
        let current = self.url();
        if url.expose() == current.expose() {
            return Ok(Change::none());
        }
        // The section was checked: both are addresses.
        let info = |url: &Secret| url.expose().into_connection_info().ok();
        let (Some(before), Some(after)) = (info(&current), info(&url)) else {
            return Ok(Change::none().later("url"));
        };
        if !is_same_place(&before, &after) {
            return Ok(Change::none().later("url"));
        }
        if self.is_refused(&url).await {
            let fault = "Redis refuses the new user or password; set them there first";
            return Err(vec![ConfigFault::new("url", fault)]);
        }
        let redis = self.clone();
        Ok(Change::none().of("url", move || *redis.0.url.write() = url))
    }

    /// Whether Redis does not let this login in; one that does not answer refuses nobody.
    async fn is_refused(&self, url: &Secret) -> bool {
        let connecting = async {
            let client = self.client_of(url).await?;
            let settings = client::settings(&self.0.config);
            let mut conn = client.get_multiplexed_async_connection_with_config(&settings).await?;
            redis::cmd("INFO").arg("server").query_async::<redis::Value>(&mut conn).await?;
            Ok::<_, RedisError>(())
        };
        let tried = tokio::time::timeout(self.0.config.connect_timeout, connecting).await;
        matches!(tried, Ok(Err(RedisError::Driver(error))) if is_refusal(&error))
    }
}

fn is_same_place(before: &ConnectionInfo, after: &ConnectionInfo) -> bool {
    before.addr() == after.addr() && before.redis_settings().db() == after.redis_settings().db()
}
