//! The life of the modules: discover, validate, initialise, validate what they contribute, start,
//! and stop in reverse.
//!
//! Every step reports all faults at once. Migrating and starting the actors is the node's work,
//! between [`Modules::initialise`] and [`Loaded::start`].

mod checks;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use troupe_actors::{ChildSpec, Failure, Scope};

use crate::health::HealthCheck;
use crate::migration::Migration;
use crate::module::{Declared, InitFault, Manifest, Module, Surroundings};
use crate::parts::{JobHandler, Parts, Subscription};
use crate::permissions::{Catalog, RoleDef};
use crate::reload::Reload;
use crate::routes::Route;

/// The modules of a node in order of their dependencies.
pub struct Modules {
    ordered: Vec<Box<dyn Module>>,
}

impl Modules {
    /// Takes the modules that were found and orders them.
    ///
    /// # Errors
    /// Every missing dependency, cycle, duplicate name and faulty manifest.
    pub fn validate(found: Vec<Box<dyn Module>>) -> Result<Self, Vec<InitFault>> {
        let manifests: Vec<Manifest> = found.iter().map(|module| module.manifest()).collect();
        let order = order::order(&manifests)?;
        let mut slots: Vec<Option<Box<dyn Module>>> = found.into_iter().map(Some).collect();
        let ordered = order.into_iter().filter_map(|index| slots[index].take()).collect();
        Ok(Self { ordered })
    }

    /// The manifests in order of initialisation.
    #[must_use]
    pub fn manifests(&self) -> Vec<Manifest> {
        self.ordered.iter().map(|module| module.manifest()).collect()
    }

    /// Initialises every module and validates what all of them contribute together.
    ///
    /// A module whose dependency failed is not initialised; every other one is, so that all faults
    /// come at once.
    ///
    /// # Errors
    /// Every fault of every module and of the whole.
    pub fn initialise(self, around: &mut Surroundings) -> Result<Loaded, Vec<InitFault>> {
        let mut faults = Vec::new();
        let mut failed = BTreeSet::new();
        let mut contributions = Vec::new();
        let mut modules = Vec::new();
        for mut module in self.ordered {
            let manifest = module.manifest();
            if manifest.dependencies.iter().any(|needed| failed.contains(needed)) {
                failed.insert(manifest.name);
                continue;
            }
            match module.init(&mut around.context()) {
                Ok(parts) => {
                    contributions.push(Contribution { manifest, parts });
                    modules.push(module);
                }
                Err(found) => {
                    failed.insert(manifest.name);
                    faults.extend(found.into_iter().map(|fault| fault.of(manifest.name)));
                }
            }
        }
        faults.extend(around.container.duplicates().iter().map(|name| {
            InitFault::new(format!("{name} is provided more than once; one module must own it"))
        }));
        faults.extend(checks::check(&contributions, failed.is_empty()));
        if !faults.is_empty() {
            return Err(faults);
        }
        let assembly = Assembly::of(contributions, around);
        Ok(Loaded { modules, assembly })
    }
}

/// The parts of one module.
pub(crate) struct Contribution {
    pub(crate) manifest: Manifest,
    pub(crate) parts: Parts,
}

/// Everything the modules contribute, merged and valid.
#[derive(Default)]
pub struct Assembly {
    /// All permissions with their bits.
    pub catalog: Arc<Catalog>,
    /// All steps of the schema, owners in order of dependencies.
    pub migrations: Vec<Migration>,
    /// The actors of each module, in order of dependencies.
    pub children: Vec<(Manifest, Vec<ChildSpec>)>,
    /// All routes.
    pub routes: Vec<Route>,
    /// All handlers of jobs.
    pub jobs: Vec<JobHandler>,
    /// All subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// All health checks.
    pub health: Vec<HealthCheck>,
    /// What all of them take anew while the node runs.
    pub reloads: Vec<Reload>,
}

impl Assembly {
    fn of(contributions: Vec<Contribution>, around: &Surroundings) -> Self {
        let mut assembly = Self::default();
        let (mut permissions, mut roles, mut policies) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut notices = Vec::new();
        for Contribution { manifest, parts } in contributions {
            permissions.extend(parts.permissions);
            policies.extend(parts.policies);
            notices.extend(parts.notices);
            for role in parts.roles {
                merge_role(&mut roles, role);
            }
            assembly.migrations.extend(parts.migrations);
            assembly.children.push((manifest, parts.children));
            assembly.routes.extend(parts.routes);
            assembly.jobs.extend(parts.jobs);
            assembly.subscriptions.extend(parts.subscriptions);
            assembly.health.extend(parts.health);
            assembly.reloads.extend(parts.reloads);
        }
        assembly.catalog = Arc::new(Catalog::new(permissions));
        let catalog = assembly.catalog.clone();
        let roles = roles.into_values().collect();
        notices.sort_unstable_by_key(|notice| notice.key);
        notices.dedup_by_key(|notice| notice.key);
        around.declarations.seal(Declared { catalog, roles, policies, notices });
        assembly
    }
}

/// Modules may add permissions to the same role; the first one gives the title.
fn merge_role(roles: &mut BTreeMap<&'static str, RoleDef>, role: RoleDef) {
    match roles.entry(role.key) {
        std::collections::btree_map::Entry::Vacant(place) => {
            place.insert(role);
        }
        std::collections::btree_map::Entry::Occupied(mut known) => {
            let known = &mut known.get_mut().permissions;
            known.extend(role.permissions);
            known.sort_unstable();
            known.dedup();
        }
    }
}

/// Initialised modules. Their parts are taken once; the hooks run through this.
pub struct Loaded {
    modules: Vec<Box<dyn Module>>,
    /// What they contribute.
    pub assembly: Assembly,
}

impl Loaded {
    /// Takes what the modules contribute, to wire it.
    #[must_use]
    pub fn take_assembly(&mut self) -> Assembly {
        std::mem::take(&mut self.assembly)
    }

    /// Runs the start hooks in order. When one fails, those that ran are stopped in reverse.
    ///
    /// # Errors
    /// The failure of the first module that does not start.
    pub async fn start(&mut self, scope: &Scope) -> Result<(), Failure> {
        for index in 0..self.modules.len() {
            if let Err(failure) = self.modules[index].start(scope).await {
                for module in self.modules[..index].iter_mut().rev() {
                    module.stop(scope).await;
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Runs the stop hooks in reverse order.
    pub async fn stop(&mut self, scope: &Scope) {
        for module in self.modules.iter_mut().rev() {
            module.stop(scope).await;
        }
    }
}
