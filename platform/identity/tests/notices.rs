//! What owners and admins are told when another module says so.

use serde_json::json;
use troupe_kernel::{Event, Uuid};

use crate::house::in_house;

#[tokio::test]
async fn owners_and_admins_are_told_once_that_an_endpoint_is_disabled() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let organisation = house.organisation("Acme", &ada).await;
        house.take_mails().await;
        let bob = house.member("bob", "admin", &organisation, &ada).await;
        house.member("eve", "editor", &organisation, &ada).await;
        house.take_mails().await;
        let data = json!({ "endpoint": Uuid::nil(), "host": "example.org", "because": "gone" });
        let mut event = Event::new("notify.webhook_endpoint.disabled", Uuid::nil(), &data);
        (event.id, event.tenant) = (Uuid::from_u128(7), Some(organisation.id));
        let subscriptions = &house.parts.subscriptions;
        let notices = subscriptions.iter().find(|one| one.takes(&event.kind)).unwrap();
        for _ in 0..2 {
            notices.run(&event, &house.scope()).await.unwrap();
        }
        let mails = house.take_mails().await;
        let mut to: Vec<_> = mails.iter().filter_map(|mail| mail["to"].as_str()).collect();
        to.sort_unstable();
        assert_eq!(to, [ada.email.as_str(), bob.email.as_str()]);
        assert_eq!(mails[0]["template"], "identity.webhook_disabled");
        assert_eq!(mails[0]["data"]["organisation"], "Acme");
        assert_eq!(mails[0]["data"]["host"], "example.org");
        event.tenant = None;
        event.id = Uuid::from_u128(8);
        let failure = notices.run(&event, &house.scope()).await.unwrap_err();
        assert_eq!(failure.code(), "identity.notice.tenant");
    })
    .await;
}
