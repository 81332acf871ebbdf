//! One's own profile, and what administrators do with users.

use serde_json::{Value, json};
use troupe_kernel::InvalidationMessage;

use crate::house::{Caller, in_house};

#[tokio::test]
async fn a_profile_is_read_and_changed_on_its_version() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None);
        let read = house.get("/v1/users/me", &caller).await;
        assert_eq!((read.status(), read.header("etag")), (200, "\"1\""));
        assert_eq!(read.json()["email"], "ada@example.org");

        let body = json!({ "display_name": "Ada L.", "time_zone": "Europe/London" });
        let unconditional = house.patch("/v1/users/me", &caller, body.clone()).await;
        assert_eq!(unconditional.status(), 428);
        let changed = house.patch("/v1/users/me", &caller.clone().if_match(1), body.clone()).await;
        assert_eq!((changed.status(), changed.header("etag")), (200, "\"2\""));
        assert_eq!(changed.json()["display_name"], "Ada L.");
        assert_eq!(changed.json()["locale"], "en");
        let stale = house.patch("/v1/users/me", &caller.if_match(1), body).await;
        assert_eq!(stale.problem(), (412, "identity.user.stale".to_owned()));
        assert_eq!(house.events().await, ["identity.user.created", "identity.user.updated"]);
        assert_eq!(house.audit().await[1], ("identity.user.update".to_owned(), None));
    })
    .await;
}

#[tokio::test]
async fn a_bad_change_names_its_fields_and_changes_nothing() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None).if_match(1);
        let body = json!({ "display_name": " ", "locale": "en_GB" });
        let refused = house.patch("/v1/users/me", &caller, body).await;
        assert_eq!(refused.problem(), (422, "identity.user.invalid".to_owned()));
        let pointers: Vec<Value> = refused.json()["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].clone())
            .collect();
        assert_eq!(pointers, ["/display_name", "/locale"]);
        let unknown = house.patch("/v1/users/me", &caller, json!({ "emial": "x" })).await;
        assert_eq!(unknown.problem(), (400, "kernel.body.malformed".to_owned()));
        assert_eq!(house.get("/v1/users/me", &caller).await.header("etag"), "\"1\"");
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_gets_its_first_answer() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None).if_match(1).idempotency_key("k1");
        let body = json!({ "display_name": "Ada L." });
        let first = house.patch("/v1/users/me", &caller, body.clone()).await;
        let second = house.patch("/v1/users/me", &caller, body).await;
        assert!(!first.replayed && second.replayed);
        assert_eq!(first.response.body, second.response.body);
        assert_eq!(house.events().await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn administrators_find_users_by_a_part_of_name_or_address() {
    in_house(async |house| {
        let admin = house.user("root").await;
        for name in ["ada", "adam", "bob_50%"] {
            let email_safe = name.replace('%', "");
            house.user(&email_safe).await;
        }
        let caller = house.token(&admin, None);
        let found = async |query: &str| {
            let answer = house.get(&format!("/v1/users?{query}"), &caller).await;
            assert_eq!(answer.status(), 200, "{answer:?}");
            let page = answer.json();
            let names: Vec<String> = page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|user| user["display_name"].as_str().unwrap().to_owned())
                .collect();
            (names, page["next_cursor"].as_str().map(str::to_owned))
        };
        assert_eq!(found("text=ADA").await.0, ["adam", "ada"]);
        assert_eq!(found("text=b_5").await.0, ["bob_50"]);
        assert_eq!(found("text=%25").await.0, [""; 0]);
        assert_eq!(found("status=suspended").await.0, [""; 0]);
        let (first, cursor) = found("limit=3").await;
        assert_eq!(first, ["bob_50", "adam", "ada"]);
        let (rest, end) = found(&format!("limit=3&cursor={}", cursor.unwrap())).await;
        assert_eq!((rest, end), (vec!["root".to_owned()], None));
        let bad = house.get("/v1/users?cursor=nonsense", &caller).await;
        assert_eq!(bad.problem().1, "kernel.cursor.invalid");
    })
    .await;
}

#[tokio::test]
async fn a_suspended_user_loses_every_session_at_once() {
    in_house(async |house| {
        let (admin, ada) = (house.user("root").await, house.user("ada").await);
        let caller = house.token(&admin, None);
        let suspend = format!("/v1/users/{}/suspend", ada.id);
        let unfounded = house.post(&suspend, &caller, json!({ "reason": " " })).await;
        assert_eq!(unfounded.problem(), (422, "identity.user.invalid".to_owned()));
        let done = house.post(&suspend, &caller, json!({ "reason": "spam" })).await;
        assert_eq!((done.status(), done.json()["status"].clone()), (200, json!("suspended")));
        let InvalidationMessage::RevokeSubject(revoked) = house.revocations.expect().await else {
            panic!("another message came")
        };
        assert_eq!(revoked.subject, ada.id.uuid());
        let again = house.post(&suspend, &caller, json!({ "reason": "spam" })).await;
        assert_eq!((again.status(), again.header("etag")), (200, "\"2\""));
        assert_eq!(house.revocations.unread(), 1, "sessions are ended again");

        let reinstate = format!("/v1/users/{}/reinstate", ada.id);
        let back = house.post(&reinstate, &caller, Value::Null).await;
        assert_eq!(back.json()["status"], "active");
        let kinds = house.events().await;
        assert_eq!(kinds[2..], ["identity.user.suspended", "identity.user.reinstated"]);
    })
    .await;
}

#[tokio::test]
async fn nobody_suspends_themselves_and_unknown_users_are_not_found() {
    in_house(async |house| {
        let admin = house.user("root").await;
        let caller = house.token(&admin, None);
        let own = format!("/v1/users/{}/suspend", admin.id);
        let refused = house.post(&own, &caller, json!({ "reason": "x" })).await;
        assert_eq!(refused.problem(), (409, "identity.user.own_suspension".to_owned()));
        let unknown = "0194f3b2-7c1a-7def-8a3b-5c6d7e8f9012";
        for path in [format!("/v1/users/{unknown}"), "/v1/users/me".to_owned()] {
            let stranger =
                troupe_identity_messages::User { id: unknown.parse().unwrap(), ..admin.clone() };
            let answer = house.get(&path, &house.token(&stranger, None)).await;
            assert_eq!(answer.problem(), (404, "identity.user.not_found".to_owned()), "{path}");
        }
        let anonymous = house.get("/v1/users/me", &Caller::nobody()).await;
        assert_eq!(anonymous.status(), 401);
    })
    .await;
}
