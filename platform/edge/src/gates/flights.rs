//! Look-ups that are under way, and the requests that wait for each: one look-up serves them all.
//!
//! Bounded in look-ups and in waiting requests. A look-up whose task dies comes back as a failure;
//! one that never comes back is given up after a while: the ports of its requests fail them.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use foldhash::quality::RandomState;
use troupe_actors::{
    Failure, FailureKind, Message, Moment, Priority, ReplyPort, Scope, Sender, ServiceRef,
};

use super::passage::{Passage, Stage};

/// Look-ups at once.
const FLIGHTS_MAX: usize = 1024;
/// Requests that wait for one look-up.
const WAITING_MAX: usize = 256;
/// A look-up may take this long.
pub(crate) const LOOK_UP_WITHIN: Duration = Duration::from_secs(10);
/// After this it will not come back.
const GIVE_UP_AFTER: Duration = Duration::from_secs(15);

/// A request that waits, with what its envelope carried.
pub(crate) struct Waiting {
    pub(crate) passage: Passage,
    pub(crate) scope: Scope,
    pub(crate) port: ReplyPort,
}

impl Waiting {
    /// Refuses the request.
    pub(crate) fn fail(self, failure: Failure) {
        self.port.fail(failure, self.scope.shared_origin());
    }

    /// Sends the request to the next station.
    pub(crate) fn pass<N: Message + From<Passage>>(self, sender: Sender, next: &Stage<N>) {
        let service = next.of(&self.passage, &self.scope).clone();
        service.send_as(sender, &self.scope, self.passage.into(), self.port);
    }
}

/// A look-up under way.
pub(crate) struct Flight<K> {
    pub(crate) key: K,
    pub(crate) waiting: Vec<Waiting>,
    /// How often it was begun.
    pub(crate) attempts: u8,
    /// The revision of the gate's knowledge when it was begun.
    pub(crate) revision: u64,
    began: Moment,
}

/// Sees to it that a look-up comes back even when its task panics.
pub(crate) struct Landing<M: Message, F: FnOnce() -> R, R: Into<M>> {
    gate: ServiceRef<M>,
    crashed: Option<F>,
}

impl<M: Message, F: FnOnce() -> R, R: Into<M>> Landing<M, F, R> {
    pub(crate) fn new(gate: &ServiceRef<M>, crashed: F) -> Self {
        Self { gate: gate.clone(), crashed: Some(crashed) }
    }

    /// It came back in order, with this.
    pub(crate) fn with(mut self, result: R) -> M {
        self.crashed = None;
        result.into()
    }
}

impl<M: Message, F: FnOnce() -> R, R: Into<M>> Drop for Landing<M, F, R> {
    fn drop(&mut self) {
        let Some(crashed) = self.crashed.take() else { return };
        let scope = Scope::bare(LOOK_UP_WITHIN).with_priority(Priority::High);
        if let Err(failure) = self.gate.tell(&scope, crashed()) {
            // A gate that is stopped has failed the requests that waited.
            tracing::debug!(%failure, "a look-up that died was not reported");
        }
    }
}

/// Why requests fail whose look-up died.
pub(crate) fn died() -> Failure {
    Failure::internal("edge.gate.crashed", "an error on our side; the crash is recorded")
}

/// What became of a request that needs a look-up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// It waits for a look-up that is under way.
    Waits,
    /// Begin a look-up under this ticket.
    Begin(u64),
    /// It was refused: too much is under way.
    Refused,
}

pub(crate) struct Flights<K> {
    tickets: HashMap<K, u64, RandomState>,
    flights: HashMap<u64, Flight<K>, RandomState>,
    next_ticket: u64,
}

impl<K: Clone + Eq + Hash> Flights<K> {
    pub(crate) fn new() -> Self {
        // A report outlives the incarnation that asked for it, in the mailbox: no later one may use
        // its ticket again, or the report would answer for another key.
        let next_ticket = Moment::now().as_nanos();
        Self { tickets: HashMap::default(), flights: HashMap::default(), next_ticket }
    }

    /// Lets a request wait for the look-up of `key`.
    pub(crate) fn join(&mut self, key: K, waiting: Waiting, revision: u64) -> Joined {
        if let Some(flight) = self.tickets.get(&key).and_then(|it| self.flights.get_mut(it)) {
            if flight.waiting.len() < WAITING_MAX {
                flight.waiting.push(waiting);
                return Joined::Waits;
            }
            waiting.fail(busy());
            return Joined::Refused;
        }
        if self.flights.len() >= FLIGHTS_MAX {
            waiting.fail(busy());
            return Joined::Refused;
        }
        Joined::Begin(self.begin(Flight {
            key,
            waiting: vec![waiting],
            attempts: 1,
            revision,
            began: Moment::now(),
        }))
    }

    /// Takes a look-up that has come back; none when it was given up.
    pub(crate) fn land(&mut self, ticket: u64) -> Option<Flight<K>> {
        let flight = self.flights.remove(&ticket)?;
        self.tickets.remove(&flight.key);
        Some(flight)
    }

    /// Begins a look-up again whose result was outdated when it came; answers its new ticket.
    pub(crate) fn again(&mut self, mut flight: Flight<K>, revision: u64) -> u64 {
        flight.attempts = flight.attempts.saturating_add(1);
        flight.revision = revision;
        flight.began = Moment::now();
        self.begin(flight)
    }

    /// Gives up look-ups that will not come back.
    pub(crate) fn sweep(&mut self, now: Moment) {
        let dead: Vec<u64> = self
            .flights
            .iter()
            .filter(|(_, flight)| now.since(flight.began) > GIVE_UP_AFTER)
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in dead {
            // Dropping the ports fails the requests.
            drop(self.land(ticket));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    fn begin(&mut self, flight: Flight<K>) -> u64 {
        self.next_ticket += 1;
        self.tickets.insert(flight.key.clone(), self.next_ticket);
        self.flights.insert(self.next_ticket, flight);
        self.next_ticket
    }
}

fn busy() -> Failure {
    Failure::new(
        FailureKind::Overloaded,
        "edge.gate.busy",
        "too many requests wait to be checked; try again shortly",
    )
    .retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(key: &'static str) -> Flight<&'static str> {
        Flight { key, waiting: Vec::new(), attempts: 1, revision: 0, began: Moment::now() }
    }

    #[test]
    fn a_report_for_an_earlier_incarnation_lands_nothing() {
        let mut before = Flights::new();
        let left_in_the_mailbox = before.begin(flight("ann"));
        drop(before);
        // No restart takes less.
        std::thread::sleep(Duration::from_millis(1));
        let mut after = Flights::new();
        let own = after.begin(flight("bob"));
        assert!(after.land(left_in_the_mailbox).is_none(), "ann's result is not bob's");
        assert_eq!(after.land(own).map(|flight| flight.key), Some("bob"));
    }
}
