//! Names as people write them: of users and organisations, slugs, languages and time zones.
//!
//! Each function answers the accepted form or says what is wrong; the sentence continues "the name …".

/// Longest name of a user or an organisation, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// Shortest and longest slug, in characters.
pub const SLUG_CHARS: std::ops::RangeInclusive<usize> = 2..=40;

/// Slugs that would be mistaken for parts of the platform.
const RESERVED: [&str; 24] = [
    "admin",
    "administrator",
    "api",
    "app",
    "assets",
    "auth",
    "blog",
    "console",
    "docs",
    "help",
    "livez",
    "login",
    "me",
    "metrics",
    "new",
    "openapi",
    "platform",
    "public",
    "readyz",
    "setup",
    "static",
    "status",
    "support",
    "www",
];

/// A name for people to read: not empty, one line, no characters that turn the text around.
///
/// # Errors
/// What is wrong with it.
pub fn name(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.chars().count() > NAME_CHARS_MAX {
        return Err("must have at most 100 characters");
    }
    if text.chars().any(|char| char.is_control() || is_direction_mark(char)) {
        return Err("must not hold control characters");
    }
    Ok(text.to_owned())
}

/// Marks that change the direction of the text around them (Unicode TR 9, 2.1 and 2.2).
fn is_direction_mark(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// A language tag in the shape of BCP 47: `en`, `pt-BR`, `zh-Hant-TW`.
///
/// # Errors
/// What is wrong with it.
pub fn locale(text: &str) -> Result<String, &'static str> {
    const FAULT: &str = "must be a language tag like en or pt-BR";
    let text = text.trim();
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let is_language = (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_rest = parts.all(|part| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if text.len() > 35 || !is_language || !is_rest {
        return Err(FAULT);
    }
    Ok(text.to_owned())
}

/// A time zone in the shape of the IANA names: `UTC`, `Europe/Vienna`. Whether the zone exists is
/// not checked: the data base of zones is the reader's.
///
/// # Errors
/// What is wrong with it.
pub fn time_zone(text: &str) -> Result<String, &'static str> {
    const FAULT: &str = "must be an IANA time zone like Europe/Vienna or UTC";
    let text = text.trim();
    let part = |part: &str| {
        part.starts_with(|char: char| char.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    if text.len() > 64 || text.split('/').count() > 3 || !text.split('/').all(part) {
        return Err(FAULT);
    }
    Ok(text.to_owned())
}

/// A slug as its owner chose it.
///
/// # Errors
/// What is wrong with it.
pub fn slug(text: &str) -> Result<String, &'static str> {
    if !SLUG_CHARS.contains(&text.len()) {
        return Err("must have 2 to 40 characters");
    }
    let parts = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if !text.split('-').all(parts) {
        return Err("must consist of lower case letters, digits and single hyphens between them");
    }
    if RESERVED.contains(&text) {
        return Err("is reserved; choose another");
    }
    Ok(text.to_owned())
}

/// Slugs to try for an organisation of this name, best first; the last one holds a part of its id
/// and is free in practice.
#[must_use]
pub fn slugs_of(name: &str, id: uuid::Uuid) -> Vec<String> {
    let ascii = deunicode::deunicode(name).to_ascii_lowercase();
    let words: Vec<&str> = ascii
        .split(|char: char| !char.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut base = words.join("-");
    base.truncate(30);
    let base = base.trim_end_matches('-');
    let base = if base.len() < *SLUG_CHARS.start() { "organisation" } else { base };
    let tail = id.simple().to_string();
    let mut slugs = vec![base.to_owned(), format!("{base}-2"), format!("{base}-3")];
    slugs.push(format!("{base}-{}", &tail[tail.len() - 8..]));
    slugs.retain(|candidate| slug(candidate).is_ok());
    slugs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_name_is_one_line_for_people() {
        assert_eq!(name("  Ada Lovelace ").as_deref(), Ok("Ada Lovelace"));
        for text in ["", "  ", "a\nb", "a\u{0}b", "a\u{202e}b", &"x".repeat(101)] {
            assert!(name(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn languages_and_zones_have_their_shape() {
        for text in ["en", "pt-BR", "zh-Hant-TW", "gsw"] {
            assert_eq!(locale(text).as_deref(), Ok(text));
        }
        for text in ["", "e", "english", "en_GB", "en-", "../../x"] {
            assert!(locale(text).is_err(), "{text}");
        }
        for text in ["UTC", "Europe/Vienna", "America/Argentina/Ushuaia", "Etc/GMT+5"] {
            assert_eq!(time_zone(text).as_deref(), Ok(text));
        }
        for text in ["", "/", "Europe/", "+02:00", "a/b/c/d", "Europe Vienna"] {
            assert!(time_zone(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_slug_is_safe_in_an_address() {
        assert_eq!(slug("acme-2").as_deref(), Ok("acme-2"));
        for text in ["", "a", "-a", "a-", "a--b", "Acme", "a_b", "ä-b", "admin", &"a".repeat(41)] {
            assert!(slug(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_gives_slugs_to_try() {
        let slugs = slugs_of("Müller & Söhne GmbH", Uuid::from_u128(0xabcd_ef01));
        assert_eq!(slugs[0], "muller-sohne-gmbh");
        assert_eq!(slugs[1], "muller-sohne-gmbh-2");
        assert_eq!(slugs[3], "muller-sohne-gmbh-abcdef01");
        assert_eq!(slugs_of("!!!", Uuid::nil())[0], "organisation");
        assert_eq!(slugs_of("Admin", Uuid::nil())[0], "admin-2");
    }

    proptest! {
        #[test]
        fn every_name_has_a_slug(text in ".{0,120}", id in any::<u128>()) {
            let slugs = slugs_of(&text, Uuid::from_u128(id));
            prop_assert!(!slugs.is_empty());
            for candidate in slugs {
                prop_assert_eq!(slug(&candidate), Ok(candidate.clone()));
            }
        }
    }
}
