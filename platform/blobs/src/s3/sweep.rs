//! Removes uploads in parts that were begun and never completed: what a crash left on S3.

use std::time::Duration;

use http::{Method, Request};
use object_store::client::HttpRequestBody;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use serde::Deserialize;
use troupe_kernel::clock::Timestamp;

use super::S3Blobs;
use crate::error::BlobError;

/// Longer than any upload takes.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How long the signature of the question is good.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// S3's answer (`ListMultipartUploads`): at most a thousand, the rest comes next time.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(default, rename = "Upload")]
    uploads: Vec<Begun>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Begun {
    key: String,
    upload_id: String,
    initiated: String,
}

impl S3Blobs {
    /// Removes the parts of uploads that are a day old; answers how many uploads.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn sweep(&self) -> Result<u64, BlobError> {
        self.sweep_older(ABANDONED_AFTER).await
    }

    /// Removes the parts of uploads that were begun longer ago than `age`.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn sweep_older(&self, age: Duration) -> Result<u64, BlobError> {
        let before = self.0.clock.now().minus(age);
        let mut removed = 0;
        for begun in self.begun().await? {
            let object = Path::from(begun.key.as_str());
            let old = begun.initiated.parse().is_ok_and(|initiated: Timestamp| initiated < before);
            if old && self.0.names.key(&object).is_some() {
                let aborted = self.0.store.abort_multipart(&object, &begun.upload_id);
                self.ask("giving up", aborted).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn begun(&self) -> Result<Vec<Begun>, BlobError> {
        let below = self.0.names.below("");
        let options = SignedUrlOptions::new().with_query([("uploads", ""), ("prefix", &below)]);
        let bucket = Path::default();
        let signed = self.0.store.signed_url_opts(Method::GET, &bucket, SIGNED_FOR, &options);
        let url = signed.await.map_err(|error| BlobError::s3("signing", error))?;
        let asked = async {
            let request = Request::get(url.as_str())
                .body(HttpRequestBody::empty())
                .map_err(|error| generic(Box::new(error)))?;
            let response = self.0.http.execute(request).await;
            let response = response.map_err(|error| generic(Box::new(error)))?;
            let status = response.status();
            let body = response.into_body().bytes().await;
            let body = body.map_err(|error| generic(Box::new(error)))?;
            if !status.is_success() {
                return Err(generic(format!("the answer is {status}").into()));
            }
            quick_xml::de::from_reader(body.as_ref()).map_err(|error| generic(Box::new(error)))
        };
        let listed: Option<Listed> = self.ask("listing", asked).await?;
        Ok(listed.map(|listed| listed.uploads).unwrap_or_default())
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_s3_is_read() {
        let text = "<?xml version=\"1.0\"?><ListMultipartUploadsResult xmlns=\"http://s3/\">\
            <Bucket>b</Bucket><IsTruncated>false</IsTruncated>\
            <Upload><Key>p/a!</Key><UploadId>1</UploadId><Initiator><ID>x</ID></Initiator>\
            <Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>\
            <Upload><Key>p/b!</Key><UploadId>2</UploadId>\
            <Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>\
            </ListMultipartUploadsResult>";
        let listed: Listed = quick_xml::de::from_str(text).unwrap();
        assert_eq!(listed.uploads.len(), 2);
        assert_eq!(
            (listed.uploads[1].key.as_str(), listed.uploads[1].upload_id.as_str()),
            ("p/b!", "2")
        );
        assert!(listed.uploads[0].initiated.parse::<Timestamp>().is_ok());
        let none: Listed = quick_xml::de::from_str("<ListMultipartUploadsResult/>").unwrap();
        assert!(none.uploads.is_empty());
    }
}
