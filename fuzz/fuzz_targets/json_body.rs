//! A body becomes its type, or the fault names a place in it.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use troupe_kernel::http::body;
use troupe_kernel::{Timestamp, UserId};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    title: String,
    #[serde(default)]
    parts: Vec<Body>,
    #[serde(default)]
    labels: BTreeMap<String, Label>,
    author: Option<UserId>,
    due: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Label {
    Plain,
    Weighted { weight: u8 },
}

fuzz_target!(|bytes: &[u8]| {
    match body::from_json::<Body>(bytes) {
        Ok(read) => {
            let written = serde_json::to_vec(&read).expect("what was read can be written");
            assert!(!String::from_utf8_lossy(&written).contains("\\u0000"));
        }
        Err(failure) => {
            assert!(failure.code().starts_with("kernel.body."));
            assert_eq!(failure.fields().len(), 1);
        }
    }
});
