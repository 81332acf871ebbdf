//! The blob store port on a local directory and on S3.
//!
//! In the directory a blob is two files: its content, named after its digest, and a side file with its media type,
//! length and digest. The side file is written last and read first, both are written beside their
//! place, synced and renamed: a reader sees the old blob or the new one, never a part, whatever
//! dies in between. Content that no side file names is litter of a crash; [`LocalBlobs::sweep`]
//! removes it.
//!
//! The directory belongs to one node. Several nodes share blobs through S3, where a blob is one
//! object. Both stores refuse the same and answer the same; one suite of tests holds for both.

mod checks;
mod config;
mod directory;
mod error;
mod file_content;
mod intake;
mod key;
mod links;
mod list;
mod local;
pub mod messages;
mod module;
mod partial;
mod routes;
mod s3;
mod service;
mod store;

pub use config::BlobsConfig;
pub use error::BlobError;
pub use key::{BlobKey, KEY_BYTES_MAX};
pub use links::Claim;
pub use local::LocalBlobs;
pub use module::BlobsModule;
pub use s3::S3Blobs;
pub use store::Blobs;
