//! Links of the local directory. They are public: whoever holds one may do what it says.

use std::ops::Range;

use troupe_actors::ServiceRef;
use troupe_kernel::error::{Failure, FailureKind};
use troupe_kernel::{BoxFuture, HttpRequest, HttpResponse, Route, StatusCode, header};

use crate::links::{BYTES_MAX, disposition};
use crate::messages::{BlobMessage, Linked, ReadByLink, WriteByLink};
use crate::store::Blobs;

const TAG: &str = "blobs";
const PATH: &str = "/v1/blobs/links/{token}";

/// The routes; a body has at most as many bytes as a blob of the store.
pub(crate) fn routes(blobs: &ServiceRef<BlobMessage>, store: &Blobs) -> Vec<Route> {
    let bytes_max = usize::try_from(store.size_max().min(BYTES_MAX)).unwrap_or(usize::MAX);
    let store = store.clone();
    vec![
        Route::get(PATH)
            .public()
            .summary("Read the blob of a link")
            .description(
                "For nodes that keep blobs in a directory. `Range: bytes=FROM-TO` answers a part; more \
                 than 64 MiB are read in parts.",
            )
            .tag(TAG)
            .returns_media(200, "application/octet-stream")
            .returns_media(206, "application/octet-stream")
            .ask(
                blobs,
                |request| {
                    let range = request.header(header::RANGE.as_str()).map(range).transpose()?;
                    Ok(ReadByLink { token: request.parameter("token")?, range })
                },
                |linked| Ok(response(linked)),
            ),
        Route::put(PATH)
            .public()
            .summary("Store the content that a link announces")
            .description("For nodes that keep blobs in a directory.")
            .tag(TAG)
            .body_media("*/*")
            .body_limit(bytes_max)
            .before_body(move |request| admit(store.clone(), request))
            .returns_nothing(204)
            .ask(blobs, write, |_| Ok(HttpResponse::no_content())),
    ]
}

/// Lets nobody send a body whose link is not good for it.
fn admit(store: Blobs, request: &HttpRequest) -> BoxFuture<'static, Result<(), Failure>> {
    let token: Result<String, Failure> = request.parameter("token");
    let content_type = request.header(header::CONTENT_TYPE.as_str()).map(str::to_owned);
    let declared = request.header(header::CONTENT_LENGTH.as_str());
    let size_bytes: Option<u64> = declared.and_then(|length| length.parse().ok());
    Box::pin(async move {
        let claim = store.redeem(&token?).await?;
        Ok(claim.admits(content_type.as_deref(), size_bytes)?)
    })
}

fn write(request: &HttpRequest) -> Result<WriteByLink, Failure> {
    Ok(WriteByLink {
        token: request.parameter("token")?,
        content_type: request.header(header::CONTENT_TYPE.as_str()).map(str::to_owned),
        content: request.body.clone(),
    })
}

/// One range from its first byte (RFC 9110, 14.1.2).
fn range(field: &str) -> Result<Range<u64>, Failure> {
    let parsed = || {
        let (from, to) = field.strip_prefix("bytes=")?.split_once('-')?;
        let end = if to.is_empty() { u64::MAX } else { to.parse::<u64>().ok()?.checked_add(1)? };
        Some(from.parse().ok()?..end)
    };
    parsed().ok_or_else(|| {
        Failure::new(
            FailureKind::Malformed,
            "blobs.range.malformed",
            "write Range: bytes=FROM-TO or bytes=FROM-",
        )
    })
}

/// What a browser saves or shows but never runs, whatever is in it.
fn response(linked: Linked) -> HttpResponse {
    let Linked { info, range, content, file_name } = linked;
    let part = range.start != 0 || range.end != info.size_bytes;
    let mut response = HttpResponse::bytes(&info.content_type, content)
        .etag(&info.digest)
        .cache("private, no-cache")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")
        .header(header::CONTENT_DISPOSITION, disposition(file_name.as_deref()));
    if part {
        let last = range.end.saturating_sub(1);
        let bytes = format!("bytes {}-{last}/{}", range.start, info.size_bytes);
        response = response.header(header::CONTENT_RANGE, bytes);
        response.status = StatusCode::PARTIAL_CONTENT;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_begins_at_a_byte() {
        assert_eq!(range("bytes=0-0"), Ok(0..1));
        assert_eq!(range("bytes=5-"), Ok(5..u64::MAX));
        for field in ["", "bytes=", "bytes=-5", "bytes=1-2,4-5", "items=0-1", "bytes=a-b"] {
            assert_eq!(range(field).unwrap_err().code(), "blobs.range.malformed", "{field}");
        }
    }
}
