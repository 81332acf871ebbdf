//! Users, organisations, memberships and invitations.
//!
//! Organisations are the tenants. This crate owns the tables `identity_*`, the routes below
//! `/v1/users`, `/v1/organisations`, `/v1/invitations` and `/v1/email-verification`, and the events
//! `identity.*`. Every change writes its event, its audit record and its mails in one transaction.
//! Passwords and sessions are auth's; what a role may do is authorization's, which is asked whether a
//! role may be given and told what a commit changed.

mod address;
mod config;
mod error;
mod events;
mod mails;
pub mod messages;
mod module;
mod naming;
pub mod permissions;
pub mod repository;
mod routes;
mod service;
mod token;

pub use config::IdentityConfig;
pub use module::IdentityModule;
pub use repository::MIGRATIONS;
