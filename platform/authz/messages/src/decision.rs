//! Decisions and why they were made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use troupe_kernel::PermissionsChanged;
use troupe_kernel::ids::TenantId;
use troupe_kernel::ports::{Question, Resource};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::binding::BindingId;

/// Compiles what a subject may do in a tenant (or on the platform, without one) to a set of bits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resolve {
    /// The subject.
    pub subject: Uuid,
    /// The tenant.
    pub tenant: Option<Uuid>,
}

/// Decides whether a principal may do something to a resource.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decide {
    /// Who, what, to which thing.
    pub question: Question,
}

/// Answers how a decision comes about, without taking it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explain {
    /// The subject.
    pub subject: Uuid,
    /// The tenant.
    pub tenant: Option<Uuid>,
    /// Key of a permission.
    pub action: String,
    /// The thing; none explains the permission alone, as the gate sees it.
    pub resource: Option<Resource>,
}

/// [`Explain`] for those who do not know the shards: it is forwarded to the one responsible.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExplainDecision {
    /// What is to be explained.
    pub question: Explain,
}

/// Drops what is cached and a change concerns. Answered when it is done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forget {
    /// The change.
    pub change: PermissionsChanged,
}

/// How a decision came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The reason.
    pub reason: Reason,
    /// The reason as a sentence.
    pub summary: String,
    /// The policy that decided, if one did.
    pub decided_by: Option<String>,
    /// Key of the permission that the action needs.
    pub permission: String,
    /// Whether a module registers it.
    pub registered: bool,
    /// Whether the gate lets the subject pass with it.
    pub held: bool,
    /// Every role the subject has here, and what it does for this action.
    pub grants: Vec<GrantExplanation>,
    /// Every policy about this action, and what its condition came to.
    pub policies: Vec<PolicyExplanation>,
}

/// Why a decision is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The platform itself acts.
    System,
    /// No module registers a permission of this name.
    UnknownAction,
    /// No role gives the permission.
    PermissionMissing,
    /// A role gives it, but its condition does not hold for this resource.
    ConditionFailed,
    /// The credential does not reach as far as its owner.
    CredentialBound,
    /// The resource belongs to another tenant.
    OtherTenant,
    /// A policy forbids it.
    ForbiddenByPolicy,
    /// A policy permits it.
    PermittedByPolicy,
    /// No policy about this action permits it.
    NoPolicyPermits,
    /// The permission suffices: no policy is about this action.
    PermissionSuffices,
    /// The gate lets it pass; policies decide for each resource.
    DecidedPerResource,
}

/// One role of the subject and what it does for the action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GrantExplanation {
    /// Key of the role.
    pub role: String,
    /// Where it comes from.
    pub source: GrantSource,
    /// The binding, when it was granted.
    pub binding: Option<BindingId>,
    /// The tenant it counts in; none on the whole platform.
    pub tenant: Option<TenantId>,
    /// Whether the role holds the permission.
    pub gives_permission: bool,
    /// Whether it counts for this decision.
    pub counts: bool,
    /// What keeps it from counting, as a sentence.
    pub obstacle: Option<String>,
    /// What its condition came to; empty without one.
    pub conditions: Vec<ConditionExplanation>,
}

/// Where a role comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantSource {
    /// Somebody granted it.
    Binding,
    /// It comes with the membership of the organisation.
    Membership,
}

/// One policy about the action and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyExplanation {
    /// Id of the policy.
    pub id: String,
    /// What it is for.
    pub description: String,
    /// Whether it forbids (and wins) or permits.
    pub forbids: bool,
    /// What its condition as a whole came to.
    pub outcome: ConditionOutcome,
    /// Its parts.
    pub conditions: Vec<ConditionExplanation>,
}

/// One part of a condition, what it came to, and what it saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConditionExplanation {
    /// The text as its author wrote it.
    pub text: String,
    /// What it came to.
    pub outcome: ConditionOutcome,
    /// Why it could not be evaluated.
    pub error: Option<String>,
    /// Path to value; secrets are redacted, long values cut.
    #[schema(value_type = Object)]
    pub values: BTreeMap<String, Value>,
}

/// What a condition came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConditionOutcome {
    /// It holds.
    Holds,
    /// It does not hold.
    Fails,
    /// It could not be evaluated: a permission does not count, a prohibition does.
    Error,
}
