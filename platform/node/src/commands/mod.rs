//! One file a command.

pub mod actors;
pub mod admin;
pub mod audit;
pub mod bench;
pub mod blog;
pub mod configuration;
pub mod events;
pub mod migrate;
pub mod reload;
pub mod serve;
