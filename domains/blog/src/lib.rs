//! Posts, comments, media and feeds.
//!
//! A service crate with the usual rooms. What a post is made of lies in [`content`] as pure
//! functions; [`directory`] reads and writes a folder of documents for the command line.
//! [`BlogModule`] wires everything else.

pub mod config;
pub mod content;
pub mod directory;
pub mod error;
pub mod events;
pub mod messages;
pub mod module;
pub mod permissions;
pub mod repository;
pub mod routes;
mod schema;
pub mod service;

pub use module::BlogModule;
