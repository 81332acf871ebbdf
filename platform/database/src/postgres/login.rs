//! Another user or password for the connections that are made from then on.
//!
//! Connections that are there keep theirs until they are as old as they may become.

use futures_util::future::join_all;
use troupe_kernel::{Change, ConfigFault, Secret};

use super::PgServer;
use super::address::Address;
use crate::config::{DatabaseConfig, Target};
use crate::error::DbError;

impl PgServer {
    /// What another configuration would change. A login that a server refuses is a fault; servers that
    /// do not answer are not asked again.
    pub(crate) async fn change_to(
        &self,
        config: &DatabaseConfig,
    ) -> Result<Change, Vec<ConfigFault>> {
        let (mut change, mut faults) = (Change::none(), Vec::new());
        let replica = self.replica.as_ref().map_or(&[][..], |replica| replica.hosts());
        let replica_url = config.replica_url.as_ref();
        for (key, hosts, url) in [
            ("url", self.primary.hosts(), Some(&config.url)),
            ("replica_url", replica, replica_url),
        ] {
            let newer = match url.map(|url| addresses(url, config)) {
                None => Vec::new(),
                Some(Ok(newer)) => newer,
                Some(Err(error)) => {
                    faults.push(ConfigFault::new(key, error.to_string()));
                    continue;
                }
            };
            let is_there = hosts.len() == newer.len();
            if !is_there || !hosts.iter().zip(&newer).all(|(host, newer)| host.is_at(newer)) {
                change = change.later(key);
                continue;
            }
            if hosts.iter().zip(&newer).all(|(host, newer)| host.logs_in_like(newer)) {
                continue;
            }
            if let Some(refusal) = refusal(&newer).await {
                faults.push(ConfigFault::new(key, refusal.to_string()));
                continue;
            }
            let hosts = hosts.to_vec();
            change = change.of(key, move || {
                for (host, newer) in hosts.iter().zip(&newer) {
                    host.log_in_like(newer);
                }
            });
        }
        if faults.is_empty() { Ok(change) } else { Err(faults) }
    }
}

fn addresses(url: &Secret, config: &DatabaseConfig) -> Result<Vec<Address>, DbError> {
    match (DatabaseConfig { url: url.clone(), ..config.clone() }).target()? {
        Target::Postgres(url) => Address::all(&url, config),
        Target::Sqlite(_) => Ok(Vec::new()),
    }
}

/// Why one of the servers that answer does not let us in.
async fn refusal(servers: &[Address]) -> Option<DbError> {
    let tried = join_all(servers.iter().map(Address::connect)).await;
    tried
        .into_iter()
        .filter_map(|connected| connected.err().map(DbError::connect))
        .find(|error| matches!(error, DbError::Credentials { .. }))
}
