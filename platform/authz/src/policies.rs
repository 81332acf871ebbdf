//! The policies of all modules, compiled at start, and the decision they give.
//!
//! A prohibition that holds, or that cannot be evaluated, wins. Otherwise a permit that holds
//! allows. An action that some permit is about is *governed*: without one that holds it is denied.
//! An action that no permit is about needs the permission alone. Nothing here looks at roles.

use std::collections::HashMap;
use std::sync::Arc;

use cel::{Context, Env};
use thiserror::Error;
use troupe_kernel::event::matches;
use troupe_kernel::permissions::Catalog;
use troupe_kernel::policies::{PolicyDef, PolicyEffect};

use crate::condition::{self, Author, Condition, ConditionFault, Truth};
use crate::facts::{Facts, Uses};

/// Most policies that may be about one action; a decision evaluates each.
const POLICIES_PER_ACTION_MAX: usize = 64;

/// Why the registered policies cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyFault {
    /// The condition is not one.
    #[error("policy {id}: {fault}")]
    Condition {
        /// Id of the policy.
        id: String,
        /// What is wrong with it.
        fault: ConditionFault,
    },
    /// Two policies have one id.
    #[error("policy {0} is registered twice; give each policy its own id")]
    Duplicate(String),
    /// The policy is about nothing.
    #[error("policy {id}: no registered permission matches `{pattern}`")]
    AboutNothing {
        /// Id of the policy.
        id: String,
        /// Its pattern.
        pattern: String,
    },
    /// Too many policies are about one action.
    #[error("{count} policies are about {action}; at most {POLICIES_PER_ACTION_MAX} may be")]
    TooMany {
        /// Key of the permission.
        action: String,
        /// How many.
        count: usize,
    },
}

/// One compiled policy.
#[derive(Debug)]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub description: String,
    /// Whether it forbids or permits.
    pub effect: PolicyEffect,
    /// When it applies.
    pub condition: Condition,
}

/// The policies about one action.
#[derive(Debug, Default)]
pub struct ActionPolicies {
    forbids: Vec<Arc<Policy>>,
    permits: Vec<Arc<Policy>>,
    uses: Uses,
}

impl ActionPolicies {
    /// Whether some permit is about the action, so that one must hold.
    #[must_use]
    pub fn governed(&self) -> bool {
        !self.permits.is_empty()
    }

    /// What the conditions read.
    #[must_use]
    pub fn uses(&self) -> Uses {
        self.uses
    }

    /// All of them, prohibitions first.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.forbids.iter().chain(&self.permits).map(Arc::as_ref)
    }

    /// What they decide.
    #[must_use]
    pub fn verdict(&self, context: &Context<'_, '_>) -> Verdict<'_> {
        for policy in &self.forbids {
            if policy.condition.evaluate(context) != Truth::False {
                return Verdict::Forbidden(policy);
            }
        }
        for policy in &self.permits {
            if policy.condition.evaluate(context) == Truth::True {
                return Verdict::Permitted(policy);
            }
        }
        if self.governed() { Verdict::Unpermitted } else { Verdict::Silent }
    }
}

/// What the policies about an action decide.
#[derive(Debug, Clone, Copy)]
pub enum Verdict<'a> {
    /// This one forbids it.
    Forbidden(&'a Policy),
    /// This one permits it.
    Permitted(&'a Policy),
    /// Some permits are about it and none holds.
    Unpermitted,
    /// No permit is about it.
    Silent,
}

/// All policies, by action.
pub struct Policies {
    env: Arc<Env>,
    actions: HashMap<String, ActionPolicies>,
    none: ActionPolicies,
}

impl Policies {
    /// Compiles every definition.
    ///
    /// # Errors
    /// All faults of all definitions.
    pub fn compile(catalog: &Catalog, definitions: &[PolicyDef]) -> Result<Self, Vec<PolicyFault>> {
        let env = condition::environment();
        let mut faults = Vec::new();
        let mut actions: HashMap<String, ActionPolicies> = HashMap::new();
        for (index, definition) in definitions.iter().enumerate() {
            if definitions[..index].iter().any(|other| other.id == definition.id) {
                faults.push(PolicyFault::Duplicate(definition.id.to_string()));
                continue;
            }
            match compile(&env, catalog, definition) {
                Ok(policy) => {
                    let policy = Arc::new(policy);
                    if !file(&mut actions, catalog, definition.action, &policy) {
                        faults.push(PolicyFault::AboutNothing {
                            id: definition.id.to_string(),
                            pattern: definition.action.to_string(),
                        });
                    }
                }
                Err(fault) => {
                    faults.push(PolicyFault::Condition { id: definition.id.to_string(), fault });
                }
            }
        }
        for (action, policies) in &actions {
            let count = policies.iter().count();
            if count > POLICIES_PER_ACTION_MAX {
                faults.push(PolicyFault::TooMany { action: action.clone(), count });
            }
        }
        if faults.is_empty() {
            Ok(Self { env, actions, none: ActionPolicies::default() })
        } else {
            Err(faults)
        }
    }

    /// The policies about an action.
    #[must_use]
    pub fn about(&self, action: &str) -> &ActionPolicies {
        self.actions.get(action).unwrap_or(&self.none)
    }

    /// Whether some permit is about the action.
    #[must_use]
    pub fn governs(&self, action: &str) -> bool {
        self.about(action).governed()
    }

    /// A context with the facts of a decision for conditions that read `uses`.
    #[must_use]
    pub fn context(&self, facts: &Facts<'_>, uses: Uses) -> Context<'static, 'static> {
        condition::context(&self.env, facts, uses)
    }

    /// Compiles the condition of a binding.
    ///
    /// # Errors
    /// The first fault found.
    pub fn binding_condition(
        &self,
        catalog: &Catalog,
        text: &str,
    ) -> Result<Condition, ConditionFault> {
        Condition::compile(&self.env, text, Author::Tenant, &|key| catalog.bit(key).is_some())
    }
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Policies").field("actions", &self.actions).finish_non_exhaustive()
    }
}

fn compile(env: &Env, catalog: &Catalog, definition: &PolicyDef) -> Result<Policy, ConditionFault> {
    let known = |key: &str| catalog.bit(key).is_some();
    Ok(Policy {
        id: definition.id.to_string(),
        description: definition.description.to_string(),
        effect: definition.effect,
        condition: Condition::compile(env, definition.condition, Author::Module, &known)?,
    })
}

/// Files a policy under each action its pattern matches; false when there is none.
fn file(
    actions: &mut HashMap<String, ActionPolicies>,
    catalog: &Catalog,
    pattern: &str,
    policy: &Arc<Policy>,
) -> bool {
    let mut found = false;
    for (action, _) in catalog.entries().filter(|(action, _)| matches(pattern, action)) {
        found = true;
        let about = actions.entry(action.to_owned()).or_default();
        about.uses = about.uses.or(policy.condition.uses());
        match policy.effect {
            PolicyEffect::Forbid => about.forbids.push(policy.clone()),
            PolicyEffect::Permit => about.permits.push(policy.clone()),
        }
    }
    found
}
