//! The replica: when it may answer instead of the primary.
//!
//! It is asked again and again how far it has replayed the log. A reader says which place it must
//! have reached, and the answer known by then decides without a question on the way: a reader that
//! comes too early goes to the primary. How old its data is at most follows from when the primary was
//! seen at a place that the replica has reached.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel_async::AsyncPgConnection;
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::address::Address;
use super::pool::{Bounds, Seat};
use super::standing::{Standing, ask};
use crate::error::DbResult;

/// Places of the primary that are remembered: at ten looks a second, the last minute and more.
const MARKS_MAX: usize = 1_000;

/// The servers that may serve as the replica, and the one that does.
pub(super) struct Replica {
    hosts: Vec<Address>,
    bounds: Bounds,
    lag_max: Duration,
    began: Instant,
    standby: RwLock<Option<Arc<Standby>>>,
    /// Whether somebody has asked for it since the last look.
    is_wanted: AtomicBool,
    /// The highest place that a commit of this node has told.
    written: AtomicU64,
    /// Behind the tables that this program needs.
    schema: AtomicU64,
    looking: Mutex<Looking>,
}

/// A server that follows the primary.
pub(super) struct Standby {
    pub(super) seat: Arc<Seat>,
    process: String,
    /// The place it has replayed.
    reached: AtomicU64,
    /// It has every commit that ended before, in nanoseconds since the node began; 0 until that is known.
    fresh_nanos: AtomicU64,
}

/// What the looks share.
#[derive(Default)]
struct Looking {
    /// One connection to each server, for these questions alone.
    connections: Vec<Option<AsyncPgConnection>>,
    /// When the primary was at which place; both rise.
    marks: VecDeque<(Instant, u64)>,
    timeline: i64,
}

impl Replica {
    /// The servers that may serve as the replica.
    pub(super) fn hosts(&self) -> &[Address] {
        &self.hosts
    }

    pub(super) fn new(hosts: Vec<Address>, bounds: Bounds, lag_max: Duration) -> Self {
        let connections = hosts.iter().map(|_| None).collect();
        Self {
            hosts,
            bounds,
            lag_max,
            began: Instant::now(),
            standby: RwLock::default(),
            is_wanted: AtomicBool::new(false),
            written: AtomicU64::new(0),
            schema: AtomicU64::new(0),
            looking: Mutex::new(Looking { connections, ..Looking::default() }),
        }
    }

    /// The replica, when it has reached the place and is not further behind than allowed.
    pub(super) fn at(&self, place: u64) -> Option<Arc<Standby>> {
        self.without_primary(place).filter(|standby| self.is_fresh(standby))
    }

    /// The replica as it is, for a reader whom the primary does not answer, when it has reached the
    /// place.
    pub(super) fn without_primary(&self, place: u64) -> Option<Arc<Standby>> {
        let place = place.max(self.schema.load(Ordering::Acquire));
        self.any().filter(|standby| standby.reached.load(Ordering::Acquire) >= place)
    }

    /// Whether there is one that is not further behind than allowed.
    pub(super) fn is_near(&self) -> bool {
        self.standby.read().as_ref().is_some_and(|standby| self.is_fresh(standby))
    }

    fn is_fresh(&self, standby: &Standby) -> bool {
        let nanos = standby.fresh_nanos.load(Ordering::Acquire);
        let age = self.began.elapsed().saturating_sub(Duration::from_nanos(nanos));
        nanos > 0 && age <= self.lag_max
    }

    fn any(&self) -> Option<Arc<Standby>> {
        if !self.is_wanted.load(Ordering::Relaxed) {
            self.is_wanted.store(true, Ordering::Relaxed);
        }
        self.standby.read().clone()
    }

    /// Whether somebody has asked since the last look.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// A commit of this node has ended before this place.
    pub(super) fn note_written(&self, place: u64) {
        self.written.fetch_max(place, Ordering::AcqRel);
    }

    /// The schema is as this program needs it behind this place.
    pub(super) fn note_schema(&self, place: u64) {
        self.schema.fetch_max(place, Ordering::AcqRel);
    }

    /// The place behind every commit of this node.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Lets nobody come to this standby before it was found well again.
    pub(super) fn dismiss(&self, standby: &Arc<Standby>) {
        let mut current = self.standby.write();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, standby)) {
            *current = None;
        }
    }

    /// Asks how far the replica is, the primary being where `primary` said at `asked`.
    pub(super) async fn look(&self, primary: Option<(Instant, Standing)>) {
        self.is_wanted.store(false, Ordering::Relaxed);
        let mut looking = self.looking.lock().await;
        if let Some((asked, standing)) = primary {
            looking.note_primary(asked, &standing);
        }
        let mut found = None;
        for (host, address) in self.hosts.iter().enumerate() {
            let connection = &mut looking.connections[host];
            let Ok(standing) = ask(address, connection).await else { continue };
            if standing.is_standby && standing.timeline == looking.timeline {
                found = Some((address, standing));
                break;
            }
        }
        match found {
            Some((address, standing)) => self.serve(&mut looking, address, standing),
            None => self.leave(),
        }
    }

    fn serve(&self, looking: &mut Looking, address: &Address, standing: Standing) {
        let place = place(standing.place);
        let fresh = looking.fresh(place).map(|at| at.saturating_duration_since(self.began));
        let current = self.standby.read().clone();
        let standby = match current.filter(|current| current.process == standing.process) {
            Some(current) => current,
            None => match self.follow(address, &standing) {
                Ok(standby) => standby,
                Err(error) => return tracing::warn!(%error, "the replica cannot be used"),
            },
        };
        standby.reached.fetch_max(place, Ordering::AcqRel);
        if let Some(fresh) = fresh {
            let nanos = u64::try_from(fresh.as_nanos()).unwrap_or(u64::MAX);
            standby.fresh_nanos.fetch_max(nanos, Ordering::AcqRel);
            let age = self.began.elapsed().saturating_sub(fresh);
            metrics::gauge!("database_replica_age_seconds").set(age.as_secs_f64());
        }
        let behind = looking.marks.back().map_or(0, |(_, last)| last.saturating_sub(place));
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("database_replica_behind_bytes").set(behind as f64);
        metrics::gauge!("database_replica_usable").set(1.0);
    }

    /// Makes a server the replica.
    fn follow(&self, address: &Address, standing: &Standing) -> DbResult<Arc<Standby>> {
        let process = standing.process.clone();
        let expected = process.clone();
        let seat = Seat::new("replica", address.clone(), self.bounds, move |standing| {
            if standing.is_standby && standing.process == expected {
                return Ok(());
            }
            Err("another server answers, or it was started anew".to_owned())
        })?;
        let (reached, fresh_nanos) = (AtomicU64::new(0), AtomicU64::new(0));
        let standby = Arc::new(Standby { seat: Arc::new(seat), process, reached, fresh_nanos });
        *self.standby.write() = Some(Arc::clone(&standby));
        tracing::info!(server = address.name(), "reads may go to the replica");
        Ok(standby)
    }

    fn leave(&self) {
        metrics::gauge!("database_replica_usable").set(0.0);
        if self.standby.write().take().is_some() {
            tracing::warn!(
                "no replica follows the primary; reads go to the primary until one does again"
            );
        }
    }

    pub(super) fn measure(&self) {
        if let Some(standby) = &*self.standby.read() {
            standby.seat.measure();
        }
    }
}

impl Looking {
    fn note_primary(&mut self, asked: Instant, standing: &Standing) {
        if standing.timeline != self.timeline {
            self.timeline = standing.timeline;
            self.marks.clear();
        }
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back((asked, place(standing.place)));
    }

    /// When the primary was at a place not above this one, for the last time; what is older is
    /// forgotten.
    fn fresh(&mut self, place: u64) -> Option<Instant> {
        while self.marks.get(1).is_some_and(|(_, next)| *next <= place) {
            self.marks.pop_front();
        }
        self.marks.front().filter(|(_, first)| *first <= place).map(|(at, _)| *at)
    }
}

fn place(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_as_old_as_the_last_place_of_the_primary_that_was_reached() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let standing = |timeline, place| Standing {
            is_standby: false,
            process: String::new(),
            timeline,
            place,
        };
        let mut looking = Looking::default();
        assert_eq!(looking.fresh(1_000), None);
        for (seconds, place) in [(1, 100), (2, 200), (3, 200), (4, 300)] {
            looking.note_primary(at(seconds), &standing(1, place));
        }
        assert_eq!(looking.fresh(99), None);
        assert_eq!(looking.fresh(150), Some(at(1)));
        assert_eq!(looking.fresh(200), Some(at(3)));
        assert_eq!(looking.fresh(250), Some(at(3)));
        assert_eq!(looking.fresh(900), Some(at(4)));
        looking.note_primary(at(5), &standing(2, 250));
        assert_eq!(looking.fresh(240), None, "places of another timeline were forgotten");
        assert_eq!(looking.fresh(260), Some(at(5)));
    }
}
