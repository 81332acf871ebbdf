//! Errors for a server that speaks Sentry's protocol.
//!
//! What is logged as an error (crashes of actors, requests and jobs that failed by our fault) is told
//! once by the error bus and sent as an envelope, without bodies, headers, secrets or people. Nobody
//! waits for it: what is too much, or what the server does not want, is thrown away and counted.

mod config;
mod dsn;
mod event;
mod limits;
mod scrub;
mod service;

pub use config::SentryConfig;
pub use service::SentryService;

pub(crate) use service::Reporter;
