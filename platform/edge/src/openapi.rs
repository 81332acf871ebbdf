//! The OpenAPI 3.1 document of all routes.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use troupe_kernel::error::{PROBLEM_MEDIA_TYPE, title};
use troupe_kernel::routes::{Media, Operation, PathTemplate};
use troupe_kernel::utoipa::PartialSchema as _;
use troupe_kernel::utoipa::ToSchema as _;
use troupe_kernel::utoipa::openapi::RefOr;
use troupe_kernel::utoipa::openapi::schema::Schema;
use troupe_kernel::{Access, Problem, Route};

use crate::table::Table;

const DESCRIPTION: &str = "Errors are problem documents (RFC 9457) with a stable `type`. Lists are \
    read page by page with `cursor` and `limit`. Unsafe requests take an `Idempotency-Key`; \
    where there is a replica they bring a `Consistency-Token`, to be sent with what is read next; things \
    with a version have an `ETag` and are changed with `If-Match`. `RateLimit` and \
    `RateLimit-Policy` report the limits. Times are RFC 3339 in UTC, ids are UUIDs.";

/// The document as JSON text.
pub(crate) fn document(table: &Table, version: &str) -> String {
    let mut paths: BTreeMap<&str, BTreeMap<String, Value>> = BTreeMap::new();
    let mut schemas: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
    add_problem(&mut schemas);
    for (_, entry) in table.iter() {
        let route = &entry.route;
        for (name, schema) in &route.operation().schemas {
            schemas.entry(name.clone()).or_insert_with(|| schema.clone());
        }
        let method = route.method().as_str().to_ascii_lowercase();
        paths.entry(route.path()).or_default().insert(method, operation(route));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Troupe",
            "version": version,
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": { "Problem": problem_response() },
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "apiKey": { "type": "apiKey", "in": "header", "name": "X-Api-Key" },
            },
        },
    });
    document.to_string()
}

fn add_problem(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let mut named = Vec::new();
    Problem::schemas(&mut named);
    schemas.extend(named);
    schemas.insert(Problem::name().into_owned(), Problem::schema());
}

fn operation(route: &Route) -> Value {
    let described = route.operation();
    let mut operation = json!({
        "operationId": operation_id(route),
        "parameters": parameters(route),
        "responses": responses(route),
    });
    let Value::Object(fields) = &mut operation else { return operation };
    for (name, text) in [("summary", &described.summary), ("description", &described.description)] {
        if !text.is_empty() {
            fields.insert(name.to_owned(), json!(text));
        }
    }
    if !described.tags.is_empty() {
        fields.insert("tags".to_owned(), json!(described.tags));
    }
    if let Some(body) = &described.body {
        let body = json!({ "required": true, "content": content(body) });
        fields.insert("requestBody".to_owned(), body);
    }
    match route.access() {
        Some(Access::Permission(key)) => {
            fields.insert("security".to_owned(), json!([{ "token": [] }, { "apiKey": [] }]));
            fields.insert("x-permission".to_owned(), json!(key));
        }
        Some(Access::Authenticated) => {
            fields.insert("security".to_owned(), json!([{ "token": [] }, { "apiKey": [] }]));
        }
        Some(Access::Public) | None => {
            fields.insert("security".to_owned(), json!([]));
        }
    }
    operation
}

/// A name for generated clients: the method and the words of the path.
fn operation_id(route: &Route) -> String {
    let mut id = route.method().as_str().to_ascii_lowercase();
    for word in route.path().split(|letter: char| !letter.is_ascii_alphanumeric()) {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            id.push(first.to_ascii_uppercase());
            id.push_str(letters.as_str());
        }
    }
    id
}

fn parameters(route: &Route) -> Vec<Value> {
    let described = route.operation();
    let mut parameters = Vec::new();
    if let Ok(template) = PathTemplate::parse(route.path()) {
        for name in template.parameters() {
            parameters.push(parameter(name, "path", true, &json!({ "type": "string" }), ""));
        }
    }
    for query in &described.query {
        let schema = json!(query.schema);
        parameters.push(parameter(&query.name, "query", query.required, &schema, ""));
    }
    if described.paginated {
        let cursor = json!({ "type": "string" });
        let text = "`next_cursor` of the page before; leave it out for the first page";
        parameters.push(parameter("cursor", "query", false, &cursor, text));
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 });
        parameters.push(parameter("limit", "query", false, &limit, "Items on the page"));
    }
    if described.versioned {
        let text = "The ETag of the version that the change is based on";
        let schema = json!({ "type": "string" });
        parameters.push(parameter("If-Match", "header", true, &schema, text));
    }
    if !route.method().is_safe() {
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
        let text = "The same key makes a repeated request the same request";
        parameters.push(parameter("Idempotency-Key", "header", false, &schema, text));
    }
    parameters
}

fn parameter(name: &str, place: &str, required: bool, schema: &Value, text: &str) -> Value {
    let mut parameter =
        json!({ "name": name, "in": place, "required": required, "schema": schema });
    if !text.is_empty() {
        parameter["description"] = json!(text);
    }
    parameter
}

fn responses(route: &Route) -> BTreeMap<String, Value> {
    let described = route.operation();
    let mut responses = BTreeMap::new();
    for response in &described.responses {
        let mut shown = json!({ "description": reason(response.status) });
        if let Some(media) = &response.media {
            shown["content"] = content(media);
        }
        responses.insert(response.status.to_string(), shown);
    }
    for status in problem_statuses(route, described) {
        responses
            .entry(status.to_string())
            .or_insert_with(|| json!({ "$ref": "#/components/responses/Problem" }));
    }
    responses.insert("default".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    responses
}

/// The problems that the edge itself answers for such a route.
fn problem_statuses(route: &Route, described: &Operation) -> Vec<u16> {
    let mut statuses = vec![400, 429, 503];
    match route.access() {
        Some(Access::Permission(_)) => statuses.extend([401, 403]),
        Some(Access::Authenticated) => statuses.push(401),
        _ => {}
    }
    if described.body.is_some() {
        statuses.extend([413, 415, 422]);
    }
    if described.versioned {
        statuses.extend([412, 428]);
    }
    if route.path().contains('{') && *route.method() != Method::POST {
        statuses.push(404);
    }
    statuses
}

fn content(media: &Media) -> Value {
    let schema = match &media.schema {
        Some(schema) => json!({ "schema": schema }),
        None => json!({}),
    };
    json!({ media.media_type.as_str(): schema })
}

fn problem_response() -> Value {
    json!({
        "description": "What went wrong",
        "content": { PROBLEM_MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "Done",
        201 => "Created",
        202 => "Accepted; it is done later",
        204 => "Done; there is nothing to show",
        301..=308 => "It is elsewhere",
        _ => title(status),
    }
}
