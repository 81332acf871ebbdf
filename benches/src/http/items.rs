//! The items in memory, and how one is answered: shared by both axum contenders.

use std::collections::HashMap;
use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use uuid::Uuid;

use super::checks::problem;
use crate::fixture::Item;

/// The items by id.
pub type Items = HashMap<Uuid, Arc<Item>>;

/// Puts them into a map.
#[must_use]
pub fn by_id(items: Vec<Item>) -> Items {
    items.into_iter().map(|item| (item.id, Arc::new(item))).collect()
}

/// The answer of a read.
#[must_use]
pub fn answer(item: Option<&Item>) -> Response {
    let Some(item) = item else {
        return problem(StatusCode::NOT_FOUND, "bench.item.unknown", "there is no such item");
    };
    let body = serde_json::to_vec(item).unwrap_or_default();
    let tag = format!("\"{}\"", item.version);
    let fields = [(header::CONTENT_TYPE, "application/json"), (header::ETAG, &tag)];
    (fields, body).into_response()
}
