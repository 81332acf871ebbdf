//! The contract of a module: a supervised subtree with routes, permissions, tables, jobs and events.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use troupe_actors::{Failure, Scope, System};

use crate::clock::SharedClock;
use crate::config::{ConfigSection, ConfigTree};
use crate::container::{Container, MissingService};
use crate::invalidation::Invalidations;
use crate::mail::NoticeDef;
use crate::parts::Parts;
use crate::permissions::{Catalog, RoleDef};
use crate::policies::PolicyDef;
use crate::ports::BoxFuture;

/// Who a module is and whom it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    /// Its name: the prefix of its routes, permissions, tables and topics.
    pub name: &'static str,
    /// Its semantic version.
    pub version: &'static str,
    /// The modules that must be initialised before it.
    pub dependencies: &'static [&'static str],
}

/// One room of the house: a core service or a feature.
///
/// `init` wires: it reads its configuration, takes what others provide, builds its actors (without
/// starting them) and returns its parts. Nothing in it waits or does I/O.
pub trait Module: Send {
    /// Who it is.
    fn manifest(&self) -> Manifest;

    /// Builds its parts.
    ///
    /// # Errors
    /// Everything that keeps it from working, all at once.
    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>>;

    /// Runs after the actors of all modules have started, in order of dependencies.
    fn start<'a>(&'a mut self, scope: &'a Scope) -> BoxFuture<'a, Result<(), Failure>> {
        let _ = scope;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Runs before the actors stop, in reverse order.
    fn stop<'a>(&'a mut self, scope: &'a Scope) -> BoxFuture<'a, ()> {
        let _ = scope;
        Box::pin(std::future::ready(()))
    }
}

/// One reason why the node cannot start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{}{detail}", if module.is_empty() { String::new() } else { format!("module {module}: ") })]
pub struct InitFault {
    /// The module; empty when it concerns none alone.
    pub module: String,
    /// What is wrong and what to do.
    pub detail: String,
}

impl InitFault {
    /// A fault of the module that returns it; the life cycle adds the module's name.
    #[must_use]
    pub fn new(detail: impl Into<String>) -> Self {
        Self { module: String::new(), detail: detail.into() }
    }

    /// The same fault with the module's name, unless it has one.
    #[must_use]
    pub fn of(mut self, module: &str) -> Self {
        if self.module.is_empty() {
            module.clone_into(&mut self.module);
        }
        self
    }
}

impl From<MissingService> for InitFault {
    fn from(missing: MissingService) -> Self {
        Self::new(missing.to_string())
    }
}

impl From<MissingService> for Vec<InitFault> {
    fn from(missing: MissingService) -> Self {
        vec![missing.into()]
    }
}

impl From<InitFault> for Vec<InitFault> {
    fn from(fault: InitFault) -> Self {
        vec![fault]
    }
}

/// What all modules declared, known when every module is initialised.
#[derive(Debug, Default)]
pub struct Declared {
    /// All permissions with their bits.
    pub catalog: Arc<Catalog>,
    /// All roles; roles of the same key are merged.
    pub roles: Vec<RoleDef>,
    /// All policies.
    pub policies: Vec<PolicyDef>,
    /// All letters that may be switched off, by key.
    pub notices: Vec<NoticeDef>,
}

/// A handle on what all modules declared, for a service that needs the whole (authorization does).
#[derive(Debug, Clone, Default)]
pub struct Declarations(Arc<OnceLock<Declared>>);

impl Declarations {
    /// An empty handle; the life cycle fills it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was declared.
    ///
    /// # Panics
    /// While modules are being initialised: read it in `start` or in a handler.
    #[must_use]
    pub fn get(&self) -> &Declared {
        self.0.get().expect("declarations are complete before any actor starts")
    }

    /// Fills the handle, once; answers whether it was empty. Tests of one module use it directly.
    pub fn seal(&self, declared: Declared) -> bool {
        self.0.set(declared).is_ok()
    }
}

/// What a module finds when it is initialised. Built by the life cycle, and by tests of one module.
pub struct ModuleContext<'a> {
    system: &'a System,
    clock: &'a SharedClock,
    config: &'a ConfigTree,
    container: &'a mut Container,
    invalidations: &'a Invalidations,
    declarations: &'a Declarations,
    printed: &'a Mutex<toml::Table>,
}

/// The parts of a context that outlive it.
pub struct Surroundings {
    /// The actor system.
    pub system: System,
    /// The clock.
    pub clock: SharedClock,
    /// The configuration.
    pub config: ConfigTree,
    /// What is provided so far.
    pub container: Container,
    /// The hub of invalidations.
    pub invalidations: Invalidations,
    /// What all modules declare, filled at the end.
    pub declarations: Declarations,
    /// Every section that was read, with its defaults, secrets masked.
    pub effective: Mutex<toml::Table>,
}

impl Surroundings {
    /// Surroundings with default configuration and an empty container.
    #[must_use]
    pub fn new(system: System, clock: SharedClock) -> Self {
        Self {
            system,
            clock,
            config: ConfigTree::default(),
            container: Container::new(),
            invalidations: Invalidations::new(),
            declarations: Declarations::new(),
            effective: Mutex::default(),
        }
    }

    /// Sets the configuration.
    #[must_use]
    pub fn config(mut self, config: ConfigTree) -> Self {
        self.config = config;
        self
    }

    /// The context for one module.
    pub fn context(&mut self) -> ModuleContext<'_> {
        ModuleContext {
            system: &self.system,
            clock: &self.clock,
            config: &self.config,
            container: &mut self.container,
            invalidations: &self.invalidations,
            declarations: &self.declarations,
            printed: &self.effective,
        }
    }
}

impl ModuleContext<'_> {
    /// The actor system to build actors in.
    #[must_use]
    pub fn system(&self) -> &System {
        self.system
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> SharedClock {
        self.clock.clone()
    }

    /// What modules offer each other.
    pub fn container(&mut self) -> &mut Container {
        self.container
    }

    /// Offers a value to the modules that depend on this one.
    pub fn provide<T: ?Sized + Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.container.provide(value);
    }

    /// Takes a value that another module offered.
    ///
    /// # Errors
    /// [`MissingService`] when nobody did.
    pub fn require<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>, MissingService> {
        self.container.require()
    }

    /// Reads the module's section of the configuration.
    ///
    /// # Errors
    /// Every fault of the section.
    pub fn config<T: ConfigSection>(&self) -> Result<T, Vec<InitFault>> {
        let section: T = self.config.section().map_err(|faults| {
            faults.iter().map(|fault| InitFault::new(fault.to_string())).collect::<Vec<_>>()
        })?;
        if let Ok(value) = toml::Value::try_from(&section) {
            self.printed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(T::NAME.to_owned(), value);
        }
        Ok(section)
    }

    /// The hub that tells caches what was revoked.
    #[must_use]
    pub fn invalidations(&self) -> Invalidations {
        self.invalidations.clone()
    }

    /// A handle on what all modules declare; readable once the actors start.
    #[must_use]
    pub fn declarations(&self) -> Declarations {
        self.declarations.clone()
    }
}
