//! The HTTP side: every route says who may use it, takes the token's tenant, and refuses what it does
//! not know.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};
use troupe_kernel::http::{HttpRequest, HttpResponse};
use troupe_kernel::{Access, Bytes, HeaderValue, Method, Scope, header};

use crate::house::{House, in_both, person, system};

struct Call<'a> {
    method: Method,
    path: &'a str,
    template: &'a str,
    body: Option<Value>,
    if_match: Option<&'a str>,
}

impl<'a> Call<'a> {
    fn new(method: Method, path: &'a str, template: &'a str) -> Self {
        Self { method, path, template, body: None, if_match: None }
    }

    fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    fn if_match(mut self, tag: &'a str) -> Self {
        self.if_match = Some(tag);
        self
    }

    async fn send(self, house: &House, scope: Scope) -> HttpResponse {
        let route = house
            .routes
            .iter()
            .find(|route| *route.method() == self.method && route.path() == self.template)
            .unwrap_or_else(|| panic!("no route {} {}", self.method, self.template));
        let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut request = HttpRequest::new(self.method, path, peer, scope.clone());
        query.clone_into(&mut request.query);
        for (part, name) in path.split('/').zip(self.template.split('/')) {
            if let Some(name) = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                request.parameters.push((name.to_owned(), part.to_owned()));
            }
        }
        if let Some(body) = self.body {
            request
                .headers
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = Bytes::from(body.to_string());
        }
        if let Some(tag) = self.if_match {
            request
                .headers
                .insert(header::IF_MATCH, HeaderValue::from_str(tag).expect("a header value"));
        }
        let (port, pending) = route.target().open(&scope);
        route.target().deliver(&request, port);
        pending.await.response.unwrap_or_else(|failure| HttpResponse::from(&failure))
    }
}

fn json_of(response: &HttpResponse) -> Value {
    serde_json::from_slice(&response.body).expect("the answer is JSON")
}

#[tokio::test]
async fn every_route_needs_a_permission_of_this_module() {
    in_both(async |house| {
        assert_eq!(house.routes.len(), 16);
        for route in &house.routes {
            match route.access() {
                Some(Access::Permission(key)) => {
                    assert!(key.starts_with("authz."), "{route}");
                    let platform = route.path().contains("/platform/");
                    assert_eq!(key.starts_with("authz.platform."), platform, "{route}");
                }
                Some(Access::Authenticated) => {
                    assert_eq!(route.path(), "/v1/authz/permissions/mine")
                }
                other => panic!("{route}: {other:?}"),
            }
            assert!(!route.operation().summary.is_empty(), "{route}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_role_goes_through_its_life_over_http() {
    in_both(async |house| {
        let tenant = house.tenant();
        let owner = house.member(tenant, "owner").await;
        let scope = || person(owner, Some(tenant));
        let roles = "/v1/authz/roles";
        let one = "/v1/authz/roles/{key}";
        let body =
            json!({"key": "proof", "title": "Proof reader", "permissions": ["press.article.read"]});
        let created =
            Call::new(Method::POST, roles, roles).body(body.clone()).send(house, scope()).await;
        assert_eq!(created.status, 201);
        assert_eq!(created.headers[header::LOCATION], "/v1/authz/roles/proof");
        assert_eq!(created.headers[header::ETAG], "\"1\"");
        let mut odd = body.clone();
        odd["colour"] = json!("red");
        let refused = Call::new(Method::POST, roles, roles).body(odd).send(house, scope()).await;
        assert_eq!(refused.status.as_u16() / 100, 4, "{}", json_of(&refused));

        let path = "/v1/authz/roles/proof";
        let change = json!({"title": "Reader of proofs"});
        let blind =
            Call::new(Method::PATCH, path, one).body(change.clone()).send(house, scope()).await;
        assert_eq!(blind.status, 428);
        let changed = Call::new(Method::PATCH, path, one)
            .body(change.clone())
            .if_match("\"1\"")
            .send(house, scope())
            .await;
        assert_eq!(
            (changed.status.as_u16(), json_of(&changed)["title"].clone()),
            (200, json!("Reader of proofs"))
        );
        let stale = Call::new(Method::PATCH, path, one)
            .body(change)
            .if_match("\"1\"")
            .send(house, scope())
            .await;
        assert_eq!(stale.status, 412);
        let listed = Call::new(Method::GET, roles, roles).send(house, scope()).await;
        assert!(json_of(&listed)["items"].as_array().is_some_and(|items| items.len() == 7));

        let stranger = house.member(house.tenant(), "owner").await;
        let foreign = person(stranger, Some(house.tenant()));
        assert_eq!(
            Call::new(Method::GET, path, one).send(house, foreign.clone()).await.status,
            404
        );
        assert_eq!(Call::new(Method::DELETE, path, one).send(house, foreign).await.status, 404);
        assert_eq!(
            Call::new(Method::DELETE, path, one)
                .if_match("\"2\"")
                .send(house, scope())
                .await
                .status,
            204
        );
        assert_eq!(Call::new(Method::GET, path, one).send(house, scope()).await.status, 404);
        let homeless = person(owner, None);
        assert_eq!(Call::new(Method::GET, roles, roles).send(house, homeless).await.status, 403);
    })
    .await;
}

#[tokio::test]
async fn a_binding_goes_through_its_life_over_http() {
    in_both(async |house| {
        let tenant = house.tenant();
        let owner = house.member(tenant, "owner").await;
        let scope = || person(owner, Some(tenant));
        let (all, one) = ("/v1/authz/bindings", "/v1/authz/bindings/{id}");
        let subject = house.id();
        let body = json!({"subject": subject, "role": "author", "condition": "request.hour < 20"});
        let created = Call::new(Method::POST, all, all).body(body).send(house, scope()).await;
        assert_eq!(created.status, 201, "{}", json_of(&created));
        let id = json_of(&created)["id"].as_str().expect("an id").to_owned();
        let path = format!("{all}/{id}");
        assert_eq!(created.headers[header::LOCATION], path);
        let listed = Call::new(Method::GET, &format!("{all}?subject={subject}&limit=1"), all)
            .send(house, scope())
            .await;
        assert_eq!(json_of(&listed)["items"][0]["id"], id);
        let odd =
            Call::new(Method::GET, &format!("{all}?colour=red"), all).send(house, scope()).await;
        assert_eq!(odd.status, 400);
        let odd =
            Call::new(Method::GET, &format!("{all}?cursor=zzz"), all).send(house, scope()).await;
        assert_eq!(odd.status, 400);
        let shown = Call::new(Method::GET, &path, one).send(house, scope()).await;
        assert_eq!(json_of(&shown)["granted_by"], owner.to_string());
        // The platform's path does not reach it, nor does another organisation.
        let platform = "/v1/authz/platform/bindings";
        let beside = format!("{platform}/{id}");
        let administrator = house.administrator().await;
        let high = person(administrator, Some(tenant));
        assert_eq!(
            Call::new(Method::DELETE, &beside, "/v1/authz/platform/bindings/{id}")
                .send(house, high.clone())
                .await
                .status,
            404
        );
        let foreign = person(administrator, Some(house.tenant()));
        assert_eq!(Call::new(Method::DELETE, &path, one).send(house, foreign).await.status, 404);
        assert_eq!(Call::new(Method::DELETE, &path, one).send(house, scope()).await.status, 204);

        let body = json!({"subject": subject, "role": "reader"});
        let created =
            Call::new(Method::POST, platform, platform).body(body).send(house, high.clone()).await;
        assert_eq!(
            (created.status.as_u16(), json_of(&created)["tenant"].clone()),
            (201, Value::Null)
        );
        let listed = Call::new(Method::GET, platform, platform).send(house, high).await;
        assert_eq!(json_of(&listed)["items"].as_array().map(Vec::len), Some(2));
    })
    .await;
}

#[tokio::test]
async fn an_explanation_is_asked_for_over_http() {
    in_both(async |house| {
        let tenant = house.tenant();
        let admin = house.member(tenant, "admin").await;
        let path = "/v1/authz/explain";
        let body = json!({
            "action": "press.article.edit",
            "resource": {"kind": "press.article", "owner": admin, "attributes": {"status": "draft"}},
        });
        let told = Call::new(Method::POST, path, path).body(body).send(house, person(admin, Some(tenant))).await;
        let told = json_of(&told);
        assert_eq!((&told["allowed"], &told["reason"]), (&json!(true), &json!("permitted_by_policy")));
        let mine = "/v1/authz/permissions/mine";
        let mine = Call::new(Method::GET, mine, mine).send(house, person(admin, Some(tenant))).await;
        assert!(json_of(&mine)["items"].as_array().is_some_and(|items| items.contains(&json!("authz.binding.write"))));
        let all = "/v1/authz/permissions";
        let all = Call::new(Method::GET, all, all).send(house, system()).await;
        assert_eq!(json_of(&all)["items"].as_array().map(Vec::len), Some(12));
    })
    .await;
}
