//! Front matter as site generators write it, broken front matter, and the way back.

use proptest::prelude::*;

use super::*;

fn yaml(text: &str) -> Result<FrontMatter, FrontMatterError> {
    parse(Language::Yaml, text)
}

#[test]
fn a_document_is_cut_at_its_fences() {
    let parts = split("---\ntitle: A\n---\n\nBody\n---\n").expect("closed");
    assert_eq!(parts, Parts { front: Some((Language::Yaml, "title: A\n")), body: "Body\n---\n" });
    let parts = split("\u{feff}+++\r\ntitle = 'A'\r\n+++\r\nBody").expect("closed");
    assert_eq!(parts, Parts { front: Some((Language::Toml, "title = 'A'\r\n")), body: "Body" });
    let parts = split("# Just Markdown\n---\n").expect("no fence");
    assert_eq!(parts, Parts { front: None, body: "# Just Markdown\n---\n" });
}

#[test]
fn an_open_or_endless_front_matter_is_refused() {
    assert_eq!(split("---\ntitle: A\n"), Err(FrontMatterError::Unclosed("---")));
    assert_eq!(split("+++\ntitle = 'A'\n---\n"), Err(FrontMatterError::Unclosed("+++")));
    let endless = format!("---\n{}", "a: b\n".repeat(20_000));
    assert!(matches!(split(&endless), Err(FrontMatterError::TooLarge(_))));
}

#[test]
fn both_languages_say_the_same() {
    let from_yaml = yaml(
        "title: Hello\ntags: [Rust, C++]\ndraft: false\ndate: 2024-05-01T10:00:00Z\nlayout: post\n",
    );
    let from_toml = parse(
        Language::Toml,
        "title = \"Hello\"\ntags = [\"Rust\", \"C++\"]\ndraft = false\ndate = 2024-05-01T10:00:00Z\nlayout = \"post\"\n",
    );
    let expected = FrontMatter {
        title: Some("Hello".to_owned()),
        tags: Some(vec!["Rust".to_owned(), "C++".to_owned()]),
        draft: Some(false),
        date: Some("2024-05-01T10:00:00Z".to_owned()),
        unused: vec!["layout".to_owned()],
        ..FrontMatter::default()
    };
    assert_eq!(from_yaml, Ok(expected.clone()));
    assert_eq!(from_toml, Ok(expected));
}

#[test]
fn unquoted_scalars_keep_their_spelling() {
    let front = yaml("title: 1.10\ntags: [2024, yes]\nslug: 007\nexcerpt:\ndate: 2024-05-01\n")
        .expect("valid");
    assert_eq!(front.title.as_deref(), Some("1.10"));
    assert_eq!(front.tags, Some(vec!["2024".to_owned(), "yes".to_owned()]));
    assert_eq!(front.slug.as_deref(), Some("007"));
    assert_eq!(front.excerpt, None);
    assert_eq!(front.date.as_deref(), Some("2024-05-01"));
}

#[test]
fn tags_may_be_words_with_commas_and_categories_join_them() {
    let front = yaml("tags: rust, actors\ncategories: [news]\ndescription: D\n").expect("valid");
    assert_eq!(front.tags, Some(vec!["rust".to_owned(), "actors".to_owned(), "news".to_owned()]));
    assert_eq!(front.excerpt.as_deref(), Some("D"));
}

#[test]
fn a_fault_says_what_and_where() {
    let message =
        |result: Result<FrontMatter, FrontMatterError>| result.expect_err("broken").to_string();
    let wrong = message(yaml("title: A\ndraft: [1]\n"));
    assert!(
        wrong.starts_with("the YAML front matter cannot be read:") && wrong.contains("`draft`"),
        "{wrong}"
    );
    assert!(wrong.contains("line 2"), "{wrong}");
    let broken = message(yaml("title: \"open\nx: y\n"));
    assert!(broken.contains("line"), "{broken}");
    assert!(message(yaml("just words")).contains("cannot be read"));
    let toml = message(parse(Language::Toml, "title = \n"));
    assert!(
        toml.starts_with("the TOML front matter cannot be read:") && toml.contains("line 1"),
        "{toml}"
    );
    assert!(!toml.contains('\n'));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let last = level - 1;
        bomb.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![format!("*a{last}"); 9].join(",")
        ));
    }
    assert!(yaml(&bomb).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        title in "[^\\p{C}\\p{Z}]([^\\p{C}\\p{Zl}\\p{Zp}]{0,60}[^\\p{C}\\p{Z}])?",
        excerpt in proptest::option::of("[ -~äöü—]{1,200}"),
        tags in proptest::collection::vec("[a-z0-9 +#.:'\"&*!|>%@`-]{1,12}", 0..5),
        comments in any::<bool>(),
        body in "\\PC{0,200}",
    ) {
        let front = FrontMatter {
            title: Some(title),
            excerpt,
            tags: Some(tags),
            comments: Some(comments),
            date: Some("2024-05-01T10:00:00.000001Z".to_owned()),
            ..FrontMatter::default()
        };
        let document = write(&front, &body);
        let parts = split(&document).expect("closed");
        let (language, text) = parts.front.expect("written");
        prop_assert_eq!(parse(language, text), Ok(front));
        prop_assert_eq!(parts.body, format!("{body}\n"));
    }
}
