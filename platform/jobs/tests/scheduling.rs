//! Schedules: one job for each tick.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{System, SystemConfig};
use troupe_jobs::{Jobs, JobsConfig, Tick};
use troupe_kernel::{JobHandler, ManualClock};

use crate::worker::{Node, Shared, WorkerMessage, config, on_both, scope, until};

const HOURLY: &[(&str, &str)] = &[("test.hourly", "0 * * * *")];

async fn tick(node: &Node) -> u32 {
    node.jobs.clock().unwrap().ask(&scope(), Tick).await.unwrap()
}

#[tokio::test]
async fn a_tick_adds_one_job_whatever_number_of_nodes_there_is() {
    on_both(async |database| {
        let clock = Arc::new(ManualClock::default()); // At midnight.
        let notes = Shared::default();
        let db = database.open_with(clock.clone()).await;
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(Node::scheduled(db.clone(), &notes, config(), HOURLY).await);
        }
        // A new schedule does not make up for the past.
        for node in &nodes {
            assert_eq!(tick(node).await, 0);
        }
        for hour in 1..=3_usize {
            clock.advance(Duration::from_secs(3_600));
            let added: u32 =
                futures_util::future::join_all(nodes.iter().map(tick)).await.into_iter().sum();
            // The actors tick by themselves too, so one of them may have been first.
            assert!(added <= 1);
            until("the job is done", async || notes.lock().done.len() == hour).await;
            until("the job is gone", async || nodes[0].all().await.is_empty()).await;
            for node in &nodes {
                assert_eq!(tick(node).await, 0);
            }
        }
        assert_eq!(notes.lock().begun.len(), 3);
        for node in nodes {
            node.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn ticks_that_were_missed_are_made_up_for_once() {
    on_both(async |database| {
        let clock = Arc::new(ManualClock::default());
        let notes = Shared::default();
        let node =
            Node::scheduled(database.open_with(clock.clone()).await, &notes, config(), HOURLY)
                .await;
        assert_eq!(tick(&node).await, 0);
        node.stop().await;
        clock.advance(Duration::from_secs(5 * 3_600 + 60));
        let node =
            Node::scheduled(database.open_with(clock.clone()).await, &notes, config(), HOURLY)
                .await;
        tick(&node).await;
        until("the job is done", async || notes.lock().done.len() == 1).await;
        assert_eq!(tick(&node).await, 0);
        assert_eq!(notes.lock().begun.len(), 1);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn schedules_that_are_not_cron_are_all_named() {
    on_both(async |database| {
        let system = System::new(SystemConfig::default());
        let jobs = Jobs::new(&database.open().await, JobsConfig::default());
        let (worker, _child) = troupe_actors::Spec::new(&system, "nobody", || Nobody).build();
        let handler = |kind: &str, schedule: &str| {
            JobHandler::new(kind)
                .cron(schedule)
                .ask(&worker, |_| Ok(crate::worker::Work::default()))
        };
        let handlers = vec![
            handler("a.b", "every day"),
            handler("a.c", "0 3 * * *"),
            handler("a.d", "61 * * * *"),
        ];
        let faults = jobs.queues(&system, handlers).err().unwrap();
        assert_eq!(faults.len(), 2);
        assert!(faults[0].detail.contains("`every day` of the job a.b"), "{}", faults[0].detail);
    })
    .await;
}

struct Nobody;

impl troupe_actors::Service for Nobody {
    type Message = WorkerMessage;

    async fn handle(
        &mut self,
        _message: &mut troupe_actors::Lent<WorkerMessage>,
        _ctx: &mut troupe_actors::Context<WorkerMessage>,
    ) -> troupe_actors::Handled {
        Ok(())
    }
}
