//! Header fields and parts of the path never make a reader panic.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use troupe_edge::http::forwarded::{self, Network};
use troupe_edge::http::idempotency;
use troupe_kernel::{HeaderName, HeaderValue, HttpRequest, Method, Scope, Timestamp, UserId};

const FIELDS: [&str; 3] = ["idempotency-key", "x-forwarded-for", "if-match"];

fuzz_target!(|bytes: &[u8]| {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let scope = Scope::bare(Duration::from_secs(1));
    let mut request = HttpRequest::new(Method::POST, "/", peer, scope);
    for (name, value) in FIELDS.iter().zip(bytes.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers.append(HeaderName::from_static(name), value);
        }
    }
    if let Ok(Some(key)) = idempotency::read(&Method::POST, &request.headers) {
        assert!((1..=255).contains(&key.len()));
    }
    let proxies: [Network; 1] = ["127.0.0.0/8".parse().expect("a network")];
    let caller = forwarded::caller(peer, &request.headers, &proxies);
    assert_eq!(forwarded::limit_key(forwarded::limit_key(caller)), forwarded::limit_key(caller));
    if let Ok(version) = request.if_match::<u64>() {
        assert!(request.headers.contains_key("if-match"), "{version}");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(id) = text.parse::<UserId>() {
            assert_eq!(id.to_string(), text.to_ascii_lowercase());
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        if let Ok(network) = text.parse::<Network>() {
            assert_eq!(network.to_string().parse(), Ok(network));
        }
    }
});
