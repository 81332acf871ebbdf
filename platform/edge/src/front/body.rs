//! Reads a request body whole, within its limits of length and time and within what all bodies may
//! take together. What is refused is answered at once; the connection throws the rest away.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use parking_lot::Mutex;
use troupe_kernel::{Failure, FailureKind, Problem};

use super::{Answered, Exchange};
use crate::http::forwarded::limit_key;
use crate::table::{Entry, Table};

/// Room for a body that comes in pieces grows from here.
const FIRST_BYTES: usize = 4096;
/// One address may take this part of the budget.
const ADDRESS_PART: u64 = 8;

/// What all bodies at work may take together, in units of a kibibyte. A body takes what has come
/// of it, not what it declares, and the bodies of one address take a part of the whole at most.
pub(crate) struct BodyBudget {
    units_max: u64,
    address_units_max: u64,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    units: u64,
    /// Addresses that hold something, so no more than there are connections.
    addresses: HashMap<IpAddr, u64>,
}

/// What one body has taken; given back when this is dropped.
struct Share<'b> {
    budget: &'b BodyBudget,
    address: IpAddr,
    units: u64,
}

/// A body with its share of the budget.
pub(super) struct Held<'b> {
    pub(super) bytes: Bytes,
    _share: Share<'b>,
}

impl BodyBudget {
    pub(crate) fn new(bytes_max: u64, table: &Table) -> Self {
        let longest = table.iter().map(|(_, entry)| entry.body_bytes_max as u64).max();
        Self::with_longest(bytes_max, longest.unwrap_or(0))
    }

    /// The part of an address is never less than the longest body, which nobody could send then.
    fn with_longest(bytes_max: u64, longest: u64) -> Self {
        let units_max = (bytes_max / 1024).max(1);
        let address_units_max = (units_max / ADDRESS_PART).max(units(longest)).min(units_max);
        Self { units_max, address_units_max, taken: Mutex::default() }
    }

    fn share(&self, caller: IpAddr) -> Share<'_> {
        Share { budget: self, address: limit_key(caller), units: 0 }
    }
}

fn units(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}

impl Share<'_> {
    /// Takes what is missing for so many bytes. A body longer than the budget takes all of it.
    fn cover(&mut self, bytes: usize) -> Result<(), Fault> {
        let wanted = units(bytes as u64).min(self.budget.units_max);
        let more = wanted.saturating_sub(self.units);
        if more == 0 {
            return Ok(());
        }
        let mut taken = self.budget.taken.lock();
        let held = taken.addresses.get(&self.address).copied().unwrap_or(0) + more;
        if taken.units + more > self.budget.units_max {
            return Err(Fault::Full);
        }
        if held > self.budget.address_units_max {
            return Err(Fault::AddressFull);
        }
        taken.units += more;
        taken.addresses.insert(self.address, held);
        self.units = wanted;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.units == 0 {
            return;
        }
        let mut taken = self.budget.taken.lock();
        taken.units = taken.units.saturating_sub(self.units);
        let left = taken.addresses.get(&self.address).copied().unwrap_or(0);
        if left > self.units {
            taken.addresses.insert(self.address, left - self.units);
        } else {
            taken.addresses.remove(&self.address);
        }
    }
}

/// Reads the body, or answers why not.
pub(super) async fn read<'b>(
    body: impl Body<Data = Bytes> + Unpin,
    headers: &HeaderMap,
    entry: &Entry,
    budget: &'b BodyBudget,
    exchange: &Exchange,
) -> Result<Held<'b>, Answered> {
    let share = budget.share(exchange.caller);
    if body.is_end_stream() {
        return Ok(Held { bytes: Bytes::new(), _share: share });
    }
    // Boxed, so that requests without a body do not carry the room for reading one.
    Box::pin(receive(body, headers, entry, share, exchange)).await
}

async fn receive<'b>(
    mut body: impl Body<Data = Bytes> + Unpin,
    headers: &HeaderMap,
    entry: &Entry,
    mut share: Share<'b>,
    exchange: &Exchange,
) -> Result<Held<'b>, Answered> {
    let bytes_max = entry.body_bytes_max;
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large(bytes_max, exchange));
    }
    let expected = declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(bytes_max);
    let reading = collect(&mut body, expected, bytes_max, &mut share);
    match tokio::time::timeout(entry.timeout, reading).await {
        Ok(Ok(bytes)) => Ok(Held { bytes, _share: share }),
        Ok(Err(Fault::TooLarge)) => Err(too_large(bytes_max, exchange)),
        Ok(Err(Fault::Full)) => Err(full(exchange)),
        Ok(Err(Fault::AddressFull)) => Err(address_full(exchange)),
        Ok(Err(Fault::Broken)) => Err(broken(exchange)),
        Err(_) => Err(slow(exchange)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    TooLarge,
    Broken,
    Full,
    AddressFull,
}

async fn collect(
    body: &mut (impl Body<Data = Bytes> + Unpin),
    expected: usize,
    bytes_max: usize,
    share: &mut Share<'_>,
) -> Result<Bytes, Fault> {
    let mut first: Option<Bytes> = None;
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Fault::Broken)?.into_data() else { continue };
        let length = first.as_ref().map_or(whole.len(), Bytes::len) + data.len();
        if length > bytes_max {
            return Err(Fault::TooLarge);
        }
        // Most bodies come in one piece, which is then not copied.
        if whole.is_empty() && first.is_none() {
            share.cover(length)?;
            first = Some(data);
            continue;
        }
        if length > whole.capacity() {
            // Doubled, so that little is copied again, and never beyond what may come.
            let room = length.max(whole.capacity() * 2).max(FIRST_BYTES);
            let room = room.min(expected.max(length));
            share.cover(room)?;
            whole.reserve(room - whole.len());
        }
        if let Some(first) = first.take() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
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

fn address_full(exchange: &Exchange) -> Answered {
    let failure = Failure::new(
        FailureKind::RateLimited,
        "edge.bodies.share",
        "the requests of your address take all the memory it gets for bodies; send fewer at once",
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

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: usize = 1 << 20;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn one_address_takes_an_eighth_and_leaves_the_rest_to_others() {
        let budget = BodyBudget::with_longest(256 << 20, 10 << 20);
        let mut shares: Vec<Share<'_>> = (0..4).map(|_| budget.share(address(1))).collect();
        let taken: Vec<_> = shares.iter_mut().map(|share| share.cover(10 * MEBIBYTE)).collect();
        assert_eq!(taken, [Ok(()), Ok(()), Ok(()), Err(Fault::AddressFull)]);
        assert_eq!(budget.share(address(2)).cover(10 * MEBIBYTE), Ok(()));
        drop(shares);
        let taken = budget.taken.lock();
        assert_eq!((taken.units, taken.addresses.len()), (0, 0), "all is given back");
    }

    #[test]
    fn all_addresses_together_stay_within_the_budget() {
        let budget = BodyBudget::with_longest(8 << 20, 1 << 20);
        let mut shares: Vec<Share<'_>> = (0..9).map(|last| budget.share(address(last))).collect();
        for share in shares.iter_mut().take(8) {
            assert_eq!(share.cover(MEBIBYTE), Ok(()));
        }
        assert_eq!(shares[8].cover(1), Err(Fault::Full));
        shares.remove(0);
        assert_eq!(shares[7].cover(1), Ok(()));
    }

    #[test]
    fn the_longest_body_fits_the_part_of_an_address() {
        let budget = BodyBudget::with_longest(8 << 20, 4 << 20);
        assert_eq!(budget.share(address(1)).cover(4 * MEBIBYTE), Ok(()));
    }
}
