//! Members, their roles, and how they leave.

use serde_json::{Value, json};

use crate::house::in_house;

fn names(page: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = page["items"].as_array().unwrap();
    items.iter().map(|each| (text(&each["display_name"]), text(&each["role"]))).collect()
}

#[tokio::test]
async fn members_are_listed_in_order_of_joining() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        house.member("bob", "editor", &acme, &ada).await;
        house.member("eve", "reader", &acme, &ada).await;
        let caller = house.token(&ada, Some(&acme));
        let path = format!("/v1/organisations/{}/members", acme.id);
        let first = house.get(&format!("{path}?limit=2"), &caller).await.json();
        let expected =
            [("ada".to_owned(), "owner".to_owned()), ("bob".to_owned(), "editor".to_owned())];
        assert_eq!(names(&first), expected);
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = house.get(&format!("{path}?limit=2&cursor={cursor}"), &caller).await.json();
        assert_eq!(names(&second), [("eve".to_owned(), "reader".to_owned())]);
        assert_eq!(second["next_cursor"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_role_changes_and_authorization_knows_at_once() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let bob = house.member("bob", "editor", &acme, &ada).await;
        house.told_roles().await;
        let caller = house.token(&ada, Some(&acme));
        let path = format!("/v1/organisations/{}/members/{}", acme.id, bob.id);
        let body = json!({ "role": "admin" });
        let changed = house.patch(&path, &caller.clone().if_match(1), body.clone()).await;
        assert_eq!((changed.status(), changed.header("etag")), (200, "\"2\""), "{changed:?}");
        let told = house.told_roles().await;
        assert_eq!((told.len(), told[0].role.as_deref()), (1, Some("admin")));
        let stale = house.patch(&path, &caller.clone().if_match(1), body.clone()).await;
        assert_eq!(stale.problem(), (412, "identity.member.stale".to_owned()));
        let same = house.patch(&path, &caller, body).await;
        assert_eq!((same.status(), same.header("etag")), (200, "\"2\""));
        let kinds = house.events().await;
        assert_eq!(kinds.iter().filter(|kind| *kind == "identity.member.role_changed").count(), 1);
    })
    .await;
}

#[tokio::test]
async fn roles_above_the_callers_are_neither_given_nor_taken() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let bob = house.member("bob", "editor", &acme, &ada).await;
        house.forbidden.lock().unwrap().push("owner".to_owned());
        let caller = house.token(&bob, Some(&acme));
        let path = |user: &troupe_identity_messages::User| {
            format!("/v1/organisations/{}/members/{}", acme.id, user.id)
        };
        let exceeds = (403, "authz.grant.exceeds".to_owned());
        let give = house.patch(&path(&bob), &caller, json!({ "role": "owner" })).await;
        assert_eq!(give.problem(), exceeds);
        let demote = house.patch(&path(&ada), &caller, json!({ "role": "reader" })).await;
        assert_eq!(demote.problem(), exceeds);
        assert_eq!(house.delete(&path(&ada), &caller).await.problem(), exceeds);
        let invite = json!({ "email": "x@example.org", "role": "owner" });
        let invitations = format!("/v1/organisations/{}/invitations", acme.id);
        assert_eq!(house.post(&invitations, &caller, invite).await.problem(), exceeds);
    })
    .await;
}

#[tokio::test]
async fn the_last_owner_stays() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let bob = house.member("bob", "editor", &acme, &ada).await;
        let caller = house.token(&ada, Some(&acme));
        let own = format!("/v1/organisations/{}/members/{}", acme.id, ada.id);
        let leave = format!("/v1/users/me/organisations/{}", acme.id);
        let last = (409, "identity.member.last_owner".to_owned());
        assert_eq!(house.patch(&own, &caller, json!({ "role": "admin" })).await.problem(), last);
        assert_eq!(house.delete(&own, &caller).await.problem(), last);
        assert_eq!(house.delete(&leave, &caller).await.problem(), last);

        let path = format!("/v1/organisations/{}/members/{}", acme.id, bob.id);
        let promoted = house.patch(&path, &caller, json!({ "role": "owner" })).await;
        assert_eq!(promoted.status(), 200);
        assert_eq!(house.delete(&leave, &caller).await.status(), 204);
        assert_eq!(house.told_roles().await.last().unwrap().role, None);
        let bobs = house.token(&bob, Some(&acme));
        assert_eq!(house.delete(&leave, &bobs).await.problem(), last);
    })
    .await;
}

#[tokio::test]
async fn of_two_owners_who_leave_at_once_one_stays() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let bob = house.member("bob", "owner", &acme, &ada).await;
        let leave = format!("/v1/users/me/organisations/{}", acme.id);
        let (adas, bobs) = (house.token(&ada, Some(&acme)), house.token(&bob, Some(&acme)));
        let (left, right) = tokio::join!(house.delete(&leave, &adas), house.delete(&leave, &bobs));
        let mut statuses = [left.status(), right.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 409]);
    })
    .await;
}

#[tokio::test]
async fn a_removed_member_is_gone_and_a_repeated_removal_is_the_same() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let bob = house.member("bob", "editor", &acme, &ada).await;
        let caller = house.token(&ada, Some(&acme)).idempotency_key("k1");
        let path = format!("/v1/organisations/{}/members/{}", acme.id, bob.id);
        assert_eq!(house.delete(&path, &caller).await.status(), 204);
        let again = house.delete(&path, &caller).await;
        assert_eq!((again.status(), again.replayed), (204, true));
        let without_key = house.token(&ada, Some(&acme));
        let gone = house.delete(&path, &without_key).await;
        assert_eq!(gone.problem(), (404, "identity.member.not_found".to_owned()));
        let own = house.get("/v1/users/me/organisations", &house.token(&bob, None)).await;
        assert_eq!(own.json(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn members_of_another_organisation_are_not_found() {
    in_house(async |house| {
        let (ada, bob) = (house.user("ada").await, house.user("bob").await);
        let acme = house.organisation("Acme", &ada).await;
        let other = house.organisation("Other", &bob).await;
        let stranger = house.token(&bob, Some(&other));
        let members = format!("/v1/organisations/{}/members", acme.id);
        let missing = (404, "identity.organisation.not_found".to_owned());
        assert_eq!(house.get(&members, &stranger).await.problem(), missing);
        let one = format!("{members}/{}", ada.id);
        assert_eq!(house.delete(&one, &stranger).await.problem(), missing);
        let changed = house.patch(&one, &stranger, json!({ "role": "reader" })).await;
        assert_eq!(changed.problem(), missing);
        let own = format!("/v1/organisations/{}/members/{}", other.id, ada.id);
        let foreign = house.delete(&own, &stranger).await;
        assert_eq!(foreign.problem(), (404, "identity.member.not_found".to_owned()));
        let leave = format!("/v1/users/me/organisations/{}", acme.id);
        assert_eq!(house.delete(&leave, &stranger).await.status(), 404);
    })
    .await;
}
