//! What administrators see and do.

use troupe_kernel::{Access, Method, Uuid};

use crate::house::{LINK, in_house, json_of, reset};

#[tokio::test]
async fn administrators_list_mails_by_state_and_recipient_without_content() {
    in_house(async |house| {
        for (number, to) in [(1, "ada@example.org"), (2, "Bob@example.org"), (3, "nobody")] {
            drop(house.run(Uuid::from_u128(number), &reset(to), 1).await);
        }
        let list = async |query: &str| {
            let response = house.call(Method::GET, "/v1/notify/mails", query).await;
            assert_eq!(response.status.as_u16(), 200, "{response:?}");
            let page = json_of(&response);
            assert!(!page.to_string().contains(LINK) && !page.to_string().contains("data\""));
            let items = page["items"].as_array().unwrap().clone();
            let to = items.iter().map(|each| each["recipient"].as_str().unwrap().to_owned());
            (to.collect::<Vec<_>>(), page["next_cursor"].as_str().map(str::to_owned))
        };
        let all = ["nobody", "Bob@example.org", "ada@example.org"];
        assert_eq!(list("").await.0, all);
        assert_eq!(list("state=failed").await.0, ["nobody"]);
        assert_eq!(list("recipient=bob@EXAMPLE.org").await.0, ["Bob@example.org"]);
        assert_eq!(list("recipient=b").await.0, [""; 0]);
        let (first, cursor) = list("limit=2").await;
        assert_eq!(first, all[..2]);
        assert_eq!(list(&format!("limit=2&cursor={}", cursor.unwrap())).await.0, all[2..]);
        let bad = house.call(Method::GET, "/v1/notify/mails", "state=lost").await;
        assert_eq!(bad.status.as_u16(), 400);
    })
    .await;
}

#[tokio::test]
async fn a_mail_is_sent_again_until_its_content_is_erased() {
    in_house(async |house| {
        let id = Uuid::from_u128(7);
        house.run(id, &reset("ada@example.org"), 1).await.unwrap();
        let path = format!("/v1/notify/mails/{id}/resend");
        let queued = house.call(Method::POST, &path, "").await;
        assert_eq!(queued.status.as_u16(), 202, "{queued:?}");
        assert_eq!(json_of(&queued)["state"], "queued");
        let twice = house.call(Method::POST, &path, "").await;
        assert!(json_of(&twice)["type"].as_str().unwrap().ends_with("notify.mail.queued"));

        let jobs = house.take_jobs().await;
        let [(kind, payload)] = &jobs[..] else { panic!("one job: {jobs:?}") };
        let job = troupe_kernel::Job::new(kind.as_str(), payload);
        house.clock.advance(std::time::Duration::from_secs(1));
        house.run(Uuid::from_u128(8), &job, 1).await.unwrap();
        let files = house.written();
        assert_eq!(files.len(), 2);
        let message_id = format!("Message-ID: <{id}@localhost>");
        assert!(files.iter().all(|(_, text)| text.contains(&message_id)));
        house.run(Uuid::from_u128(8), &job, 2).await.unwrap();
        assert_eq!(house.written().len(), 2, "the job came twice, the mail once");

        house.clock.advance(std::time::Duration::from_secs(8 * 86_400));
        let erase = troupe_kernel::Job::new("notify.erase", &());
        house.run(Uuid::from_u128(9), &erase, 1).await.unwrap();
        let late = house.call(Method::POST, &path, "").await;
        assert_eq!(late.status.as_u16(), 409);
        assert!(json_of(&late)["type"].as_str().unwrap().ends_with("notify.mail.erased"));
        let unknown = format!("/v1/notify/mails/{}/resend", Uuid::from_u128(99));
        assert_eq!(house.call(Method::POST, &unknown, "").await.status.as_u16(), 404);
        let one = house.call(Method::GET, &format!("/v1/notify/mails/{id}"), "").await;
        assert_eq!(json_of(&one)["attempts"], 2);
    })
    .await;
}

#[tokio::test]
async fn every_route_needs_a_permission_but_those_of_preferences() {
    in_house(async |house| {
        for route in &house.parts.routes {
            let (path, access) = (route.path(), route.access());
            if path.starts_with("/v1/notify/preferences") {
                assert_eq!(access, Some(&Access::Authenticated), "{route}");
                continue;
            }
            if path == "/v1/notify/unsubscribe/{token}" {
                assert_eq!(access, Some(&Access::Public), "{route}");
                continue;
            }
            let Some(Access::Permission(key)) = access else { panic!("{route} is open") };
            assert!(house.parts.permissions.iter().any(|known| known.key == *key), "{key}");
        }
        assert_eq!(house.parts.routes.len(), 20);
        let roles: Vec<_> = house.parts.roles.iter().map(|role| role.key).collect();
        assert_eq!(roles, ["administrator", "admin"]);
    })
    .await;
}
