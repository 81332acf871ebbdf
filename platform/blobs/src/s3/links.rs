//! Links that S3 serves itself, signed with our key (Signature Version 4).
//!
//! A link to write fixes media type, digest and checksum: S3 refuses any other content, so that what
//! its holder stores is what was announced.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};
use object_store::signer::{SignedUrlOptions, Signer};
use troupe_kernel::blob::{BlobLink, LinkUse};

use super::S3Blobs;
use super::names::DIGEST_HEADER;
use crate::checks;
use crate::error::BlobError;
use crate::key::BlobKey;
use crate::links;

const CHECKSUM_HEADER: &str = "x-amz-checksum-sha256";

impl S3Blobs {
    pub(super) async fn sign(
        &self,
        key: &str,
        usage: LinkUse,
        valid: Duration,
    ) -> Result<BlobLink, BlobError> {
        let key = BlobKey::parse(key)?;
        links::check(&usage, valid, self.0.size_max)?;
        let (method, headers, query) = match usage {
            LinkUse::Read { file_name } => {
                let shown = links::disposition(file_name.as_deref());
                (Method::GET, Vec::new(), vec![("response-content-disposition", shown)])
            }
            LinkUse::Write { content_type, digest, .. } => {
                let checksum = STANDARD.encode(checks::bytes(&digest)?);
                let headers = vec![
                    (CONTENT_TYPE, content_type),
                    (HeaderName::from_static(DIGEST_HEADER), digest),
                    (HeaderName::from_static(CHECKSUM_HEADER), checksum),
                ];
                (Method::PUT, headers, Vec::new())
            }
        };
        let mut options = SignedUrlOptions::new().with_query(query);
        for (name, value) in &headers {
            let value = HeaderValue::from_str(value).map_err(|_| BlobError::Link)?;
            options = options.with_signed_header(name.clone(), value);
        }
        let object = self.0.names.object(&key);
        let signed = self.0.store.signed_url_opts(method.clone(), &object, valid, &options);
        let url = signed.await.map_err(|error| BlobError::s3("signing", error))?;
        Ok(BlobLink {
            method: method.to_string(),
            url: url.into(),
            headers: headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
            expires: self.0.clock.now().plus(valid),
        })
    }
}
