//! A trace context is ignored, or it is valid and written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use troupe_edge::http::trace::TraceParent;

fuzz_target!(|text: &str| {
    if let Some(parent) = TraceParent::parse(text) {
        assert!(parent.trace != 0 && parent.span != 0);
        assert_eq!(TraceParent::parse(&parent.to_string()), Some(parent));
    }
});
