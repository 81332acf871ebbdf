//! Endpoints as their organisation manages them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use troupe_kernel::Method;
use troupe_notify::webhooks::messages::EndpointId;
use troupe_notify::webhooks::repository::endpoints;

use super::LOCAL;
use super::desk::{Desk, TENANT};
use crate::house::in_house_with;

#[tokio::test]
async fn a_secret_is_shown_once_and_kept_sealed() {
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        let made = desk.add("https://example.org/hooks", &["blog.*"]).await;
        assert!(made.secret.starts_with("whsec_"), "{}", made.secret);
        let endpoint = desk.endpoint(&made).await;
        assert!(endpoint.get("secret").is_none(), "{endpoint}");
        assert_eq!(endpoint["description"], "ours");
        let id: EndpointId = made.id.parse().unwrap();
        let row = house
            .db
            .read(async move |conn: &mut troupe_database::DbConn| {
                Ok(endpoints::find(conn, TENANT, id).await?)
            })
            .await
            .unwrap()
            .expect("the row");
        let stored = format!("{row:?}");
        let encoded = made.secret.strip_prefix("whsec_").unwrap();
        let secret = STANDARD.decode(encoded).unwrap();
        assert!(!row.sealed_secret.windows(secret.len()).any(|bytes| bytes == secret), "{stored}");
        let shown = format!("{:?}", house.universe.system().crashes(9));
        assert!(!shown.contains(&made.secret));
    })
    .await;
}

#[tokio::test]
async fn another_organisation_finds_nothing() {
    in_house_with(LOCAL, async |house| {
        let (desk, other) = (Desk::of(house), Desk::other(house));
        let made = desk.add("https://example.org/hooks", &["blog.*"]).await;
        desk.happens("blog.post.published").await;
        let delivery = desk.deliveries().await[0]["id"].as_str().unwrap().to_owned();
        let (endpoint, delivery) =
            (format!("endpoints/{}", made.id), format!("deliveries/{delivery}"));
        for (method, path) in [
            (Method::GET, endpoint.clone()),
            (Method::DELETE, endpoint.clone()),
            (Method::POST, format!("{endpoint}/rotate-secret")),
            (Method::POST, format!("{endpoint}/test")),
            (Method::GET, delivery.clone()),
            (Method::POST, format!("{delivery}/resend")),
        ] {
            let told = other.ask(method.clone(), &path, Value::Null).await;
            assert_eq!(told.status, 404, "{method} {path}: {told:?}");
        }
        let told = other.ask_at(Method::PATCH, &endpoint, json!({}), Some(1)).await;
        assert_eq!(told.status, 404);
        for path in ["endpoints", "deliveries"] {
            let told = other.ask(Method::GET, path, Value::Null).await;
            assert_eq!(told.body["items"], json!([]), "{path}");
        }
        let of = format!("endpoint={}", made.id);
        assert_eq!(desk.deliveries().await.len(), 1);
        let told = other.ask(Method::GET, &format!("deliveries?{of}"), Value::Null).await;
        assert_eq!(told.body["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_is_changed_by_who_knows_its_version() {
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        let made = desk.add("https://example.org/hooks", &["blog.*"]).await;
        let path = format!("endpoints/{}", made.id);
        let change =
            json!({ "url": "https://example.net/", "events": ["files.*"], "state": "disabled" });
        let told = desk.ask(Method::PATCH, &path, change.clone()).await;
        assert_eq!(told.status, 428);
        let told = desk.ask_at(Method::PATCH, &path, change.clone(), Some(1)).await;
        assert_eq!(told.status, 200, "{told:?}");
        assert_eq!(told.body["url"], "https://example.net/");
        assert_eq!(told.body["disabled_because"], "person");
        assert_eq!((&told.body["version"], &told.body["description"]), (&json!(2), &json!("ours")));
        let told = desk.ask_at(Method::PATCH, &path, change, Some(1)).await;
        assert_eq!((told.status, told.problem().as_str()), (412, "notify.webhook.stale"));
        for bad in [json!({ "events": [] }), json!({ "events": ["auth.*"] }), json!({ "url": "x" })]
        {
            let told = desk.ask_at(Method::PATCH, &path, bad.clone(), Some(2)).await;
            assert_eq!(
                (told.status, told.problem().as_str()),
                (422, "notify.webhook.invalid"),
                "{bad}"
            );
        }
        assert_eq!(desk.audited().await.last().unwrap(), "notify.webhook_endpoint.change");
    })
    .await;
}

#[tokio::test]
async fn an_organisation_has_a_bounded_number_of_endpoints() {
    in_house_with(&format!("{LOCAL}\nwebhooks.endpoints_max = 2"), async |house| {
        let desk = Desk::of(house);
        for number in 1..=2 {
            desk.add(&format!("https://example.org/{number}"), &["blog.*"]).await;
        }
        let body = json!({ "url": "https://example.org/3", "events": ["blog.*"] });
        let told = desk.ask(Method::POST, "endpoints", body.clone()).await;
        assert_eq!((told.status, told.problem().as_str()), (409, "notify.webhook.limit"));
        let told = Desk::other(house).ask(Method::POST, "endpoints", body).await;
        assert_eq!(told.status, 201);
        let told = desk.ask(Method::GET, "endpoints?limit=1", Value::Null).await;
        assert_eq!(told.body["items"].as_array().unwrap().len(), 1);
        assert!(told.body["next_cursor"].is_string());
    })
    .await;
}
