//! The taps that callers have open: whose they are, what was not yet read, when they were last read.
//!
//! The book is shared by all incarnations of the service, so that a crash leaves no tap open that
//! nobody knows. A tap has at most [`RECORDS_MAX`] records in its life, which bounds what is kept.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use troupe_actors::{Failure, Moment, System, TapId, TapLimits, TapSelector};
use uuid::Uuid;

use crate::messages::StartTap;
use crate::views::{RecordView, TapRecords, TapView, Times};

/// Records that a tap may ask for.
pub(crate) const RECORDS_MAX: u32 = 1000;
/// Seconds that a tap may last.
pub(crate) const SECONDS_MAX: u32 = 600;
/// A path that selects has a node and at least one name below it: `/node/blog`.
const PATH_PARTS_MIN: usize = 3;

struct Tap {
    view: TapView,
    owner: Option<Uuid>,
    unread: Vec<RecordView>,
    last_read: Moment,
}

/// All taps that are open. Clones share them.
#[derive(Clone)]
pub(crate) struct TapBook {
    system: System,
    lease: Duration,
    taps: Arc<Mutex<Vec<Tap>>>,
}

impl TapBook {
    pub(crate) fn new(system: System, lease: Duration) -> Self {
        Self { system, lease, taps: Arc::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.taps.lock().len()
    }

    /// Opens a tap for `owner`.
    pub(crate) fn start(
        &self,
        request: &StartTap,
        owner: Option<Uuid>,
        times: &Times,
    ) -> Result<TapView, Failure> {
        check(request)?;
        let lifetime = Duration::from_secs(request.seconds.into());
        let selector = TapSelector {
            path: request.path.clone(),
            protocol: request.protocol.clone(),
            kind: request.kind.clone(),
        };
        let limits = TapLimits { records: request.records, lifetime, payload: request.payload };
        let id = self.system.tap(selector, &limits)?;
        let view = TapView {
            id,
            path: request.path.clone(),
            protocol: request.protocol.clone(),
            kind: request.kind.clone(),
            payload: request.payload,
            began: times.now(),
            ends: times.now().plus(lifetime),
            records_max: request.records,
            lease_ms: u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX),
        };
        let tap = Tap { view: view.clone(), owner, unread: Vec::new(), last_read: Moment::now() };
        self.taps.lock().push(tap);
        Ok(view)
    }

    pub(crate) fn list(&self) -> Vec<TapView> {
        self.taps.lock().iter().map(|tap| tap.view.clone()).collect()
    }

    /// The records after `after`; those up to it are forgotten.
    pub(crate) fn read(
        &self,
        id: TapId,
        owner: Option<Uuid>,
        after: u64,
        times: &Times,
    ) -> Result<TapRecords, Failure> {
        let mut taps = self.taps.lock();
        let tap = taps
            .iter_mut()
            .find(|tap| tap.view.id == id && tap.owner == owner)
            .ok_or_else(|| unknown(id))?;
        tap.last_read = Moment::now();
        tap.unread.retain(|record| record.number > after);
        let (fresh, suppressed, open) = self.system.read_tap(id).unwrap_or_default();
        tap.unread.extend(fresh.into_iter().map(|record| RecordView::new(record, times)));
        Ok(TapRecords { records: tap.unread.clone(), suppressed, open })
    }

    /// Closes a tap of `owner`.
    pub(crate) fn stop(&self, id: TapId, owner: Option<Uuid>) -> Result<(), Failure> {
        let mut taps = self.taps.lock();
        let place = taps.iter().position(|tap| tap.view.id == id && tap.owner == owner);
        taps.remove(place.ok_or_else(|| unknown(id))?);
        self.system.close_tap(id);
        Ok(())
    }

    /// Closes the taps that nobody has read for the time of the lease.
    pub(crate) fn sweep(&self) {
        let now = Moment::now();
        self.taps.lock().retain(|tap| {
            let kept = now.since(tap.last_read) < self.lease;
            if !kept {
                self.system.close_tap(tap.view.id);
            }
            kept
        });
    }

    pub(crate) fn close_all(&self) {
        for tap in self.taps.lock().drain(..) {
            self.system.close_tap(tap.view.id);
        }
    }
}

fn check(request: &StartTap) -> Result<(), Failure> {
    let mut faults = Vec::new();
    if !(1..=RECORDS_MAX).contains(&request.records) {
        faults.push(("/records", format!("ask for 1 to {RECORDS_MAX} records")));
    }
    if !(1..=SECONDS_MAX).contains(&request.seconds) {
        faults.push(("/seconds", format!("ask for 1 to {SECONDS_MAX} seconds")));
    }
    if let Some(path) = &request.path
        && (!path.starts_with('/')
            || path.split('/').filter(|part| !part.is_empty()).count() + 1 < PATH_PARTS_MIN)
    {
        faults.push(("/path", "name a part of the node, such as /node/blog".to_owned()));
    }
    if [&request.path, &request.protocol, &request.kind].iter().all(|part| part.is_none()) {
        faults.push(("", "name a path, a protocol or a kind".to_owned()));
    }
    if faults.is_empty() {
        return Ok(());
    }
    let failure = Failure::invalid("console.tap.invalid", "this tap is too wide or too long");
    Err(faults
        .into_iter()
        .fold(failure, |failure, (pointer, detail)| failure.field(pointer, detail)))
}

fn unknown(id: TapId) -> Failure {
    Failure::not_found(
        "console.tap.unknown",
        format!("you have no open tap {id}; it may have ended"),
    )
}
