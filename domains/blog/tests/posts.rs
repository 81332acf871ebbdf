//! Posts through the routes: writing, changing, slugs, tags, lists, revisions, access.

use std::collections::BTreeSet;

use serde_json::json;
use troupe_kernel::{StatusCode, header};

use crate::house::{each, in_both, in_both_with, text};

#[tokio::test]
async fn a_post_is_written_read_changed_and_deleted() {
    in_both(async |house| {
        let new =
            json!({ "title": "Hello, World!", "body": "# Hi\n\n*there*", "tags": ["Rust", "C++"] });
        let response = house.post("/v1/blog/posts").by(house.author).json(&new).send().await;
        assert_eq!(response.status, StatusCode::CREATED);
        let post: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        assert_eq!(response.headers[header::LOCATION], path.as_str());
        assert_eq!(response.headers[header::ETAG], "\"1\"");
        assert_eq!((text(&post["slug"]), text(&post["status"])), ("hello-world", "draft"));
        assert_eq!(post["tags"], json!(["rust", "c++"]));
        assert!(post.get("content").is_none(), "an answer to a change has no content");

        let read = house.get(&path).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(text(&read["content"]["body"]), "# Hi\n\n*there*");
        assert_eq!(
            text(&read["content"]["html"]),
            "<h1 id=\"user-content-hi\">Hi</h1>\n<p><em>there</em></p>\n"
        );
        assert_eq!(text(&read["summary"]), "Hi there");

        let change = json!({ "body": "New text", "excerpt": "Short" });
        let changed = house
            .patch(&path)
            .by(house.author)
            .if_match(&json!(1))
            .json(&change)
            .expect(StatusCode::OK)
            .await;
        assert_eq!((changed["version"].as_i64(), text(&changed["summary"])), (Some(2), "Short"));
        assert_eq!(text(&changed["title"]), "Hello, World!");

        house.delete(&path).by(house.author).expect(StatusCode::NO_CONTENT).await;
        assert_eq!(house.get(&path).by(house.author).refused(404).await, "blog.post.not_found");
        assert_eq!(
            house.events().await,
            ["blog.post.created", "blog.post.updated", "blog.post.deleted"]
        );
        assert_eq!(
            house.audits().await,
            ["blog.post.create", "blog.post.update", "blog.post.delete"]
        );
    })
    .await;
}

#[tokio::test]
async fn a_change_needs_the_current_version() {
    in_both(async |house| {
        let post = house.draft(house.author, "One", "a").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        let change = json!({ "title": "Two" });
        let missing = house.patch(&path).by(house.author).json(&change).refused(428).await;
        assert_eq!(missing, "kernel.precondition.required");
        house
            .patch(&path)
            .by(house.author)
            .if_match(&json!(1))
            .json(&change)
            .expect(StatusCode::OK)
            .await;
        let stale = house
            .patch(&path)
            .by(house.author)
            .if_match(&json!(1))
            .json(&change)
            .refused(412)
            .await;
        assert_eq!(stale, "blog.post.stale");
        let stale = house.delete(&path).by(house.author).if_match(&json!(1)).refused(412).await;
        assert_eq!(stale, "blog.post.stale");
    })
    .await;
}

#[tokio::test]
async fn of_two_changes_of_one_version_one_wins() {
    in_both(async |house| {
        let post = house.draft(house.author, "One", "a").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        let change = |title: &str| {
            house
                .patch(&path)
                .by(house.author)
                .if_match(&json!(1))
                .json(&json!({ "title": title }))
                .send()
        };
        let (a, b) = tokio::join!(change("A"), change("B"));
        let statuses = BTreeSet::from([a.status.as_u16(), b.status.as_u16()]);
        assert_eq!(statuses, BTreeSet::from([200, 412]));
        let revisions =
            house.get(&format!("{path}/revisions")).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(each(&revisions, "title").len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_change_that_changes_nothing_makes_no_version() {
    in_both(async |house| {
        let post = house.draft(house.author, "One", "a\r\n").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        let same = json!({ "title": " One ", "body": "\na", "slug": "one", "tags": [] });
        let after = house
            .patch(&path)
            .by(house.author)
            .if_match(&json!(1))
            .json(&same)
            .expect(StatusCode::OK)
            .await;
        assert_eq!(after["version"], 1);
        assert_eq!(house.events().await, ["blog.post.created"]);
    })
    .await;
}

#[tokio::test]
async fn faulty_content_is_refused_with_its_place() {
    in_both(async |house| {
        let cases = [
            (json!({ "title": " " }), 422, "blog.title.invalid"),
            (json!({ "title": "x".repeat(201) }), 422, "blog.title.invalid"),
            (json!({ "title": "a", "body": ">".repeat(5000) }), 422, "blog.body.invalid"),
            (
                json!({ "title": "a", "body": "x".repeat(1024 * 1024 + 1) }),
                413,
                "blog.body.too_large",
            ),
            (json!({ "title": "a", "tags": vec!["t"; 21] }), 422, "blog.tags.invalid"),
            (json!({ "title": "a", "excerpt": "x".repeat(501) }), 422, "blog.excerpt.too_long"),
            (json!({ "title": "a", "slug": "Ü" }), 422, "blog.slug.invalid"),
            (json!({ "title": "a", "colour": "red" }), 400, "kernel.body.malformed"),
            (json!({ "title": 7 }), 400, "kernel.body.malformed"),
            (json!({ "body": "a" }), 400, "kernel.body.malformed"),
        ];
        for (body, status, code) in cases {
            let refused =
                house.post("/v1/blog/posts").by(house.author).json(&body).refused(status).await;
            assert_eq!(refused, code);
        }
        assert!(house.events().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn slugs_are_unique_and_old_ones_stay_taken() {
    in_both(async |house| {
        let first = house.draft(house.author, "Same title", "").await;
        let second = house.draft(house.author, "Same title", "").await;
        let third = house.draft(house.stranger, "Same title", "").await;
        assert_eq!(
            [text(&first["slug"]), text(&second["slug"]), text(&third["slug"])],
            ["same-title", "same-title-2", "same-title"]
        );
        let taken = json!({ "title": "x", "slug": "same-title" });
        let refused = house.post("/v1/blog/posts").by(house.author).json(&taken).refused(409).await;
        assert_eq!(refused, "blog.slug.taken");

        let path = format!("/v1/blog/posts/{}", text(&first["id"]));
        let rename = |slug: &str, version: i64| {
            house
                .patch(&path)
                .by(house.author)
                .if_match(&json!(version))
                .json(&json!({ "slug": slug }))
        };
        rename("renamed", 1).expect(StatusCode::OK).await;
        let refused = house.post("/v1/blog/posts").by(house.author).json(&taken).refused(409).await;
        assert_eq!(refused, "blog.slug.taken", "an old slug leads to its post");
        let back = rename("same-title", 2).expect(StatusCode::OK).await;
        assert_eq!(text(&back["slug"]), "same-title", "a post may take its old slug again");
        house.delete(&path).by(house.author).expect(StatusCode::NO_CONTENT).await;
        house
            .post("/v1/blog/posts")
            .by(house.author)
            .json(&taken)
            .expect(StatusCode::CREATED)
            .await;
    })
    .await;
}

#[tokio::test]
async fn posts_with_one_title_written_at_once_get_different_slugs() {
    in_both(async |house| {
        let body = json!({ "title": "Race" });
        let writes = (0..16).map(|_| {
            house.post("/v1/blog/posts").by(house.author).json(&body).expect(StatusCode::CREATED)
        });
        let mut slugs = BTreeSet::new();
        for post in join_all(writes).await {
            assert!(slugs.insert(text(&post["slug"]).to_owned()), "{post}");
        }
        assert!(slugs.contains("race") && slugs.contains("race-10"), "{slugs:?}");
    })
    .await;
}

async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut waiting = false;
        for (future, slot) in running.iter_mut().zip(&mut done) {
            if slot.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(output) => *slot = Some(output),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn lists_are_paged_filtered_and_show_what_the_caller_may_see() {
    in_both(async |house| {
        for number in 0..5 {
            let tags = if number % 2 == 0 { json!(["even"]) } else { json!(["odd", "C++"]) };
            let body = json!({ "title": format!("Post {number}"), "tags": tags });
            house
                .post("/v1/blog/posts")
                .by(house.author)
                .json(&body)
                .expect(StatusCode::CREATED)
                .await;
            house.clock.advance(std::time::Duration::from_millis(1));
        }
        house.published(house.author, "Public", "").await;
        house.draft(house.rival, "Rival", "").await;

        let mut seen = Vec::new();
        let mut target = "/v1/blog/posts?limit=2".to_owned();
        loop {
            let page = house.get(&target).by(house.author).expect(StatusCode::OK).await;
            seen.extend(each(&page, "title").into_iter().map(str::to_owned));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            target = format!("/v1/blog/posts?limit=2&cursor={cursor}");
        }
        assert_eq!(seen, ["Public", "Post 4", "Post 3", "Post 2", "Post 1", "Post 0"]);

        let titles = async |target: &str, who| {
            let page = house.get(target).by(who).expect(StatusCode::OK).await;
            each(&page, "title").into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(titles("/v1/blog/posts", house.reader).await, ["Public"]);
        assert_eq!(titles("/v1/blog/posts", house.editor).await.len(), 7);
        assert!(titles("/v1/blog/posts", house.stranger).await.is_empty());
        assert_eq!(titles("/v1/blog/posts?tag=c%2B%2B", house.author).await, ["Post 3", "Post 1"]);
        assert_eq!(titles("/v1/blog/posts?status=published", house.editor).await, ["Public"]);
        let rival = format!("/v1/blog/posts?author={}", house.rival.id);
        assert_eq!(titles(&rival, house.editor).await, ["Rival"]);
        assert!(titles(&rival, house.author).await.is_empty());

        let faults = [
            ("cursor=nonsense", "kernel.cursor.invalid"),
            ("limit=0", "kernel.page.limit"),
            ("limit=101", "kernel.page.limit"),
            ("colour=red", "kernel.query.malformed"),
            ("status=gone", "kernel.query.malformed"),
        ];
        for (query, code) in faults {
            let refused =
                house.get(&format!("/v1/blog/posts?{query}")).by(house.author).refused(400).await;
            assert_eq!(refused, code);
        }
    })
    .await;
}

#[tokio::test]
async fn tags_are_counted_as_the_caller_sees_them() {
    in_both(async |house| {
        for (title, tags) in [("a", json!(["x", "y"])), ("b", json!(["x"]))] {
            let body = json!({ "title": title, "tags": tags });
            house
                .post("/v1/blog/posts")
                .by(house.author)
                .json(&body)
                .expect(StatusCode::CREATED)
                .await;
        }
        let page = house.get("/v1/blog/tags").by(house.author).expect(StatusCode::OK).await;
        assert_eq!(page["items"], json!([{ "tag": "x", "posts": 2 }, { "tag": "y", "posts": 1 }]));
        let page = house.get("/v1/blog/tags?limit=1").by(house.author).expect(StatusCode::OK).await;
        let next = format!("/v1/blog/tags?limit=1&cursor={}", text(&page["next_cursor"]));
        let page = house.get(&next).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(page, json!({ "items": [{ "tag": "y", "posts": 1 }], "next_cursor": null }));
        let page = house.get("/v1/blog/tags").by(house.reader).expect(StatusCode::OK).await;
        assert_eq!(page["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn authors_act_on_their_own_posts_and_nobody_across_tenants() {
    in_both(async |house| {
        let post = house.draft(house.author, "Mine", "secret").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        let change = json!({ "title": "Theirs" });
        assert_eq!(house.get(&path).by(house.rival).refused(404).await, "blog.post.not_found");
        let denied =
            house.patch(&path).by(house.rival).if_match(&json!(1)).json(&change).refused(403).await;
        assert_eq!(denied, "blog.access.denied");
        assert_eq!(house.delete(&path).by(house.rival).refused(403).await, "blog.access.denied");
        let publish = format!("{path}/publish");
        assert_eq!(house.post(&publish).by(house.rival).refused(403).await, "blog.access.denied");

        let stranger = house.stranger;
        assert_eq!(house.get(&path).by(stranger).refused(404).await, "blog.post.not_found");
        assert_eq!(house.delete(&path).by(stranger).refused(404).await, "blog.post.not_found");
        let patched =
            house.patch(&path).by(stranger).if_match(&json!(1)).json(&change).refused(404).await;
        assert_eq!(patched, "blog.post.not_found");
        for action in ["publish", "unpublish", "revisions/1/restore"] {
            let target = format!("{path}/{action}");
            let refused = house.post(&target).by(stranger).if_match(&json!(1)).refused(404).await;
            assert!(refused.ends_with("not_found"), "{action}: {refused}");
        }
        let time = json!({ "publish_at": "2030-01-01T00:00:00Z" });
        let schedule = format!("{path}/schedule");
        assert_eq!(
            house.put(&schedule).by(stranger).json(&time).refused(404).await,
            "blog.post.not_found"
        );
        for target in [format!("{path}/revisions"), format!("{path}/revisions/1")] {
            let refused = house.get(&target).by(stranger).refused(404).await;
            assert!(refused.ends_with("not_found"), "{target}: {refused}");
        }
        assert_eq!(house.get(&path).refused(401).await, "blog.principal.missing");

        house
            .patch(&path)
            .by(house.editor)
            .if_match(&json!(1))
            .json(&change)
            .expect(StatusCode::OK)
            .await;
        let read = house.get(&path).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(text(&read["author"]), house.author.id.to_string(), "the author stays");
    })
    .await;
}

#[tokio::test]
async fn each_save_is_a_revision_that_can_be_brought_back() {
    in_both_with("blog.revisions_max = 3", async |house| {
        let post = house.draft(house.author, "One", "first").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        let change = json!({ "title": "Two", "body": "second", "tags": ["t"], "excerpt": "e" });
        house
            .patch(&path)
            .by(house.editor)
            .if_match(&json!(1))
            .json(&change)
            .expect(StatusCode::OK)
            .await;
        let page =
            house.get(&format!("{path}/revisions")).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(each(&page, "title"), ["Two", "One"]);
        assert_eq!(each(&page, "editor")[0], house.editor.id.to_string());
        let old =
            house.get(&format!("{path}/revisions/1")).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(text(&old["body"]), "first");

        let restore = format!("{path}/revisions/1/restore");
        assert_eq!(
            house.post(&restore).by(house.author).refused(428).await,
            "kernel.precondition.required"
        );
        let stale = house.post(&restore).by(house.author).if_match(&json!(1)).refused(412).await;
        assert_eq!(stale, "blog.post.stale");
        let back =
            house.post(&restore).by(house.author).if_match(&json!(2)).expect(StatusCode::OK).await;
        assert_eq!((back["version"].as_i64(), text(&back["title"])), (Some(3), "One"));
        let read = house.get(&path).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(text(&read["content"]["body"]), "first");
        assert_eq!(read["tags"], json!([]));
        assert_eq!(read["content"]["excerpt"], json!(null));

        let change = json!({ "body": "fourth" });
        house
            .patch(&path)
            .by(house.author)
            .if_match(&json!(3))
            .json(&change)
            .expect(StatusCode::OK)
            .await;
        let gone = house.get(&format!("{path}/revisions/1")).by(house.author).refused(404).await;
        assert_eq!(gone, "blog.revision.not_found", "only three are kept");
        let page = house
            .get(&format!("{path}/revisions?limit=2"))
            .by(house.author)
            .expect(StatusCode::OK)
            .await;
        assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
        let next = format!("{path}/revisions?cursor={}", text(&page["next_cursor"]));
        let page = house.get(&next).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(page["items"][0]["version"], 2);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_is_answered_and_not_done_again() {
    in_both(async |house| {
        let body = json!({ "title": "Once" });
        let create = || house.post("/v1/blog/posts").by(house.author).json(&body).idempotent("k1");
        let first = create().expect(StatusCode::CREATED).await;
        let second = create().expect(StatusCode::CREATED).await;
        assert_eq!(first, second);
        let path = format!("/v1/blog/posts/{}", text(&first["id"]));
        let delete = || house.delete(&path).by(house.author).idempotent("k2");
        delete().expect(StatusCode::NO_CONTENT).await;
        delete().expect(StatusCode::NO_CONTENT).await;
        assert_eq!(house.events().await, ["blog.post.created", "blog.post.deleted"]);
    })
    .await;
}
