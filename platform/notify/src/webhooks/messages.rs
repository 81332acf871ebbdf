//! What the webhook service understands: endpoints of a tenant, their deliveries, and attempts.

use serde::{Deserialize, Serialize};
use troupe_actors::protocol;
use troupe_kernel::pagination::{Page, PageRequest};
use troupe_kernel::{Event, SecretText, Timestamp, Uuid};
use utoipa::ToSchema;

troupe_kernel::typed_id! {
    /// Which endpoint.
    EndpointId
}

troupe_kernel::typed_id! {
    /// Which delivery: one message for one endpoint.
    DeliveryId
}

/// Whether an endpoint gets messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// It does.
    Enabled,
    /// It does not.
    Disabled,
}

impl EndpointState {
    /// The name as stored and as shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisabledBecause {
    /// It answered 410.
    Gone,
    /// Nothing was delivered to it for `notify.webhooks.disable_after`.
    Failing,
    /// Somebody did it.
    Person,
}

impl DisabledBecause {
    /// The name as stored and as shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
            Self::Person => "person",
        }
    }
}

/// Where a tenant wants its events sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    /// Which endpoint.
    pub id: EndpointId,
    /// The address that messages are posted to.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Patterns of the kinds it wants: `blog.post.published`, `blog.*`.
    pub events: Vec<String>,
    /// Whether it gets messages.
    pub state: EndpointState,
    /// Why not.
    pub disabled_because: Option<DisabledBecause>,
    /// Since when every attempt has failed; none while the last one did not.
    pub failing_since: Option<Timestamp>,
    /// Until when the secret before the present one signs, too.
    pub old_secret_until: Option<Timestamp>,
    /// Version for `If-Match`; rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An endpoint with its secret, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndpointSecret {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The secret, as the libraries of Standard Webhooks take it: `whsec_…`.
    pub secret: SecretText,
}

/// Makes an endpoint for the caller's tenant.
///
/// Fails with `notify.webhook.invalid`, `notify.webhook.limit`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEndpoint {
    /// The address to post to; HTTPS, on the public internet.
    pub url: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Patterns of the kinds it wants: `blog.post.published`, `blog.*`.
    pub events: Vec<String>,
}

/// Answers the endpoints of the caller's tenant, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListEndpoints {
    /// Which page.
    pub page: PageRequest,
}

/// Answers one endpoint, or fails with `notify.webhook.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetEndpoint {
    /// The endpoint.
    pub id: EndpointId,
}

/// What is changed of an endpoint; what is left out stays.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointChanges {
    /// The address to post to.
    pub url: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Patterns of the kinds it wants.
    pub events: Option<Vec<String>>,
    /// Whether it gets messages.
    pub state: Option<EndpointState>,
}

/// Changes an endpoint.
///
/// Fails with `notify.webhook.not_found`, `notify.webhook.stale`, `notify.webhook.invalid`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeEndpoint {
    /// The endpoint.
    pub id: EndpointId,
    /// The version that the change is based on.
    pub version: i64,
    /// The changes.
    pub changes: EndpointChanges,
}

/// Removes an endpoint; its deliveries stay in the log until they are pruned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoveEndpoint {
    /// The endpoint.
    pub id: EndpointId,
}

/// Gives an endpoint a new secret; the present one signs beside it for a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RotateSecret {
    /// The endpoint.
    pub id: EndpointId,
}

/// Sends a message of the kind `notify.webhook.test` to an endpoint.
///
/// Fails with `notify.webhook.not_found`, `notify.webhook.disabled`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendTest {
    /// The endpoint.
    pub id: EndpointId,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its next attempt.
    Queued,
    /// The endpoint answered with a status between 200 and 299.
    Delivered,
    /// No further attempt is made.
    Failed,
}

impl DeliveryState {
    /// The name as stored and as shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// One message for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Which delivery.
    pub id: DeliveryId,
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// The `webhook-id` of the message, the same in every attempt.
    pub message: Uuid,
    /// The kind of the event.
    pub event: String,
    /// What became of it.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: i32,
    /// The status of the last answer.
    pub last_status: Option<i32>,
    /// What went wrong in the last attempt.
    pub last_error: Option<String>,
    /// When the next attempt is made.
    pub next_attempt_at: Option<Timestamp>,
    /// When the message was made.
    pub created_at: Timestamp,
    /// When the last attempt ended.
    pub updated_at: Timestamp,
}

/// One attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptRecord {
    /// Which attempt, from 1.
    pub number: i32,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took, in milliseconds.
    pub latency_ms: i32,
    /// The status of the answer.
    pub status: Option<i32>,
    /// How the body of the answer begins.
    pub response: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// A delivery with its message and its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryDetails {
    /// The delivery.
    pub delivery: Delivery,
    /// The body of the message as it is posted.
    pub body: String,
    /// The attempts, latest first; at most a hundred.
    pub attempts: Vec<AttemptRecord>,
}

/// Answers deliveries of the caller's tenant, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListDeliveries {
    /// Only those of this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Which page.
    pub page: PageRequest,
}

/// Answers one delivery, or fails with `notify.webhook.no_delivery`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetDelivery {
    /// The delivery.
    pub id: DeliveryId,
}

/// Sends a message again, with a whole schedule of attempts.
///
/// Fails with `notify.webhook.no_delivery`, `notify.webhook.queued`, `notify.webhook.disabled`,
/// `notify.webhook.not_found`, `notify.webhook.too_large`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResendDelivery {
    /// The delivery.
    pub id: DeliveryId,
}

/// Makes a delivery of an event for each endpoint that wants it, once per event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OfferEvent {
    /// The event.
    pub event: Event,
}

/// Removes deliveries that are older than `notify.webhooks.keep`; answers how many.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PruneDeliveries;

protocol! {
    /// What the webhook service understands.
    pub enum WebhookMessage("notify.webhooks", 1) redact ["secret", "data", "body", "response", "url"] {
        /// Makes an endpoint.
        CreateEndpoint => EndpointSecret,
        /// Answers endpoints.
        ListEndpoints => Page<Endpoint>,
        /// Answers one endpoint.
        GetEndpoint => Endpoint,
        /// Changes an endpoint.
        ChangeEndpoint => Endpoint,
        /// Removes an endpoint.
        RemoveEndpoint => (),
        /// Gives an endpoint a new secret.
        RotateSecret => EndpointSecret,
        /// Sends a test message.
        SendTest => Delivery,
        /// Answers deliveries.
        ListDeliveries => Page<Delivery>,
        /// Answers one delivery.
        GetDelivery => DeliveryDetails,
        /// Sends a message again.
        ResendDelivery => Delivery,
        /// Makes deliveries of an event.
        OfferEvent => (),
        /// Removes old deliveries.
        PruneDeliveries => u64,
    }
}

/// Makes one attempt at a delivery; one that was made before is not made again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptDelivery {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Which attempt, from 1.
    pub number: i32,
}

protocol! {
    /// What a courier understands.
    pub enum CourierMessage("notify.courier", 1) redact [] {
        /// Makes one attempt.
        AttemptDelivery => (),
    }
}
