//! What arrives at an endpoint, with which signatures, and what the log says of it.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_kernel::{Clock as _, Job, Method, Uuid};

use super::LOCAL;
use super::desk::Desk;
use super::receiver::{Receiver, Reply, TLS};
use super::verify::verifies;
use crate::house::in_house_with;

#[tokio::test]
async fn an_event_arrives_signed_and_is_in_the_log() {
    let receiver = Receiver::start().await;
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        let made = desk.add(&receiver.url(), &["blog.post.*"]).await;
        let event = desk.happens("blog.post.published").await;
        desk.work().await;

        let received = receiver.take();
        let [one] = received.as_slice() else { panic!("{received:?}") };
        assert_eq!(one.line, "POST /hooks?of=troupe HTTP/1.1");
        assert_eq!(one.header("host"), format!("127.0.0.1:{}", receiver.port));
        assert_eq!(one.header("content-type"), "application/json");
        assert_eq!(one.header("webhook-id"), event.id.to_string());
        let now = house.clock.now().as_secs();
        assert!(verifies(one, &made.secret, now));
        assert!(!verifies(one, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", now));
        let mut changed = one.clone();
        changed.body = changed.body.replace("title", "tittle");
        assert!(!verifies(&changed, &made.secret, now), "the body is signed");
        let body: Value = serde_json::from_str(&one.body).unwrap();
        assert_eq!(body["type"], "blog.post.published");
        assert_eq!(body["timestamp"], event.time.to_string());
        assert_eq!(body["data"]["title"], "Ä \"quoted\" title");

        let log = desk.last().await;
        assert_eq!(log["delivery"]["state"], "delivered");
        assert_eq!(log["delivery"]["last_status"], 200);
        assert_eq!(log["body"], one.body);
        let attempt = &log["attempts"][0];
        assert_eq!((&attempt["number"], &attempt["response"]), (&json!(1), &json!("thanks")));
        assert!(attempt["latency_ms"].as_i64().unwrap() < 5_000);
        assert_eq!(desk.waiting().await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_event_that_comes_twice_and_a_job_that_runs_twice_send_one_message() {
    let receiver = Receiver::start().await;
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        desk.add(&receiver.url(), &["blog.*"]).await;
        let event = desk.happens("blog.post.published").await;
        desk.offer(&event).await.unwrap();
        let [job] = desk.waiting().await.try_into().unwrap();
        for _ in 0..2 {
            house.run(job.id, &job.job, 1).await.unwrap();
        }
        assert_eq!(receiver.take().len(), 1);
        assert_eq!(desk.deliveries().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn only_what_an_endpoint_wants_of_its_own_organisation_is_sent() {
    let receiver = Receiver::start().await;
    in_house_with(LOCAL, async |house| {
        let (desk, other) = (Desk::of(house), Desk::other(house));
        desk.add(&receiver.url(), &["blog.post.published", "files.*"]).await;
        for kind in ["blog.post.updated", "identity.member.joined"] {
            desk.happens(kind).await;
        }
        other.happens("blog.post.published").await;
        let mut nobodys = troupe_kernel::Event::new("blog.post.published", "p1", &json!({}));
        nobodys.id = Uuid::from_u128(5);
        desk.offer(&nobodys).await.unwrap();
        assert_eq!(desk.waiting().await.len(), 0);
        for kind in ["blog.post.published", "files.file.stored"] {
            desk.happens(kind).await;
        }
        assert_eq!(desk.waiting().await.len(), 2);
        assert_eq!(other.deliveries().await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn the_old_secret_signs_beside_the_new_one_until_its_time_is_over() {
    let receiver = Receiver::start().await;
    let settings = format!("{LOCAL}\nwebhooks.secret_overlap = \"1h\"");
    in_house_with(&settings, async |house| {
        let desk = Desk::of(house);
        let old = desk.add(&receiver.url(), &["blog.*"]).await;
        let path = format!("endpoints/{}/rotate-secret", old.id);
        let told = desk.ask(Method::POST, &path, Value::Null).await;
        assert_eq!(told.status, 200, "{told:?}");
        let new = told.text("/secret");
        assert_ne!(new, old.secret);
        let until = house.clock.now().plus(Duration::from_secs(3_600));
        assert_eq!(told.text("/endpoint/old_secret_until"), until.to_string());

        let sent = async || {
            desk.happens("blog.post.published").await;
            desk.work().await;
            receiver.take().pop().expect("a message")
        };
        let both = sent().await;
        let now = house.clock.now().as_secs();
        assert!(verifies(&both, &old.secret, now) && verifies(&both, &new, now));
        assert_eq!(both.header("webhook-signature").split(' ').count(), 2);

        house.clock.advance(Duration::from_secs(3_600));
        let later = sent().await;
        let now = house.clock.now().as_secs();
        assert!(!verifies(&later, &old.secret, now) && verifies(&later, &new, now));
        assert_eq!(later.header("webhook-signature").split(' ').count(), 1);
        assert_eq!(desk.endpoint(&old).await["old_secret_until"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_message_goes_over_tls_to_who_proves_its_name_to_a_trusted_authority() {
    let receiver = Receiver::start_tls().await;
    let url = format!("https://localhost:{}/hooks", receiver.port);
    let networks = "webhooks.allow_networks = [\"127.0.0.0/8\", \"::1/128\"]";
    in_house_with(
        &format!("{networks}\nwebhooks.ca_file = \"{TLS}/authority.pem\""),
        async |house| {
            let desk = Desk::of(house);
            let made = desk.add(&url, &["blog.*"]).await;
            desk.happens("blog.post.published").await;
            desk.work().await;
            let one = receiver.take().pop().expect("a message");
            assert!(verifies(&one, &made.secret, house.clock.now().as_secs()));
        },
    )
    .await;
    in_house_with(networks, async |house| {
        let desk = Desk::of(house);
        desk.add(&url, &["blog.*"]).await;
        desk.happens("blog.post.published").await;
        desk.work().await;
        let log = desk.last().await;
        assert_eq!(log["delivery"]["state"], "queued");
        let error = log["delivery"]["last_error"].as_str().unwrap();
        assert!(error.starts_with("no encrypted connection could be made"), "{error}");
        assert_eq!(receiver.take().len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_test_message_and_a_message_sent_again_arrive() {
    let receiver = Receiver::start().await;
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        let made = desk.add(&receiver.url(), &["blog.*"]).await;
        let path = format!("endpoints/{}/test", made.id);
        let told = desk.ask(Method::POST, &path, Value::Null).await;
        assert_eq!((told.status, told.text("/event")), (202, "notify.webhook.test".to_owned()));
        let again = format!("deliveries/{}/resend", told.text("/id"));
        let early = desk.ask(Method::POST, &again, Value::Null).await;
        assert_eq!((early.status, early.problem().as_str()), (409, "notify.webhook.queued"));
        desk.work().await;
        let first = receiver.take().pop().expect("a message");

        house.clock.advance(Duration::from_secs(60));
        receiver.will(Reply::status(500));
        let told = desk.ask(Method::POST, &again, Value::Null).await;
        assert_eq!((told.status, told.text("/state")), (202, "queued".to_owned()));
        desk.work().await;
        desk.work().await;
        let [failed, second] = receiver.take().try_into().unwrap();
        for one in [&first, &failed, &second] {
            assert_eq!(one.header("webhook-id"), first.header("webhook-id"));
            assert_eq!(one.body, first.body);
        }
        assert!(second.header("webhook-timestamp") > first.header("webhook-timestamp"));
        assert!(verifies(&second, &made.secret, house.clock.now().as_secs()));
        let log = desk.last().await;
        assert_eq!(log["delivery"]["state"], "delivered");
        let numbers: Vec<_> =
            log["attempts"].as_array().unwrap().iter().map(|one| one["number"].clone()).collect();
        assert_eq!(numbers, [3, 2, 1]);
    })
    .await;
}

#[tokio::test]
async fn the_log_is_kept_for_its_time_and_no_longer() {
    let receiver = Receiver::start().await;
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        desk.add(&receiver.url(), &["blog.*"]).await;
        desk.happens("blog.post.published").await;
        desk.work().await;
        house.clock.advance(Duration::from_secs(29 * 86_400));
        desk.happens("blog.post.updated").await;
        desk.work().await;
        let prune = Job::new("notify.webhook_prune", &());
        house.run(Uuid::from_u128(9), &prune, 1).await.unwrap();
        assert_eq!(desk.deliveries().await.len(), 2);
        house.clock.advance(Duration::from_secs(2 * 86_400));
        house.run(Uuid::from_u128(10), &prune, 1).await.unwrap();
        let left = desk.deliveries().await;
        assert_eq!((left.len(), &left[0]["event"]), (1, &json!("blog.post.updated")));
    })
    .await;
}

#[tokio::test]
async fn an_event_that_is_too_large_is_in_the_log_and_nowhere_else() {
    let receiver = Receiver::start().await;
    in_house_with(LOCAL, async |house| {
        let desk = Desk::of(house);
        desk.add(&receiver.url(), &["blog.*"]).await;
        let mut event =
            troupe_kernel::Event::new("blog.post.published", "p1", &"x".repeat(300_000));
        (event.id, event.tenant) = (Uuid::from_u128(7), Some(desk.tenant));
        desk.offer(&event).await.unwrap();
        assert_eq!(desk.waiting().await.len(), 0);
        let log = desk.last().await;
        assert_eq!((&log["delivery"]["state"], &log["body"]), (&json!("failed"), &json!("")));
        let path = format!("deliveries/{}/resend", log["delivery"]["id"].as_str().unwrap());
        let told = desk.ask(Method::POST, &path, Value::Null).await;
        assert_eq!((told.status, told.problem().as_str()), (409, "notify.webhook.too_large"));
    })
    .await;
}
