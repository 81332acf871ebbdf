//! One load on behalf of many.
//!
//! The first that misses leads; the others wait for its landing. A leader that is dropped (its
//! request was given up) lands nothing, and one of those who wait leads in turn with a load of its
//! own.

use bytes::Bytes;
use tokio::sync::watch;
use troupe_kernel::error::{Failure, FailureKind};

/// How a load ended.
pub(crate) type Landing = Result<Bytes, Failure>;

/// A load that is under way, as the shard keeps it.
pub(crate) struct Flight {
    /// Tells this flight from a later one of the same key.
    pub(crate) number: u64,
    /// The tags of the value that it will bring.
    pub(crate) tags: Vec<String>,
    landing: watch::Receiver<Option<Landing>>,
}

/// The end of a flight that its leader holds; dropped without landing it wakes those who wait.
pub(crate) struct Leader {
    pub(crate) number: u64,
    landing: watch::Sender<Option<Landing>>,
}

/// The end that those hold who wait.
pub(crate) struct Follower {
    landing: watch::Receiver<Option<Landing>>,
}

/// A new flight with its two ends.
pub(crate) fn start(number: u64, tags: &[String]) -> (Flight, Leader) {
    let (sender, receiver) = watch::channel(None);
    let flight = Flight { number, tags: tags.to_vec(), landing: receiver };
    (flight, Leader { number, landing: sender })
}

impl Flight {
    pub(crate) fn follow(&self) -> Follower {
        Follower { landing: self.landing.clone() }
    }
}

impl Leader {
    /// Tells those who wait how it ended. A leader whose own time ran out says nothing about the
    /// value: the others try themselves.
    pub(crate) fn land(self, landing: &Landing) {
        let own_fault = matches!(landing, Err(failure) if failure.kind() == FailureKind::Expired);
        if !own_fault {
            self.landing.send_replace(Some(landing.clone()));
        }
    }
}

impl Follower {
    /// How the flight ended; none when its leader gave up.
    pub(crate) async fn landed(mut self) -> Option<Landing> {
        let landed = self.landing.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}
