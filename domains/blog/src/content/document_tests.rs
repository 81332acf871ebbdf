//! Documents as people write them, and the way there and back.

use proptest::prelude::*;

use super::*;

#[test]
fn front_matter_decides_what_it_states() {
    let document = read(
        "posts/hello.md",
        "---\ntitle: Hello\nslug: hi\ndraft: false\ndate: 2024-05-01\ntags: [Rust]\ncomments: false\nlayout: x\n---\n\n# Hello\n\nBody\n",
    )
    .expect("valid");
    assert_eq!(document.title, "Hello");
    assert_eq!(document.slug.as_deref(), Some("hi"));
    assert_eq!(document.status, Some(PostStatus::Published));
    assert_eq!(
        document.published_at.map(|time| time.to_string()).as_deref(),
        Some("2024-05-01T00:00:00Z")
    );
    assert_eq!(document.tags, Some(vec!["rust".to_owned()]));
    assert_eq!(document.comments, Some(false));
    assert_eq!(document.body, "# Hello\n\nBody");
    assert_eq!(document.warnings, ["`layout` is not used"]);
}

#[test]
fn without_front_matter_the_leading_heading_becomes_the_title() {
    let document = read("README.md", "# The *Guide*\n\nText\n").expect("valid");
    assert_eq!((document.title.as_str(), document.body.as_str()), ("The Guide", "Text"));
    let later = read("README.md", "Badge\n\n## Usage\n").expect("valid");
    assert_eq!((later.title.as_str(), later.body.as_str()), ("Usage", "Badge\n\n## Usage"));
    let none = read("docs/getting-started.md", "just text").expect("valid");
    assert_eq!(none.title, "getting started");
    assert_eq!(none.status, None);
    let empty = read("a.md", "---\ntitle: ''\n---\n# From the text\n").expect("valid");
    assert_eq!(empty.title, "From the text");
}

#[test]
fn faults_are_named() {
    let fault = |content: &str| read("a.md", content).expect_err("refused").to_string();
    assert_eq!(
        fault("---\nstatus: gone\n---\n"),
        "`status: gone` is none of draft, scheduled, published"
    );
    assert_eq!(fault("---\nstatus: scheduled\n---\n"), "`status: scheduled` needs `publish_at`");
    assert_eq!(
        fault("---\ndate: soon\n---\n"),
        "`date: soon` is not a date; write 2026-01-31 or 2026-01-31T09:30:00Z"
    );
    assert_eq!(
        fault("---\ntitle: A\n"),
        "the front matter opened by `---` on line 1 is never closed by a line `---`"
    );
    assert_eq!(fault("a\0"), "the body contains a NUL character");
    assert_eq!(read("../a.md", "").expect_err("refused").pointer(), "/path");
}

#[test]
fn foreign_ids_and_slugs_are_mended_with_a_warning() {
    let document = read("a.md", "---\nid: intro\nslug: /Docs/Über uns/\n---\nx").expect("valid");
    assert_eq!(document.id, None);
    assert_eq!(document.slug.as_deref(), Some("uber-uns"));
    assert_eq!(document.warnings.len(), 2);
    let root = read("a.md", "---\nslug: /\n---\nx").expect("valid");
    assert_eq!(root.slug, None);
}

#[test]
fn times_are_read_in_the_usual_forms() {
    for text in [
        "2024-05-01T10:00:00Z",
        "2024-05-01T12:00:00+02:00",
        "2024-05-01 12:00:00 +0200",
        "2024-05-01 10:00:00",
        "2024-05-01T10:00",
        " 2024-05-01 10:00 ",
    ] {
        assert_eq!(parse_time(text).map(Timestamp::as_secs), Some(1_714_557_600), "{text}");
    }
    for text in ["", "yesterday", "2024-13-01", "01/05/2024"] {
        assert_eq!(parse_time(text), None, "{text}");
    }
}

#[test]
fn the_digest_is_sha_256() {
    assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

fn post() -> impl Strategy<Value = ExportedPost> {
    let micros = 0_i64..4_102_444_800_000_000;
    (
        any::<u128>(),
        "\\PC{1,80}",
        "[ -~äö]{0,80}",
        proptest::collection::vec("[a-zA-Z0-9+#.: !&*'\"-]{1,20}", 0..6),
        proptest::option::of("\\PC{0,200}"),
        "[ -~\n\r\tä#>`*-]{0,400}",
        (0_u8..3, proptest::option::of(micros.clone()), micros, any::<bool>()),
        proptest::collection::vec("[a-z0-9]{1,10}", 0..4),
    )
        .prop_filter_map(
            "not valid content",
            |(id, title, slug_text, tag_list, excerpt, body, rest, redirects)| {
                let (status, published_at, publish_at, comments) = rest;
                let status = [PostStatus::Draft, PostStatus::Scheduled, PostStatus::Published]
                    [usize::from(status)];
                let mut distinct = redirects;
                distinct.sort();
                distinct.dedup();
                Some(ExportedPost {
                    id: Uuid::from_u128(id),
                    title: title::normalise(&title).ok()?,
                    slug: slug::slugify(&slug_text),
                    status,
                    published_at: published_at.map(Timestamp::from_micros),
                    publish_at: (status == PostStatus::Scheduled)
                        .then(|| Timestamp::from_micros(publish_at)),
                    tags: tags::normalise(&tag_list).ok()?,
                    excerpt: excerpt.and_then(|text| excerpt::given(&text).ok().flatten()),
                    comments,
                    redirects: distinct,
                    body: markdown::normalise(&body).ok()?,
                })
            },
        )
}

proptest! {
    #[test]
    fn an_export_imports_as_the_same_post(post in post()) {
        let document = read("posts/x.md", &write(&post)).expect("an export is always valid");
        prop_assert_eq!(&document.warnings, &Vec::<String>::new());
        let back = ExportedPost {
            id: document.id.expect("written"),
            title: document.title,
            slug: document.slug.expect("written"),
            status: document.status.expect("written"),
            published_at: document.published_at,
            publish_at: document.publish_at,
            tags: document.tags.expect("written"),
            excerpt: document.excerpt,
            comments: document.comments.expect("written"),
            redirects: document.redirects,
            body: document.body,
        };
        prop_assert_eq!(back, post);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(content in "(---\n|\\+\\+\\+\n)?\\PC{0,100}(\n---\n)?\\PC{0,50}") {
        if let Ok(document) = read("a.md", &content) {
            prop_assert_eq!(title::normalise(&document.title), Ok(document.title.clone()));
        }
    }
}
