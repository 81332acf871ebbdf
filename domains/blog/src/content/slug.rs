//! Slugs: the ASCII name of a post in its address.
//!
//! Invariant: a slug is `[a-z0-9]+(-[a-z0-9]+)*` of at most
//! [`SLUG_BYTES_MAX`] bytes, and [`slugify`] of a slug is that slug. Which slugs
//! are taken is the repository's business, not this file's.

use deunicode::deunicode;

use super::limits::SLUG_BYTES_MAX;

/// What a title without any letter or digit becomes.
pub const FALLBACK: &str = "post";

/// The slug of any text: transliterated to ASCII, lower case, words joined by
/// one hyphen, cut at a word where possible.
#[must_use]
pub fn slugify(text: &str) -> String {
    let ascii = deunicode(text);
    let mut slug = String::with_capacity(ascii.len().min(SLUG_BYTES_MAX + 1));
    let mut gap = false;
    for byte in ascii.bytes() {
        if byte == b'\'' {
            continue;
        }
        if byte.is_ascii_alphanumeric() {
            if gap && !slug.is_empty() {
                slug.push('-');
            }
            gap = false;
            slug.push(char::from(byte.to_ascii_lowercase()));
        } else {
            gap = true;
        }
        if slug.len() > SLUG_BYTES_MAX {
            break;
        }
    }
    shorten(&mut slug, SLUG_BYTES_MAX);
    if slug.is_empty() { FALLBACK.to_owned() } else { slug }
}

/// Whether a text is already a slug.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= SLUG_BYTES_MAX
        && text.split('-').all(|word| {
            !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
        })
}

/// The slug with a suffix, within the length bound: `hello` and `2` give `hello-2`.
#[must_use]
pub fn with_suffix(slug: &str, suffix: &str) -> String {
    let room = SLUG_BYTES_MAX.saturating_sub(suffix.len() + 1);
    let mut base = slug.to_owned();
    shorten(&mut base, room);
    format!("{base}-{suffix}")
}

/// The candidates for a free slug, in the order they are tried: the slug
/// itself, numbered ones, and at last one that carries the end of the post's
/// id, which no other post has.
#[must_use]
pub fn candidates(slug: &str, post: uuid::Uuid) -> Vec<String> {
    const NUMBERED: usize = 9;
    let mut list = Vec::with_capacity(NUMBERED + 2);
    list.push(slug.to_owned());
    for number in 2..2 + NUMBERED {
        list.push(with_suffix(slug, &number.to_string()));
    }
    let id = post.simple().to_string();
    list.push(with_suffix(slug, &id[id.len() - 12..]));
    list
}

/// Cuts to at most `bytes`, at the last hyphen when that keeps more than half.
fn shorten(slug: &mut String, bytes: usize) {
    if slug.len() > bytes {
        let at_word = slug.as_bytes()[bytes] == b'-';
        slug.truncate(bytes);
        if !at_word
            && let Some(hyphen) = slug.rfind('-')
            && hyphen > bytes / 2
        {
            slug.truncate(hyphen);
        }
    }
    while slug.ends_with('-') {
        slug.pop();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_many_scripts_become_ascii() {
        assert_eq!(slugify("Hello, World!"), "hello-world");
        assert_eq!(slugify("Größe & Übermut"), "grosse-ubermut");
        assert_eq!(slugify("Don't panic"), "dont-panic");
        assert_eq!(slugify("Привет, мир"), "privet-mir");
        assert_eq!(slugify("北京"), "bei-jing");
        assert_eq!(slugify("  C++ -- 20  "), "c-20");
    }

    #[test]
    fn a_text_without_letters_gets_the_fallback() {
        assert_eq!(slugify("!!!"), FALLBACK);
        assert_eq!(slugify(""), FALLBACK);
    }

    #[test]
    fn a_long_title_is_cut_at_a_word() {
        let slug = slugify(&"extraordinary ".repeat(20));
        assert!(slug.len() <= SLUG_BYTES_MAX);
        assert!(slug.ends_with("extraordinary"), "{slug}");
    }

    #[test]
    fn candidates_are_distinct_slugs() {
        let long = slugify(&"a".repeat(300));
        let list = candidates(&long, uuid::Uuid::from_u128(7));
        let distinct: std::collections::BTreeSet<_> = list.iter().collect();
        assert_eq!(distinct.len(), list.len());
        assert!(list.iter().all(|slug| is_slug(slug)), "{list:?}");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_slug_and_a_slug_stays(text in "\\PC{0,300}") {
            let slug = slugify(&text);
            prop_assert!(is_slug(&slug), "{slug:?}");
            prop_assert_eq!(slugify(&slug), slug);
        }

        #[test]
        fn a_suffix_keeps_it_a_slug(text in "\\PC{0,300}", number in 0_u32..100_000) {
            let slug = with_suffix(&slugify(&text), &number.to_string());
            prop_assert!(is_slug(&slug), "{slug:?}");
        }
    }
}
