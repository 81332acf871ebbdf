//! The events of webhooks. Those of deliveries are not events: each would make deliveries of its own.

use http::Uri;
use serde::Serialize;
use troupe_kernel::Event;

use super::messages::EndpointId;
use super::repository::endpoints::EndpointRow;

/// An endpoint was made.
pub(crate) const CREATED: &str = "notify.webhook_endpoint.created";
/// An endpoint was changed by a person.
pub(crate) const CHANGED: &str = "notify.webhook_endpoint.changed";
/// An endpoint was removed.
pub(crate) const REMOVED: &str = "notify.webhook_endpoint.removed";
/// An endpoint got a new secret.
pub(crate) const ROTATED: &str = "notify.webhook_endpoint.secret_rotated";
/// An endpoint was disabled by the platform; `because` says why.
pub(crate) const DISABLED: &str = "notify.webhook_endpoint.disabled";

/// Payload of all. Identity reads that of [`DISABLED`] and writes to the organisation's admins. It has
/// the host alone: the rest of an address is often a secret.
#[derive(Debug, Serialize)]
struct EndpointEvent<'a> {
    endpoint: EndpointId,
    host: &'a str,
    because: Option<&'a str>,
}

/// The event of an endpoint. Its subject is the endpoint.
pub(crate) fn of(kind: &str, row: &EndpointRow) -> Event {
    let endpoint = row.id.to();
    let url = row.url.parse::<Uri>().unwrap_or_default();
    let host = url.host().unwrap_or_default();
    let data = EndpointEvent { endpoint, host, because: row.disabled_because.as_deref() };
    Event::new(kind, endpoint, &data).tenant(row.tenant_id.to())
}
