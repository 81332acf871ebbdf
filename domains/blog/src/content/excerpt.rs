//! The excerpt of a post that did not bring its own: the beginning of its text.

use super::limits::EXCERPT_CHARACTERS_MAX;

/// How much of the text an automatic excerpt shows, in characters.
const AUTOMATIC_CHARACTERS: usize = 240;

/// White space folded to single spaces, cut at a word, with an ellipsis when
/// something was cut.
#[must_use]
pub fn automatic(plain: &str) -> String {
    let mut excerpt = String::new();
    let mut characters = 0;
    for word in plain.split_whitespace() {
        let length = word.chars().count();
        if characters + length > AUTOMATIC_CHARACTERS {
            if excerpt.is_empty() {
                excerpt.extend(word.chars().take(AUTOMATIC_CHARACTERS));
            }
            excerpt.push('…');
            return excerpt;
        }
        if !excerpt.is_empty() {
            excerpt.push(' ');
        }
        excerpt.push_str(word);
        characters += length + 1;
    }
    excerpt
}

/// An excerpt as its author gave it, white space folded; `None` when it is
/// empty (then the automatic one is shown), `Err` with its length when too long.
///
/// # Errors
/// The number of characters, when it is more than [`EXCERPT_CHARACTERS_MAX`].
pub fn given(text: &str) -> Result<Option<String>, usize> {
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let characters = folded.chars().count();
    if characters > EXCERPT_CHARACTERS_MAX {
        return Err(characters);
    }
    Ok(if folded.is_empty() { None } else { Some(folded) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_is_kept_whole() {
        assert_eq!(automatic("One\n two\tthree."), "One two three.");
        assert_eq!(automatic(""), "");
    }

    #[test]
    fn long_text_is_cut_at_a_word() {
        let excerpt = automatic(&"word ".repeat(200));
        assert!(excerpt.ends_with("word…"), "{excerpt}");
        assert!(excerpt.chars().count() <= AUTOMATIC_CHARACTERS + 1);
    }

    #[test]
    fn one_endless_word_is_cut_inside() {
        let excerpt = automatic(&"ü".repeat(1000));
        assert_eq!(excerpt.chars().count(), AUTOMATIC_CHARACTERS + 1);
    }

    #[test]
    fn a_given_excerpt_is_folded_and_bounded() {
        assert_eq!(given("  a \n b "), Ok(Some("a b".to_owned())));
        assert_eq!(given(" \n"), Ok(None));
        assert_eq!(given(&"x".repeat(501)), Err(501));
    }
}
