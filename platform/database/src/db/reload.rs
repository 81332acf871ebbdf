//! What of the configuration a running database takes anew.

use troupe_kernel::{Change, ConfigFault, Reload};

use super::{Backend, Db};
use crate::config::DatabaseConfig;

impl Db {
    /// Takes another user or password for the PostgreSQL connections that are made from then on.
    #[must_use]
    pub fn reload(&self) -> Reload {
        let db = self.clone();
        Reload::new(&["url", "replica_url"], move |config: DatabaseConfig| {
            let db = db.clone();
            Box::pin(async move { db.change_to(config).await })
        })
    }

    async fn change_to(&self, config: DatabaseConfig) -> Result<Change, Vec<ConfigFault>> {
        let DatabaseConfig { url, replica_url, .. } = config;
        match &self.shared.backend {
            Backend::Sqlite(_) if url.expose() == self.config().url.expose() => Ok(Change::none()),
            Backend::Sqlite(_) => Ok(Change::none().later("url")),
            // Everything else stays as it was at the start.
            Backend::Pg(server) => {
                let config = DatabaseConfig { url, replica_url, ..self.config().clone() };
                server.change_to(&config).await
            }
        }
    }
}
