//! The auth module as the node runs it: its actors over a real database of either dialect, with
//! stand-ins for identity and authorization.

mod api_keys;
mod app;
mod authenticator;
mod device;
mod harness;
mod identity;
mod keys;
mod login;
mod module;
mod observation;
mod oidc;
mod passkey_rows;
mod passkey_rules;
mod passkeys;
mod passwords;
mod plans;
mod reauthentication;
mod repositories;
mod resets;
mod routes;
mod second_factor;
mod second_factor_rows;
mod sessions;
mod setup;
