//! Reads the configuration again while the node serves.
//!
//! Everything is read and checked first: the file, variables and flags, all references, what each part
//! makes of its section. When anything is wrong nothing changes. Then every part takes what it can
//! take without a restart; the keys that wait for one are named. Values are never said.
//!
//! Mailbox: two, for whoever asks for a third is served by the second. Restart: permanent. A crash
//! leaves what was taken until then; the next reload takes the rest.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec, System};
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::config::{ConfigFault, ConfigTree};
use troupe_kernel::{AuditRecord, Change, Failure, Reload};

use crate::cli::NodeArgs;
use crate::config::{self, refuse};
use crate::failure::Stop;
use crate::sections;

const CAPACITY: usize = 2;
/// How long one part may look at its section.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// How long keeping the audit record may take.
const KEEP_WITHIN: Duration = Duration::from_secs(10);

/// Read the configuration again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReloadConfig;

troupe_actors::protocol! {
    /// What the reloading actor understands.
    pub enum ReloadMessage("node.reload", 1) redact [] {
        /// Read the configuration again.
        ReloadConfig,
    }
}

/// What a reload works with.
pub struct ReloadDesk {
    /// Where the configuration comes from.
    pub args: NodeArgs,
    /// The configuration with which the node started.
    pub started: ConfigTree,
    /// The parts that take keys anew.
    pub parts: Vec<Reload>,
    /// Where it is recorded.
    pub db: Db,
}

/// The actor that reloads.
pub struct Reloader {
    desk: Arc<ReloadDesk>,
}

impl Reloader {
    /// Its reference and specification.
    pub fn service(system: &System, desk: ReloadDesk) -> (ServiceRef<ReloadMessage>, ChildSpec) {
        metrics::gauge!("troupe_reload_succeeded").set(1.0);
        let desk = Arc::new(desk);
        Spec::new(system, "reload", move || Self { desk: desk.clone() }).capacity(CAPACITY).build()
    }
}

impl Service for Reloader {
    type Message = ReloadMessage;

    async fn handle(
        &mut self,
        _message: &mut Lent<ReloadMessage>,
        _ctx: &mut Context<ReloadMessage>,
    ) -> Handled {
        let outcome = match Box::pin(self.desk.look()).await {
            Ok(found) => {
                let outcome = if found.changed.is_empty() { "unchanged" } else { "changed" };
                self.desk.take(found).await;
                outcome
            }
            Err(stop) => {
                let reason = stop.to_string();
                tracing::error!(reason, "the reload is refused, and everything stays as it was");
                "refused"
            }
        };
        metrics::counter!("troupe_reloads_total", "outcome" => outcome).increment(1);
        let succeeded = if outcome == "refused" { 0.0 } else { 1.0 };
        metrics::gauge!("troupe_reload_succeeded").set(succeeded);
        Ok(())
    }
}

/// What a reload would change, in a configuration without a fault.
struct Found {
    changes: Vec<Change>,
    changed: Vec<String>,
    /// The keys that wait for a restart.
    later: Vec<String>,
}

impl ReloadDesk {
    /// Reads and checks everything; changes nothing.
    async fn look(&self) -> Result<Found, Stop> {
        let args = self.args.clone();
        // Files and commands are waited for.
        let reading = tokio::task::spawn_blocking(move || {
            let config = config::load(&args)?;
            sections::check(&config.tree)?;
            Ok::<_, Stop>(config.tree)
        });
        let tree = reading.await.map_err(anyhow::Error::from)??;
        let (mut changes, mut faults) = (Vec::new(), Vec::new());
        for part in &self.parts {
            match tokio::time::timeout(LOOK_WITHIN, part.look(&tree)).await {
                Ok(Ok(change)) => changes.push(change),
                Ok(Err(found)) => faults.extend(found),
                Err(_) => {
                    let detail = format!("could not be checked in {} s", LOOK_WITHIN.as_secs());
                    faults.push(ConfigFault::new(part.section(), detail));
                }
            }
        }
        if !faults.is_empty() {
            return Err(refuse(&faults));
        }
        let mut later: Vec<String> =
            changes.iter().flat_map(|change| change.keys_later().to_vec()).collect();
        let untaken = |key: &String| !self.parts.iter().any(|part| part.takes(key));
        later.extend(self.started.differing(&tree).into_iter().filter(untaken));
        later.sort();
        let changed = changes.iter().flat_map(|change| change.keys().to_vec()).collect();
        Ok(Found { changes, changed, later })
    }

    /// Makes the changes, and says and records which.
    async fn take(&self, found: Found) {
        let Found { changes, changed, later } = found;
        for change in changes {
            change.make();
        }
        let keys = changed.join(", ");
        tracing::info!(changed = keys, "the configuration was read again");
        if !later.is_empty() {
            let keys = later.join(", ");
            tracing::warn!(keys, "new values of these keys are taken at the next start only");
        }
        if changed.is_empty() {
            return;
        }
        if let Err(failure) = self.record(changed, later).await {
            tracing::warn!(%failure, "the reload could not be recorded in the audit trail");
        }
    }

    async fn record(&self, changed: Vec<String>, later: Vec<String>) -> Result<(), Failure> {
        let scope = Scope::system("node.reload", KEEP_WITHIN);
        let detail = json!({ "changed": changed, "at_the_next_start": later });
        self.db
            .transaction(&scope, async move |uow: &mut UnitOfWork| {
                let record = AuditRecord::new(uow.scope(), "node.configuration.reload", "node");
                uow.audit(record.detail(detail.clone()));
                Ok(())
            })
            .await
    }
}
