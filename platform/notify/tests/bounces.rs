//! Addresses that mail comes back from are not written to until somebody clears them.

use serde_json::json;
use troupe_kernel::{Bytes, Method, Uuid, header};
use troupe_notify::messages::MailState;

use crate::house::{House, in_house, in_house_with, json_of, reset};
use crate::sink::Sink;

async fn report(house: &House, recipient: &str) -> (u16, serde_json::Value) {
    let body = json!({ "recipient": recipient, "detail": "5.1.1 unknown\nsee https://x.example" });
    let response = house
        .send(Method::POST, "/v1/notify/bounces", |request| {
            request.body = Bytes::from(body.to_string());
            request.headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        })
        .await;
    (response.status.as_u16(), json_of(&response))
}

#[tokio::test]
async fn a_recipient_that_the_server_does_not_know_is_not_written_to_again_until_it_is_cleared() {
    let sink = Sink::start().await;
    in_house_with(&sink.settings(), async |house| {
        *sink.seen.lock().unwrap() = Default::default();
        sink.seen.lock().unwrap().recipient_answers.push_back("550 5.1.1 no such mailbox");
        house.run(Uuid::from_u128(1), &reset("Gone@example.org"), 1).await.unwrap_err();
        sink.seen.lock().unwrap().commands.clear();

        let failure =
            house.run(Uuid::from_u128(2), &reset("gone@EXAMPLE.org"), 1).await.unwrap_err();
        assert_eq!(failure.code(), "notify.mail.refused");
        assert!(failure.detail().contains("/v1/notify/bounces"), "{failure:?}");
        assert_eq!(house.record(Uuid::from_u128(2)).await.state, MailState::Failed);
        let commands = sink.seen.lock().unwrap().commands.clone();
        assert!(!commands.iter().any(|one| one.starts_with("RCPT")), "{commands:?}");
        house.run(Uuid::from_u128(3), &reset("ada@example.org"), 1).await.unwrap();

        let list = json_of(&house.call(Method::GET, "/v1/notify/bounces", "").await);
        let items = list["items"].as_array().unwrap();
        assert_eq!((items.len(), &items[0]["recipient"]), (1, &json!("gone@example.org")));
        assert_eq!(items[0]["cause"], "refused");
        assert!(items[0]["detail"].as_str().unwrap().contains("5.1.1"), "{items:?}");
        assert!(house.events().await.contains(&"notify.address.held_back".to_owned()));

        let path = "/v1/notify/bounces/GONE@example.org";
        assert_eq!(house.call(Method::DELETE, path, "").await.status.as_u16(), 204);
        assert_eq!(house.call(Method::DELETE, path, "").await.status.as_u16(), 404);
        house.run(Uuid::from_u128(4), &reset("gone@example.org"), 1).await.unwrap();
        assert_eq!(sink.mails().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_that_is_not_about_the_recipient_marks_nobody() {
    let sink = Sink::start().await;
    in_house_with(&sink.settings(), async |house| {
        *sink.seen.lock().unwrap() = Default::default();
        sink.seen.lock().unwrap().data_answers.push_back("554 5.7.1 spam");
        sink.seen.lock().unwrap().recipient_answers.extend(["250 ok", "450 4.2.1 greylisted"]);
        house.run(Uuid::from_u128(1), &reset("ada@example.org"), 1).await.unwrap_err();
        house.run(Uuid::from_u128(2), &reset("ada@example.org"), 1).await.unwrap_err();
        let list = json_of(&house.call(Method::GET, "/v1/notify/bounces", "").await);
        assert_eq!(list["items"], json!([]));
        house.run(Uuid::from_u128(2), &reset("ada@example.org"), 2).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_report_marks_an_address_and_keeps_no_link() {
    in_house(async |house| {
        let (status, bounce) = report(house, "Ada@example.org").await;
        assert_eq!((status, &bounce["cause"]), (200, &json!("reported")));
        assert_eq!(bounce["detail"], "5.1.1 unknown see […]");
        assert_eq!(report(house, "ada@example.org").await, (status, bounce));
        house.run(Uuid::from_u128(1), &reset("ada@example.org"), 1).await.unwrap_err();
        assert_eq!(house.written().len(), 0);
        for bad in ["", "ada", "a@b\r\nc"] {
            let (status, problem) = report(house, bad).await;
            assert_eq!(status, 422, "{bad}: {problem}");
        }
    })
    .await;
}
