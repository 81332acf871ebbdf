//! Endpoints that refuse, are away, are slow, are gone.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_kernel::{Clock as _, Method};

use super::LOCAL;
use super::desk::Desk;
use super::receiver::{Receiver, Reply};
use crate::house::in_house_with;

#[tokio::test]
async fn a_message_is_tried_again_by_the_schedule_and_then_given_up() {
    let receiver = Receiver::start().await;
    let settings = format!("{LOCAL}\nwebhooks.retry_waits = [\"10s\", \"10m\"]");
    in_house_with(&settings, async |house| {
        let desk = Desk::of(house);
        desk.add(&receiver.url(), &["blog.*"]).await;
        for status in [500, 404, 302] {
            receiver.will(Reply::with(status, "location: /elsewhere\r\n", "no"));
        }
        desk.happens("blog.post.published").await;
        let mut waits = Vec::new();
        for _ in 0..2 {
            desk.work().await;
            let [job] = desk.waiting().await.try_into().unwrap();
            waits.push(job.run_at.since(house.clock.now()));
            let log = desk.last().await;
            assert_eq!(log["delivery"]["state"], "queued");
            assert_eq!(log["delivery"]["next_attempt_at"], job.run_at.to_string());
        }
        assert!(
            (Duration::from_secs(8)..=Duration::from_secs(12)).contains(&waits[0]),
            "{waits:?}"
        );
        assert!((Duration::from_secs(480)..=Duration::from_secs(720)).contains(&waits[1]));
        desk.work().await;
        assert_eq!(desk.waiting().await.len(), 0);
        let log = desk.last().await;
        assert_eq!(log["delivery"]["state"], "failed");
        assert_eq!(log["delivery"]["last_error"], "the endpoint answered 302");
        let statuses: Vec<_> =
            log["attempts"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
        assert_eq!(statuses, [302, 404, 500]);
        let lines: Vec<_> = receiver.take().into_iter().map(|one| one.line).collect();
        assert_eq!(lines, ["POST /hooks?of=troupe HTTP/1.1"; 3], "no redirect is followed");
    })
    .await;
}

#[tokio::test]
async fn an_answer_may_ask_for_a_later_attempt() {
    let receiver = Receiver::start().await;
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        desk.add(&receiver.url(), &["blog.*"]).await;
        receiver.will(Reply::with(503, "retry-after: 3600\r\n", ""));
        desk.happens("blog.post.published").await;
        desk.work().await;
        let [job] = desk.waiting().await.try_into().unwrap();
        assert_eq!(job.run_at.since(house.clock.now()), Duration::from_secs(3_600));
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_its_messages_end() {
    let receiver = Receiver::start().await;
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        let made = desk.add(&receiver.url(), &["blog.*"]).await;
        receiver.will(Reply::status(410));
        desk.happens("blog.post.published").await;
        desk.happens("blog.post.updated").await;
        desk.work().await;
        let endpoint = desk.endpoint(&made).await;
        assert_eq!(
            (&endpoint["state"], &endpoint["disabled_because"]),
            (&json!("disabled"), &json!("gone"))
        );
        desk.work().await;
        assert_eq!(receiver.take().len(), 1, "what waited is not sent");
        desk.happens("blog.post.deleted").await;
        assert_eq!(desk.waiting().await.len(), 0);
        let states: Vec<_> =
            desk.deliveries().await.into_iter().map(|one| one["state"].clone()).collect();
        assert_eq!(states, ["failed", "failed"]);
        let events = house.events().await;
        assert_eq!(events, ["notify.webhook_endpoint.created", "notify.webhook_endpoint.disabled"]);
        let audited = desk.audited().await;
        assert_eq!(audited, ["notify.webhook_endpoint.create", "notify.webhook_endpoint.disable"]);

        for path in ["test".to_owned(), String::new()] {
            let path = match path.as_str() {
                "" => format!(
                    "deliveries/{}/resend",
                    desk.deliveries().await[0]["id"].as_str().unwrap()
                ),
                _ => format!("endpoints/{}/{path}", made.id),
            };
            let told = desk.ask(Method::POST, &path, Value::Null).await;
            assert_eq!((told.status, told.problem().as_str()), (409, "notify.webhook.disabled"));
        }
        let version = endpoint["version"].as_i64().unwrap();
        let path = format!("endpoints/{}", made.id);
        let body = json!({ "state": "enabled" });
        let told = desk.ask_at(Method::PATCH, &path, body, Some(version)).await;
        assert_eq!((told.status, &told.body["disabled_because"]), (200, &Value::Null));
        assert_eq!(told.body["failing_since"], Value::Null);
        desk.happens("blog.post.published").await;
        desk.work().await;
        assert_eq!(receiver.take().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_fails_for_too_long_is_disabled_and_a_success_forgets() {
    let receiver = Receiver::start().await;
    let settings = format!(
        "{LOCAL}\nwebhooks.disable_after = \"1h\"\nwebhooks.retry_waits = [\"40m\", \"40m\", \"40m\"]\n\
         webhooks.retry_jitter_percent = 0"
    );
    in_house_with(&settings, async |house| {
        let desk = Desk::of(house);
        let made = desk.add(&receiver.url(), &["blog.*"]).await;
        for status in [500, 500, 200, 500, 500, 500] {
            receiver.will(Reply::status(status));
        }
        desk.happens("blog.post.published").await;
        desk.work().await;
        let since = desk.endpoint(&made).await["failing_since"].clone();
        assert_eq!(since, house.clock.now().to_string());
        desk.work().await;
        assert_eq!(desk.endpoint(&made).await["failing_since"], since, "the first failure counts");
        desk.work().await;
        assert_eq!(desk.endpoint(&made).await["failing_since"], Value::Null);
        desk.happens("blog.post.published").await;
        for _ in 0..2 {
            desk.work().await;
            assert_eq!(desk.endpoint(&made).await["state"], "enabled");
        }
        desk.work().await;
        let endpoint = desk.endpoint(&made).await;
        assert_eq!(
            (&endpoint["state"], &endpoint["disabled_because"]),
            (&json!("disabled"), &json!("failing"))
        );
        assert_eq!(house.events().await.last().unwrap(), "notify.webhook_endpoint.disabled");
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_is_away_silent_or_endless_holds_nobody() {
    let receiver = Receiver::start().await;
    let settings = format!("{LOCAL}\nwebhooks.timeout = \"1s\"");
    in_house_with(&settings, async |house| {
        let desk = Desk::of(house);
        desk.add(&receiver.url(), &["blog.*"]).await;
        let attempt = async |reply: Reply| {
            receiver.will(reply);
            desk.happens("blog.post.published").await;
            let [job] = desk.waiting().await.try_into().unwrap();
            let began = tokio::time::Instant::now();
            house.run(job.id, &job.job, 1).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
            let log = desk.last().await;
            house.take_jobs().await;
            log["attempts"][0].clone()
        };
        let silent = attempt(Reply::Silence).await;
        assert_eq!(silent["error"], "no answer within 1 s");
        let endless_header = attempt(Reply::Endless("HTTP/1.1 200 X\r\nx: ".to_owned())).await;
        assert_eq!(endless_header["status"], Value::Null);
        let nonsense = attempt(Reply::Bytes("SSH-2.0-nonsense\r\n\r\n".to_owned())).await;
        assert!(nonsense["error"].as_str().unwrap().starts_with("the answer is not HTTP"));
        let endless =
            Reply::Endless("HTTP/1.1 200 X\r\ncontent-length: 999999999\r\n\r\n\0".to_owned());
        let endless = attempt(endless).await;
        assert_eq!((&endless["status"], &endless["error"]), (&json!(200), &Value::Null));
        assert_eq!(endless["response"].as_str().unwrap(), "x".repeat(1_023), "the first kibibyte");
    })
    .await;
    let closed = { Receiver::start().await.url() };
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        desk.add(&closed, &["blog.*"]).await;
        desk.happens("blog.post.published").await;
        desk.work().await;
        let log = desk.last().await;
        let error = log["attempts"][0]["error"].as_str().unwrap();
        assert!(error.starts_with("no connection could be made"), "{error}");
        assert_eq!(desk.waiting().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn messages_of_an_endpoint_that_was_removed_end() {
    let receiver = Receiver::start().await;
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        let made = desk.add(&receiver.url(), &["blog.*"]).await;
        desk.happens("blog.post.published").await;
        let path = format!("endpoints/{}", made.id);
        assert_eq!(desk.ask(Method::DELETE, &path, Value::Null).await.status, 204);
        assert_eq!(desk.ask(Method::GET, &path, Value::Null).await.status, 404);
        desk.work().await;
        let log = desk.last().await;
        assert_eq!(log["delivery"]["state"], "failed");
        assert_eq!(log["delivery"]["last_error"], "the endpoint was removed");
        assert_eq!(receiver.take().len(), 0);
    })
    .await;
}
