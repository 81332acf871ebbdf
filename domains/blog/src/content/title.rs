//! Titles: one line of text.

use thiserror::Error;

use super::limits::TITLE_CHARACTERS_MAX;

/// Why a title was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TitleError {
    /// Nothing but white space.
    #[error("the title is empty")]
    Empty,
    /// Longer than [`TITLE_CHARACTERS_MAX`].
    #[error("the title has {0} characters, at most {TITLE_CHARACTERS_MAX} are kept")]
    TooLong(usize),
    /// A control character that is not white space.
    #[error("the title contains a control character")]
    Character,
}

/// The title on one line, white space folded.
///
/// # Errors
/// The first rule that it breaks.
pub fn normalise(title: &str) -> Result<String, TitleError> {
    let folded = title.split_whitespace().collect::<Vec<_>>().join(" ");
    if folded.is_empty() {
        return Err(TitleError::Empty);
    }
    if folded.chars().any(|c| c.is_control() || c == '\u{feff}') {
        return Err(TitleError::Character);
    }
    let characters = folded.chars().count();
    if characters > TITLE_CHARACTERS_MAX {
        return Err(TitleError::TooLong(characters));
    }
    Ok(folded)
}

/// A title out of any text: what may not stand in one is left out, what is too
/// long is cut. `None` when nothing is left.
#[must_use]
pub fn derive(text: &str) -> Option<String> {
    let clean: String =
        text.chars().map(|c| if c.is_control() || c == '\u{feff}' { ' ' } else { c }).collect();
    let folded = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = folded.chars().take(TITLE_CHARACTERS_MAX).collect();
    let cut = cut.trim_end();
    (!cut.is_empty()).then(|| cut.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_folded() {
        assert_eq!(normalise("  A\n title\t"), Ok("A title".to_owned()));
    }

    #[test]
    fn each_rule_is_enforced() {
        assert_eq!(normalise(" \n"), Err(TitleError::Empty));
        assert_eq!(normalise("a\u{1b}b"), Err(TitleError::Character));
        assert_eq!(normalise(&"x".repeat(201)), Err(TitleError::TooLong(201)));
        assert!(normalise(&"ü".repeat(200)).is_ok());
    }

    #[test]
    fn a_derived_title_always_passes() {
        for text in ["a\u{0}b", &"long ".repeat(100), "\u{feff}x", " y "] {
            let title = derive(text).expect("something is left");
            assert_eq!(normalise(&title), Ok(title.clone()));
        }
        assert_eq!(derive("\u{1}"), None);
    }
}
