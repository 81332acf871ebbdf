//! OpenID Connect: what a sign-in with an external provider is made of, without accounts and sessions.

pub mod binding;
pub mod http;
pub mod provider;
pub mod reload;
