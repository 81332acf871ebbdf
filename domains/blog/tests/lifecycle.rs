//! Publishing now, later, and not after all.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_kernel::{FailureKind, StatusCode};

use crate::house::{House, in_both, text};

async fn schedule(house: &House, path: &str, time: &str) -> Value {
    let target = format!("{path}/schedule");
    let body = json!({ "publish_at": time });
    house.put(&target).by(house.author).json(&body).expect(StatusCode::OK).await
}

async fn status(house: &House, path: &str) -> String {
    let post = house.get(path).by(house.author).expect(StatusCode::OK).await;
    text(&post["status"]).to_owned()
}

#[tokio::test]
async fn a_post_is_published_and_taken_back() {
    in_both(async |house| {
        let post = house.draft(house.author, "Hello", "").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        let publish = format!("{path}/publish");
        let stale = house.post(&publish).by(house.author).if_match(&json!(7)).refused(412).await;
        assert_eq!(stale, "blog.post.stale");
        let published =
            house.post(&publish).by(house.author).if_match(&json!(1)).expect(StatusCode::OK).await;
        assert_eq!((text(&published["status"]), &published["version"]), ("published", &json!(2)));
        assert_eq!(text(&published["published_at"]), "2026-01-01T00:00:00Z");
        assert_eq!(
            house.post(&publish).by(house.author).refused(409).await,
            "blog.post.already_published"
        );

        let unpublish = format!("{path}/unpublish");
        let draft = house.post(&unpublish).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(
            (text(&draft["status"]), text(&draft["published_at"])),
            ("draft", "2026-01-01T00:00:00Z")
        );
        assert_eq!(
            house.post(&unpublish).by(house.author).refused(409).await,
            "blog.post.already_draft"
        );

        let dated = json!({ "published_at": "2020-02-02T00:00:00Z" });
        let again = house.post(&publish).by(house.author).json(&dated).expect(StatusCode::OK).await;
        assert_eq!(text(&again["published_at"]), "2020-02-02T00:00:00Z");
        let ahead = json!({ "published_at": "2030-01-01T00:00:00Z" });
        let refused = house.post(&publish).by(house.author).json(&ahead).refused(422).await;
        assert_eq!(refused, "blog.published_at.invalid");
        assert_eq!(
            house.events().await,
            [
                "blog.post.created",
                "blog.post.published",
                "blog.post.unpublished",
                "blog.post.published"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_scheduled_post_is_published_by_its_job() {
    in_both(async |house| {
        let post = house.draft(house.author, "Later", "").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        let scheduled = schedule(house, &path, "2026-01-01T01:00:00Z").await;
        assert_eq!(
            (text(&scheduled["status"]), text(&scheduled["publish_at"])),
            ("scheduled", "2026-01-01T01:00:00Z")
        );
        let early = house.run_jobs("blog.publish").await.remove(0).expect_err("too early");
        assert_eq!((early.kind(), early.code()), (FailureKind::Unavailable, "blog.publish.early"));
        assert_eq!(status(house, &path).await, "scheduled");

        house.clock.advance(Duration::from_secs(3605));
        assert_eq!(house.run_jobs("blog.publish").await, [Ok(())]);
        let published = house.get(&path).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(
            (text(&published["status"]), text(&published["published_at"])),
            ("published", "2026-01-01T01:00:00Z")
        );
        assert_eq!(published["publish_at"], Value::Null);
        assert_eq!(house.run_jobs("blog.publish").await, [Ok(())], "once more does nothing");
        assert_eq!(published["version"], 3);
        assert_eq!(
            house.events().await,
            ["blog.post.created", "blog.post.scheduled", "blog.post.published"]
        );
        assert_eq!(house.audits().await.last().map(String::as_str), Some("blog.post.publish"));
    })
    .await;
}

#[tokio::test]
async fn a_rescheduled_post_waits_for_its_new_time() {
    in_both(async |house| {
        let post = house.draft(house.author, "Later", "").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        schedule(house, &path, "2026-01-01T01:00:00Z").await;
        schedule(house, &path, "2026-01-01T03:00:00Z").await;
        assert_eq!(house.jobs("blog.publish").await.len(), 2);
        house.clock.advance(Duration::from_secs(2 * 3600));
        let results = house.run_jobs("blog.publish").await;
        assert_eq!(results[0], Ok(()), "the first job is out of date");
        assert_eq!(
            results[1].as_ref().map_err(troupe_kernel::Failure::code),
            Err("blog.publish.early")
        );
        assert_eq!(status(house, &path).await, "scheduled");
        house.clock.advance(Duration::from_secs(2 * 3600));
        assert_eq!(house.run_jobs("blog.publish").await, [Ok(()), Ok(())]);
        assert_eq!(status(house, &path).await, "published");
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_published_or_deleted_post_is_left_alone_by_its_job() {
    in_both(async |house| {
        let mut paths = Vec::new();
        for title in ["cancelled", "published", "deleted"] {
            let post = house.draft(house.author, title, "").await;
            let path = format!("/v1/blog/posts/{}", text(&post["id"]));
            schedule(house, &path, "2026-01-01T01:00:00Z").await;
            paths.push(path);
        }
        let draft = house
            .delete(&format!("{}/schedule", paths[0]))
            .by(house.author)
            .expect(StatusCode::OK)
            .await;
        assert_eq!(text(&draft["status"]), "draft");
        let refused =
            house.delete(&format!("{}/schedule", paths[0])).by(house.author).refused(409).await;
        assert_eq!(refused, "blog.post.not_scheduled");
        let now = house
            .post(&format!("{}/publish", paths[1]))
            .by(house.author)
            .expect(StatusCode::OK)
            .await;
        assert_eq!(text(&now["published_at"]), "2026-01-01T00:00:00Z");
        house.delete(&paths[2]).by(house.author).expect(StatusCode::NO_CONTENT).await;

        house.clock.advance(Duration::from_secs(2 * 3600));
        assert_eq!(house.run_jobs("blog.publish").await, [Ok(()), Ok(()), Ok(())]);
        assert_eq!(status(house, &paths[0]).await, "draft");
        let post = house.get(&paths[1]).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(text(&post["published_at"]), "2026-01-01T00:00:00Z");
    })
    .await;
}

#[tokio::test]
async fn a_time_that_is_not_ahead_is_refused() {
    in_both(async |house| {
        let post = house.draft(house.author, "Later", "").await;
        let target = format!("/v1/blog/posts/{}/schedule", text(&post["id"]));
        for time in ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2126-01-01T00:00:00Z"] {
            let body = json!({ "publish_at": time });
            let refused = house.put(&target).by(house.author).json(&body).refused(422).await;
            assert_eq!(refused, "blog.publish_at.invalid", "{time}");
        }
        assert!(house.jobs("blog.publish").await.is_empty());
        let published = house.published(house.author, "Now", "").await;
        let target = format!("/v1/blog/posts/{}/schedule", text(&published["id"]));
        let body = json!({ "publish_at": "2026-02-01T00:00:00Z" });
        let refused = house.put(&target).by(house.author).json(&body).refused(409).await;
        assert_eq!(refused, "blog.post.already_published");
    })
    .await;
}

#[tokio::test]
async fn an_edit_keeps_the_schedule() {
    in_both(async |house| {
        let post = house.draft(house.author, "Later", "").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        schedule(house, &path, "2026-01-01T01:00:00Z").await;
        let change = json!({ "title": "Still later" });
        let changed = house
            .patch(&path)
            .by(house.author)
            .if_match(&json!(2))
            .json(&change)
            .expect(StatusCode::OK)
            .await;
        assert_eq!(text(&changed["status"]), "scheduled");
        house.clock.advance(Duration::from_secs(2 * 3600));
        assert_eq!(house.run_jobs("blog.publish").await, [Ok(())]);
        assert_eq!(status(house, &path).await, "published");
    })
    .await;
}
