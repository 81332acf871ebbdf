//! The translations of the routes, as the edge runs them.

use std::net::{IpAddr, Ipv4Addr};

use edge::deliver;
use troupe_actors::Scope;
use troupe_auth::messages::Tokens;
use troupe_kernel::http::HttpRequest;
use troupe_kernel::{HeaderValue, Method, StatusCode, header};

use crate::app::{self, App};
use crate::device::Device;
use crate::harness::{
    ADMINISTRATOR, House, MEMBER, PASSWORD, acting, registration, scope, with_house,
};
use crate::passkeys::with_domain;

/// Sends requests through a route without an edge.
mod edge {
    use troupe_kernel::error::Failure;
    use troupe_kernel::http::{HttpRequest, HttpResponse};

    use crate::harness::House;

    pub(super) async fn deliver(
        house: &House,
        template: &str,
        request: HttpRequest,
    ) -> Result<HttpResponse, Failure> {
        let found = house
            .parts
            .routes
            .iter()
            .find(|route| route.method() == request.method && route.path() == template);
        let route = found.unwrap_or_else(|| panic!("no route {} {template}", request.method));
        let (port, response) = route.target().open(&request.scope);
        route.target().deliver(&request, port);
        response.await.response
    }
}

fn request(method: Method, path: &str, body: &serde_json::Value, scope: Scope) -> HttpRequest {
    let mut request = HttpRequest::new(method, path, IpAddr::V4(Ipv4Addr::LOCALHOST), scope);
    if !body.is_null() {
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = body.to_string().into();
    }
    request.headers.insert(header::USER_AGENT, HeaderValue::from_static("a browser"));
    request
}

async fn post(
    house: &House,
    path: &str,
    body: serde_json::Value,
    scope: Scope,
) -> Result<troupe_kernel::HttpResponse, troupe_kernel::Failure> {
    deliver(house, path, request(Method::POST, path, &body, scope)).await
}

fn json(response: &troupe_kernel::HttpResponse) -> serde_json::Value {
    serde_json::from_slice(&response.body).expect("JSON")
}

#[tokio::test]
async fn register_log_in_refresh_and_log_out_over_http() {
    with_house(async |house: &House| {
        house.set_up().await;
        let account = registration(MEMBER);
        let body = serde_json::json!({
            "email": account.email, "password": PASSWORD,
            "display_name": account.display_name, "organisation": account.organisation,
        });
        let made = post(house, "/v1/auth/register", body, scope()).await.expect("made");
        assert_eq!(made.status, StatusCode::CREATED);
        assert_eq!(made.headers[header::LOCATION], "/v1/users/me");
        assert_eq!(json(&made)["verification_sent"], true);
        let body = serde_json::json!({ "email": MEMBER, "password": PASSWORD });
        let logged_in = post(house, "/v1/auth/login", body, scope()).await.expect("logs in");
        assert_eq!(logged_in.headers[header::CACHE_CONTROL], "no-store");
        let tokens: Tokens = serde_json::from_slice(&logged_in.body).expect("tokens");
        let body = serde_json::json!({ "refresh_token": tokens.refresh_token });
        let refreshed = post(house, "/v1/auth/refresh", body, scope()).await.expect("exchanged");
        assert_ne!(json(&refreshed)["refresh_token"], tokens.refresh_token.expose());
        let me = acting(&tokens, troupe_actors::PermissionSet::new());
        let list = request(Method::GET, "/v1/auth/sessions", &serde_json::Value::Null, me.clone());
        let listed = deliver(house, "/v1/auth/sessions", list).await.expect("listed");
        assert_eq!(json(&listed)[0]["current"], true);
        assert_eq!(json(&listed)[0]["device"], "a browser");
        let out = post(house, "/v1/auth/logout", serde_json::Value::Null, me).await;
        assert_eq!(out.expect("logged out").status, StatusCode::NO_CONTENT);
        assert!(house.check(&tokens.access_token).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn unknown_fields_wrong_types_and_missing_ones_are_pointed_at() {
    with_house(async |house: &House| {
        for (body, pointer) in [
            (serde_json::json!({ "email": MEMBER, "password": PASSWORD, "admin": true }), "/admin"),
            (serde_json::json!({ "email": 5, "password": PASSWORD }), "/email"),
            (serde_json::json!({ "email": MEMBER, "password": ["x"] }), "/password"),
            (
                serde_json::json!({ "email": MEMBER, "password": "x", "organisation": "saw-mill" }),
                "/organisation",
            ),
        ] {
            let refused = post(house, "/v1/auth/login", body, scope()).await.expect_err("refused");
            assert_eq!(refused.code(), "kernel.body.malformed");
            assert_eq!(refused.fields()[0].pointer, pointer, "{refused:?}");
            assert!(!format!("{refused:?}").contains(PASSWORD), "no secret in the answer");
        }
    })
    .await;
}

#[tokio::test]
async fn an_api_key_and_nobody_at_all_have_no_sessions() {
    with_house(async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        let mut service = acting(&tokens, house.catalog.all());
        let principal = service.origin_mut().principal.as_mut().expect("somebody acts");
        std::sync::Arc::make_mut(principal).kind = troupe_actors::PrincipalKind::Service;
        for path in ["/v1/auth/logout", "/v1/auth/logout-all"] {
            let refused = post(house, path, serde_json::Value::Null, service.clone()).await;
            assert_eq!(refused.expect_err("refused").code(), "auth.principal.not_a_user");
            let nobody = post(house, path, serde_json::Value::Null, scope()).await;
            assert_eq!(nobody.expect_err("refused").code(), "kernel.principal.missing");
        }
        assert!(house.check(&tokens.access_token).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn passkeys_over_http() {
    with_domain("", async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        let me = acting(&tokens, troupe_actors::PermissionSet::new());
        let mut device = Device::new();
        let proofs = serde_json::json!({ "current_password": PASSWORD });
        let asked = post(house, "/v1/auth/passkeys/begin", proofs, me.clone()).await;
        let question = json(&asked.expect("asked"));
        let credential = device.create(&question["public_key"]);
        let body = serde_json::json!({
            "ceremony": question["ceremony"], "name": "a phone", "credential": parsed(&credential),
        });
        let added = post(house, "/v1/auth/passkeys", body, me.clone()).await.expect("kept");
        assert_eq!(added.status, StatusCode::CREATED);
        assert_eq!(added.headers[header::CACHE_CONTROL], "no-store");
        let codes = json(&added)["recovery_codes"].clone();
        assert_eq!(codes.as_array().map(Vec::len), Some(10));
        let nothing = serde_json::Value::Null;
        let asked = post(house, "/v1/auth/passkeys/login/begin", nothing.clone(), scope()).await;
        let question = json(&asked.expect("asked"));
        let credential = parsed(&device.get(&question["public_key"]));
        let answer = serde_json::json!({
            "ceremony": question["ceremony"], "credential": credential,
        });
        let body = serde_json::json!({ "answer": answer });
        let opened = post(house, "/v1/auth/passkeys/login", body, scope()).await.expect("opened");
        assert!(json(&opened)["access_token"].is_string());
        let body = serde_json::json!({ "email": MEMBER, "password": PASSWORD });
        let begun = post(house, "/v1/auth/login", body, scope()).await.expect("begun");
        assert_eq!(begun.status, StatusCode::ACCEPTED);
        let credential = parsed(&device.get(&json(&begun)["passkey"]));
        let body = serde_json::json!({
            "challenge": json(&begun)["challenge"], "credential": credential,
        });
        let opened = post(house, "/v1/auth/login/passkey", body, scope()).await.expect("opened");
        assert!(json(&opened)["access_token"].is_string());
        let asked = post(house, "/v1/auth/passkeys/proof", nothing, me.clone()).await;
        let question = json(&asked.expect("asked"));
        let credential = parsed(&device.get(&question["public_key"]));
        let answer = serde_json::json!({
            "ceremony": question["ceremony"], "credential": credential,
        });
        let both = serde_json::json!({
            "current_password": PASSWORD, "code": codes[0], "passkey": answer,
        });
        let refused = post(house, "/v1/auth/passkeys/begin", both, me.clone()).await;
        assert_eq!(refused.expect_err("refused").code(), "auth.factor.twice");
        let body = serde_json::json!({ "current_password": PASSWORD, "passkey": answer });
        post(house, "/v1/auth/passkeys/begin", body, me).await.expect("asked");
    })
    .await;
}

fn parsed(text: &troupe_auth::SecretText) -> serde_json::Value {
    serde_json::from_str(text.expose()).expect("JSON")
}

#[tokio::test]
async fn api_keys_over_http() {
    with_house(async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        let me = acting(&tokens, house.catalog.all());
        let body = serde_json::json!({ "name": "deployment", "permissions": ["blog.post.read"] });
        let made = post(house, "/v1/auth/api-keys", body, me.clone()).await.expect("made");
        assert_eq!(made.status, StatusCode::CREATED);
        assert_eq!(made.headers[header::CACHE_CONTROL], "no-store");
        let location = made.headers[header::LOCATION].to_str().expect("text").to_owned();
        let id = json(&made)["key"]["id"].as_str().expect("an id").to_owned();
        assert_eq!(location, format!("/v1/auth/api-keys/{id}"));
        let mut get = request(Method::GET, &location, &serde_json::Value::Null, me.clone());
        get.parameters = vec![("id".to_owned(), id.clone())];
        let got = deliver(house, "/v1/auth/api-keys/{id}", get).await.expect("shown");
        assert_eq!(json(&got)["name"], "deployment");
        assert!(json(&got).get("secret").is_none());
        let mut delete = request(Method::DELETE, &location, &serde_json::Value::Null, me);
        delete.parameters = vec![("id".to_owned(), id)];
        let gone = deliver(house, "/v1/auth/api-keys/{id}", delete).await.expect("revoked");
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
    })
    .await;
}

#[tokio::test]
async fn the_second_factor_over_http() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let me = acting(&house.session().await, house.catalog.all());
        let proof = serde_json::json!({ "current_password": PASSWORD });
        let path = "/v1/auth/second-factor/totp";
        let begun = post(house, path, proof.clone(), me.clone()).await.expect("begun");
        assert_eq!(begun.headers[header::CACHE_CONTROL], "no-store");
        let app = App::scanned(json(&begun)["uri"].as_str().expect("an address"), MEMBER);
        let body = serde_json::json!({ "code": app.code(house.now()) });
        let path = "/v1/auth/second-factor/totp/confirm";
        let confirmed = post(house, path, body, me.clone()).await.expect("confirmed");
        let codes = json(&confirmed)["codes"].as_array().expect("codes").clone();
        assert_eq!(codes.len(), 10);
        let body = serde_json::json!({ "email": MEMBER, "password": PASSWORD });
        let begun = post(house, "/v1/auth/login", body.clone(), scope()).await.expect("begun");
        assert_eq!(begun.status, StatusCode::ACCEPTED);
        assert_eq!(begun.headers[header::CACHE_CONTROL], "no-store");
        assert!(json(&begun).get("access_token").is_none());
        house.clock.advance(app::STEP);
        let answer = serde_json::json!({
            "challenge": json(&begun)["challenge"], "code": app.code(house.now()),
        });
        let done = post(house, "/v1/auth/login/code", answer, scope()).await.expect("logs in");
        let tokens: Tokens = serde_json::from_slice(&done.body).expect("tokens");
        assert!(house.check(&tokens.access_token).await.is_ok());
        let path = "/v1/auth/second-factor/recovery-codes";
        let proof_with = |code: &serde_json::Value| {
            serde_json::json!({ "current_password": PASSWORD, "code": code })
        };
        let renewed = post(house, path, proof_with(&codes[0]), me.clone()).await.expect("renewed");
        let codes = json(&renewed)["codes"].as_array().expect("codes").clone();
        let path = "/v1/auth/second-factor";
        let get = request(Method::GET, path, &serde_json::Value::Null, me.clone());
        let state = deliver(house, path, get).await.expect("shown");
        assert_eq!(json(&state)["recovery_codes_left"], 10);
        let path = "/v1/auth/second-factor/disable";
        let off = post(house, path, proof_with(&codes[0]), me.clone()).await.expect("off");
        assert_eq!(off.status, StatusCode::NO_CONTENT);
        let done = post(house, "/v1/auth/login", body, scope()).await.expect("logs in");
        assert_eq!(done.status, StatusCode::OK);
        App::enrolled(house, MEMBER).await;
        let administrator = house.log_in(ADMINISTRATOR, PASSWORD).await.expect("logs in");
        let by = acting(&administrator, house.catalog.all());
        let path = format!("/v1/auth/users/{}/second-factor/reset", member.user);
        let mut reset = request(Method::POST, &path, &proof, by);
        reset.parameters = vec![("id".to_owned(), member.user.to_string())];
        let path = "/v1/auth/users/{id}/second-factor/reset";
        let gone = deliver(house, path, reset).await.expect("reset");
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
    })
    .await;
}

#[tokio::test]
async fn the_public_keys_and_the_pages_are_for_everybody() {
    with_house(async |house: &House| {
        let get = |path: &str| request(Method::GET, path, &serde_json::Value::Null, scope());
        let path = "/.well-known/jwks.json";
        let keys = deliver(house, path, get(path)).await.expect("shown");
        assert_eq!(json(&keys)["keys"][0]["crv"], "Ed25519");
        for (path, media) in [
            ("/setup", "text/html; charset=utf-8"),
            ("/setup/setup.js", "text/javascript; charset=utf-8"),
            ("/setup/page.css", "text/css; charset=utf-8"),
            ("/reset-password", "text/html; charset=utf-8"),
        ] {
            let page = deliver(house, path, get(path)).await.expect("shown");
            assert_eq!(page.headers[header::CONTENT_TYPE], media);
            let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
            assert!(
                policy.contains("default-src 'none'") && !policy.contains("unsafe"),
                "{policy}"
            );
        }
    })
    .await;
}
