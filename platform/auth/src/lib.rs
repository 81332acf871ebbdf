//! Passwords, second factors, passkeys, tokens, sessions and API keys.
//!
//! Auth proves who somebody is; who they are is identity's business and what they may do is
//! authorization's. [`AuthModule`] is the module, [`AuthHandle`] what the node and the command line
//! use of it, [`TokenAuthenticator`] the port the gates ask.

pub mod api_key;
pub mod authenticator;
pub mod config;
pub mod error;
pub mod events;
pub mod keys;
pub mod lockout;
pub mod messages;
mod module;
pub mod oidc;
pub mod passkey;
pub mod password;
pub mod permissions;
pub mod reauthenticator;
pub mod recovery_code;
pub mod repository;
mod routes;
pub mod secret;
pub mod service;
pub mod token;
pub mod totp;

pub use authenticator::TokenAuthenticator;
pub use config::AuthConfig;
pub use module::{AuthHandle, AuthModule, MIGRATIONS};
pub use secret::SecretText;
