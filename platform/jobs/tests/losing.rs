//! Processes that die with jobs in their hands, and processes that stop in order.

use std::time::Duration;

use troupe_jobs::{JobState, JobsConfig};

use crate::worker::{Mortal, Node, Shared, Work, add, config, job, on_both, until};

fn endless(number: u64) -> Work {
    Work { number, millis: 30_000, ..Work::default() }
}

#[tokio::test]
async fn the_jobs_of_a_process_that_was_killed_are_taken_over() {
    on_both(async |database| {
        let notes = Shared::default();
        let db = database.open().await;
        let killed = Mortal::start(database, &notes, config()).await;
        let ids = add(&db, vec![job(&endless(1)), job(&endless(2)).attempts_max(1)]).await;
        until("both have begun", async || notes.lock().begun.len() == 2).await;
        killed.kill();
        let node = Node::start(database.open().await, &notes, config()).await;
        until("one has begun again", async || {
            notes.lock().begun.iter().filter(|each| **each == 1).count() == 2
        })
        .await;
        assert_eq!(node.jobs.job(ids[0]).await.unwrap().attempts, 2);
        // The other had one attempt, which may be what killed the process.
        until("the other is dead", async || {
            node.jobs.job(ids[1]).await.unwrap().state == JobState::Dead
        })
        .await;
        assert_eq!(notes.lock().begun.iter().filter(|each| **each == 2).count(), 1);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_takes_longer_than_its_lease_keeps_it() {
    on_both(async |database| {
        let notes = Shared::default();
        let node = Node::start(database.open().await, &notes, config()).await;
        add(&node.db, vec![job(&Work { number: 1, millis: 2_500, ..Work::default() })]).await;
        until("it is done", async || notes.lock().done == [1]).await;
        until("it is gone", async || node.all().await.is_empty()).await;
        assert_eq!(notes.lock().begun, [1]);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_node_that_stops_waits_for_its_jobs_and_hands_the_rest_back_uncounted() {
    on_both(async |database| {
        let notes = Shared::default();
        let patient = JobsConfig { lease: Duration::from_secs(3_600), ..config() };
        let node = Node::start(database.open().await, &notes, patient.clone()).await;
        let ids = add(
            &node.db,
            vec![job(&endless(1)), job(&Work { number: 2, millis: 100, ..Work::default() })],
        )
        .await;
        until("both have begun", async || notes.lock().begun.len() == 2).await;
        assert_eq!(node.jobs.drain().await, 1);
        assert_eq!(notes.lock().done, [2]);
        add(&node.db, vec![job(&Work { number: 3, ..Work::default() })]).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(notes.lock().begun.len(), 2, "a draining node begins nothing");
        let db = node.db.clone();
        node.stop().await;
        let jobs = troupe_jobs::Jobs::new(&db, patient);
        let left = jobs.job(ids[0]).await.unwrap();
        assert_eq!((left.state, left.attempts), (JobState::Waiting, 0));
    })
    .await;
}
