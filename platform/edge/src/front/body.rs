//! Reads a request body whole, within its limits of length and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use troupe_kernel::{Failure, FailureKind, Problem};

use super::{Answered, Exchange};

/// Of a body that is too long so much is read and thrown away, so that the caller, who still
/// sends, reads the answer before the connection ends.
const DISCARD_BYTES_MAX: usize = 256 * 1024;
const DISCARD_WITHIN: Duration = Duration::from_millis(500);
/// Room for a body whose length is not declared grows from here.
const FIRST_BYTES: usize = 4096;

/// Reads the body, or answers why not.
pub(super) async fn read(
    mut body: Body,
    headers: &HeaderMap,
    bytes_max: usize,
    within: Duration,
    exchange: &Exchange,
) -> Result<Bytes, Answered> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > bytes_max as u64) {
        discard(body).await;
        return Err(too_large(bytes_max, exchange));
    }
    let reading = collect(&mut body, declared, bytes_max);
    match tokio::time::timeout(within, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(Fault::TooLarge)) => {
            discard(body).await;
            Err(too_large(bytes_max, exchange))
        }
        Ok(Err(Fault::Broken)) => Err(broken(exchange)),
        Err(_) => Err(slow(exchange)),
    }
}

enum Fault {
    TooLarge,
    Broken,
}

async fn collect(body: &mut Body, declared: Option<u64>, bytes_max: usize) -> Result<Bytes, Fault> {
    let mut first: Option<Bytes> = None;
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Fault::Broken)?.into_data() else { continue };
        let length = first.as_ref().map_or(whole.len(), Bytes::len);
        if length + data.len() > bytes_max {
            return Err(Fault::TooLarge);
        }
        // Most bodies come in one piece, which is then not copied.
        if whole.is_empty() && first.is_none() {
            first = Some(data);
            continue;
        }
        if let Some(first) = first.take() {
            let expected = declared.and_then(|length| usize::try_from(length).ok());
            whole.reserve(expected.unwrap_or(FIRST_BYTES).min(bytes_max));
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

async fn discard(mut body: Body) {
    let discarding = async {
        let mut left = DISCARD_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            if length > left {
                return;
            }
            left -= length;
        }
    };
    // Whether all of it came does not matter.
    drop(tokio::time::timeout(DISCARD_WITHIN, discarding).await);
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(bytes_max: usize, exchange: &Exchange) -> Answered {
    let failure = Failure::new(
        FailureKind::TooLarge,
        "edge.body.too_large",
        format!("the body is longer than the {bytes_max} bytes that this operation takes"),
    );
    Answered::failed(&failure, exchange).closing()
}

fn broken(exchange: &Exchange) -> Answered {
    let failure = Failure::new(
        FailureKind::Malformed,
        "edge.body.broken",
        "the body ended before it was complete; send it again",
    );
    Answered::failed(&failure, exchange).closing()
}

fn slow(exchange: &Exchange) -> Answered {
    let problem = Problem::new(
        408,
        "edge.body.slow",
        "the body did not arrive in time; send it again over a faster line or in parts",
    );
    Answered::problem(problem, exchange).closing()
}
