//! Search queries: what a person types, made safe for SQLite's FTS5, and the
//! marks around the words that were found.
//!
//! PostgreSQL reads the text itself (`websearch_to_tsquery` never fails); FTS5
//! has a grammar in which `c++`, `rust-lang` and `"x` are errors, so each term
//! is quoted here. Both understand `"a phrase"` and `-without`.

use super::limits::{QUERY_CHARACTERS_MAX, QUERY_TERMS_MAX};

/// The database writes this before a word that was found …
pub const MARK_START: char = '\u{2}';
/// … and this after it; neither can be typed into a post's HTML by accident.
pub const MARK_END: char = '\u{3}';

/// One part of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    text: String,
    excluded: bool,
}

/// The text as it is searched for: control characters out, white space folded.
/// `None` when it holds no letter or digit, `Err` with its length when too long.
///
/// # Errors
/// The number of characters, when it is more than [`QUERY_CHARACTERS_MAX`].
pub fn normalise(text: &str) -> Result<Option<String>, usize> {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let folded = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    let characters = folded.chars().count();
    if characters > QUERY_CHARACTERS_MAX {
        return Err(characters);
    }
    Ok(folded.chars().any(char::is_alphanumeric).then_some(folded))
}

/// The FTS5 expression of a normalised query. `None` when only exclusions or
/// symbols are left, which FTS5 cannot answer.
#[must_use]
pub fn to_fts5(text: &str) -> Option<String> {
    let terms = terms(text);
    let quote = |term: &Term| format!("\"{}\"", term.text.replace('"', "\"\""));
    let wanted: Vec<String> = terms.iter().filter(|term| !term.excluded).map(quote).collect();
    if wanted.is_empty() {
        return None;
    }
    let mut expression = wanted.join(" AND ");
    for term in terms.iter().filter(|term| term.excluded) {
        expression = format!("({expression}) NOT {}", quote(term));
    }
    Some(expression)
}

/// A snippet as HTML: text escaped, marks turned into `<mark>`.
#[must_use]
pub fn snippet_html(snippet: &str) -> String {
    let mut html = String::with_capacity(snippet.len() + 32);
    let mut open = false;
    for character in snippet.chars() {
        match character {
            MARK_START if !open => {
                open = true;
                html.push_str("<mark>");
            }
            MARK_END if open => {
                open = false;
                html.push_str("</mark>");
            }
            MARK_START | MARK_END => {}
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            other if other.is_whitespace() => html.push(' '),
            other => html.push(other),
        }
    }
    if open {
        html.push_str("</mark>");
    }
    html
}

fn terms(text: &str) -> Vec<Term> {
    let mut list = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && list.len() < QUERY_TERMS_MAX {
        let excluded = rest.starts_with('-');
        let body = rest.strip_prefix('-').unwrap_or(rest);
        let (term, after) = if let Some(quoted) = body.strip_prefix('"') {
            match quoted.split_once('"') {
                Some((phrase, after)) => (phrase, after),
                None => (quoted, ""),
            }
        } else {
            body.split_once(' ').unwrap_or((body, ""))
        };
        if term.chars().any(char::is_alphanumeric) {
            list.push(Term { text: term.to_owned(), excluded });
        }
        rest = after.trim_start();
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn awkward_terms_are_quoted() {
        assert_eq!(to_fts5("c++"), Some("\"c++\"".to_owned()));
        assert_eq!(to_fts5("rust-lang actors"), Some("\"rust-lang\" AND \"actors\"".to_owned()));
        assert_eq!(to_fts5("\"x"), Some("\"x\"".to_owned()));
        assert_eq!(to_fts5("a\"b"), Some("\"a\"\"b\"".to_owned()));
        assert_eq!(
            to_fts5("\"two words\" NEAR AND"),
            Some("\"two words\" AND \"NEAR\" AND \"AND\"".to_owned())
        );
    }

    #[test]
    fn a_minus_excludes_but_never_alone() {
        assert_eq!(to_fts5("rust -unsafe"), Some("(\"rust\") NOT \"unsafe\"".to_owned()));
        assert_eq!(to_fts5("-unsafe"), None);
        assert_eq!(to_fts5("- -- \"\""), None);
    }

    #[test]
    fn a_query_is_folded_and_bounded() {
        assert_eq!(normalise(" a\0\n b "), Ok(Some("a b".to_owned())));
        assert_eq!(normalise("+++"), Ok(None));
        assert_eq!(normalise(&"x".repeat(201)), Err(201));
        assert_eq!(terms(&"x ".repeat(50)).len(), QUERY_TERMS_MAX);
    }

    #[test]
    fn a_snippet_cannot_bring_markup_of_its_own() {
        assert_eq!(
            snippet_html("<b>\u{2}rust\u{3}\n& \u{3}\"x\" \u{2}y"),
            "&lt;b&gt;<mark>rust</mark> &amp; &quot;x&quot; <mark>y</mark>"
        );
    }
}
