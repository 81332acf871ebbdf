//! Takes out of texts and fields what must not leave the house: credentials, tokens, addresses of
//! people, the queries of URLs. It errs on the side of taking out too much.

use serde_json::Value;

/// What stands where something was.
pub(super) const MASK: &str = "[redacted]";
/// Characters of a text that are kept.
const TEXT_CHARS_MAX: usize = 1024;
/// A word of so many characters that looks random is taken for a token.
const TOKEN_CHARS_MIN: usize = 24;
/// Parts of the names of fields whose values are never sent.
const SECRET_NAMES: [&str; 16] = [
    "password",
    "passwd",
    "secret",
    "token",
    "authorization",
    "cookie",
    "credential",
    "apikey",
    "api_key",
    "private",
    "session",
    "body",
    "email",
    "address",
    "subject",
    "user",
];
/// Words after which a credential stands.
const SCHEMES: [&str; 4] = ["bearer", "basic", "apikey", "digest"];

/// Whether the value of a field of this name is never sent.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

/// The value of a field as it may be sent.
pub(super) fn value(name: &str, value: &Value) -> Value {
    if is_secret(name) {
        return Value::String(MASK.to_owned());
    }
    match value {
        Value::String(text) => Value::String(self::text(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        // Fields of the log have no others.
        Value::Array(_) | Value::Object(_) => Value::String(MASK.to_owned()),
    }
}

/// A text as it may be sent.
pub(super) fn text(text: &str) -> String {
    let mut kept = String::with_capacity(text.len().min(TEXT_CHARS_MAX));
    let mut after_scheme = false;
    for piece in text.split_inclusive(is_gap) {
        let word = piece.trim_end_matches(is_gap);
        let gap = &piece[word.len()..];
        if after_scheme && !word.is_empty() {
            kept.push_str(MASK);
        } else {
            kept.push_str(&self::word(word));
        }
        kept.push_str(gap);
        if !word.is_empty() {
            after_scheme = SCHEMES.contains(&word.to_ascii_lowercase().as_str());
        }
    }
    match kept.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &kept[..end]),
        None => kept,
    }
}

fn is_gap(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | ',' | ';' | '(' | ')' | '<' | '>')
}

fn word(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        return format!("{scheme}://{}", location(rest));
    }
    if let Some((name, rest)) = word.split_once(['=', ':'])
        && !rest.is_empty()
        && !rest.starts_with(':')
        && is_secret(name)
    {
        return format!("{}{MASK}", &word[..=name.len()]);
    }
    if is_mail_address(word) || is_token(word) { MASK.to_owned() } else { word.to_owned() }
}

/// An address without who logs in, what is asked, and tokens in its path.
fn location(rest: &str) -> String {
    let (place, query) = match rest.split_once(['?', '#']) {
        Some((place, _)) => (place, "?[redacted]"),
        None => (rest, ""),
    };
    let (host, path) =
        place.split_once('/').map_or((place, None), |(host, path)| (host, Some(path)));
    let host = host.rsplit_once('@').map_or(host.to_owned(), |(_, host)| format!("{MASK}@{host}"));
    let path = path.map(|path| {
        let parts = path.split('/').map(|part| if is_token(part) { MASK } else { part });
        format!("/{}", parts.collect::<Vec<_>>().join("/"))
    });
    format!("{host}{}{query}", path.unwrap_or_default())
}

fn is_mail_address(word: &str) -> bool {
    word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
}

/// Long, without the signs of a path or a name, and of letters and digits both; ids are not.
fn is_token(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ':', '!']);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=+/~".contains(&byte);
    if word.len() < TOKEN_CHARS_MIN || !word.bytes().all(plain) || is_id(word) {
        return false;
    }
    let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
    let mixed =
        has(u8::is_ascii_digit) && (has(u8::is_ascii_uppercase) || has(u8::is_ascii_lowercase));
    let is_path = word.ends_with(".rs") || word.matches('/').count() > 1;
    mixed && !is_path
}

/// A UUID, a trace id, or a time: of digits that mean nothing to anybody else.
fn is_id(word: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_uuid = word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let is_time = word.len() < 36 && word.as_bytes().get(4) == Some(&b'-') && word.ends_with('Z');
    (is_uuid && word.split('-').all(hex)) || (word.len() == 32 && hex(word)) || is_time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_people_are_taken_out() {
        for (before, after) in [
            ("bad header Bearer abc.def", "bad header Bearer [redacted]"),
            ("Authorization: Basic YTpi end", "Authorization: Basic [redacted] end"),
            (
                "cannot reach postgres://ada:pw@db:5432/x?sslkey=1 now",
                "cannot reach postgres://[redacted]@db:5432/x?[redacted] now",
            ),
            ("no mail to ada@example.org, sorry", "no mail to [redacted], sorry"),
            ("password=hunter2 is wrong", "password=[redacted] is wrong"),
            ("the token:abc expired", "the token:[redacted] expired"),
            ("key tk_9fK2mQ81xLZ0aB3cD4eF5g", "key [redacted]"),
            ("jwt eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl1", "jwt [redacted]"),
            (
                "at https://a.example/v1/invitations/9fK2mQ81xLZ0aB3cD4eF5gHj",
                "at https://a.example/v1/invitations/[redacted]",
            ),
        ] {
            assert_eq!(text(before), after);
        }
    }

    #[test]
    fn what_helps_is_kept() {
        for kept in [
            "an actor crashed",
            "platform/events/src/kafka/condition.rs",
            "job 01a21da5-946e-7385-8067-2bfba151c2d4 is dead",
            "trace 4bf92f3577b34da6a3ce929d0e0e4736",
            "troupe_events::kafka::sitting",
            "at 2026-11-27T15:35:20.462698Z",
            "index out of bounds: the len is 3 but the index is 7",
        ] {
            assert_eq!(text(kept), kept);
        }
    }

    #[test]
    fn fields_with_telling_names_are_never_sent() {
        for name in ["password", "access_token", "Set-Cookie", "request_body", "client_secret"] {
            assert_eq!(value(name, &Value::from("x")), MASK, "{name}");
        }
        assert_eq!(value("attempts", &Value::from(3)), 3);
        assert_eq!(value("code", &Value::from("jobs.dead")), "jobs.dead");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(text(&"é ".repeat(4_000)).chars().count(), TEXT_CHARS_MAX + 1);
    }
}
