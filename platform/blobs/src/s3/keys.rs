//! The keys that requests to S3 and links are signed with, which a reload replaces.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use parking_lot::RwLock;
use troupe_kernel::ports::BoxFuture;
use troupe_kernel::{Change, ConfigFault};

use super::S3Blobs;
use crate::config::BlobsConfig;
use crate::error;

/// The keys for the next request.
#[derive(Clone)]
pub(super) struct SharedKeys(Arc<RwLock<Arc<AwsCredential>>>);

impl SharedKeys {
    pub(super) fn new(config: &BlobsConfig) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(credential(config)))))
    }
}

impl CredentialProvider for SharedKeys {
    type Credential = AwsCredential;

    fn get_credential<'keys, 'answer>(
        &'keys self,
    ) -> BoxFuture<'answer, object_store::Result<Arc<AwsCredential>>>
    where
        'keys: 'answer,
        Self: 'answer,
    {
        Box::pin(std::future::ready(Ok(self.0.read().clone())))
    }
}

impl fmt::Debug for SharedKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SharedKeys([redacted])")
    }
}

fn credential(config: &BlobsConfig) -> AwsCredential {
    AwsCredential {
        key_id: config.access_key.expose().to_owned(),
        secret_key: config.secret_key.expose().to_owned(),
        token: None,
    }
}

impl S3Blobs {
    /// What another configuration would change: the keys. Keys that S3 refuses are a fault.
    pub(crate) async fn change_to(&self, new: BlobsConfig) -> Result<Change, Vec<ConfigFault>> {
        let BlobsConfig { access_key, secret_key, .. } = new;
        // Everything else stays as it was at the start.
        let config = BlobsConfig { access_key, secret_key, ..self.0.config.clone() };
        let found = credential(&config);
        let current = self.0.keys.0.read().clone();
        let is_other = [
            ("access_key", found.key_id != current.key_id),
            ("secret_key", found.secret_key != current.secret_key),
        ];
        let changed: Vec<&str> =
            is_other.into_iter().filter(|(_, other)| *other).map(|(key, _)| key).collect();
        let Some((first, others)) = changed.split_first() else { return Ok(Change::none()) };
        let fault = |detail: String| vec![ConfigFault::new(*first, detail)];
        let tried = Self::unopened(&config, Path::new(""), self.0.clock.clone())
            .map_err(|error| fault(error::chain(&error)))?;
        if let Err(error) = tried.reach().await
            && !error.is_away()
        {
            let why = error::chain(&error);
            return Err(fault(format!("S3 refuses the new keys ({why}); make them there first")));
        }
        let keys = self.0.keys.clone();
        let make = move || *keys.0.write() = Arc::new(found);
        let change = Change::none().of(first, make);
        Ok(others.iter().fold(change, |change, key| change.of(key, || {})))
    }
}
