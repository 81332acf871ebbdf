//! The blob store port on a local directory.
//!
//! A blob is two files: its content, named after its digest, and a side file with its media type,
//! length and digest. The side file is written last and read first, both are written beside their
//! place, synced and renamed: a reader sees the old blob or the new one, never a part, whatever
//! dies in between. Content that no side file names is litter of a crash; [`LocalBlobs::sweep`]
//! removes it.
//!
//! The directory belongs to one node. Several nodes share blobs through S3, not through this.

mod config;
mod directory;
mod error;
mod key;
mod list;
mod local;

pub use config::BlobsConfig;
pub use error::BlobError;
pub use key::{BlobKey, KEY_BYTES_MAX};
pub use local::LocalBlobs;
