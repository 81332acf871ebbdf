//! What everybody may read: posts, lists, feeds, and how fast a change shows.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use troupe_identity_messages::{ORGANISATION_SUSPENDED, OrganisationEvent, OrganisationStatus};
use troupe_kernel::{Event, StatusCode, header};

use crate::house::{House, each, in_both, in_both_with, text};

const LIST: &str = "/v1/public/acme/posts";

async fn read(house: &House, slug: &str) -> Value {
    house.get(&format!("{LIST}/{slug}")).expect(StatusCode::OK).await
}

#[tokio::test]
async fn a_published_post_is_read_by_everybody_and_a_draft_by_nobody() {
    in_both(async |house| {
        let post = house.published(house.author, "Hello", "*hi*").await;
        house.draft(house.author, "Hidden", "").await;
        let public = read(house, "hello").await;
        assert_eq!(
            (text(&public["html"]), text(&public["author"])),
            ("<p><em>hi</em></p>\n", "Ada Author")
        );
        assert_eq!(public["id"], post["id"]);
        assert!(public.get("body").is_none() && public.get("version").is_none());
        for slug in ["hidden", "gone", "Not%20a%20slug"] {
            assert_eq!(
                house.get(&format!("{LIST}/{slug}")).refused(404).await,
                "blog.post.not_found"
            );
        }
        let elsewhere = house.get("/v1/public/other/posts/hello").refused(404).await;
        assert_eq!(elsewhere, "blog.post.not_found");
        for organisation in ["nobody", "..", "a%2Fb"] {
            let refused = house.get(&format!("/v1/public/{organisation}/posts")).refused(404).await;
            assert_eq!(refused, "blog.organisation.not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_caller_has_is_not_sent_again() {
    in_both(async |house| {
        house.published(house.author, "Hello", "").await;
        for target in
            [LIST.to_owned(), format!("{LIST}/hello"), "/v1/public/acme/feed.atom".to_owned()]
        {
            let first = house.get(&target).send().await;
            assert_eq!(first.status, StatusCode::OK);
            assert_eq!(first.headers[header::CACHE_CONTROL], "public, no-cache");
            let etag = first.headers[header::ETAG].to_str().expect("text").to_owned();
            let again = house.get(&target).header(header::IF_NONE_MATCH, &etag).send().await;
            assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
            assert_eq!(again.headers[header::ETAG], etag.as_str());
            let other = house.get(&target).header(header::IF_NONE_MATCH, "\"other\"").send().await;
            assert_eq!((other.status, other.body), (StatusCode::OK, first.body));
        }
    })
    .await;
}

#[tokio::test]
async fn answers_come_from_the_cache_until_something_changes() {
    in_both(async |house| {
        let post = house.published(house.author, "Hello", "one").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        read(house, "hello").await;
        house.get(LIST).expect(StatusCode::OK).await;
        let kept = house.cache.len();
        house.cache.hits.store(0, Ordering::SeqCst);
        read(house, "hello").await;
        assert_eq!(house.cache.hits.load(Ordering::SeqCst), 2, "the organisation and the post");
        assert_eq!(house.cache.len(), kept);

        let change = json!({ "body": "two" });
        house
            .patch(&path)
            .by(house.author)
            .if_match(&json!(2))
            .json(&change)
            .expect(StatusCode::OK)
            .await;
        assert_eq!(text(&read(house, "hello").await["html"]), "<p>two</p>\n", "visible at once");
        house.published(house.author, "Second", "").await;
        assert_eq!(
            each(&house.get(LIST).expect(StatusCode::OK).await, "slug"),
            ["second", "hello"]
        );
        house.post(&format!("{path}/unpublish")).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(house.get(&format!("{LIST}/hello")).refused(404).await, "blog.post.not_found");
        assert_eq!(each(&house.get(LIST).expect(StatusCode::OK).await, "slug"), ["second"]);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_a_change_overtook_is_not_kept() {
    in_both(async |house| {
        let post = house.published(house.author, "Hello", "one").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        house.published(house.author, "Other", "").await;
        // The organisation is known from here on.
        read(house, "other").await;
        for (version, before, after) in [(2, "one", "two"), (3, "two", "three")] {
            let target = if version == 2 { format!("{LIST}/hello") } else { LIST.to_owned() };
            let held = house.cache.hold();
            let reading = async { house.get(&target).expect(StatusCode::OK).await };
            let changing = async {
                held.reached.notified().await;
                let change = json!({ "body": after, "title": after });
                let patch = house.patch(&path).by(house.author).if_match(&json!(version));
                patch.json(&change).expect(StatusCode::OK).await;
                held.go.notify_one();
            };
            let (old, ()) = tokio::join!(reading, changing);
            let shown = |answer: &Value| match version {
                2 => text(&answer["html"]).to_owned(),
                _ => each(answer, "title").join(" "),
            };
            assert!(shown(&old).contains(before), "it was read before: {old}");
            let new = house.get(&target).expect(StatusCode::OK).await;
            assert!(shown(&new).contains(after), "an old answer was kept: {new}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_event_of_a_change_forgets_what_a_racing_reader_put_back() {
    in_both(async |house| {
        let post = house.published(house.author, "Hello", "one").await;
        read(house, "hello").await;
        let kept = house.cache.len();
        let event =
            Event::new("blog.post.updated", text(&post["id"]), &json!({})).tenant(house.acme);
        house.deliver(event).await;
        assert_eq!(house.cache.len(), kept - 1);
    })
    .await;
}

/// Gives a post of version 2 one slug after the other.
async fn rename(house: &House, path: &str, slugs: &[&str]) {
    for (version, slug) in (2..).zip(slugs) {
        let change = house.patch(path).by(house.author).if_match(&json!(version));
        change.json(&json!({ "slug": slug })).expect(StatusCode::OK).await;
    }
}

#[tokio::test]
async fn an_old_slug_leads_to_the_current_one() {
    in_both(async |house| {
        let post = house.published(house.author, "First", "").await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        rename(house, &path, &["second", "third"]).await;
        for _ in 0..2 {
            for old in ["first", "second"] {
                let moved = house.get(&format!("{LIST}/{old}")).send().await;
                assert_eq!(moved.status, StatusCode::MOVED_PERMANENTLY);
                assert_eq!(moved.headers[header::LOCATION], "/v1/public/acme/posts/third");
            }
        }
        assert_eq!(text(&read(house, "third").await["title"]), "First");
        house.post(&format!("{path}/unpublish")).by(house.author).expect(StatusCode::OK).await;
        assert_eq!(house.get(&format!("{LIST}/first")).refused(404).await, "blog.post.not_found");
    })
    .await;
}

#[tokio::test]
async fn the_oldest_of_too_many_slugs_is_free_again() {
    in_both_with("blog.redirects_max = 1", async |house| {
        let post = house.published(house.author, "First", "").await;
        rename(house, &format!("/v1/blog/posts/{}", text(&post["id"])), &["second", "third"]).await;
        assert_eq!(house.get(&format!("{LIST}/first")).refused(404).await, "blog.post.not_found");
        let moved = house.get(&format!("{LIST}/second")).send().await;
        assert_eq!(moved.status, StatusCode::MOVED_PERMANENTLY);
        let other = house.published(house.author, "First", "").await;
        assert_eq!(text(&other["slug"]), "first");
    })
    .await;
}

#[tokio::test]
async fn lists_run_by_date_and_are_paged_without_gaps() {
    in_both(async |house| {
        for number in 0..5 {
            let tags = if number % 2 == 0 { json!(["even"]) } else { json!([]) };
            let body = json!({ "title": format!("Post {number}"), "tags": tags });
            let post = house
                .post("/v1/blog/posts")
                .by(house.author)
                .json(&body)
                .expect(StatusCode::CREATED)
                .await;
            let date = json!({ "published_at": format!("2025-01-0{}T00:00:00Z", 1 + number / 2) });
            let publish = format!("/v1/blog/posts/{}/publish", text(&post["id"]));
            house.post(&publish).by(house.author).json(&date).expect(StatusCode::OK).await;
            house.clock.advance(Duration::from_millis(1));
        }
        let mut seen = Vec::new();
        let mut target = format!("{LIST}?limit=2");
        loop {
            let page = house.get(&target).expect(StatusCode::OK).await;
            seen.extend(each(&page, "title").into_iter().map(str::to_owned));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            target = format!("{LIST}?limit=2&cursor={cursor}");
        }
        assert_eq!(seen, ["Post 4", "Post 3", "Post 2", "Post 1", "Post 0"]);
        let page = house.get(&format!("{LIST}?tag=EVEN&limit=1")).expect(StatusCode::OK).await;
        assert_eq!(each(&page, "title"), ["Post 4"]);
        let next = format!("{LIST}?tag=EVEN&cursor={}", text(&page["next_cursor"]));
        assert_eq!(
            each(&house.get(&next).expect(StatusCode::OK).await, "title"),
            ["Post 2", "Post 0"]
        );
        let tags = house.get("/v1/public/acme/tags").expect(StatusCode::OK).await;
        assert_eq!(tags["items"], json!([{ "tag": "even", "posts": 3 }]));
        assert_eq!(
            house.get(&format!("{LIST}?cursor=x")).refused(400).await,
            "kernel.cursor.invalid"
        );
    })
    .await;
}

#[tokio::test]
async fn feeds_and_sitemap_hold_the_newest_posts() {
    in_both(async |house| {
        house.published(house.author, "Old & <good>", "one").await;
        let tagged = json!({ "title": "New", "body": "*two*", "tags": ["rust"] });
        let post = house
            .post("/v1/blog/posts")
            .by(house.author)
            .json(&tagged)
            .expect(StatusCode::CREATED)
            .await;
        let publish = format!("/v1/blog/posts/{}/publish", text(&post["id"]));
        house.post(&publish).by(house.author).expect(StatusCode::OK).await;

        let atom = house.get("/v1/public/acme/feed.atom").send().await;
        assert_eq!(atom.headers[header::CONTENT_TYPE], "application/atom+xml; charset=utf-8");
        let feed = atom_syndication::Feed::read_from(&atom.body[..]).expect("valid Atom");
        assert_eq!(feed.title().as_str(), "The acme company");
        let titles: Vec<_> = feed.entries().iter().map(|entry| entry.title().as_str()).collect();
        assert_eq!(titles, ["New", "Old & <good>"]);
        let link = "http://127.0.0.1:8080/v1/public/acme/posts/new";
        assert_eq!(feed.entries()[0].links()[0].href(), link);
        assert_eq!(
            feed.entries()[0].content().and_then(|each| each.value()),
            Some("<p><em>two</em></p>\n")
        );

        let rss = house.get("/v1/public/acme/feed.rss").send().await;
        let channel = rss::Channel::read_from(&rss.body[..]).expect("valid RSS");
        assert_eq!(channel.items().len(), 2);
        assert_eq!(channel.items()[0].link(), Some(link));
        assert_eq!(channel.items()[0].categories()[0].name(), "rust");

        let sitemap = house.get("/v1/public/acme/sitemap.xml").send().await;
        let xml = String::from_utf8_lossy(&sitemap.body);
        assert!(
            xml.contains(&format!("<loc>{link}</loc><lastmod>2026-01-01T00:00:01Z</lastmod>")),
            "{xml}"
        );
        let empty = house.get("/v1/public/other/feed.rss").send().await;
        assert!(rss::Channel::read_from(&empty.body[..]).expect("valid RSS").items().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_suspended_organisation_is_gone_at_its_event() {
    in_both(async |house| {
        house.published(house.author, "Hello", "").await;
        read(house, "hello").await;
        house.known.lock().expect("nobody panics with it").organisations[0].2 =
            OrganisationStatus::Suspended;
        let data = OrganisationEvent {
            organisation: house.acme,
            slug: "acme".to_owned(),
            slug_before: None,
            version: 2,
        };
        house.deliver(Event::new(ORGANISATION_SUSPENDED, house.acme, &data)).await;
        assert_eq!(
            house.get(&format!("{LIST}/hello")).refused(404).await,
            "blog.organisation.not_found"
        );
        assert_eq!(house.cache.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_post_whose_author_is_unknown_is_shown_without_a_name() {
    in_both(async |house| {
        house.published(house.author, "Hello", "").await;
        house.known.lock().expect("nobody panics with it").names.clear();
        assert_eq!(text(&read(house, "hello").await["author"]), "");
    })
    .await;
}

#[tokio::test]
async fn many_readers_of_many_posts_all_get_theirs() {
    in_both(async |house| {
        for number in 0..8 {
            house
                .published(house.author, &format!("Post {number}"), &format!("text {number}"))
                .await;
        }
        let one = async |number: u32| {
            let post = read(house, &format!("post-{number}")).await;
            assert_eq!(text(&post["html"]), format!("<p>text {number}</p>\n"));
        };
        tokio::join!(
            one(0),
            one(1),
            one(2),
            one(3),
            one(4),
            one(5),
            one(6),
            one(7),
            one(0),
            one(1)
        );
    })
    .await;
}
