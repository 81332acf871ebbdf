//! The failures that callers of webhooks get.

use troupe_kernel::{Failure, FailureKind};

use super::filter::FilterFault;
use super::target::TargetFault;

/// Why a request about webhooks is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WebhookError {
    #[error("choose an organisation to use webhooks")]
    NoTenant,
    #[error("there is no such endpoint here")]
    NotFound,
    #[error("there is no such delivery here; those of long ago are removed")]
    NoDelivery,
    #[error("the endpoint has changed meanwhile; read it again and use its ETag")]
    Stale,
    #[error("an organisation has at most {0} endpoints; remove one first")]
    Limit(u32),
    #[error("the endpoint is disabled; enable it first")]
    Disabled,
    #[error("the message waits for its next attempt already")]
    Queued,
    #[error("the event was too large for a message; read the thing it is about instead")]
    TooLarge,
    #[error("the URL {0}")]
    Url(#[from] TargetFault),
    #[error("the kinds of event are not accepted: {0}")]
    Events(#[from] FilterFault),
    #[error("a description has at most {0} characters on one line")]
    Description(usize),
}

impl From<WebhookError> for Failure {
    fn from(error: WebhookError) -> Self {
        use FailureKind::{Conflict, Forbidden, Invalid, NotFound, Stale};
        let (kind, code) = match &error {
            WebhookError::NoTenant => (Forbidden, "notify.webhook.no_tenant"),
            WebhookError::NotFound => (NotFound, "notify.webhook.not_found"),
            WebhookError::NoDelivery => (NotFound, "notify.webhook.no_delivery"),
            WebhookError::Stale => (Stale, "notify.webhook.stale"),
            WebhookError::Limit(_) => (Conflict, "notify.webhook.limit"),
            WebhookError::Disabled => (Conflict, "notify.webhook.disabled"),
            WebhookError::Queued => (Conflict, "notify.webhook.queued"),
            WebhookError::TooLarge => (Conflict, "notify.webhook.too_large"),
            WebhookError::Url(_) | WebhookError::Events(_) | WebhookError::Description(_) => {
                (Invalid, "notify.webhook.invalid")
            }
        };
        let failure = Self::new(kind, code, error.to_string());
        match &error {
            WebhookError::Url(fault) => failure.field("/url", fault.to_string()),
            WebhookError::Events(fault) => failure.field("/events", fault.to_string()),
            WebhookError::Description(_) => failure.field("/description", error.to_string()),
            _ => failure,
        }
    }
}
