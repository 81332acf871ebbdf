//! The actors under stress: a crash, a full mailbox, an end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use troupe_kernel::StatusCode;

use crate::house::{in_both, in_both_with, text};

#[tokio::test]
async fn an_actor_that_panics_fails_its_asker_alone_and_goes_on() {
    in_both_with("blog.post_workers = 1", async |house| {
        let post = house.draft(house.author, "Hello", "").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        house.rules.mood.store(1, Ordering::SeqCst);
        let crashed = house.get(&path).by(house.author).refused(500).await;
        assert_eq!(crashed, "actors.handler.crashed");
        house.rules.mood.store(0, Ordering::SeqCst);
        house.get(&path).by(house.author).expect(StatusCode::OK).await;
        let crash = house.universe.system().crashes(1).remove(0);
        assert!(crash.reason.contains("bad mood"), "{}", crash.reason);
        assert_eq!(crash.killer_kind.as_deref(), Some("GetPost"));
        assert!(crash.actor.contains("blog/posts"), "{}", crash.actor);
    })
    .await;
}

#[tokio::test]
async fn a_crash_inside_a_command_leaves_no_half_work() {
    in_both(async |house| {
        let post = house.draft(house.author, "Hello", "").await;
        let target = format!("/v1/blog/posts/{}/publish", text(&post["id"]));
        house.rules.mood.store(1, Ordering::SeqCst);
        house.post(&target).by(house.author).refused(500).await;
        house.rules.mood.store(0, Ordering::SeqCst);
        assert_eq!(house.events().await, ["blog.post.created"]);
        house.post(&target).by(house.author).expect(StatusCode::OK).await;
    })
    .await;
}

#[tokio::test]
async fn a_full_mailbox_refuses_and_says_when_to_come_back() {
    in_both_with("blog.transfer_workers = 1", async |house| {
        house.draft(house.author, "Hello", "x").await;
        let body = json!({ "path": "a.md", "content": "---\ndraft: false\n---\nx" });
        house.rules.mood.store(2, Ordering::SeqCst);
        let import = || house.post("/v1/blog/import").by(house.editor).json(&body).send();
        let (mut waiting, mut overloaded) = (Vec::new(), 0);
        for _ in 0..64 {
            let mut call = Box::pin(import());
            match tokio::time::timeout(Duration::from_millis(2), call.as_mut()).await {
                Ok(response) => {
                    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
                    assert_eq!(response.headers[troupe_kernel::header::RETRY_AFTER], "1");
                    overloaded += 1;
                }
                Err(_) => waiting.push(call),
            }
        }
        assert!(overloaded > 0, "a mailbox of 64 sheds ordinary requests at nine tenths");
        house.rules.mood.store(0, Ordering::SeqCst);
        for call in waiting {
            let response = call.await;
            assert!(response.status.is_success(), "{response:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_answered_before_the_end() {
    in_both_with("blog.post_workers = 1", async |house| {
        let post = house.draft(house.author, "Hello", "").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        house.rules.mood.store(2, Ordering::SeqCst);
        let read = house.get(&path).by(house.author).send();
        let release = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            house.rules.mood.store(0, Ordering::SeqCst);
        };
        let (response, ()) = tokio::join!(read, release);
        assert_eq!(response.status, StatusCode::OK);
    })
    .await;
}
