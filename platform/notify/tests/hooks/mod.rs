//! Webhooks against a real receiver, each test on both dialects.

mod delivering;
mod desk;
mod endpoints;
mod failing;
mod guarding;
mod receiver;
mod verify;

/// Settings with which the receiver of a test, on this machine, is admitted.
const LOCAL: &str = "webhooks.https_only = false\nwebhooks.allow_networks = [\"127.0.0.0/8\"]";
