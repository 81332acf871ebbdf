//! Reads a request body whole, within its limits of length and time and within what all bodies may
//! take together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use troupe_kernel::{Failure, FailureKind, Problem};

use super::{Answered, Exchange};
use crate::table::Entry;

/// Of a body that is too long so much is read and thrown away, so that the caller, who still
/// sends, reads the answer before the connection ends.
const DISCARD_BYTES_MAX: usize = 256 * 1024;
const DISCARD_WITHIN: Duration = Duration::from_millis(500);
/// Room for a body whose length is not declared grows from here.
const FIRST_BYTES: usize = 4096;

/// What all bodies at work may take together, in units of a kibibyte.
pub(crate) struct BodyBudget {
    units: Arc<Semaphore>,
    units_max: u32,
}

/// A body with its share of the budget, which is given back when this is dropped.
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl BodyBudget {
    pub(crate) fn new(bytes_max: u64) -> Self {
        let units_max = u32::try_from(bytes_max / 1024).unwrap_or(u32::MAX).max(1);
        Self { units: Arc::new(Semaphore::new(units_max as usize)), units_max }
    }

    /// Takes the share of a body that may become this long.
    fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(self.units_max);
        self.units.clone().try_acquire_many_owned(units).ok()
    }
}

/// Reads the body, or answers why not.
pub(super) async fn read(
    mut body: Body,
    headers: &HeaderMap,
    entry: &Entry,
    budget: &BodyBudget,
    exchange: &Exchange,
) -> Result<Held, Answered> {
    if body.is_end_stream() {
        return Ok(Held { bytes: Bytes::new(), _share: None });
    }
    let bytes_max = entry.body_bytes_max;
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > bytes_max as u64) {
        discard(body).await;
        return Err(too_large(bytes_max, exchange));
    }
    let Some(share) = budget.take(declared.unwrap_or(bytes_max as u64)) else {
        return Err(full(exchange));
    };
    let reading = collect(&mut body, declared, bytes_max);
    match tokio::time::timeout(entry.timeout, reading).await {
        Ok(Ok(bytes)) => Ok(Held { bytes, _share: Some(share) }),
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

fn full(exchange: &Exchange) -> Answered {
    let failure = Failure::new(
        FailureKind::Overloaded,
        "edge.bodies.full",
        "the requests at work take all the memory there is for bodies; try again shortly",
    );
    Answered::failed(&failure.retry_after(Duration::from_secs(1)), exchange).closing()
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
