//! A query becomes its type, or the fault names a parameter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use troupe_kernel::http::from_query;
use troupe_kernel::{Timestamp, UserId};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Newest,
    Oldest,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "the fields are only read into")]
struct Filter {
    text: Option<String>,
    order: Option<Order>,
    #[serde(default)]
    tag: Vec<String>,
    after: Option<Timestamp>,
    author: Option<UserId>,
    count: Option<i32>,
    score: Option<f64>,
    deep: Option<bool>,
}

fuzz_target!(|query: &str| {
    if let Err(failure) = from_query::<Filter>(query) {
        assert_eq!(failure.code(), "kernel.query.malformed");
        assert!(!failure.fields().is_empty());
    }
});
