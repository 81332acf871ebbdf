//! Nobody reaches the inside of the network by an endpoint.

use serde_json::{Value, json};
use troupe_kernel::Method;

use super::desk::Desk;
use super::receiver::Receiver;
use crate::house::in_house_with;

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_when_it_is_given() {
    in_house_with("", async |house| {
        let desk = Desk::of(house);
        for url in [
            "http://example.org/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1:8443/",
            "https://user:password@example.org/",
            "file:///etc/passwd",
        ] {
            let body = json!({ "url": url, "events": ["blog.*"] });
            let told = desk.ask(Method::POST, "endpoints", body).await;
            assert_eq!(
                (told.status, told.problem().as_str()),
                (422, "notify.webhook.invalid"),
                "{url}"
            );
        }
        assert_eq!(desk.ask(Method::GET, "endpoints", Value::Null).await.body["items"], json!([]));
    })
    .await;
}

/// Names are looked up when a message is sent; forms of addresses that only the resolver knows too.
#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_a_connection_is_made() {
    let receiver = Receiver::start().await;
    in_house_with("webhooks.https_only = false", async |house| {
        let desk = Desk::of(house);
        for host in ["localhost", "2130706433", "0x7f.1", "127.1"] {
            let url = format!("http://{host}:{}/", receiver.port);
            desk.add(&url, &["blog.*"]).await;
            desk.happens("blog.post.published").await;
            let jobs = desk.waiting().await;
            house.run(jobs[0].id, &jobs[0].job, 1).await.unwrap();
            house.take_jobs().await;
            let log = desk.last().await;
            let error = log["attempts"][0]["error"].as_str().unwrap().to_owned();
            let refused = error.contains("not on the public internet")
                || (host != "localhost" && error.starts_with("the host cannot be resolved"));
            assert!(refused, "{host}: {error}");
            assert!(!error.contains("127.0.0.1"), "{error}");
            let version = json!({ "state": "disabled" });
            let id = log["delivery"]["endpoint"].as_str().unwrap();
            desk.ask_at(Method::PATCH, &format!("endpoints/{id}"), version, Some(1)).await;
        }
        assert_eq!(receiver.connections(), 0);
    })
    .await;
}
