//! Delivering events to a service: in order per subject, again after a failure, to the dead letters in
//! the end.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;
use troupe_actors::Scope;
use troupe_kernel::{Event, Failure, FailureKind};

use crate::consumer::Worker;
use crate::dead_letters::{self, DeadLetter};
use crate::turn::Reader;

/// What a failed delivery means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The service is away: waiting helps, and the event is not to blame.
    Outage,
    /// The same event will fail again.
    Hopeless,
    /// Another attempt may help.
    Again,
}

fn verdict(failure: &Failure) -> Verdict {
    match failure.kind() {
        FailureKind::Unavailable
        | FailureKind::Overloaded
        | FailureKind::Stopped
        | FailureKind::RateLimited => Verdict::Outage,
        FailureKind::Invalid
        | FailureKind::Malformed
        | FailureKind::TooLarge
        | FailureKind::UnsupportedMedia => Verdict::Hopeless,
        _ => Verdict::Again,
    }
}

/// A delivery that failed too often.
#[derive(Debug)]
pub(crate) struct GivenUp {
    /// Deliveries that failed, those before included.
    pub(crate) attempts: u32,
    /// Whether the same event will always fail.
    #[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "a group asks"))]
    pub(crate) is_hopeless: bool,
    /// The last failure.
    pub(crate) failure: Failure,
}

impl Reader {
    /// Delivers a batch: subjects at the same time, the events of one subject one after the other.
    ///
    /// An event that is given up is kept as a dead letter, and the later events of its subject follow.
    /// An error means that a dead letter could not be written; the batch will be read again.
    pub(crate) async fn deliver_all(&self, events: Vec<Event>) -> Result<(), Failure> {
        let mut subjects: Vec<Vec<Event>> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for event in events {
            let place = *places.entry(event.subject.clone()).or_insert_with(|| {
                subjects.push(Vec::new());
                subjects.len() - 1
            });
            subjects[place].push(event);
        }
        stream::iter(subjects)
            .map(|events| async move {
                for event in events {
                    self.deliver(event).await?;
                }
                Ok(())
            })
            .buffer_unordered(self.config.concurrency)
            .try_collect::<()>()
            .await
    }

    async fn deliver(&self, event: Event) -> Result<(), Failure> {
        let Err(given_up) = self.deliver_in_place(&event, 0).await else { return Ok(()) };
        let GivenUp { attempts, failure, .. } = given_up;
        dead_letters::give_up(&self.db, self.name(), event, attempts, &failure).await
    }

    /// Delivers an event, again while it may help; `attempts` have failed before.
    pub(crate) async fn deliver_in_place(
        &self,
        event: &Event,
        attempts: u32,
    ) -> Result<(), GivenUp> {
        let backoff = self.config.backoff();
        let who = event.id.as_u64_pair().1;
        let began = Instant::now();
        let (mut failed, mut waits) = (0, 0);
        loop {
            let Err(failure) = self.attempt(event).await else {
                self.delivered.increment(1);
                return Ok(());
            };
            let verdict = verdict(&failure);
            if verdict != Verdict::Outage {
                failed += 1;
            }
            let over = match verdict {
                Verdict::Outage => began.elapsed() >= self.config.outage_max,
                Verdict::Hopeless => true,
                Verdict::Again => failed >= self.config.attempts_max,
            };
            if over {
                let attempts = attempts.saturating_add(failed.max(1));
                return Err(GivenUp {
                    attempts,
                    is_hopeless: verdict == Verdict::Hopeless,
                    failure,
                });
            }
            metrics::counter!("events_retried_total", "consumer" => self.name().to_owned())
                .increment(1);
            tracing::debug!(consumer = self.name(), event = %event.id, %failure, failed, "a delivery failed; it is tried again");
            tokio::time::sleep(backoff.wait(waits, who)).await;
            waits += 1;
        }
    }

    /// One delivery. A panic in the translation counts as a crash of the service.
    pub(crate) async fn attempt(&self, event: &Event) -> Result<(), Failure> {
        self.subscription.reads(event)?;
        let scope = self.scope_of(event);
        let limit = self.config.delivery_timeout + Duration::from_secs(1);
        let run =
            AssertUnwindSafe(async { self.subscription.run(event, &scope).await }).catch_unwind();
        match tokio::time::timeout(limit, run).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::new(
                FailureKind::Crashed,
                "events.delivery.crashed",
                "the subscription panicked on this event; the crash is in the log",
            )),
            Err(_) => Err(Failure::new(
                FailureKind::Expired,
                "events.delivery.expired",
                "the service did not answer in time",
            )),
        }
    }

    /// Delivers a dead letter once more; it is gone when that succeeds, and stays with the new cause
    /// when it does not.
    pub(crate) async fn replay(&self, letter: DeadLetter) -> Result<(), Failure> {
        let result = self.attempt(&letter.event).await;
        dead_letters::settle(&self.db, letter, result).await
    }

    /// The circumstances of a delivery: the platform acts, in the event's tenant and trace.
    fn scope_of(&self, event: &Event) -> Scope {
        let mut scope = Scope::system(&self.label, self.config.delivery_timeout);
        if let Some(tenant) = event.tenant {
            scope = scope.for_tenant(tenant.into());
        }
        if let Some(trace) = &event.trace {
            scope.origin_mut().follow(trace);
        }
        scope
    }
}

/// Counts from zero: the increase of a counter that begins with its first event is not seen.
pub(crate) fn announce(consumer: &str) {
    for name in ["events_delivered_total", "events_retried_total", "events_dead_total"] {
        metrics::counter!(name, "consumer" => consumer.to_owned()).increment(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_the_events_fault_is_waited_for() {
        for (kind, expected) in [
            (FailureKind::Unavailable, Verdict::Outage),
            (FailureKind::Stopped, Verdict::Outage),
            (FailureKind::Invalid, Verdict::Hopeless),
            (FailureKind::Crashed, Verdict::Again),
            (FailureKind::Expired, Verdict::Again),
            (FailureKind::Conflict, Verdict::Again),
        ] {
            assert_eq!(verdict(&Failure::new(kind, "a.b.c", "d")), expected, "{kind:?}");
        }
    }
}
