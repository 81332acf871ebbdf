//! Import and export, document by document and a whole blog.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_blog::directory::{self, Writer};
use troupe_kernel::StatusCode;

use crate::house::{House, Person, each, in_both, text};

async fn import(house: &House, who: Person, path: &str, content: &str) -> Value {
    let body = json!({ "path": path, "content": content });
    let response = house.post("/v1/blog/import").by(who).json(&body).send().await;
    let shown = String::from_utf8_lossy(&response.body);
    assert!(response.status.is_success(), "{path}: {shown}");
    serde_json::from_slice(&response.body).expect("JSON")
}

async fn export(house: &House, who: Person) -> Vec<Value> {
    let mut documents = Vec::new();
    let mut target = "/v1/blog/export?limit=2".to_owned();
    loop {
        let page = house.get(&target).by(who).expect(StatusCode::OK).await;
        documents.extend(page["items"].as_array().expect("a page").clone());
        let Some(cursor) = page["next_cursor"].as_str() else { return documents };
        target = format!("/v1/blog/export?limit=2&cursor={cursor}");
    }
}

#[tokio::test]
async fn a_document_is_created_updated_and_left_alone() {
    in_both(async |house| {
        let first = "---\ntitle: Guide\ntags: [Docs]\ndraft: false\ndate: 2024-05-01\nlayout: x\n---\n\nText\n";
        let created = import(house, house.editor, "docs/guide.md", first).await;
        assert_eq!(text(&created["outcome"]), "created");
        assert_eq!(created["warnings"], json!(["`layout` is not used"]));
        let post = &created["post"];
        assert_eq!((text(&post["status"]), text(&post["published_at"])), ("published", "2024-05-01T00:00:00Z"));
        assert_eq!((text(&post["slug"]), text(&post["source_path"])), ("guide", "docs/guide.md"));

        let again = import(house, house.editor, "docs/guide.md", first).await;
        assert_eq!((text(&again["outcome"]), &again["post"]), ("unchanged", post));
        let spaced = import(house, house.editor, "docs/guide.md", &first.replace("Text", "\nText\n\n")).await;
        assert_eq!(text(&spaced["outcome"]), "unchanged", "the same post in other bytes");
        assert_eq!(spaced["post"]["version"], 1);

        let changed = import(house, house.editor, "docs/guide.md", &first.replace("Text", "New")).await;
        assert_eq!((text(&changed["outcome"]), &changed["post"]["version"]), ("updated", &json!(2)));
        assert_eq!(changed["post"]["id"], post["id"]);
        let page = house.get("/v1/public/acme/posts/guide").expect(StatusCode::OK).await;
        assert_eq!(text(&page["html"]), "<p>New</p>\n");
        assert_eq!(
            house.events().await,
            ["blog.post.created", "blog.post.published", "blog.post.updated"]
        );
    })
    .await;
}

#[tokio::test]
async fn without_front_matter_the_request_decides_whether_it_is_published() {
    in_both(async |house| {
        let draft = import(house, house.editor, "a.md", "# Title A\n\nText").await;
        assert_eq!(
            (text(&draft["post"]["status"]), text(&draft["post"]["title"])),
            ("draft", "Title A")
        );
        let body = json!({ "path": "b.md", "content": "just text", "publish": true });
        let published = house
            .post("/v1/blog/import")
            .by(house.editor)
            .json(&body)
            .expect(StatusCode::CREATED)
            .await;
        assert_eq!(
            (text(&published["post"]["status"]), text(&published["post"]["title"])),
            ("published", "b")
        );
        let same = import(house, house.editor, "b.md", "other text").await;
        assert_eq!(text(&same["post"]["status"]), "published", "a state that is not stated stays");
    })
    .await;
}

#[tokio::test]
async fn a_document_may_schedule_its_post() {
    in_both(async |house| {
        let ahead = "---\ntitle: Later\npublish_at: 2026-01-01T02:00:00Z\n---\nx";
        let imported = import(house, house.editor, "later.md", ahead).await;
        assert_eq!(text(&imported["post"]["status"]), "scheduled");
        assert_eq!(house.jobs("blog.publish").await.len(), 1);
        let dated = import(
            house,
            house.editor,
            "dated.md",
            "+++\ndraft = false\ndate = 2026-03-01\n+++\nx",
        )
        .await;
        assert_eq!(text(&dated["post"]["publish_at"]), "2026-03-01T00:00:00Z");
        let past =
            import(house, house.editor, "past.md", "---\npublish_at: 2025-01-01\n---\nx").await;
        assert_eq!(
            (text(&past["post"]["status"]), text(&past["post"]["published_at"])),
            ("published", "2025-01-01T00:00:00Z")
        );
        house.clock.advance(Duration::from_secs(3 * 3600));
        assert!(house.run_jobs("blog.publish").await[0].is_ok());
        let again = import(house, house.editor, "later.md", ahead).await;
        assert_eq!(
            (text(&again["outcome"]), text(&again["post"]["status"])),
            ("unchanged", "published")
        );
    })
    .await;
}

#[tokio::test]
async fn faulty_documents_are_refused_with_a_reason() {
    in_both(async |house| {
        let cases = [
            ("a.txt", "x", "/path", "a path ends in .md or .markdown"),
            ("../a.md", "x", "/path", "a path is relative"),
            ("a.md", "---\ntitle: x\n", "/content", "never closed"),
            ("a.md", "---\ntitle: [\n---\n", "/content", "YAML front matter cannot be read"),
            ("a.md", "+++\ntitle = \n+++\n", "/content", "TOML front matter cannot be read"),
            ("a.md", "---\nstatus: lost\n---\n", "/content", "none of draft, scheduled, published"),
            ("a.md", "---\ndate: soon\n---\n", "/content", "is not a date"),
        ];
        for (path, content, pointer, reason) in cases {
            let body = json!({ "path": path, "content": content });
            let call = house.post("/v1/blog/import").by(house.editor).json(&body);
            let problem = call.expect(StatusCode::UNPROCESSABLE_ENTITY).await;
            assert_eq!(text(&problem["errors"][0]["pointer"]), pointer);
            assert!(text(&problem["detail"]).contains(reason), "{problem}");
        }
        let large = json!({ "path": "a.md", "content": "x".repeat(1024 * 1024 + 100_000) });
        let refused =
            house.post("/v1/blog/import").by(house.editor).json(&large).refused(413).await;
        assert_eq!(refused, "blog.document.too_large");
        assert!(house.events().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn importing_over_the_post_of_another_author_needs_the_right_to() {
    in_both(async |house| {
        import(house, house.editor, "a.md", "one").await;
        let body = json!({ "path": "a.md", "content": "two" });
        let denied = house.post("/v1/blog/import").by(house.rival).json(&body).refused(403).await;
        assert_eq!(denied, "blog.access.denied");
        let elsewhere = import(house, house.stranger, "a.md", "two").await;
        assert_eq!(text(&elsewhere["outcome"]), "created", "paths belong to an organisation");
    })
    .await;
}

#[tokio::test]
async fn an_export_imports_as_the_same_blog() {
    in_both(async |house| {
        fill(house).await;
        let exported = export(house, house.editor).await;
        assert_eq!(exported.len(), 5);
        for document in &exported {
            let (path, content) = (text(&document["path"]), text(&document["content"]));
            let imported = import(house, house.editor, path, content).await;
            assert_eq!(text(&imported["outcome"]), "unchanged", "{content}");
            assert_eq!(imported["post"]["version"], document["version"]);
            assert_eq!(imported["warnings"], json!([]));
            let moved = import(house, house.stranger, path, content).await;
            assert_eq!((text(&moved["outcome"]), &moved["warnings"]), ("created", &json!([])));
        }
        let without_id = |document: &Value| {
            let content = text(&document["content"]);
            content.lines().filter(|line| !line.starts_with("id:")).collect::<Vec<_>>().join("\n")
        };
        let mut there: Vec<_> =
            export(house, house.stranger).await.iter().map(without_id).collect();
        let mut ours: Vec<_> = export(house, house.editor).await.iter().map(without_id).collect();
        there.sort();
        ours.sort();
        assert_eq!(there, ours);
        let moved = house.get("/v1/public/other/posts/old-name").send().await;
        assert_eq!(moved.status, StatusCode::MOVED_PERMANENTLY);
        assert_eq!(
            house.audits().await.iter().filter(|action| *action == "blog.post.export").count(),
            3
        );
    })
    .await;
}

/// Posts of all kinds: published, renamed, scheduled, draft, with awkward titles.
async fn fill(house: &House) {
    let renamed =
        house.published(house.author, "Old name", "# Head\n\n- a\n- b\n\n---\n\nend").await;
    let path = format!("/v1/blog/posts/{}", text(&renamed["id"]));
    let change = json!({ "slug": "new-name", "tags": ["c++", "a b"], "excerpt": "short: \"yes\"" });
    house
        .patch(&path)
        .by(house.author)
        .if_match(&json!(2))
        .json(&change)
        .expect(StatusCode::OK)
        .await;
    house.clock.advance(Duration::from_millis(1));
    house.draft(house.author, "yes", "```\n---\n```").await;
    house.clock.advance(Duration::from_millis(1));
    let later = house.draft(house.author, "- 1: *later* #x", "").await;
    let target = format!("/v1/blog/posts/{}/schedule", text(&later["id"]));
    let time = json!({ "publish_at": "2027-01-01T00:00:00.000001Z" });
    house.put(&target).by(house.author).json(&time).expect(StatusCode::OK).await;
    house.clock.advance(Duration::from_millis(1));
    import(house, house.editor, "docs/readme.md", "---\ncomments: false\n---\nText").await;
    house.clock.advance(Duration::from_millis(1));
    let back = house.published(house.author, "Was public", "x").await;
    let target = format!("/v1/blog/posts/{}/unpublish", text(&back["id"]));
    house.post(&target).by(house.author).expect(StatusCode::OK).await;
}

#[tokio::test]
async fn a_directory_is_imported_and_exported_again() {
    in_both(async |house| {
        let root = std::env::temp_dir()
            .join(format!("troupe-blog-transfer-{}", house.db.clock().now().as_micros()));
        let root = root.join(format!("{:?}", house.db.dialect()));
        let mut writer = Writer::open(&root).expect("created");
        writer.write("b.md", "# Bee\n\nbuzz").expect("written");
        writer.write("a/one.md", "---\ntitle: One\n---\n\ntext").expect("written");
        let listing = directory::walk(&root).expect("listed");
        for source in &listing.documents {
            let content = directory::read(source).expect("text");
            import(house, house.editor, &source.path, &content).await;
        }
        let target = root.join("out");
        let mut writer = Writer::open(&target).expect("created");
        for document in export(house, house.editor).await {
            writer.write(text(&document["path"]), text(&document["content"])).expect("written");
        }
        let back = directory::walk(&target).expect("listed");
        assert_eq!(
            back.documents.iter().map(|each| each.path.as_str()).collect::<Vec<_>>(),
            ["a/one.md", "b.md"]
        );
        for source in &back.documents {
            let content = directory::read(source).expect("text");
            let imported = import(house, house.editor, &source.path, &content).await;
            assert_eq!(text(&imported["outcome"]), "unchanged");
        }
        drop(std::fs::remove_dir_all(&root));
    })
    .await;
}

#[tokio::test]
async fn a_page_of_large_documents_ends_early() {
    in_both(async |house| {
        for number in 0..6 {
            house.draft(house.author, &format!("Large {number}"), &"word ".repeat(200_000)).await;
            house.clock.advance(Duration::from_millis(1));
        }
        let page =
            house.get("/v1/blog/export?limit=100").by(house.editor).expect(StatusCode::OK).await;
        assert_eq!(each(&page, "path").len(), 4);
        assert_eq!(export(house, house.editor).await.len(), 6);
    })
    .await;
}
