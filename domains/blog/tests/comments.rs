//! Comments: guests, members, moderators.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_identity_messages::{USER_ANONYMISED, UserEvent};
use troupe_kernel::{Event, StatusCode, UserId};

use crate::house::{House, each, in_both, in_both_with, text};

const PUBLIC: &str = "/v1/public/acme/posts/hello/comments";
const ALL: &str = "/v1/blog/comments";

fn guest(body: &str) -> Value {
    json!({ "name": "Gus Guest", "email": "gus@example.org", "body": body })
}

async fn submit(house: &House, body: &str) -> String {
    let receipt = house.post(PUBLIC).json(&guest(body)).expect(StatusCode::ACCEPTED).await;
    assert_eq!(text(&receipt["status"]), "pending");
    text(&receipt["id"]).to_owned()
}

async fn decide(house: &House, id: &str, status: &str) -> Value {
    let body = json!({ "status": status });
    house.patch(&format!("{ALL}/{id}")).by(house.editor).json(&body).expect(StatusCode::OK).await
}

#[tokio::test]
async fn a_guest_comment_is_shown_when_it_was_approved() {
    in_both(async |house| {
        house.published(house.author, "Hello", "").await;
        let id = submit(house, "Nice <b>post</b>, *really*").await;
        let public = async || house.get(PUBLIC).expect(StatusCode::OK).await;
        assert_eq!(public().await["items"], json!([]));
        let approved = decide(house, &id, "approved").await;
        assert_eq!(text(&approved["moderated_by"]), house.editor.id.to_string());
        let page = public().await;
        let comment = &page["items"][0];
        assert_eq!(
            text(&comment["html"]),
            "<p>Nice &lt;b&gt;post&lt;/b&gt;, <em>really</em></p>\n"
        );
        assert_eq!((text(&comment["name"]), &comment["member"]), ("Gus Guest", &json!(false)));
        assert!(comment.get("email").is_none() && comment.get("body").is_none());
        decide(house, &id, "rejected").await;
        assert_eq!(public().await["items"], json!([]));
        assert_eq!(
            house.events().await[2..],
            ["blog.comment.submitted", "blog.comment.approved", "blog.comment.rejected"]
        );
        assert_eq!(
            house.audits().await[2..],
            ["blog.comment.submit", "blog.comment.moderate", "blog.comment.moderate"]
        );
    })
    .await;
}

#[tokio::test]
async fn comments_on_drafts_and_closed_posts_are_refused() {
    in_both(async |house| {
        house.draft(house.author, "Hello", "").await;
        assert_eq!(house.post(PUBLIC).json(&guest("x")).refused(404).await, "blog.post.not_found");
        let closed = json!({ "title": "Closed", "comments_enabled": false });
        let post = house
            .post("/v1/blog/posts")
            .by(house.author)
            .json(&closed)
            .expect(StatusCode::CREATED)
            .await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        house.post(&format!("{path}/publish")).by(house.author).expect(StatusCode::OK).await;
        let target = "/v1/public/acme/posts/closed/comments";
        assert_eq!(house.post(target).json(&guest("x")).refused(409).await, "blog.comments.closed");
        let member = json!({ "body": "x" });
        let target = format!("{path}/comments");
        assert_eq!(
            house.post(&target).by(house.reader).json(&member).refused(409).await,
            "blog.comments.closed"
        );
    })
    .await;
}

#[tokio::test]
async fn faulty_comments_are_refused_with_their_place() {
    in_both(async |house| {
        house.published(house.author, "Hello", "").await;
        let cases = [
            (json!({ "name": "", "body": "x" }), 422, "blog.comment.name"),
            (json!({ "name": "a", "body": " " }), 422, "blog.comment.length"),
            (json!({ "name": "a", "body": "x".repeat(5001) }), 422, "blog.comment.length"),
            (json!({ "name": "a", "body": ">".repeat(900) }), 422, "blog.comment.nesting"),
            (json!({ "name": "a", "body": "x", "email": "nowhere" }), 422, "blog.comment.email"),
            (json!({ "name": "a", "body": "x", "admin": true }), 400, "kernel.body.malformed"),
            (json!({ "name": "a" }), 400, "kernel.body.malformed"),
        ];
        for (body, status, code) in cases {
            assert_eq!(house.post(PUBLIC).json(&body).refused(status).await, code);
        }
    })
    .await;
}

#[tokio::test]
async fn one_address_comments_a_few_times_in_a_window() {
    in_both_with("[blog.comments]\nper_address_max = 2\nwindow = \"10m\"", async |house| {
        house.published(house.author, "Hello", "").await;
        submit(house, "one").await;
        submit(house, "two").await;
        let response = house.post(PUBLIC).json(&guest("three")).send().await;
        assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers[troupe_kernel::header::RETRY_AFTER], "600");
        let elsewhere = house.post(PUBLIC).address("192.0.2.8").json(&guest("four"));
        elsewhere.expect(StatusCode::ACCEPTED).await;
        house.clock.advance(Duration::from_secs(601));
        submit(house, "five").await;
    })
    .await;
}

#[tokio::test]
async fn only_so_many_comments_wait_on_one_post() {
    in_both_with("[blog.comments]\npending_max = 1", async |house| {
        house.published(house.author, "Hello", "").await;
        let id = submit(house, "one").await;
        assert_eq!(
            house.post(PUBLIC).json(&guest("two")).refused(429).await,
            "blog.comment.backlog"
        );
        decide(house, &id, "approved").await;
        submit(house, "two").await;
    })
    .await;
}

#[tokio::test]
async fn advertising_is_put_aside_without_telling() {
    in_both(async |house| {
        house.published(house.author, "Hello", "").await;
        submit(house, "http://a.example http://b.example https://c.example https://d.example")
            .await;
        let page =
            house.get(&format!("{ALL}?status=spam")).by(house.editor).expect(StatusCode::OK).await;
        assert_eq!(each(&page, "status"), ["spam"]);
    })
    .await;
}

#[tokio::test]
async fn members_comment_at_once_and_see_what_is_theirs() {
    in_both(async |house| {
        let post = house.published(house.author, "Hello", "").await;
        let target = format!("/v1/blog/posts/{}/comments", text(&post["id"]));
        let body = json!({ "body": "From inside" });
        let comment =
            house.post(&target).by(house.reader).json(&body).expect(StatusCode::CREATED).await;
        assert_eq!((text(&comment["status"]), text(&comment["name"])), ("approved", "Rea Reader"));
        let page = house.get(PUBLIC).expect(StatusCode::OK).await;
        assert_eq!(page["items"][0]["member"], true);
        house.clock.advance(Duration::from_millis(1));
        submit(house, "From outside").await;

        let list = async |who| house.get(ALL).by(who).expect(StatusCode::OK).await;
        assert_eq!(each(&list(house.reader).await, "body"), ["From inside"]);
        assert_eq!(each(&list(house.author).await, "body"), ["From outside", "From inside"]);
        assert_eq!(each(&list(house.editor).await, "body").len(), 2);
        assert!(each(&list(house.rival).await, "body").is_empty());
        assert!(each(&list(house.stranger).await, "body").is_empty());
        assert_eq!(
            house.post(&target).by(house.stranger).json(&body).refused(404).await,
            "blog.post.not_found"
        );
    })
    .await;
}

#[tokio::test]
async fn comments_are_moderated_and_deleted_by_whom_it_concerns() {
    in_both(async |house| {
        let post = house.published(house.author, "Hello", "").await;
        let id = submit(house, "x").await;
        let target = format!("{ALL}/{id}");
        let approve = json!({ "status": "approved" });
        for (who, status, code) in [
            (house.reader, 403, "blog.access.denied"),
            (house.rival, 403, "blog.access.denied"),
            (house.stranger, 404, "blog.comment.not_found"),
        ] {
            assert_eq!(house.patch(&target).by(who).json(&approve).refused(status).await, code);
            assert_eq!(house.delete(&target).by(who).refused(status).await, code);
        }
        house.patch(&target).by(house.author).json(&approve).expect(StatusCode::OK).await;
        house.delete(&target).by(house.author).expect(StatusCode::NO_CONTENT).await;
        assert_eq!(
            house.delete(&target).by(house.author).refused(404).await,
            "blog.comment.not_found"
        );

        let body = json!({ "body": "mine" });
        let own = format!("/v1/blog/posts/{}/comments", text(&post["id"]));
        let comment =
            house.post(&own).by(house.reader).json(&body).expect(StatusCode::CREATED).await;
        let target = format!("{ALL}/{}", text(&comment["id"]));
        assert_eq!(house.delete(&target).by(house.rival).refused(403).await, "blog.access.denied");
        house.delete(&target).by(house.reader).expect(StatusCode::NO_CONTENT).await;
        assert_eq!(house.get(PUBLIC).expect(StatusCode::OK).await["items"], json!([]));
        let faulty = json!({ "status": "lovely" });
        assert_eq!(
            house.patch(&target).by(house.editor).json(&faulty).refused(400).await,
            "kernel.body.malformed"
        );
    })
    .await;
}

#[tokio::test]
async fn comments_are_paged_in_order() {
    in_both_with("[blog.comments]\nper_address_max = 100", async |house| {
        house.published(house.author, "Hello", "").await;
        for number in 0..5 {
            let id = submit(house, &format!("number {number}")).await;
            decide(house, &id, "approved").await;
            house.clock.advance(Duration::from_millis(1));
        }
        let page = house.get(&format!("{PUBLIC}?limit=3")).expect(StatusCode::OK).await;
        assert_eq!(each(&page, "html")[0], "<p>number 0</p>\n");
        let next = format!("{PUBLIC}?limit=3&cursor={}", text(&page["next_cursor"]));
        let rest = house.get(&next).expect(StatusCode::OK).await;
        assert_eq!(each(&rest, "html"), ["<p>number 3</p>\n", "<p>number 4</p>\n"]);
        let page = house
            .get(&format!("{ALL}?limit=4&status=approved"))
            .by(house.editor)
            .expect(StatusCode::OK)
            .await;
        assert_eq!(each(&page, "body")[0], "number 4");
        let next = format!("{ALL}?limit=4&cursor={}", text(&page["next_cursor"]));
        let rest = house.get(&next).by(house.editor).expect(StatusCode::OK).await;
        assert_eq!(each(&rest, "body"), ["number 0"]);
    })
    .await;
}

#[tokio::test]
async fn the_name_of_a_deleted_account_is_erased() {
    in_both(async |house| {
        let post = house.published(house.author, "Hello", "").await;
        let target = format!("/v1/blog/posts/{}/comments", text(&post["id"]));
        house
            .post(&target)
            .by(house.reader)
            .json(&json!({ "body": "x" }))
            .expect(StatusCode::CREATED)
            .await;
        let data = UserEvent { user: UserId(house.reader.id), version: 2 };
        house.deliver(Event::new(USER_ANONYMISED, house.reader.id, &data)).await;
        let page = house.get(ALL).by(house.editor).expect(StatusCode::OK).await;
        assert_eq!(each(&page, "name"), [""]);
    })
    .await;
}
