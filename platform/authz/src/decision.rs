//! The order of a decision: permission, condition of the grant, tenant, policies; and the same told
//! step by step.

use std::net::IpAddr;
use std::sync::Arc;

use cel::Context;
use troupe_authz_messages::{
    ConditionExplanation, ConditionOutcome, Explanation, GrantExplanation, PolicyExplanation,
    Reason,
};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::policies::PolicyEffect;
use troupe_kernel::ports::{Decision, Resource};
use troupe_kernel::{PermissionSet, Principal, PrincipalKind};

use crate::condition::{Condition, Part, Truth};
use crate::engine::Engine;
use crate::facts::{Facts, Uses};
use crate::grants::{Grant, Grants};
use crate::policies::Verdict;

/// Everything a decision is taken from.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What the modules registered.
    pub engine: &'a Engine,
    /// What the principal was given in its tenant.
    pub grants: &'a Grants,
    /// Who acts.
    pub principal: &'a Principal,
    /// Key of the permission the action needs.
    pub action: &'a str,
    /// The time.
    pub now: Timestamp,
    /// The network address the request came from.
    pub address: Option<IpAddr>,
}

/// A decision with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Why.
    pub reason: Reason,
    /// The policy that decided.
    pub policy: Option<(String, String)>,
}

impl Ruling {
    const fn plain(reason: Reason) -> Self {
        Self { reason, policy: None }
    }

    /// Whether it may be done.
    #[must_use]
    pub const fn allowed(&self) -> bool {
        matches!(
            self.reason,
            Reason::System
                | Reason::PermittedByPolicy
                | Reason::PermissionSuffices
                | Reason::DecidedPerResource
        )
    }

    fn sentence(&self, action: &str) -> String {
        let policy = self.policy.as_ref();
        let named = policy
            .map(|(id, description)| format!("policy {id} ({description})"))
            .unwrap_or_default();
        match self.reason {
            Reason::System => "the platform itself acts".to_owned(),
            Reason::UnknownAction => format!("no module registers the permission {action}"),
            Reason::PermissionMissing => format!("no role gives the permission {action} here"),
            Reason::ConditionFailed => {
                format!(
                    "a role gives the permission {action}, but its condition does not hold here"
                )
            }
            Reason::CredentialBound => {
                format!("the credential is limited and does not reach the permission {action}")
            }
            Reason::OtherTenant => "the resource belongs to another organisation".to_owned(),
            Reason::ForbiddenByPolicy => format!("{named} forbids it"),
            Reason::PermittedByPolicy => format!("{named} permits it"),
            Reason::NoPolicyPermits => {
                format!("no policy about {action} permits it for this resource")
            }
            Reason::PermissionSuffices => {
                format!("the permission {action} is held and no policy asks for more")
            }
            Reason::DecidedPerResource => {
                format!("the permission {action} is held; policies decide for each resource")
            }
        }
    }

    /// The answer of the port.
    #[must_use]
    pub fn decision(&self, action: &str) -> Decision {
        Decision {
            allowed: self.allowed(),
            reason: self.sentence(action),
            policy: self.policy.as_ref().map(|(id, _)| id.clone()),
        }
    }
}

impl Case<'_> {
    /// Decides about a resource.
    #[must_use]
    pub fn rule(&self, resource: &Resource) -> Ruling {
        if self.principal.kind == PrincipalKind::System {
            return Ruling::plain(Reason::System);
        }
        let Some(bit) = self.engine.catalog.bit(self.action) else {
            return Ruling::plain(Reason::UnknownAction);
        };
        if self.principal.bound.as_ref().is_some_and(|bound| !bound.contains(bit)) {
            return Ruling::plain(Reason::CredentialBound);
        }
        let policies = self.engine.policies.about(self.action);
        let permissions = self.permissions();
        let facts = self.facts(resource, &permissions);
        if !self.grants.firm().contains(bit) {
            let context = self.engine.policies.context(&facts, self.uses(bit));
            if let Some(reason) = self.conditional(bit, &context) {
                return Ruling::plain(reason);
            }
        }
        if self.crosses_tenants(resource) && !self.grants.platform().contains(bit) {
            return Ruling::plain(Reason::OtherTenant);
        }
        let context = self.engine.policies.context(&facts, policies.uses());
        match policies.verdict(&context) {
            Verdict::Forbidden(policy) => Ruling {
                reason: Reason::ForbiddenByPolicy,
                policy: Some((policy.id.clone(), policy.description.clone())),
            },
            Verdict::Permitted(policy) => Ruling {
                reason: Reason::PermittedByPolicy,
                policy: Some((policy.id.clone(), policy.description.clone())),
            },
            Verdict::Unpermitted => Ruling::plain(Reason::NoPolicyPermits),
            Verdict::Silent => Ruling::plain(Reason::PermissionSuffices),
        }
    }

    /// What the gate answers: the permission alone.
    #[must_use]
    pub fn rule_gate(&self) -> Ruling {
        if self.principal.kind == PrincipalKind::System {
            return Ruling::plain(Reason::System);
        }
        let Some(bit) = self.engine.catalog.bit(self.action) else {
            return Ruling::plain(Reason::UnknownAction);
        };
        if self.principal.bound.as_ref().is_some_and(|bound| !bound.contains(bit)) {
            return Ruling::plain(Reason::CredentialBound);
        }
        if !self.grants.held().contains(bit) {
            return Ruling::plain(Reason::PermissionMissing);
        }
        if self.engine.policies.governs(self.action) {
            Ruling::plain(Reason::DecidedPerResource)
        } else {
            Ruling::plain(Reason::PermissionSuffices)
        }
    }

    /// Tells how the decision comes about.
    #[must_use]
    pub fn explain(&self, resource: Option<&Resource>) -> Explanation {
        let ruling = resource.map_or_else(|| self.rule_gate(), |resource| self.rule(resource));
        let bit = self.engine.catalog.bit(self.action);
        let grants =
            self.grants.iter().map(|grant| self.explain_grant(grant, bit, resource)).collect();
        Explanation {
            allowed: ruling.allowed(),
            reason: ruling.reason,
            summary: ruling.sentence(self.action),
            decided_by: ruling.policy.map(|(id, _)| id),
            permission: self.action.to_owned(),
            registered: bit.is_some(),
            held: bit.is_some_and(|bit| self.grants.held().contains(bit)),
            grants,
            policies: resource.map(|resource| self.explain_policies(resource)).unwrap_or_default(),
        }
    }

    fn explain_grant(
        &self,
        grant: &Grant,
        bit: Option<u16>,
        resource: Option<&Resource>,
    ) -> GrantExplanation {
        let gives =
            bit.is_some_and(|bit| grant.permissions.as_ref().is_some_and(|set| set.contains(bit)));
        let mut conditions = Vec::new();
        let obstacle = match (&grant.permissions, &grant.condition) {
            (None, _) => Some("there is no role of this name any more".to_owned()),
            _ if !gives => Some("the role does not hold the permission".to_owned()),
            (Some(_), None) => None,
            (Some(_), Some(None)) => Some("its condition is not valid any more".to_owned()),
            (Some(_), Some(Some(_))) if !self.engine.policies.governs(self.action) => Some(
                "it has a condition, and no policy decides this action per resource, so the condition \
                 could never be checked"
                    .to_owned(),
            ),
            (Some(_), Some(Some(condition))) => resource.and_then(|resource| {
                let permissions = self.permissions();
                let facts = self.facts(resource, &permissions);
                let context = self.engine.policies.context(&facts, condition.uses());
                conditions = parts(condition, &context);
                (condition.evaluate(&context) != Truth::True)
                    .then(|| "its condition does not hold for this resource".to_owned())
            }),
        };
        GrantExplanation {
            role: grant.role.clone(),
            source: grant.source,
            binding: grant.binding,
            tenant: grant.tenant,
            gives_permission: gives,
            counts: obstacle.is_none(),
            obstacle,
            conditions,
        }
    }

    fn explain_policies(&self, resource: &Resource) -> Vec<PolicyExplanation> {
        let policies = self.engine.policies.about(self.action);
        let permissions = self.permissions();
        let facts = self.facts(resource, &permissions);
        let context = self.engine.policies.context(&facts, policies.uses());
        policies
            .iter()
            .map(|policy| PolicyExplanation {
                id: policy.id.clone(),
                description: policy.description.clone(),
                forbids: policy.effect == PolicyEffect::Forbid,
                outcome: outcome(&policy.condition.evaluate(&context)),
                conditions: parts(&policy.condition, &context),
            })
            .collect()
    }

    /// Why no grant with a condition gives the permission; none when one does.
    fn conditional(&self, bit: u16, context: &Context<'_, '_>) -> Option<Reason> {
        if !self.grants.held().contains(bit) {
            return Some(Reason::PermissionMissing);
        }
        let holds =
            self.conditions(bit).any(|condition| condition.evaluate(context) == Truth::True);
        (!holds).then_some(Reason::ConditionFailed)
    }

    fn conditions(&self, bit: u16) -> impl Iterator<Item = &Condition> {
        self.grants
            .iter()
            .filter(move |grant| grant.permissions.as_ref().is_some_and(|set| set.contains(bit)))
            .filter_map(|grant| grant.condition.as_ref()?.as_deref())
    }

    fn uses(&self, bit: u16) -> Uses {
        self.conditions(bit).fold(Uses::default(), |uses, condition| uses.or(condition.uses()))
    }

    fn crosses_tenants(&self, resource: &Resource) -> bool {
        resource.tenant.is_some() && resource.tenant != self.principal.tenant
    }

    /// What `permitted(…)` answers from: what is held firmly, within the credential's bound.
    fn permissions(&self) -> Arc<PermissionSet> {
        let firm = self.grants.firm();
        Arc::new(
            self.principal
                .bound
                .as_ref()
                .map_or_else(|| firm.clone(), |bound| firm.intersect(bound)),
        )
    }

    fn facts<'b>(
        &'b self,
        resource: &'b Resource,
        permissions: &'b Arc<PermissionSet>,
    ) -> Facts<'b> {
        Facts {
            principal: self.principal,
            action: self.action,
            resource,
            now: self.now,
            address: self.address,
            permissions,
            catalog: &self.engine.catalog,
        }
    }
}

fn parts(condition: &Condition, context: &Context<'_, '_>) -> Vec<ConditionExplanation> {
    condition.explain(context).into_iter().map(part).collect()
}

fn part(part: Part) -> ConditionExplanation {
    ConditionExplanation {
        text: part.text,
        outcome: outcome(&part.truth),
        error: match part.truth {
            Truth::Error(error) => Some(error),
            _ => None,
        },
        values: part.values,
    }
}

const fn outcome(truth: &Truth) -> ConditionOutcome {
    match truth {
        Truth::True => ConditionOutcome::Holds,
        Truth::False => ConditionOutcome::Fails,
        Truth::Error(_) => ConditionOutcome::Error,
    }
}
