//! The edge's own paths: the description of the API, its page, probes and metrics.

use serde_json::Value;
use troupe_telemetry::Phase;

use crate::client::{ask, get};
use crate::fixture::{Node, READ, Setup};

#[tokio::test]
async fn the_description_lists_every_route_with_its_types() {
    let node = Node::start(false).await;
    let answer = node.send(get("/openapi.json")).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["paths"].as_object().unwrap().len(), 8);
    let get_note = &document["paths"]["/v1/notes/{id}"]["get"];
    assert_eq!(get_note["summary"], "One note");
    assert_eq!(get_note["x-permission"], READ);
    assert_eq!(get_note["operationId"], "getV1NotesId");
    assert_eq!(get_note["parameters"][0]["in"], "path");
    let schema = &get_note["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(schema["$ref"], "#/components/schemas/Note");
    for status in ["401", "403", "404", "429"] {
        assert_eq!(get_note["responses"][status]["$ref"], "#/components/responses/Problem");
    }
    let note = &document["components"]["schemas"]["Note"];
    assert_eq!(note["properties"]["text"]["description"], "What it says.");
    let create = &document["paths"]["/v1/notes"]["post"];
    let body = &create["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["$ref"], "#/components/schemas/Note");
    let list = &document["paths"]["/v1/notes"]["get"]["parameters"];
    let names: Vec<&str> =
        list.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["count", "tag", "cursor", "limit"]);
    assert_eq!(list[0]["required"], true);
    assert_references_exist(&document, &document);
    node.stop().await;
}

/// Every `$ref` of the document leads somewhere.
fn assert_references_exist(node: &Value, document: &Value) {
    match node {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            fields.values().for_each(|inner| assert_references_exist(inner, document));
        }
        Value::Array(items) => {
            items.iter().for_each(|inner| assert_references_exist(inner, document));
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_runs_no_inline_script() {
    let node = Node::start(false).await;
    let page = node.send(get("/docs")).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"));
    assert!(!policy.contains("unsafe"));
    let html = String::from_utf8(page.body).unwrap();
    assert!(!html.contains("http://") && !html.contains("https://"));
    assert!(!html.contains("onclick") && !html.contains("style="));
    for (path, content_type) in [
        ("/docs/app.js", "text/javascript; charset=utf-8"),
        ("/docs/style.css", "text/css; charset=utf-8"),
    ] {
        assert!(html.contains(path));
        let file = node.send(get(path)).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some(content_type)));
    }
    let script = String::from_utf8(node.send(get("/docs/app.js")).await.body).unwrap();
    assert!(!script.contains("innerHTML"), "nothing of the description becomes markup");
    node.stop().await;
}

#[tokio::test]
async fn the_description_can_be_kept_and_switched_off() {
    let node = Node::start(false).await;
    let first = node.send(get("/openapi.json")).await;
    let tag = first.header("etag").unwrap();
    assert_eq!(node.send(get("/openapi.json").header("if-none-match", tag)).await.status, 304);
    node.stop().await;
    let mut setup = Setup::new(false);
    setup.config.docs = false;
    let node = setup.start().await;
    for path in ["/openapi.json", "/docs", "/docs/app.js"] {
        assert_eq!(node.send(get(path)).await.status, 404, "{path}");
    }
    node.stop().await;
}

#[tokio::test]
async fn probes_follow_the_life_of_the_node_and_pass_no_gate() {
    let mut setup = Setup::new(false);
    setup.config.address_limit.quota = 1;
    let node = setup.start().await;
    for _ in 0..3 {
        for path in ["/livez", "/readyz", "/startupz"] {
            assert_eq!(node.send(get(path)).await.status, 200, "{path}");
        }
    }
    node.health.enter(Phase::Draining);
    assert_eq!(node.send(get("/readyz")).await.status, 503);
    assert_eq!(node.send(get("/livez")).await.status, 200);
    assert_eq!(node.send(ask("HEAD", "/livez")).await.status, 200);
    let method = node.send(ask("POST", "/livez")).await;
    assert_eq!((method.status, method.header("allow")), (405, Some("GET, HEAD")));
    node.stop().await;
}

#[tokio::test]
async fn metrics_are_for_this_machine_unless_opened() {
    let mut setup = Setup::new(false);
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let node = setup.start().await;
    let local = node.send(get("/metrics")).await;
    assert_eq!((local.status, local.body.as_slice()), (200, b"troupe_up 1\n".as_slice()));
    let far = node.send(get("/metrics").header("x-forwarded-for", "9.9.9.9")).await;
    assert_eq!((far.status, far.problem().as_str()), (404, "edge.metrics.closed"));
    node.stop().await;
}

#[tokio::test]
async fn metrics_are_not_for_those_whom_a_proxy_on_this_machine_brings() {
    for trusted in [&[][..], &["127.0.0.0/8"]] {
        let mut setup = Setup::new(false);
        setup.config.trusted_proxies =
            trusted.iter().map(|network| network.parse().unwrap()).collect();
        let node = setup.start().await;
        assert_eq!(node.send(get("/metrics")).await.status, 200);
        for (name, value) in [
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-for", "9.9.9.9:4711"),
            ("forwarded", "for=9.9.9.9"),
            ("x-real-ip", "9.9.9.9"),
        ] {
            let answer = node.send(get("/metrics").header(name, value)).await;
            assert_eq!(answer.status, 404, "{name}: {value} {trusted:?}");
            assert_eq!(answer.problem(), "edge.metrics.closed");
        }
        node.stop().await;
    }
}
