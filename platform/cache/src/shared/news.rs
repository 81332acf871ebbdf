//! What nodes tell each other.
//!
//! `number · space · node: 16 hex digits · kind: 1 letter · rest`. Numbers follow one another without
//! a gap in each life of Redis.

use redis::{PushInfo, PushKind, Value};
use serde::{Deserialize, Serialize};
use troupe_actors::Message as _;
use troupe_kernel::InvalidationMessage;

/// Length of a node's name.
const NODE_DIGITS: usize = 16;

/// Something that other nodes must forget.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// A key of the cache.
    Key(String),
    /// Everything with a tag.
    Tag(String),
    /// Tokens or permissions.
    Invalidation(InvalidationMessage),
    /// Everything.
    Everything,
}

/// An invalidation with the version of its schema.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u16,
    message: T,
}

impl News {
    /// The text that is published, without its number.
    pub(super) fn encode(&self, node: u64) -> String {
        match self {
            Self::Key(key) => format!("{node:016x}k{key}"),
            Self::Tag(tag) => format!("{node:016x}t{tag}"),
            Self::Invalidation(message) => {
                let versioned = Versioned { version: InvalidationMessage::VERSION, message };
                let json = serde_json::to_string(&versioned)
                    .expect("an invalidation is plain data with text keys");
                format!("{node:016x}i{json}")
            }
            Self::Everything => format!("{node:016x}e"),
        }
    }
}

/// News as they were heard.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) number: u64,
    pub(super) node: u64,
    /// What is not understood (a newer node told it) is everything.
    pub(super) news: News,
}

/// Reads what the connection pushed; none when it is no news.
pub(super) fn hear(push: &PushInfo) -> Option<Heard> {
    if push.kind != PushKind::Message {
        return None;
    }
    let Some(Value::BulkString(text)) = push.data.get(1) else { return None };
    parse(std::str::from_utf8(text).ok()?)
}

fn parse(text: &str) -> Option<Heard> {
    let (number, body) = text.split_once(' ')?;
    let node = u64::from_str_radix(body.get(..NODE_DIGITS)?, 16).ok()?;
    let number = number.parse().ok()?;
    let rest = &body[NODE_DIGITS..];
    let news = match rest.as_bytes().first()? {
        b'k' => News::Key(rest[1..].to_owned()),
        b't' => News::Tag(rest[1..].to_owned()),
        b'i' => invalidation(&rest[1..]).map_or(News::Everything, News::Invalidation),
        _ => News::Everything,
    };
    Some(Heard { number, node, news })
}

fn invalidation(json: &str) -> Option<InvalidationMessage> {
    let versioned: Versioned<serde_json::Value> = serde_json::from_str(json).ok()?;
    if versioned.version != InvalidationMessage::VERSION {
        return None;
    }
    serde_json::from_value(versioned.message).ok()
}

#[cfg(test)]
mod tests {
    use troupe_kernel::{RevokeSubject, Uuid};

    use super::*;

    fn heard(news: &News) -> News {
        let heard = parse(&format!("7 {}", news.encode(0xabc))).unwrap();
        assert_eq!((heard.number, heard.node), (7, 0xabc));
        heard.news
    }

    #[test]
    fn news_are_heard_as_they_were_told() {
        assert!(
            matches!(heard(&News::Key("a b\u{e4}".to_owned())), News::Key(key) if key == "a b\u{e4}")
        );
        assert!(matches!(heard(&News::Tag(String::new())), News::Tag(tag) if tag.is_empty()));
        let subject = Uuid::from_u128(5);
        let revoked = News::Invalidation(RevokeSubject { subject }.into());
        let InvalidationMessage::RevokeSubject(told) = (match heard(&revoked) {
            News::Invalidation(message) => message,
            other => panic!("{other:?}"),
        }) else {
            panic!("it is another message");
        };
        assert_eq!(told.subject, subject);
    }

    #[test]
    fn what_is_not_understood_is_everything_and_what_is_no_news_is_nothing() {
        for text in ["1 0000000000000abcz", "1 0000000000000abci{}", "1 0000000000000abce"] {
            assert!(matches!(parse(text).unwrap().news, News::Everything), "{text}");
        }
        let newer = r#"1 0000000000000abci{"version":99,"message":{"RevokeEverybody":null}}"#;
        assert!(matches!(parse(newer).unwrap().news, News::Everything));
        for text in ["", "1", "1 ", "x 0000000000000abce", "1 0000000000000abc", "1 \u{e4}"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
