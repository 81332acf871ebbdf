//! The actor that delivers the messages of some keys, one after the other.
//!
//! Mailbox [`LANE_CAPACITY`], permanent. A delivery may take long; what waits behind it has a key of the
//! same lane. After a crash the member hears that the message was not delivered, and its group begins
//! again at the offsets that were stored.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use troupe_actors::{ChildSpec, Context, Handled, Lent, Service, ServiceRef, Spec, System};
use troupe_kernel::{Event, Failure};

use super::group::Group;
use super::letter::Letter;

/// Messages that may wait in a lane.
pub(super) const LANE_CAPACITY: usize = 10_000;

/// Delivers messages in their order; answers when each is applied or set aside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deliver {
    /// Which sitting of the member sends them.
    pub(super) sitting: u64,
    pub(super) mail: Vec<Mail>,
}

/// An event, and the message that it came in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Mail {
    pub(super) event: Event,
    pub(super) letter: Letter,
}

troupe_actors::protocol! {
    /// What a lane understands.
    pub(crate) enum LaneMessage("events.lane", 2) redact [] {
        /// Delivers messages in their order; answers when each is applied or set aside.
        Deliver => (),
    }
}

/// The actor.
pub(super) struct Lane {
    group: Arc<Group>,
}

impl Lane {
    pub(super) fn spec(
        system: &System,
        name: &str,
        group: &Arc<Group>,
    ) -> (ServiceRef<LaneMessage>, ChildSpec) {
        let group = group.clone();
        Spec::new(system, name, move || Self { group: group.clone() })
            .capacity(LANE_CAPACITY)
            .build()
    }
}

impl Service for Lane {
    type Message = LaneMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<LaneMessage>,
        ctx: &mut Context<LaneMessage>,
    ) -> Handled {
        let LaneMessage::Deliver(deliver) = &**message;
        for Mail { event, letter } in &deliver.mail {
            if !self.group.sittings.is_current(deliver.sitting) {
                // Its member has begun anew and takes the message again.
                return ctx.fail(Failure::unavailable(
                    "events.lane.past",
                    "the message is of a past sitting and comes again",
                ));
            }
            if let Err(failure) = self.group.deliver(event, letter).await {
                self.group.sittings.end(deliver.sitting);
                return ctx.fail(failure);
            }
        }
        ctx.reply(deliver, ())
    }
}
