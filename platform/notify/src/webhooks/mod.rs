//! Webhooks in the Standard Webhooks form: events of a tenant, signed and posted to its endpoints.
//!
//! An event that an endpoint wants becomes a delivery and a job in one transaction. An attempt, what it
//! tells about the endpoint, and the job of the next attempt are one transaction too, so that nothing is
//! lost when a node dies; a receiver may see a message twice, with the same `webhook-id`. Messages have
//! no order.

pub(crate) mod client;
pub(crate) mod courier;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod filter;
pub(crate) mod guard;
pub mod messages;
pub mod repository;
pub(crate) mod routes;
pub(crate) mod schedule;
pub(crate) mod service;
pub(crate) mod signature;
pub(crate) mod target;

use std::sync::Arc;

use troupe_database::Db;
use troupe_kernel::ports::SecretSealer;

use crate::config::WebhookConfig;
use client::Client;

/// The job of one attempt.
pub(crate) const ATTEMPT_JOB: &str = "notify.webhook";
/// The job that removes what is old.
pub(crate) const PRUNE_JOB: &str = "notify.webhook_prune";
/// The queue of attempts, a bulkhead of its own.
pub(crate) const QUEUE: &str = "webhooks";

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) db: Db,
    pub(crate) sealer: Arc<dyn SecretSealer>,
    pub(crate) client: Client,
    pub(crate) config: WebhookConfig,
}
