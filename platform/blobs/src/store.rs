//! The store that the configuration names.

use std::path::Path;
use std::sync::Arc;

use troupe_kernel::clock::SharedClock;
use troupe_kernel::health::HealthCheck;
use troupe_kernel::ports::BlobStore;
use troupe_kernel::reload::{Change, Reload};

use crate::config::BlobsConfig;
use crate::error::{self, BlobError};
use crate::links::Claim;
use crate::local::LocalBlobs;
use crate::s3::S3Blobs;

/// Blobs in a local directory or on S3. Clones share it.
#[derive(Clone)]
pub enum Blobs {
    /// `blobs.url` is empty.
    Local(LocalBlobs),
    /// `blobs.url` names a bucket.
    S3(S3Blobs),
}

impl Blobs {
    /// The store of the configuration without a look at it.
    ///
    /// # Errors
    /// When the address of S3 is none.
    pub fn unopened(
        config: &BlobsConfig,
        data: &Path,
        clock: SharedClock,
    ) -> Result<Self, BlobError> {
        if config.url.is_empty() {
            return Ok(Self::Local(LocalBlobs::unopened(config, data, clock)));
        }
        Ok(Self::S3(S3Blobs::unopened(config, data, clock)?))
    }

    /// Looks whether it works before the node starts. S3 that does not answer is no reason not to:
    /// blobs are refused until it does. S3 that refuses our keys or has no such bucket is.
    ///
    /// # Errors
    /// What is wrong, for whoever starts the node.
    pub async fn reach(&self) -> Result<(), String> {
        let outcome = match self {
            Self::Local(local) => local.reach(),
            Self::S3(s3) => match s3.reach().await {
                Err(error) if error.is_away() => {
                    tracing::warn!(place = s3.place(), "starting without blobs");
                    Ok(())
                }
                outcome => outcome,
            },
        };
        outcome.map_err(|error| {
            format!("{}; see the section blobs of the configuration", error::chain(&error))
        })
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> Arc<dyn BlobStore> {
        match self {
            Self::Local(local) => Arc::new(local.clone()),
            Self::S3(s3) => Arc::new(s3.clone()),
        }
    }

    /// The largest blob that it takes.
    pub(crate) fn size_max(&self) -> u64 {
        match self {
            Self::Local(local) => local.size_max(),
            Self::S3(s3) => s3.size_max(),
        }
    }

    /// Asks whether it works. The node is ready without it.
    #[must_use]
    pub fn health_check(&self) -> HealthCheck {
        match self {
            Self::Local(local) => local.health_check(),
            Self::S3(s3) => s3.health_check(),
        }
    }

    /// Takes other keys of S3 while the node runs.
    #[must_use]
    pub fn reload(&self) -> Reload {
        let blobs = self.clone();
        Reload::new(&["access_key", "secret_key"], move |config: BlobsConfig| {
            let blobs = blobs.clone();
            Box::pin(async move {
                match blobs {
                    Self::Local(_) => Ok(Change::none()),
                    Self::S3(s3) => s3.change_to(config).await,
                }
            })
        })
    }

    /// What a link of this node allows.
    ///
    /// # Errors
    /// When it was changed, has expired, or is one of S3's, which S3 serves.
    pub async fn redeem(&self, token: &str) -> Result<Claim, BlobError> {
        match self {
            Self::Local(local) => local.redeem(token).await,
            Self::S3(_) => Err(BlobError::Link),
        }
    }

    /// Removes what a crash left behind; answers how much.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn sweep(&self) -> Result<u64, BlobError> {
        match self {
            Self::Local(local) => local.sweep().await,
            Self::S3(s3) => s3.sweep().await,
        }
    }
}
