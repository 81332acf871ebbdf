//! Everything that reads what callers send: it never panics, and refuses what it did not write.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use troupe_kernel::http::{body, from_query};
use troupe_kernel::{
    Cursor, HeaderName, HeaderValue, HttpRequest, Method, PageRequest, Scope, Timestamp,
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Position {
    created: i64,
    title: String,
    id: Option<u64>,
}

fn position() -> impl Strategy<Value = Position> {
    (any::<i64>(), "\\PC{0,40}", any::<Option<u64>>()).prop_map(|(created, title, id)| Position {
        created,
        title,
        id,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are only read into")]
struct Body {
    title: String,
    count: Option<u8>,
    #[serde(default)]
    parts: Vec<Body>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "the fields are only read into")]
struct Filter {
    text: Option<String>,
    after: Option<Timestamp>,
    #[serde(default)]
    tag: Vec<String>,
    deep: Option<bool>,
    count: Option<u16>,
}

proptest! {
    #[test]
    fn a_cursor_comes_back_as_the_position_it_was_made_of(position in position()) {
        let cursor = Cursor::encode(&position);
        prop_assert!(cursor.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        prop_assert_eq!(cursor.decode::<Position>().unwrap(), position);
    }

    #[test]
    fn a_cursor_with_any_byte_changed_is_refused(
        position in position(),
        place in any::<prop::sample::Index>(),
        byte in 0_u8..128,
    ) {
        let mut text = Cursor::encode(&position).as_str().as_bytes().to_vec();
        let place = place.index(text.len());
        prop_assume!(text[place] != byte);
        text[place] = byte;
        let cursor = Cursor::from_text(String::from_utf8(text).unwrap());
        let failure = cursor.decode::<Position>().unwrap_err();
        prop_assert_eq!(failure.code(), "kernel.cursor.invalid");
    }

    #[test]
    fn a_shortened_or_prolonged_cursor_is_refused(
        position in position(),
        cut in any::<prop::sample::Index>(),
        tail in "[A-Za-z0-9_=-]{1,8}",
    ) {
        let text = Cursor::encode(&position).as_str().to_owned();
        let short = Cursor::from_text(&text[..cut.index(text.len())]);
        prop_assert!(short.decode::<Position>().is_err());
        prop_assert!(Cursor::from_text(text + &tail).decode::<Position>().is_err());
    }

    #[test]
    fn no_text_makes_the_cursor_panic(text in any::<String>()) {
        let refused = Cursor::from_text(text).decode::<Position>();
        prop_assert!(refused.is_err());
    }

    #[test]
    fn no_body_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(failure) = body::from_json::<Body>(&bytes) {
            prop_assert!(failure.code().starts_with("kernel.body."));
            prop_assert_eq!(failure.fields().len(), 1);
        }
    }

    #[test]
    fn no_json_with_a_nul_gets_through(
        before in "[a-z\\\\\"]{0,6}", after in "[a-z\\\\\"]{0,6}",
    ) {
        let text = format!("{before}\0{after}");
        let body = serde_json::json!({ "title": text }).to_string();
        let failure = body::from_json::<Body>(body.as_bytes()).unwrap_err();
        prop_assert_eq!(failure.code(), "kernel.body.nul");
        prop_assert_eq!(failure.fields()[0].pointer.as_str(), "/title");
        let clean = serde_json::json!({ "title": format!("{before}u0000{after}") }).to_string();
        prop_assert!(body::from_json::<Body>(clean.as_bytes()).is_ok());
    }

    #[test]
    fn no_query_makes_the_reader_panic(query in "[a-z&=%+0-9\\[\\]\\x00-\\x7f]{0,80}") {
        if let Err(failure) = from_query::<Filter>(&query) {
            prop_assert_eq!(failure.code(), "kernel.query.malformed");
            prop_assert!(!failure.fields().is_empty());
        }
    }

    #[test]
    fn a_query_that_was_written_is_read_back(text in "[^\\x00]{0,20}", tags in prop::collection::vec("[^\\x00]{0,10}", 0..4)) {
        let mut writer = form_urlencoded::Serializer::new(String::new());
        writer.append_pair("text", &text);
        for tag in &tags {
            writer.append_pair("tag", tag);
        }
        let filter: Filter = from_query(&writer.finish()).unwrap();
        prop_assert_eq!(filter.text, Some(text));
        prop_assert_eq!(filter.tag, tags);
    }

    #[test]
    fn no_text_makes_a_time_panic(text in any::<String>()) {
        if let Ok(time) = text.parse::<Timestamp>() {
            prop_assert!((Timestamp::MIN..=Timestamp::MAX).contains(&time));
        }
    }

    #[test]
    fn every_time_reads_back(micros in any::<i64>()) {
        let time = Timestamp::from_micros(micros);
        prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
    }
}

fn request(query: &str) -> HttpRequest {
    let scope = Scope::bare(Duration::from_secs(1));
    let mut request =
        HttpRequest::new(Method::GET, "/v1/posts", IpAddr::V4(Ipv4Addr::LOCALHOST), scope);
    query.clone_into(&mut request.query);
    request
}

#[test]
fn a_request_is_the_same_after_its_wire_encoding() {
    let mut sent = request("a=1");
    sent.parameters.push(("id".to_owned(), "é".to_owned()));
    sent.headers.append("accept", HeaderValue::from_static("a"));
    sent.headers.append("accept", HeaderValue::from_static("b"));
    sent.headers.append(
        HeaderName::from_static("x-opaque"),
        HeaderValue::from_bytes(b"\xff\xfe").expect("opaque bytes are allowed"),
    );
    sent.body = troupe_kernel::Bytes::from_static(b"\x00\x01");
    let received = troupe_actors::through_wire(&sent).unwrap();
    assert_eq!(received.method, sent.method);
    assert_eq!(received.path, sent.path);
    assert_eq!(received.parameters, sent.parameters);
    assert_eq!(received.query, sent.query);
    assert_eq!(received.headers, sent.headers);
    assert_eq!(received.body, sent.body);
    assert_eq!(received.peer, sent.peer);
}

#[test]
fn a_page_is_read_from_the_query_beside_other_parameters() {
    assert_eq!(request("tag=a").page().unwrap(), PageRequest::default());
    let page = request("limit=5&cursor=abc&tag=a").page().unwrap();
    assert_eq!(page.limit, 5);
    assert_eq!(page.cursor.unwrap().as_str(), "abc");
    for query in ["limit=0", "limit=101", "limit=many", "limit=-1", "limit="] {
        assert_eq!(request(query).page().unwrap_err().code(), "kernel.page.limit", "{query}");
    }
}

#[test]
fn if_match_takes_one_strong_tag_and_nothing_else() {
    let with = |value: &'static str| {
        let mut request = request("");
        request.headers.insert("if-match", HeaderValue::from_static(value));
        request.if_match::<i64>()
    };
    assert_eq!(with("\"7\"").unwrap(), 7);
    for value in ["7", "W/\"7\"", "\"7\", \"8\"", "*", "\"x\"", "\""] {
        assert_eq!(with(value).unwrap_err().code(), "kernel.precondition.stale", "{value}");
    }
    let missing = request("").if_match::<i64>().unwrap_err();
    assert_eq!(missing.code(), "kernel.precondition.required");
    assert_eq!(request("").if_match_optional::<i64>().unwrap(), None);
}

#[test]
fn a_body_of_another_media_type_is_refused() {
    let with = |media: &'static str| {
        let mut request = request("");
        request.body = troupe_kernel::Bytes::from_static(b"[1]");
        request.headers.insert("content-type", HeaderValue::from_static(media));
        request.json::<Vec<u8>>()
    };
    assert_eq!(with("application/json; charset=utf-8").unwrap(), [1]);
    assert_eq!(with("application/merge-patch+json").unwrap(), [1]);
    for media in ["text/plain", "application/x-www-form-urlencoded", ""] {
        assert_eq!(with(media).unwrap_err().code(), "kernel.body.media_type", "{media}");
    }
}

#[test]
fn a_request_without_a_principal_has_no_tenant_either() {
    let request = request("");
    assert_eq!(request.principal().unwrap_err().code(), "kernel.principal.missing");
    assert_eq!(request.tenant().unwrap_err().code(), "kernel.principal.missing");
    let system = Scope::system("test", Duration::from_secs(1));
    let request = HttpRequest { scope: system, ..request };
    assert_eq!(request.tenant().unwrap_err().code(), "kernel.tenant.missing");
    let tenant = troupe_kernel::Uuid::from_u128(7);
    let request = HttpRequest { scope: request.scope.clone().for_tenant(tenant), ..request };
    assert_eq!(request.tenant().unwrap().uuid(), tenant);
}
