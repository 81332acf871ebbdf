//! Jobs that fail.

use troupe_jobs::{JobState, JobsConfig};

use crate::worker::{Node, Shared, Work, add, config, job, on_both, scope, until};

fn failing(how: &str, failures: u16) -> Work {
    Work { number: 1, failures, how: how.to_owned(), ..Work::default() }
}

#[tokio::test]
async fn a_job_that_fails_is_tried_again_until_it_succeeds() {
    on_both(async |database| {
        for how in ["again", "panic"] {
            let notes = Shared::default();
            let node = Node::start(database.open().await, &notes, config()).await;
            add(&node.db, vec![job(&failing(how, 3))]).await;
            until("it is done", async || notes.lock().done == [1]).await;
            until("it is gone", async || node.all().await.is_empty()).await;
            assert_eq!(notes.lock().begun.len(), 4, "{how}");
            node.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_job_is_dead_after_its_last_attempt_and_may_be_put_back() {
    on_both(async |database| {
        let notes = Shared::default();
        let node = Node::start(database.open().await, &notes, config()).await;
        let id =
            add(&node.db, vec![job(&failing("again", 4)).attempts_max(3).unique("once")]).await[0];
        until("it is dead", async || node.jobs.job(id).await.unwrap().state == JobState::Dead)
            .await;
        let dead = node.jobs.job(id).await.unwrap();
        assert_eq!((dead.attempts, dead.attempts_max), (3, 3));
        assert_eq!(dead.last_error.as_deref(), Some("worker.again: not yet"));
        assert_eq!(notes.lock().begun.len(), 3);
        // With a new count it fails once more and then has used up the failures of its payload.
        node.jobs.retry(&scope(), id).await.unwrap();
        until("it is dead again", async || notes.lock().begun.len() == 6).await;
        until("it is dead again", async || {
            node.jobs.job(id).await.unwrap().state == JobState::Dead
        })
        .await;
        // The unique value is free while it is dead; putting it back beside another is refused.
        let later = troupe_kernel::Timestamp::MAX;
        add(&node.db, vec![job(&Work::default()).unique("once").delay_until(later)]).await;
        assert_eq!(node.jobs.retry(&scope(), id).await.unwrap_err().code(), "jobs.job.not_unique");
        assert!(node.jobs.remove(&scope(), id).await.unwrap());
        assert_eq!(node.jobs.retry(&scope(), id).await.unwrap_err().code(), "jobs.job.missing");
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_can_never_succeed_is_dead_at_once() {
    on_both(async |database| {
        let notes = Shared::default();
        let node = Node::start(database.open().await, &notes, config()).await;
        let jobs =
            vec![job(&failing("hopeless", 9)), troupe_kernel::Job::new("test.work", &"no work")];
        let ids = add(&node.db, jobs).await;
        for (id, error) in ids.into_iter().zip(["worker.hopeless", "kernel.job.payload"]) {
            until("it is dead", async || node.jobs.job(id).await.unwrap().state == JobState::Dead)
                .await;
            let dead = node.jobs.job(id).await.unwrap();
            assert_eq!(dead.attempts, 1);
            assert!(dead.last_error.unwrap().starts_with(error));
        }
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_away_is_waited_for_beyond_the_attempts() {
    on_both(async |database| {
        let notes = Shared::default();
        let node = Node::start(database.open().await, &notes, config()).await;
        add(&node.db, vec![job(&failing("away", 5)).attempts_max(2)]).await;
        until("it is done", async || notes.lock().done == [1]).await;
        assert_eq!(notes.lock().begun.len(), 6);
        node.stop().await;
        // Not for ever.
        let impatient = JobsConfig { outage_max: std::time::Duration::ZERO, ..config() };
        let node = Node::start(database.open().await, &Shared::default(), impatient).await;
        let id = add(&node.db, vec![job(&failing("away", 9)).attempts_max(2)]).await[0];
        until("it is dead", async || node.jobs.job(id).await.unwrap().state == JobState::Dead)
            .await;
        node.stop().await;
    })
    .await;
}
