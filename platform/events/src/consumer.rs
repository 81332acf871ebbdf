//! The actor of one subscription, and of the relay to Kafka.
//!
//! Mailbox 64, permanent. It keeps one turn running at most; a crash aborts that turn, and the next
//! incarnation begins from the stored offset: what was delivered and not stored comes again, and the
//! inbox of the service drops it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec, System};
use troupe_database::{Db, Dialect};

use crate::turn::{Held, Next, Turn};

/// A commit is not readable on PostgreSQL while an older transaction runs: look again soon, so often.
const EAGER_LOOKS: u32 = 4;
const EAGER_FIRST: Duration = Duration::from_millis(10);

/// Something was committed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wake;

/// It is time to look.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Poll;

/// A turn has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ran {
    turn: Turn,
}

troupe_actors::protocol! {
    /// What a consumer understands.
    pub enum ConsumerMessage("events.consumer", 1) redact [] {
        /// Something was committed.
        Wake,
        /// It is time to look.
        Poll,
        /// A turn has ended.
        Ran,
    }
}

/// What reads the log turn by turn under a lease: a subscription, or the relay to Kafka.
pub(crate) trait Worker: Send + Sync + 'static {
    /// Its name among the consumers of the log.
    fn name(&self) -> &str;
    /// Where the log is.
    fn db(&self) -> &Db;
    /// How often it looks without being woken.
    fn poll(&self) -> Duration;
    /// One turn, with what is done at each poll when it is one. A fault of the database ends the hold;
    /// the next turn begins from the stored offset.
    fn turn(&self, held: Option<Held>, is_poll: bool) -> impl Future<Output = Turn> + Send;
    /// Gives the lease back at an orderly stop.
    fn release(&self) -> impl Future<Output = ()> + Send;
}

/// Wakes a consumer at most once until it looks.
#[derive(Clone)]
pub(crate) struct Bell {
    rung: Arc<AtomicBool>,
    service: ServiceRef<ConsumerMessage>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let scope = Scope::system("events.wake", Duration::from_secs(60));
        if self.service.tell(&scope, Wake).is_err() {
            // Full or stopped: it looks by itself.
            self.rung.store(false, Ordering::Release);
        }
    }
}

/// The actor.
pub(crate) struct Consumer<W> {
    worker: Arc<W>,
    rung: Arc<AtomicBool>,
    held: Option<Held>,
    running: bool,
    again: bool,
    eager_left: u32,
    /// Whether it polled since the last turn began.
    polled: bool,
}

impl<W: Worker> Consumer<W> {
    /// The bell and the specification for a supervisor.
    pub(crate) fn spec(system: &System, worker: W) -> (Bell, ChildSpec) {
        let rung = Arc::new(AtomicBool::new(false));
        let (name, worker, shared) = (worker.name().to_owned(), Arc::new(worker), rung.clone());
        let (service, child) = Spec::new(system, name, move || Self {
            worker: worker.clone(),
            rung: shared.clone(),
            held: None,
            running: false,
            again: false,
            eager_left: 0,
            polled: false,
        })
        .capacity(64)
        .build();
        (Bell { rung, service }, child)
    }

    fn begin(&mut self, ctx: &mut Context<ConsumerMessage>) -> Handled {
        if self.running {
            self.again = true;
            return Ok(());
        }
        self.running = true;
        let (worker, held) = (self.worker.clone(), self.held.take());
        let is_poll = std::mem::take(&mut self.polled);
        ctx.run(async move {
            let turn = AssertUnwindSafe(worker.turn(held, is_poll)).catch_unwind().await;
            let crashed = Turn { held: None, next: Next::Standby, moved: false };
            Some(Ran { turn: turn.unwrap_or(crashed) }.into())
        })
    }

    fn ended(&mut self, turn: Turn, ctx: &mut Context<ConsumerMessage>) -> Handled {
        self.running = false;
        self.held = turn.held;
        if turn.next == Next::More || std::mem::take(&mut self.again) {
            return self.begin(ctx);
        }
        if turn.moved || turn.next == Next::Standby {
            self.eager_left = 0;
        } else if self.eager_left > 0 {
            self.eager_left -= 1;
            let wait = EAGER_FIRST * 4_u32.pow(EAGER_LOOKS - self.eager_left - 1);
            return ctx.after(wait, Poll);
        }
        Ok(())
    }
}

impl<W: Worker> Service for Consumer<W> {
    type Message = ConsumerMessage;

    async fn start(&mut self, ctx: &mut Context<ConsumerMessage>) -> Handled {
        self.rung.store(false, Ordering::Release);
        ctx.every(self.worker.poll(), || Poll.into())?;
        self.begin(ctx)
    }

    async fn handle(
        &mut self,
        message: &mut Lent<ConsumerMessage>,
        ctx: &mut Context<ConsumerMessage>,
    ) -> Handled {
        match &**message {
            ConsumerMessage::Wake(_) => {
                self.rung.store(false, Ordering::Release);
                if self.worker.db().dialect() == Dialect::Postgres {
                    self.eager_left = EAGER_LOOKS;
                }
                self.begin(ctx)
            }
            ConsumerMessage::Poll(_) => {
                self.polled = true;
                self.begin(ctx)
            }
            ConsumerMessage::Ran(ran) => self.ended(ran.turn, ctx),
        }
    }

    async fn stop(&mut self, _ctx: &mut Context<ConsumerMessage>) {
        self.worker.release().await;
    }
}
