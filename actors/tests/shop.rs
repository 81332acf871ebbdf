//! A small service that does what each test asks of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{
    Context, Failure, Handled, Lent, Restart, Running, Scope, Service, ServiceRef, Spec,
    Supervisor, System, SystemConfig, protocol,
};

/// Adds to the sum of this incarnation and answers it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Add {
    pub amount: u64,
}

/// Panics.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explode {
    pub password: String,
}

/// Answers after a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Slow {
    pub wait_ms: u64,
}

/// Answers a failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refuse;

/// Is neither answered nor passed on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forget;

/// Passes an [`Add`] on to the next shop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PassOn {
    pub amount: u64,
}

/// Panics in a task of the shop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExplodeInTask;

/// Adds after a while, by a task that reports back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddLater {
    pub amount: u64,
    pub wait_ms: u64,
}

/// Ends the way a transient actor ends in order: it cannot, so it only counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Note {
    pub text: String,
}

protocol! {
    /// What a shop understands.
    pub enum ShopMessage("shop", 1) redact ["password"] {
        Add => u64,
        Explode => u64,
        Slow => u64,
        Refuse => u64,
        Forget => u64,
        PassOn => u64,
        ExplodeInTask => u64,
        AddLater,
        Note,
    }
}

#[derive(Default)]
pub struct Tally {
    pub starts: AtomicU32,
    pub stops: AtomicU32,
    pub failing_starts: AtomicU32,
}

pub struct Shop {
    sum: u64,
    tally: Arc<Tally>,
    next: Option<ServiceRef<ShopMessage>>,
}

impl Service for Shop {
    type Message = ShopMessage;

    async fn start(&mut self, _ctx: &mut Context<ShopMessage>) -> Handled {
        self.tally.starts.fetch_add(1, Ordering::SeqCst);
        let failing = &self.tally.failing_starts;
        if failing.load(Ordering::SeqCst) > 0 {
            failing.fetch_sub(1, Ordering::SeqCst);
            return Err(Failure::unavailable("shop.closed", "the shop cannot open now"));
        }
        Ok(())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<ShopMessage>,
        ctx: &mut Context<ShopMessage>,
    ) -> Handled {
        match &**message {
            ShopMessage::Add(add) => {
                self.sum += add.amount;
                ctx.reply(add, self.sum)
            }
            ShopMessage::Explode(_) => panic!("the shop explodes"),
            ShopMessage::Slow(slow) => {
                tokio::time::sleep(Duration::from_millis(slow.wait_ms)).await;
                ctx.reply(slow, self.sum)
            }
            ShopMessage::Refuse(_) => Err(Failure::conflict("shop.refused", "the shop refuses")),
            ShopMessage::Forget(_) => Ok(()),
            ShopMessage::PassOn(pass) => {
                let next = self.next.clone().expect("a shop that passes on has a next");
                ctx.forward(&next, Add { amount: pass.amount })
            }
            ShopMessage::ExplodeInTask(explode) => {
                let reply = ctx.defer(explode);
                ctx.run(async move {
                    let _held = reply;
                    panic!("the task explodes")
                })
            }
            ShopMessage::AddLater(later) => {
                let add = Add { amount: later.amount };
                ctx.after(Duration::from_millis(later.wait_ms), add)
            }
            ShopMessage::Note(_) => {
                self.sum += 1;
                Ok(())
            }
        }
    }

    async fn stop(&mut self, _ctx: &mut Context<ShopMessage>) {
        self.tally.stops.fetch_add(1, Ordering::SeqCst);
    }
}

/// A spec of a shop with its tally.
pub fn shop(system: &System, name: &str) -> (Spec<Shop>, Arc<Tally>) {
    let tally = Arc::new(Tally::default());
    let seen = tally.clone();
    let spec = Spec::new(system, name, move || Shop { sum: 0, tally: seen.clone(), next: None });
    (spec, tally)
}

/// A spec of a shop that passes on to `next`.
pub fn passing(system: &System, name: &str, next: ServiceRef<ShopMessage>) -> Spec<Shop> {
    Spec::new(system, name, move || Shop {
        sum: 0,
        tally: Arc::default(),
        next: Some(next.clone()),
    })
}

/// A system that encodes every message if `TROUPE_WIRE=always`, as CI sets it in its second run.
pub fn system() -> System {
    System::new(SystemConfig { wire_always: option_env_is_always(), ..SystemConfig::default() })
}

fn option_env_is_always() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the test run chooses the encoding")]
    let wire = std::env::var("TROUPE_WIRE");
    wire.is_ok_and(|wire| wire == "always")
}

/// Starts one shop alone under a supervisor with room for `restarts`.
pub async fn open(
    configure: impl FnOnce(Spec<Shop>) -> Spec<Shop>,
    restarts: u32,
) -> (Running, ServiceRef<ShopMessage>, Arc<Tally>) {
    let system = system();
    let (spec, tally) = shop(&system, "shop");
    let (shop, child) = configure(spec).build();
    let root = Supervisor::new(&system, "root")
        .intensity(restarts, Duration::from_secs(10))
        .child(child)
        .restart(Restart::Permanent)
        .into_spec();
    let running = system.start(root).await.expect("the shop opens");
    (running, shop, tally)
}

/// A scope with plenty of time.
pub fn scope() -> Scope {
    Scope::bare(Duration::from_secs(5))
}

/// Waits until `condition` holds, at most two seconds.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..400 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never happened: {what}");
}
