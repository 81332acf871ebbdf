//! Jobs are done: once, in time, within bounds.

use std::sync::Arc;
use std::time::Duration;

use troupe_database::UnitOfWork;
use troupe_jobs::{JobFilter, JobState, JobsConfig, QueueConfig};
use troupe_kernel::{Clock, Cursor, Failure, Job, ManualClock, PageRequest, Scheduler};

use crate::worker::{Node, Shared, Work, add, config, job, on_both, scope, until};

fn number(number: u64) -> Job {
    job(&Work { number, ..Work::default() })
}

#[tokio::test]
async fn a_job_is_done_soon_after_its_commit_and_is_gone_then() {
    on_both(async |database| {
        let notes = Shared::default();
        // The poll comes after ten minutes: the commit wakes the queue.
        let slow = JobsConfig { poll: Duration::from_secs(600), ..config() };
        let node = Node::start(database.open().await, &notes, slow).await;
        add(&node.db, (0..20).map(number).collect()).await;
        until("all is done", async || node.all().await.is_empty()).await;
        let mut done = notes.lock().done.clone();
        done.sort_unstable();
        assert_eq!(done, (0..20).collect::<Vec<_>>());
        let rolled_back: Result<(), Failure> = node
            .db
            .transaction(&scope(), async |uow: &mut UnitOfWork| {
                uow.job(number(99));
                Err(Failure::conflict("test.no", "no"))
            })
            .await;
        assert!(rolled_back.is_err());
        assert!(node.all().await.is_empty());
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_delayed_job_waits_for_its_time() {
    on_both(async |database| {
        let clock = Arc::new(ManualClock::default());
        let notes = Shared::default();
        let node = Node::start(database.open_with(clock.clone()).await, &notes, config()).await;
        let hour = Duration::from_secs(3_600);
        add(&node.db, vec![number(1).delay_until(clock.now().plus(hour)), number(2)]).await;
        until("the other is done", async || notes.lock().done == [2]).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(notes.lock().begun, [2]);
        clock.advance(hour);
        until("it is done", async || notes.lock().done == [2, 1]).await;
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn no_more_jobs_of_a_queue_run_at_once_than_allowed() {
    on_both(async |database| {
        let notes = Shared::default();
        let mail = [("mail".to_owned(), QueueConfig { concurrency: 2 })].into();
        let node =
            Node::start(database.open().await, &notes, JobsConfig { queues: mail, ..config() })
                .await;
        let slow = |number| job(&Work { number, millis: 30, ..Work::default() }).queue("mail");
        add(&node.db, (0..10).map(slow).collect()).await;
        until("all is done", async || notes.lock().done.len() == 10).await;
        assert_eq!(notes.lock().at_once_max, 2);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn jobs_of_one_key_run_one_after_the_other_in_order() {
    on_both(async |database| {
        let notes = Shared::default();
        let node = Node::start(database.open().await, &notes, config()).await;
        let keyed =
            |number: u64| job(&Work { number, key: "a".to_owned(), millis: 5, ..Work::default() });
        let other = |number: u64| {
            job(&Work { number, key: format!("k{number}"), millis: 5, ..Work::default() })
        };
        add(&node.db, (0..8).map(keyed).chain((100..108).map(other)).collect()).await;
        until("all is done", async || notes.lock().done.len() == 16).await;
        {
            let notes = notes.lock();
            assert_eq!(notes.of_key_max, 1);
            assert!(notes.at_once_max > 1, "different keys run at once");
            let of_a: Vec<u64> =
                notes.done.iter().copied().filter(|number| *number < 100).collect();
            assert_eq!(of_a, (0..8).collect::<Vec<_>>());
        }
        node.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_do_each_job_once() {
    on_both(async |database| {
        let notes = Shared::default();
        let db = database.open().await;
        let mut nodes = Vec::new();
        for _ in 0..4 {
            nodes.push(Node::start(db.clone(), &notes, config()).await);
        }
        add(&db, (0..150).map(number).collect()).await;
        until("all is done", async || nodes[0].all().await.is_empty()).await;
        let mut begun = notes.lock().begun.clone();
        begun.sort_unstable();
        assert_eq!(begun, (0..150).collect::<Vec<_>>());
        for node in nodes {
            node.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_scheduler_adds_once_per_unique_value_and_cancels_what_has_not_begun() {
    on_both(async |database| {
        let clock = Arc::new(ManualClock::default());
        let notes = Shared::default();
        let node = Node::start(database.open_with(clock.clone()).await, &notes, config()).await;
        let later = number(1).delay_until(clock.now().plus(Duration::from_secs(60))).unique("once");
        let first = node.jobs.schedule(later.clone(), &scope()).await.unwrap();
        let again = node.jobs.schedule(later, &scope()).await.unwrap();
        assert_eq!(first, again);
        assert_eq!(node.jobs.job(first).await.unwrap().unique.as_deref(), Some("once"));
        assert!(node.jobs.cancel(first, &scope()).await.unwrap());
        assert!(!node.jobs.cancel(first, &scope()).await.unwrap());
        assert_eq!(node.jobs.job(first).await.unwrap_err().code(), "jobs.job.missing");
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn jobs_are_listed_in_pages_and_counted_by_queue_and_state() {
    on_both(async |database| {
        let clock = Arc::new(ManualClock::default());
        let notes = Shared::default();
        let node = Node::start(database.open_with(clock.clone()).await, &notes, config()).await;
        let later = clock.now().plus(Duration::from_secs(60));
        let mut ids =
            add(&node.db, (0..5).map(|each| number(each).delay_until(later)).collect()).await;
        add(&node.db, vec![number(9).queue("elsewhere").delay_until(later)]).await;
        ids.sort_unstable();
        ids.reverse();
        let filter =
            JobFilter { queue: Some("default".to_owned()), state: Some(JobState::Waiting) };
        let mut seen = Vec::new();
        let mut request = PageRequest { limit: 2, cursor: None };
        loop {
            let page = node.jobs.list(&filter, &request).await.unwrap();
            seen.extend(page.items.into_iter().map(|job| job.id));
            let Some(next) = page.next_cursor else { break };
            request.cursor = Some(Cursor::from_text(next));
        }
        assert_eq!(seen, ids);
        let stats = node.jobs.stats().await.unwrap();
        let shown: Vec<_> = stats
            .iter()
            .map(|each| (each.queue.as_str(), each.state, each.jobs, each.served))
            .collect();
        assert_eq!(
            shown,
            [("default", JobState::Waiting, 5, true), ("elsewhere", JobState::Waiting, 1, false)]
        );
        assert_eq!(stats[0].first_due, Some(later));
        node.stop().await;
    })
    .await;
}
