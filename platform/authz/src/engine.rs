//! What the modules registered, compiled: permissions, built-in roles and policies. Read-only.

use std::sync::{Arc, OnceLock};

use troupe_authz_messages::{Permission, Role};
use troupe_kernel::Failure;
use troupe_kernel::module::Declarations;
use troupe_kernel::permissions::{Catalog, RoleDef};
use troupe_kernel::policies::PolicyDef;

use crate::policies::{Policies, PolicyFault};
use crate::role_book::RoleBook;

/// The compiled registrations of all modules.
#[derive(Debug)]
pub struct Engine {
    /// Names the bits.
    pub catalog: Arc<Catalog>,
    /// The built-in roles.
    pub book: RoleBook,
    /// The policies.
    pub policies: Policies,
}

impl Engine {
    /// Compiles what was registered.
    ///
    /// # Errors
    /// Every fault of every policy.
    pub fn new(
        catalog: Arc<Catalog>,
        roles: &[RoleDef],
        policies: &[PolicyDef],
    ) -> Result<Self, Vec<PolicyFault>> {
        let book = RoleBook::new(&catalog, roles);
        let policies = Policies::compile(&catalog, policies)?;
        Ok(Self { catalog, book, policies })
    }

    /// Every permission as callers see it.
    #[must_use]
    pub fn permissions(&self) -> Vec<Permission> {
        self.catalog
            .entries()
            .map(|(key, description)| Permission {
                key: key.to_owned(),
                description: description.to_owned(),
                governed: self.policies.governs(key),
            })
            .collect()
    }

    /// The built-in roles as callers see them.
    #[must_use]
    pub fn builtin_roles(&self) -> Vec<Role> {
        self.book.list(&self.catalog).collect()
    }
}

/// The engine for the actors: compiled by the first that needs it, after every module has declared
/// its parts.
#[derive(Debug, Clone)]
pub struct SharedEngine {
    declarations: Declarations,
    compiled: Arc<OnceLock<Result<Arc<Engine>, String>>>,
}

impl SharedEngine {
    /// The engine of what `declarations` will hold.
    #[must_use]
    pub fn new(declarations: Declarations) -> Self {
        Self { declarations, compiled: Arc::default() }
    }

    /// The engine.
    ///
    /// # Errors
    /// `authz.policies.invalid`, naming every fault: an actor that gets it does not start, so the node
    /// does not.
    ///
    /// # Panics
    /// Before all modules are initialised.
    pub fn get(&self) -> Result<Arc<Engine>, Failure> {
        let compiled = self.compiled.get_or_init(|| {
            let declared = self.declarations.get();
            Engine::new(declared.catalog.clone(), &declared.roles, &declared.policies)
                .map(Arc::new)
                .map_err(|faults| {
                    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
                })
        });
        compiled.clone().map_err(|detail| Failure::internal("authz.policies.invalid", detail))
    }
}
