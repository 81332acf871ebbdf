//! Replicated services, with cores and without.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use troupe_actors::{
    Context, Handled, Lent, Running, Service, Shards, Spec, Supervisor, System, SystemConfig,
    protocol,
};

use crate::shop::{eventually, scope};

/// Answers the name of the thread that handles it, and that of the replica's task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Where;

/// Panics.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fall;

protocol! {
    /// What a replica understands.
    pub enum PlaceMessage("place", 1) redact [] {
        Where => String,
        Fall => String,
    }
}

struct Place;

fn thread() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

impl Service for Place {
    type Message = PlaceMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<PlaceMessage>,
        ctx: &mut Context<PlaceMessage>,
    ) -> Handled {
        let PlaceMessage::Where(question) = &**message else { panic!("it falls") };
        let (here, reply) = (thread(), ctx.defer(question));
        ctx.run(async move {
            reply.send(Ok(format!("{here} {}", thread())));
            None
        })
    }
}

async fn places(cores: usize) -> (Running, Shards<PlaceMessage>) {
    let system = System::new(SystemConfig { cores, ..SystemConfig::default() });
    let (places, child) = Spec::new(&system, "places", || Place).replicated(3);
    let root = Supervisor::new(&system, "root").child(child).into_spec();
    (system.start(root).await.expect("starts"), places)
}

#[tokio::test]
async fn each_core_has_a_replica_and_its_tasks_stay_there() {
    let (running, places) = places(2).await;
    let mut seen = Vec::new();
    for replica in places.all() {
        seen.push(replica.ask(&scope(), Where).await.expect("answered"));
    }
    assert_eq!(seen, ["core-1 core-1", "core-2 core-2"]);
    for (number, here) in seen.iter().enumerate() {
        let (near, by) = (places.clone(), places.clone());
        let core = running.system().core(number).expect("it runs");
        let near = core.spawn(async move { near.near().ask(&scope(), Where).await });
        assert_eq!(near.await.expect("no panic").as_ref(), Ok(here));
        let by = core.spawn(async move {
            let mut paths = BTreeSet::new();
            for key in 0..50 {
                paths.insert(by.by(&key).path());
            }
            paths
        });
        let own: BTreeSet<_> = [places.all()[number].path()].into();
        assert_eq!(by.await.expect("no panic"), own, "a core's own is responsible for all keys");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_replica_that_crashed_starts_again_on_its_core() {
    let (running, places) = places(2).await;
    let second = &places.all()[1];
    second.ask(&scope(), Fall).await.expect_err("it crashed");
    assert_eq!(second.ask(&scope(), Where).await.as_deref(), Ok("core-2 core-2"));
    assert_eq!(running.system().crash_count(), 1);
    running.shutdown().await;
}

#[tokio::test]
async fn without_cores_keys_are_divided_among_the_replicas() {
    let (running, places) = places(0).await;
    assert_eq!(places.all().len(), 3);
    assert_eq!(places.near().path(), places.all()[0].path());
    let paths: BTreeSet<_> = (0..100).map(|key| places.by(&key).path()).collect();
    assert_eq!(paths.len(), 3);
    assert!(running.system().core(0).is_none());
    running.shutdown().await;
}

#[tokio::test]
async fn the_trees_of_a_system_share_its_cores() {
    let (running, _) = places(1).await;
    let (other, child) = Spec::new(running.system(), "other", || Place).replicated(1);
    let second = running.system().start(child).await.expect("starts");
    running.shutdown().await;
    assert_eq!(other.near().ask(&scope(), Where).await.as_deref(), Ok("core-1 core-1"));
    let system = second.system().clone();
    second.shutdown().await;
    assert!(system.core(0).is_none());
    let third = system.start(Supervisor::new(&system, "third").into_spec()).await.expect("starts");
    assert!(system.core(0).is_some());
    third.shutdown().await;
}

#[tokio::test]
async fn the_threads_of_the_cores_end_with_the_system() {
    struct Mark(Arc<AtomicBool>);
    impl Drop for Mark {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (running, _) = places(2).await;
    let ended = Arc::new(AtomicBool::new(false));
    let mark = Mark(ended.clone());
    running.system().core(1).expect("it runs").spawn(async move {
        let _held = mark;
        std::future::pending::<()>().await;
    });
    assert!(!ended.load(Ordering::SeqCst));
    running.shutdown().await;
    eventually("the core's runtime is dropped", || ended.load(Ordering::SeqCst)).await;
}
