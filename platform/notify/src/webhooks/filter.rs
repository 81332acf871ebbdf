//! Patterns of the kinds that an endpoint wants, within those that are offered.

use troupe_kernel::event::matches;

/// Patterns of one endpoint.
const PATTERNS_MAX: usize = 50;
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 100;

/// Why patterns are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterFault {
    #[error("name 1 to {PATTERNS_MAX} kinds of event")]
    Count,
    #[error("`{0}` is no kind of event; write it like blog.post.published or blog.*")]
    Malformed(String),
    #[error("`{pattern}` is not offered here; offered are {offered}")]
    NotOffered {
        /// The pattern.
        pattern: String,
        /// What is offered.
        offered: String,
    },
}

/// Refuses patterns that are none, and those that no offered kind can match.
pub(crate) fn check(patterns: &[String], offered: &[String]) -> Result<(), FilterFault> {
    if !(1..=PATTERNS_MAX).contains(&patterns.len()) {
        return Err(FilterFault::Count);
    }
    for pattern in patterns {
        if !is_pattern(pattern) {
            return Err(FilterFault::Malformed(pattern.chars().take(PATTERN_BYTES_MAX).collect()));
        }
        if !offered.iter().any(|offer| meet(offer, pattern)) {
            let offered = offered.join(", ");
            return Err(FilterFault::NotOffered { pattern: pattern.clone(), offered });
        }
    }
    Ok(())
}

/// Whether one of the patterns wants this kind.
pub(crate) fn wants(patterns: &[String], kind: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, kind))
}

/// Whether a text has the form of a pattern.
pub(crate) fn is_pattern(text: &str) -> bool {
    let is_segment = |segment: &str| {
        let mut letters = segment.bytes();
        let is_word = letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        segment == "*" || (!segment.is_empty() && is_word)
    };
    text.len() <= PATTERN_BYTES_MAX && text.split('.').all(is_segment)
}

/// Whether there may be a kind that both match.
fn meet(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.').peekable(), other.split('.').peekable());
    loop {
        let (Some(left), Some(right)) = (one.next(), other.next()) else {
            return one.peek().is_none() && other.peek().is_none();
        };
        let all_that_remain =
            (left == "*" && one.peek().is_none()) || (right == "*" && other.peek().is_none());
        if all_that_remain {
            return true;
        }
        if left != "*" && right != "*" && left != right {
            return false;
        }
        if one.peek().is_none() != other.peek().is_none() {
            return false;
        }
        if one.peek().is_none() {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_meet_when_a_kind_can_match_both() {
        for (one, other, expected) in [
            ("blog.*", "blog.post.published", true),
            ("blog.*", "*", true),
            ("blog.*", "*.post.published", true),
            ("blog.*", "auth.session.started", false),
            ("blog.*", "auth.*", false),
            ("identity.member.*", "identity.*", true),
            ("identity.member.*", "identity.user.updated", false),
            ("identity.member.*", "identity.member", false),
            ("blog.post.published", "blog.post.published", true),
            ("blog.post.published", "blog.*.published", true),
            ("blog.post.published", "blog.post", false),
        ] {
            assert_eq!(meet(one, other), expected, "{one} and {other}");
            assert_eq!(meet(other, one), expected, "{other} and {one}");
        }
    }

    #[test]
    fn what_is_no_pattern_and_what_is_not_offered_is_refused() {
        let offered = ["blog.*".to_owned()];
        let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(check(&list(&["blog.post.*", "*"]), &offered), Ok(()));
        assert_eq!(check(&[], &offered), Err(FilterFault::Count));
        assert_eq!(check(&vec!["blog.*".to_owned(); 51], &offered), Err(FilterFault::Count));
        for text in ["", "blog.", "blog post", "blog..x", "blog.po*", "blog-post"] {
            let fault = check(&list(&[text]), &offered).unwrap_err();
            assert_eq!(fault, FilterFault::Malformed(text.to_owned()));
        }
        let fault = check(&list(&["auth.*"]), &offered).unwrap_err();
        assert!(fault.to_string().contains("offered are blog.*"), "{fault}");
    }
}
