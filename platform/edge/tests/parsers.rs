//! The parsers that the fuzz targets run, under random input in every test run.

use proptest::prelude::*;
use troupe_edge::http::forwarded::{self, Network};
use troupe_edge::http::idempotency;
use troupe_edge::http::trace::TraceParent;
use troupe_kernel::{HeaderMap, HeaderValue, Method};

proptest! {
    #[test]
    fn a_traceparent_that_was_written_is_read_back(trace in 1_u128.., span in 1_u64.., sampled in any::<bool>()) {
        let parent = TraceParent { trace, span, sampled };
        prop_assert_eq!(TraceParent::parse(&parent.to_string()), Some(parent));
    }

    #[test]
    fn what_is_read_as_a_traceparent_is_valid(text in "[0-9a-fA-F-]{0,70}|\\PC{0,60}") {
        if let Some(parent) = TraceParent::parse(&text) {
            prop_assert!(parent.trace != 0 && parent.span != 0);
            prop_assert_eq!(TraceParent::parse(&parent.to_string()), Some(parent));
        }
    }

    #[test]
    fn no_field_makes_the_key_reader_panic(bytes in prop::collection::vec(32_u8..=255, 0..300)) {
        prop_assume!(!bytes.contains(&127));
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_bytes(&bytes).unwrap());
        if let Ok(Some(key)) = idempotency::read(&Method::POST, &headers) {
            prop_assert!((1..=255).contains(&key.len()));
            prop_assert!(key.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }

    #[test]
    fn nobody_talks_the_edge_into_an_address_of_a_proxy(
        entries in prop::collection::vec(any::<[u8; 4]>(), 0..6),
        noise in "[ ,a-z0-9.:]{0,20}",
    ) {
        let proxies: [Network; 1] = ["10.0.0.0/8".parse().unwrap()];
        let listed: Vec<String> =
            entries.iter().map(|entry| std::net::Ipv4Addr::from(*entry).to_string()).collect();
        let mut headers = HeaderMap::new();
        let text = format!("{noise},{}", listed.join(", "));
        headers.insert("x-forwarded-for", HeaderValue::from_str(&text).unwrap());
        let peer = "10.0.0.1".parse().unwrap();
        let seen = forwarded::caller(peer, &headers, &proxies);
        let nearest = entries.iter().rev().find(|entry| entry[0] != 10);
        if let Some(nearest) = nearest {
            prop_assert_eq!(seen, std::net::IpAddr::from(*nearest));
        }
        let stranger = "9.9.9.9".parse().unwrap();
        prop_assert_eq!(forwarded::caller(stranger, &headers, &proxies), stranger);
    }
}
