//! A bound on how deep a document nests, before any HTML parser sees it.
//!
//! The cost of HTML5 tree construction grows with the square of the depth: 60 kB
//! of `<div>` took 4 s in a trial where 60 kB of text took 20 ms. So Markdown
//! structure is limited to [`BLOCKS_MAX`] levels and raw HTML to [`TAGS_MAX`] open or
//! wrongly closed elements. This counts tags, it is no HTML parser: it may refuse
//! a very broken document, it never decides what is safe.

use pulldown_cmark::Event;

/// The most Markdown blocks and spans inside each other.
pub const BLOCKS_MAX: usize = 64;
/// The most raw HTML elements that are open at one place, and the most closing
/// tags that do not fit their opening ones.
pub const TAGS_MAX: usize = 100;

/// Whether the events stay within the bounds.
#[must_use]
pub fn is_bounded<'event>(events: impl IntoIterator<Item = &'event Event<'event>>) -> bool {
    let mut blocks = 0_usize;
    let mut tags = Tags::default();
    for event in events {
        match event {
            Event::Start(_) => blocks += 1,
            Event::End(_) => blocks = blocks.saturating_sub(1),
            Event::Html(text) | Event::InlineHtml(text) => tags.scan(text),
            _ => {}
        }
        if blocks > BLOCKS_MAX || tags.open.len() > TAGS_MAX || tags.mistakes > TAGS_MAX {
            return false;
        }
    }
    true
}

/// The elements that raw HTML has opened and not closed.
#[derive(Default)]
struct Tags {
    open: Vec<String>,
    mistakes: usize,
}

impl Tags {
    fn scan(&mut self, text: &str) {
        for piece in text.split('<').skip(1) {
            let (closing, rest) = match piece.strip_prefix('/') {
                Some(rest) => (true, rest),
                None => (false, piece),
            };
            let end =
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
            let name = rest[..end].to_ascii_lowercase();
            if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || is_void(&name) {
                continue;
            }
            if closing {
                self.close(&name);
            } else if self.open.len() <= TAGS_MAX {
                self.open(name);
            }
        }
    }

    fn open(&mut self, name: String) {
        while self.open.last().is_some_and(|top| ends_at(top, &name)) {
            self.open.pop();
        }
        self.open.push(name);
    }

    fn close(&mut self, name: &str) {
        let Some(place) = self.open.iter().rposition(|open| open == name) else {
            self.mistakes += usize::from(name != "p");
            return;
        };
        if self.open[place + 1..].iter().all(|open| closes_itself(open)) {
            self.open.truncate(place);
        } else {
            self.mistakes += 1;
        }
    }
}

/// Elements without content (HTML Living Standard, 13.1.2).
fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "source"
            | "track"
            | "wbr"
    )
}

/// Elements whose closing tag may be left out.
fn closes_itself(name: &str) -> bool {
    matches!(
        name,
        "p" | "li"
            | "dt"
            | "dd"
            | "td"
            | "th"
            | "tr"
            | "tbody"
            | "thead"
            | "tfoot"
            | "option"
            | "rt"
            | "rp"
    )
}

/// Whether an open element ends where `next` begins.
fn ends_at(open: &str, next: &str) -> bool {
    match next {
        "p" | "li" | "option" => open == next,
        "dt" | "dd" => matches!(open, "dt" | "dd"),
        "td" | "th" => matches!(open, "td" | "th"),
        "tr" => matches!(open, "td" | "th" | "tr"),
        "tbody" | "thead" | "tfoot" => {
            matches!(open, "td" | "th" | "tr" | "tbody" | "thead" | "tfoot")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::Parser;

    use super::*;

    fn bounded(text: &str) -> bool {
        let events: Vec<_> = Parser::new(text).collect();
        is_bounded(&events)
    }

    #[test]
    fn ordinary_documents_pass() {
        assert!(bounded(&"- a\n  - b\n    - c\n\n".repeat(500)));
        assert!(bounded(&"<div align=center><img src=x><br>\n\n**x**\n\n</div>\n\n".repeat(500)));
        assert!(bounded(&format!("<table>{}</table>", "<tr><td>a<td>b\n".repeat(500))));
        assert!(bounded(&format!("<ul>{}</ul>", "<li>a\n".repeat(500))));
        assert!(bounded(&"<p>a\n\n".repeat(500)));
        assert!(bounded(&"a < b, <3, <https://x.example> and <!-- note -->\n\n".repeat(500)));
    }

    #[test]
    fn deep_structure_is_refused() {
        assert!(!bounded(&">".repeat(200)));
        assert!(!bounded(&"<div>".repeat(200)));
        assert!(!bounded(&"<a><b>".repeat(200)));
        assert!(!bounded(&"<details>\n".repeat(200)));
        assert!(!bounded(&"x <SPAN> y ".repeat(200)));
        assert!(!bounded(&"<div/>".repeat(200)));
    }

    #[test]
    fn tags_that_do_not_fit_do_not_hide_depth() {
        assert!(!bounded(&"<div><table></div></table>\n".repeat(200)));
        assert!(!bounded(&"<div></x>".repeat(200)));
        assert!(!bounded(&"<div><svg></div></svg>".repeat(200)));
    }
}
