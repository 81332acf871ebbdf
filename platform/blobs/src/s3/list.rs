//! Pages of blobs. S3 lists names only; what is known of each blob is asked for, a few at once.

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use troupe_kernel::error::Failure;
use troupe_kernel::pagination::{Page, PageRequest};
use troupe_kernel::ports::BlobInfo;

use super::S3Blobs;
use crate::error::BlobError;
use crate::key::BlobKey;

/// Blobs of one page that are asked for at once.
const ASKED_AT_ONCE: usize = 16;

impl S3Blobs {
    pub(super) async fn page(
        &self,
        prefix: &str,
        page: PageRequest,
    ) -> Result<Page<BlobInfo>, Failure> {
        let mut after: Option<String> = page.position()?;
        let wanted = page.limit as usize + 1;
        let mut infos = Vec::new();
        if BlobKey::may_begin_with(prefix) {
            while infos.len() < wanted {
                let (keys, more) =
                    self.keys(prefix, after.as_deref(), wanted - infos.len()).await?;
                infos.extend(self.infos(&keys).await?);
                match keys.into_iter().next_back() {
                    Some(last) if more => after = Some(last.to_string()),
                    _ => break,
                }
            }
        }
        Ok(Page::from_rows(infos, &page, |info| info.key.clone()))
    }

    /// The next keys in their order, and whether there may be more.
    async fn keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<BlobKey>, bool), BlobError> {
        let below = self.0.names.below(prefix);
        let mut keys = Vec::new();
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions {
                offset: after.map(|after| self.0.names.text(after)),
                max_keys: Some(limit - keys.len()),
                page_token,
                ..PaginatedListOptions::default()
            };
            let asked = self.0.store.list_paginated(Some(&below), options);
            let Some(listed) = self.ask("listing", asked).await? else {
                return Err(BlobError::Bucket);
            };
            let objects = listed.result.objects;
            keys.extend(objects.iter().filter_map(|object| self.0.names.key(&object.location)));
            page_token = listed.page_token;
            if page_token.is_none() || keys.len() >= limit {
                return Ok((keys, page_token.is_some()));
            }
        }
    }

    /// What is known of these blobs. One that was removed meanwhile is left out.
    async fn infos(&self, keys: &[BlobKey]) -> Result<Vec<BlobInfo>, BlobError> {
        let asked = stream::iter(keys.to_vec())
            .map(|key| async move { self.read_info(&key).await })
            .buffered(ASKED_AT_ONCE);
        let found: Vec<Option<BlobInfo>> = asked.try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}
