//! What auth stores: one file a table, each function on any [`DbConn`](troupe_database::DbConn).
//!
//! No function begins a transaction: the services do. No row holds a secret in the clear.

pub mod api_keys;
pub mod ceremonies;
pub mod challenges;
pub mod credentials;
pub mod failures;
pub mod flows;
pub mod identities;
pub mod one_time;
pub mod passkeys;
pub mod recovery_codes;
pub mod refresh_tokens;
pub(crate) mod schema;
pub mod sessions;
pub mod signing_keys;
pub mod totp;
