//! Full-text search means the same on both databases.

use serde_json::{Value, json};
use troupe_kernel::StatusCode;

use crate::house::{House, each, in_both, text};

async fn search(house: &House, query: &str) -> Value {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    house.get(&format!("/v1/public/acme/search?q={encoded}")).expect(StatusCode::OK).await
}

async fn publish(house: &House, title: &str, body: &str, tags: Value) {
    let new = json!({ "title": title, "body": body, "tags": tags });
    let post =
        house.post("/v1/blog/posts").by(house.author).json(&new).expect(StatusCode::CREATED).await;
    house.clock.advance(std::time::Duration::from_millis(1));
    let target = format!("/v1/blog/posts/{}/publish", text(&post["id"]));
    house.post(&target).by(house.author).expect(StatusCode::OK).await;
}

#[tokio::test]
async fn words_phrases_and_exclusions_are_understood() {
    in_both(async |house| {
        publish(
            house,
            "Actors in Rust",
            "Mailboxes hold messages. Supervisors restart actors.",
            json!([]),
        )
        .await;
        publish(house, "Gardening", "Actors on a stage, and roses.", json!(["rust-lang"])).await;
        publish(house, "Cooking", "A rusty pan. Messages from the kitchen.", json!([])).await;
        for (query, expected) in [
            ("supervisor", vec!["Actors in Rust"]),
            ("restarting", vec!["Actors in Rust"]),
            ("MESSAGES mailbox", vec!["Actors in Rust"]),
            ("\"hold messages\"", vec!["Actors in Rust"]),
            ("\"messages hold\"", vec![]),
            ("actors", vec!["Actors in Rust", "Gardening"]),
            ("actors -roses", vec!["Actors in Rust"]),
            ("nothing", vec![]),
            ("-roses", vec![]),
        ] {
            assert_eq!(each(&search(house, query).await, "title"), expected, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn awkward_queries_never_fail() {
    in_both(async |house| {
        publish(house, "C++ and Rust", "About c++ and rust-lang, said \"x\".", json!(["c++"]))
            .await;
        for query in ["c++", "rust-lang", "\"x", "x\"", "rust-lang c++"] {
            assert_eq!(each(&search(house, query).await, "title"), ["C++ and Rust"], "{query}");
        }
        for query in [
            "",
            "+++",
            "'; DROP TABLE blog_posts; --",
            "* OR NEAR(",
            "title:",
            "a AND",
            "\\",
            "%",
            "^x",
            "{a b}:c",
            "()",
        ] {
            search(house, query).await;
        }
        let long = "x".repeat(201);
        let refused = house.get(&format!("/v1/public/acme/search?q={long}")).refused(422).await;
        assert_eq!(refused, "blog.query.too_long");
        assert_eq!(
            house.get("/v1/public/acme/search").refused(400).await,
            "kernel.query.malformed"
        );
    })
    .await;
}

#[tokio::test]
async fn a_snippet_marks_the_words_and_escapes_the_rest() {
    in_both(async |house| {
        publish(
            house,
            "Title",
            "Before <script>alert(1)</script> `a < b` the needle & after.",
            json!([]),
        )
        .await;
        let page = search(house, "needle").await;
        let snippet = text(&page["items"][0]["snippet"]).to_owned();
        assert!(snippet.contains("<mark>needle</mark>"), "{snippet}");
        assert!(snippet.contains("a &lt; b") && !snippet.contains("<script"), "{snippet}");
    })
    .await;
}

#[tokio::test]
async fn the_index_follows_changes_and_deletions() {
    in_both(async |house| {
        let post = house.published(house.author, "Hello", "ancient").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        let change = json!({ "body": "modern", "title": "Renamed", "tags": ["fresh"] });
        house
            .patch(&path)
            .by(house.author)
            .if_match(&json!(2))
            .json(&change)
            .expect(StatusCode::OK)
            .await;
        assert!(each(&search(house, "ancient").await, "title").is_empty());
        for query in ["modern", "renamed", "fresh"] {
            assert_eq!(each(&search(house, query).await, "title"), ["Renamed"], "{query}");
        }
        house.delete(&path).by(house.author).expect(StatusCode::NO_CONTENT).await;
        assert!(each(&search(house, "modern").await, "title").is_empty());
    })
    .await;
}

#[tokio::test]
async fn members_find_their_drafts_and_nobody_finds_other_tenants() {
    in_both(async |house| {
        house.draft(house.author, "Needle draft", "").await;
        house.published(house.stranger, "Needle elsewhere", "").await;
        let find = async |who| {
            let page = house.get("/v1/blog/search?q=needle").by(who).expect(StatusCode::OK).await;
            each(&page, "title").into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(find(house.author).await, ["Needle draft"]);
        assert_eq!(find(house.editor).await, ["Needle draft"]);
        assert!(find(house.rival).await.is_empty());
        assert_eq!(find(house.stranger).await, ["Needle elsewhere"]);
        assert!(each(&search(house, "needle").await, "title").is_empty());
    })
    .await;
}

#[tokio::test]
async fn results_are_paged_within_a_bound() {
    in_both(async |house| {
        for number in 0..5 {
            publish(house, &format!("Needle {number}"), "", json!([])).await;
        }
        let mut seen = Vec::new();
        let mut target = "/v1/public/acme/search?q=needle&limit=2".to_owned();
        loop {
            let page = house.get(&target).expect(StatusCode::OK).await;
            seen.extend(each(&page, "title").into_iter().map(str::to_owned));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            let foreign = format!("/v1/public/acme/search?q=other&cursor={cursor}");
            assert_eq!(house.get(&foreign).refused(422).await, "blog.query.too_deep");
            target = format!("/v1/public/acme/search?q=needle&limit=2&cursor={cursor}");
        }
        seen.sort();
        assert_eq!(seen, ["Needle 0", "Needle 1", "Needle 2", "Needle 3", "Needle 4"]);
        let deep = troupe_kernel::Cursor::encode(&("needle", 1000_u32));
        let target = format!("/v1/public/acme/search?q=needle&cursor={}", deep.as_str());
        assert_eq!(house.get(&target).refused(422).await, "blog.query.too_deep");
    })
    .await;
}
