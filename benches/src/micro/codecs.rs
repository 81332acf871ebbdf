//! Between bytes and types: JSON, the encoding between nodes, cursors, ids, header fields.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use troupe_actors::{Scope, through_wire};
use troupe_edge::http::trace::TraceParent;
use troupe_kernel::http::from_query;
use troupe_kernel::{
    Cursor, Failure, HttpRequest, HttpResponse, Kept, Method, Problem, SystemClock, Uuid, new_id,
};

use super::Pair;
use crate::fixture::{Fixture, Item};

const MANY: u64 = 100_000;
const FEW: u64 = 20_000;

#[derive(Serialize, Deserialize)]
struct Position {
    created_at: i64,
    id: Uuid,
}

#[derive(Deserialize)]
struct Asked {
    limit: u32,
    tag: String,
}

pub(super) fn pairs(directory: &Path) -> anyhow::Result<Vec<Pair>> {
    let item = Fixture::read(directory)?.items.swap_remove(0);
    let text = serde_json::to_vec(&item)?;
    let mut pairs = json(&item, &text);
    pairs.extend(texts());
    let (ours, plain) = (item.clone(), item);
    pairs.push(
        Pair::new("a message through the encoding between nodes and back", FEW, move || {
            through_wire(&ours)
        })
        .beside("JSON and back", move || {
            serde_json::to_vec(&plain).and_then(|text| serde_json::from_slice::<Item>(&text))
        }),
    );
    Ok(pairs)
}

fn json(item: &Item, text: &[u8]) -> Vec<Pair> {
    let kept = Kept::new(item.clone(), 1);
    let (written, plain) = (item.clone(), text.to_vec());
    let scope = Scope::bare(Duration::ZERO);
    let mut request = HttpRequest::new(Method::POST, "/", Ipv4Addr::LOCALHOST.into(), scope);
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.body = text.to_vec().into();
    let failure = || Failure::invalid("items.title.empty", "give it a title").field("/title", "");
    vec![
        Pair::new("the response of a kept document (792 bytes)", MANY, move || {
            kept.encoded().map(HttpResponse::from)
        })
        .beside("written each time", move || HttpResponse::ok(&written).etag(1)),
        Pair::new("a body read into its type", FEW, move || request.json::<Item>())
            .beside("serde_json alone", move || serde_json::from_slice::<Item>(&plain)),
        Pair::new("a problem document", FEW, move || {
            HttpResponse::problem(&Problem::from(&failure()).instance(Uuid::nil()))
        })
        .beside("by json!", move || {
            let body: Value = serde_json::json!({
                "type": "https://troupe.dev/problems/items.title.empty",
                "title": "The request is not valid", "status": 422, "detail": "give it a title",
                "instance": format!("urn:uuid:{}", Uuid::nil()),
                "errors": [{ "pointer": "/title", "detail": "" }],
            });
            serde_json::to_vec(&body)
        }),
    ]
}

fn texts() -> Vec<Pair> {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let position = || Position { created_at: 1_700_000_000_000_000, id: Uuid::nil() };
    let cursor = Cursor::encode(&position());
    let trace = TraceParent { trace: 1 << 100, span: 1 << 60, sampled: true };
    vec![
        Pair::new("a cursor written", MANY, move || Cursor::encode(&position())),
        Pair::new("a cursor read", MANY, move || cursor.decode::<Position>()),
        Pair::new("a query read into its type", MANY, || {
            from_query::<Asked>("limit=20&tag=actor%20model").map(|asked| (asked.limit, asked.tag))
        }),
        Pair::new("an id (UUIDv7)", MANY, || new_id(&SystemClock))
            .beside("by the crate uuid", Uuid::now_v7),
        Pair::new("`traceparent` read", MANY, || TraceParent::parse(std::hint::black_box(TRACE))),
        Pair::new("`traceparent` written", MANY, move || std::hint::black_box(trace).to_bytes())
            .beside("by format!", move || {
                let TraceParent { trace, span, sampled } = std::hint::black_box(trace);
                format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(sampled))
            }),
    ]
}
