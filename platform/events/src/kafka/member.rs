//! The actor that takes the part of this node in a group.
//!
//! Mailbox 16, permanent. It has one sitting at a time, beside its mailbox: a consumer that joins the
//! group, and everything that is in hand. A sitting ends with the first message that could be neither
//! applied nor set aside; the next begins at the stored offsets, and what was applied and not stored is
//! dropped by the inbox of the service. A crash loses as much.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use troupe_actors::{Backoff, ChildSpec, Context, Handled, Lent, Service, Shards, Spec, System};

use super::group::Group;
use super::lane::LaneMessage;
use super::sitting::{self, Seat};
use crate::consumer::Worker;

/// How long leaving the group may take when the node stops: less than an actor has for its end. What
/// takes longer goes on beside it.
const LEAVE_WITHIN: Duration = Duration::from_millis(400);
/// After a sitting of this length the next failure is the first again.
const SETTLED: Duration = Duration::from_secs(60);

/// Begins a sitting.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sit;

/// It is time to look for replays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Poll;

/// The replays that were asked for are done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Replayed;

/// A sitting has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ended {
    lasted: Duration,
}

troupe_actors::protocol! {
    /// What a member understands.
    pub(crate) enum MemberMessage("events.member", 1) redact [] {
        /// Begins a sitting.
        Sit,
        /// A sitting has ended.
        Ended,
        /// It is time to look for replays.
        Poll,
        /// The replays that were asked for are done.
        Replayed,
    }
}

/// The actor.
pub(super) struct Member {
    group: Arc<Group>,
    lanes: Shards<LaneMessage>,
    seat: Arc<Mutex<Option<Seat>>>,
    /// Ends the sitting: its task lives until the actor is gone, and holds the consumer.
    stopping: Arc<Notify>,
    failures: u32,
    is_replaying: bool,
}

impl Member {
    pub(super) fn spec(
        system: &System,
        group: &Arc<Group>,
        lanes: Shards<LaneMessage>,
    ) -> ChildSpec {
        let group = group.clone();
        let member = move || Self {
            group: group.clone(),
            lanes: lanes.clone(),
            seat: Arc::default(),
            stopping: Arc::default(),
            failures: 0,
            is_replaying: false,
        };
        let (_, child) = Spec::new(system, "member", member).capacity(16).build();
        child
    }

    fn sit(&mut self, ctx: &mut Context<MemberMessage>) -> Handled {
        let (group, lanes, seat) = (self.group.clone(), self.lanes.clone(), self.seat.clone());
        let stopping = self.stopping.clone();
        ctx.run(async move {
            let began = tokio::time::Instant::now();
            let failure = tokio::select! {
                failure = sitting::sit(&group, &lanes, &seat) => failure,
                () = stopping.notified() => return None,
            };
            tracing::warn!(consumer = group.reader.name(), %failure, "a sitting of a group ended; the next begins at the stored offsets");
            let left = seat.lock().take();
            drop(left);
            Some(Ended { lasted: began.elapsed() }.into())
        })
    }

    fn replay(&mut self, ctx: &mut Context<MemberMessage>) -> Handled {
        if std::mem::replace(&mut self.is_replaying, true) {
            return Ok(());
        }
        let group = self.group.clone();
        ctx.run(async move {
            if let Err(failure) = group.reader.replay_wanted().await {
                tracing::warn!(consumer = group.reader.name(), %failure, "the replays of a consumer could not be done");
            }
            Some(Replayed.into())
        })
    }
}

impl Service for Member {
    type Message = MemberMessage;

    async fn start(&mut self, ctx: &mut Context<MemberMessage>) -> Handled {
        ctx.every(self.group.reader.config.poll, || Poll.into())?;
        self.sit(ctx)
    }

    async fn handle(
        &mut self,
        message: &mut Lent<MemberMessage>,
        ctx: &mut Context<MemberMessage>,
    ) -> Handled {
        match &**message {
            MemberMessage::Sit(_) => self.sit(ctx),
            MemberMessage::Ended(ended) => {
                self.failures = if ended.lasted < SETTLED { self.failures + 1 } else { 1 };
                let who = u64::from(std::process::id());
                ctx.after(Backoff::default().wait(self.failures, who), Sit)
            }
            MemberMessage::Poll(_) => self.replay(ctx),
            MemberMessage::Replayed(_) => {
                self.is_replaying = false;
                Ok(())
            }
        }
    }

    async fn stop(&mut self, _ctx: &mut Context<MemberMessage>) {
        self.stopping.notify_one();
        let seat = self.seat.lock().take();
        let Some(seat) = seat else { return };
        if tokio::time::timeout(LEAVE_WITHIN, seat.leave()).await.is_err() {
            tracing::debug!(consumer = self.group.reader.name(), "the group was not left in time");
        }
    }
}
