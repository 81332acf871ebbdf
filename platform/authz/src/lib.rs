//! Roles, permissions and resource policies, and why a decision was made.
//!
//! A *permission* is a key that a module registers; it has a bit. A *role* is a named set of them,
//! built in (assembled from what the modules register) or a tenant's own. A *binding* gives a role to
//! a subject, in a tenant or on the whole platform, perhaps under a condition and until a time; a
//! membership of an organisation brings a role too. The gate asks whether the bit is set; a service
//! asks for a *decision* about one resource, which policies of the modules take part in.
//!
//! Invariants: nobody gives or takes more than they hold; the platform keeps an administrator; a
//! change has its event and its audit record in the same transaction; when a change is answered, no
//! cache of this node holds the state before it.

mod condition;
mod config;
mod decision;
mod engine;
mod error;
mod events;
mod facts;
mod grants;
mod loading;
mod memory;
mod module;
mod permissions;
mod policies;
mod port;
mod repository;
mod role_book;
mod routes;
mod schema;
mod service;
mod values;

pub use condition::{CONDITION_BYTES_MAX, ConditionFault, KnownPermission, check_condition};
pub use config::AuthzConfig;
pub use error::AuthzError;
pub use module::{AuthzModule, MIGRATIONS};
pub use policies::PolicyFault;
