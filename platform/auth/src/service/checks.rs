//! Reads of credentials that arrive together become one query: live sessions, and API keys.
//!
//! The gates ask once per token and minute; after a restart of a node, or when many people come at
//! once, that is thousands of look-ups in a moment.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_database::{Db, DbUuid, KeyedLoad};
use troupe_kernel::clock::{SharedClock, Timestamp};
use troupe_kernel::error::Failure;
use troupe_kernel::ids::{SessionId, TenantId, UserId};

use crate::messages::ApiKeyId;
use crate::repository::{api_keys, sessions};

/// The time of the last use is stored at most this often.
pub const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// A session that is live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSession {
    /// Whose.
    pub user: UserId,
    /// The organisation it works in now.
    pub tenant: Option<TenantId>,
    /// When it ends by itself.
    pub ends_at: Timestamp,
    /// When its last use was stored.
    pub last_seen_at: Timestamp,
}

/// Reads live sessions by id.
pub struct SessionLoad {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: SharedClock,
}

impl KeyedLoad for SessionLoad {
    type Key = SessionId;
    type Value = LiveSession;
    const NAME: &'static str = "auth.sessions.by_id";

    async fn load(&self, keys: Vec<SessionId>) -> Result<HashMap<SessionId, LiveSession>, Failure> {
        let now = self.clock.now();
        let rows =
            self.db.read(async move |conn| Ok(sessions::find_many(conn, &keys).await?)).await?;
        Ok(rows
            .into_iter()
            .filter(|row| row.is_live(now))
            .map(|row| {
                let live = LiveSession {
                    user: row.user_id.to(),
                    tenant: row.tenant_id.map(DbUuid::to),
                    ends_at: row.ends_at(),
                    last_seen_at: row.last_seen_at.0,
                };
                (row.id.to(), live)
            })
            .collect())
    }
}

/// An API key that is good, with the digest its secret must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodKey {
    /// Which key.
    pub id: ApiKeyId,
    /// The organisation it works in.
    pub organisation: TenantId,
    /// On whose behalf it acts.
    pub user: UserId,
    /// Digest of its secret.
    pub digest: Vec<u8>,
    /// The most it may do.
    pub permissions: Vec<String>,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
    /// When its last use was stored.
    pub last_used_at: Option<Timestamp>,
}

/// Reads good API keys by their public prefix.
pub struct ApiKeyLoad {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: SharedClock,
}

impl KeyedLoad for ApiKeyLoad {
    type Key = String;
    type Value = GoodKey;
    const NAME: &'static str = "auth.api_keys.by_prefix";

    async fn load(&self, keys: Vec<String>) -> Result<HashMap<String, GoodKey>, Failure> {
        let now = self.clock.now();
        let rows = self
            .db
            .read(async move |conn| Ok(api_keys::find_by_prefix(conn, &keys).await?))
            .await?;
        Ok(rows
            .into_iter()
            .filter(|row| row.is_good(now))
            .map(|row| {
                let good = GoodKey {
                    id: row.id(),
                    organisation: row.tenant_id.to(),
                    user: DbUuid::to(row.created_by),
                    digest: row.secret_hash,
                    permissions: row.permissions.0,
                    expires_at: row.expires_at.map(|at| at.0),
                    last_used_at: row.last_used_at.map(|at| at.0),
                };
                (row.prefix, good)
            })
            .collect())
    }
}
