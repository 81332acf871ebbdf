//! Files of a tenant: uploads that can be resumed, links, deletion.
//!
//! An upload announces name, type, length and digest, then brings the content in parts to the node or
//! in one request by a link to the store, and is completed when all of it is there and is what was
//! announced. What is never completed is removed by a job.

pub mod config;
pub mod error;
pub mod events;
pub mod messages;
mod module;
pub mod permissions;
pub mod repository;
mod routes;
mod service;

pub use module::FilesModule;
pub use repository::MIGRATIONS;
