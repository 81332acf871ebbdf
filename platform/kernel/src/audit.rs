//! What the audit keeps of an action: who did what to which thing, and how it ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use troupe_actors::Scope;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ids::TenantId;

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused.
    Denied,
    /// It was allowed and went wrong.
    Failure,
}

/// One action, before the audit chains it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The tenant it belongs to; none for platform-wide actions.
    pub tenant: Option<TenantId>,
    /// Who acted.
    pub actor: Option<Uuid>,
    /// What was done: `owner.thing.action`, for example `auth.session.revoke`.
    pub action: String,
    /// To which thing: `kind:id`, for example `post:0194…`.
    pub resource: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What else is worth keeping; never a secret.
    pub detail: Value,
    /// The request that caused it.
    pub request_id: Option<Uuid>,
    /// The network address it came from.
    pub address: Option<String>,
}

impl AuditRecord {
    /// A successful action in the circumstances of `scope`.
    #[must_use]
    pub fn new(scope: &Scope, action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self {
            tenant: scope.tenant().map(TenantId),
            actor: scope.subject(),
            action: action.into(),
            resource: resource.into(),
            outcome: Outcome::Success,
            detail: Value::Null,
            request_id: scope.request_id(),
            address: scope
                .origin()
                .and_then(|origin| origin.address)
                .map(|address| address.to_string()),
        }
    }

    /// Sets how it ended.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds what else is worth keeping; never a secret.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    /// Sets the tenant, for an action on another tenant than the scope's.
    #[must_use]
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Sets who acted, where the scope does not know (a registration, a login).
    #[must_use]
    pub fn actor(mut self, actor: Uuid) -> Self {
        self.actor = Some(actor);
        self
    }
}
