//! Invitations.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_identity_messages::CreateUser;
use troupe_kernel::ids::UserId;

use crate::house::{Caller, in_house, in_house_with};

#[tokio::test]
async fn an_invitation_is_sent_seen_and_accepted() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let caller = house.token(&ada, Some(&acme));
        let path = format!("/v1/organisations/{}/invitations", acme.id);
        let body = json!({ "email": "Bob@Example.org", "role": "editor" });
        let made = house.post(&path, &caller, body).await;
        assert_eq!(made.status(), 201, "{made:?}");
        let id = made.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(made.header("location"), format!("{path}/{id}"));
        let token = house.mailed_token("identity.invitation").await;
        assert!(!made.json().to_string().contains(&token), "the inviter does not see the token");

        let preview = house.get(&format!("/v1/invitations/{token}"), &Caller::nobody()).await;
        let shown = preview.json();
        assert_eq!(
            (shown["organisation"].clone(), shown["role"].clone()),
            (json!("Acme"), json!("editor"))
        );

        let create = CreateUser {
            id: UserId::new(&*house.clock),
            email: "bob@example.org".to_owned(),
            display_name: "Bob".to_owned(),
            locale: None,
            time_zone: None,
            email_verified: false,
        };
        let bob = house.identity.ask(&house.scope(), create).await.unwrap();
        let accept = format!("/v1/invitations/{token}/accept");
        let accepted = house.post(&accept, &house.token(&bob, None), Value::Null).await;
        assert_eq!(accepted.status(), 200, "{accepted:?}");
        assert_eq!(accepted.json()["role"], "editor");
        let told = house.told_roles().await;
        assert_eq!(told.last().unwrap().role.as_deref(), Some("editor"));
        let me = house.get("/v1/users/me", &house.token(&bob, None)).await.json();
        assert!(me["email_verified_at"].is_string(), "the mail proved the address: {me}");

        let again = house.post(&accept, &house.token(&bob, None), Value::Null).await;
        assert_eq!(again.problem(), (404, "identity.token.invalid".to_owned()));
        let list = house.get(&path, &caller).await.json();
        assert_eq!(list["items"][0]["status"], "accepted");
        let revoke = house.delete(&format!("{path}/{id}"), &caller).await;
        assert_eq!(revoke.problem(), (409, "identity.invitation.settled".to_owned()));
        for kind in [
            "identity.invitation.created",
            "identity.invitation.accepted",
            "identity.member.joined",
        ] {
            assert!(house.events().await.iter().any(|each| each == kind), "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_the_account_of_the_address_accepts() {
    in_house(async |house| {
        let (ada, eve) = (house.user("ada").await, house.user("eve").await);
        let acme = house.organisation("Acme", &ada).await;
        let path = format!("/v1/organisations/{}/invitations", acme.id);
        let body = json!({ "email": "bob@example.org", "role": "editor" });
        house.post(&path, &house.token(&ada, Some(&acme)), body).await;
        let token = house.mailed_token("identity.invitation").await;
        let accept = format!("/v1/invitations/{token}/accept");
        let refused = house.post(&accept, &house.token(&eve, None), Value::Null).await;
        assert_eq!(refused.problem(), (403, "identity.invitation.other_address".to_owned()));
        let anonymous = house.post(&accept, &Caller::nobody(), Value::Null).await;
        assert_eq!(anonymous.status(), 401);
        let bob = house.user("bob").await;
        let accepted = house.post(&accept, &house.token(&bob, None), Value::Null).await;
        assert_eq!(accepted.status(), 200);
    })
    .await;
}

#[tokio::test]
async fn an_address_has_one_open_invitation_and_members_need_none() {
    in_house_with("invitations_open_max = 2", async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let caller = house.token(&ada, Some(&acme));
        let path = format!("/v1/organisations/{}/invitations", acme.id);
        let invite = async |email: &str| {
            house.post(&path, &caller, json!({ "email": email, "role": "reader" })).await
        };
        assert_eq!(invite("bob@example.org").await.status(), 201);
        let twice = invite("BOB@example.org").await;
        assert_eq!(twice.problem(), (409, "identity.invitation.exists".to_owned()));
        let member = invite("Ada@example.org").await;
        assert_eq!(member.problem(), (409, "identity.member.exists".to_owned()));
        assert_eq!(invite("nobody").await.problem().1, "identity.invitation.invalid");
        assert_eq!(invite("eve@example.org").await.status(), 201);
        let third = invite("mallory@example.org").await;
        assert_eq!(third.problem(), (409, "identity.invitation.limit".to_owned()));

        house.clock.advance(Duration::from_secs(8 * 86_400));
        assert_eq!(invite("bob@example.org").await.status(), 201, "the first one has expired");
        let list = house.get(&path, &caller).await.json();
        let statuses: Vec<_> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|each| each["status"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(statuses, ["pending", "expired", "revoked"]);
    })
    .await;
}

#[tokio::test]
async fn a_resent_invitation_has_a_new_link_and_a_limit() {
    in_house_with("invitation_sends_max = 2", async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let caller = house.token(&ada, Some(&acme));
        let path = format!("/v1/organisations/{}/invitations", acme.id);
        let body = json!({ "email": "bob@example.org", "role": "reader", "locale": "de" });
        let made = house.post(&path, &caller, body).await.json();
        let old = house.mailed_token("identity.invitation").await;
        let resend = format!("{path}/{}/resend", made["id"].as_str().unwrap());
        let early = house.post(&resend, &caller, Value::Null).await;
        assert_eq!(early.problem(), (429, "identity.email.too_many".to_owned()));
        house.clock.advance(Duration::from_secs(8 * 86_400));
        let sent = house.post(&resend, &caller, Value::Null).await;
        assert_eq!((sent.status(), sent.json()["sent_count"].clone()), (200, json!(2)));
        let new = house.mailed_token("identity.invitation").await;
        let status = async |token: &str| {
            house.get(&format!("/v1/invitations/{token}"), &Caller::nobody()).await.status()
        };
        assert_eq!((status(&old).await, status(&new).await), (404, 200));
        house.clock.advance(Duration::from_secs(61));
        let third = house.post(&resend, &caller, Value::Null).await;
        assert_eq!(third.problem(), (409, "identity.invitation.sends".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_declined_or_revoked_invitation_cannot_be_accepted() {
    in_house(async |house| {
        let (ada, bob) = (house.user("ada").await, house.user("bob").await);
        let acme = house.organisation("Acme", &ada).await;
        let caller = house.token(&ada, Some(&acme));
        let path = format!("/v1/organisations/{}/invitations", acme.id);
        let body = json!({ "email": "bob@example.org", "role": "reader" });
        house.post(&path, &caller, body.clone()).await;
        let token = house.mailed_token("identity.invitation").await;
        let decline = format!("/v1/invitations/{token}/decline");
        assert_eq!(house.post(&decline, &Caller::nobody(), Value::Null).await.status(), 204);
        assert_eq!(house.post(&decline, &Caller::nobody(), Value::Null).await.status(), 404);

        let made = house.post(&path, &caller, body).await.json();
        let token = house.mailed_token("identity.invitation").await;
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        assert_eq!(house.delete(&one, &caller).await.status(), 204);
        assert_eq!(house.delete(&one, &caller).await.status(), 204);
        let accept = format!("/v1/invitations/{token}/accept");
        let refused = house.post(&accept, &house.token(&bob, None), Value::Null).await;
        assert_eq!(refused.problem(), (404, "identity.token.invalid".to_owned()));
        let resend = house.post(&format!("{one}/resend"), &caller, Value::Null).await;
        assert_eq!(resend.problem(), (409, "identity.invitation.settled".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn invitations_of_another_organisation_are_not_found() {
    in_house(async |house| {
        let (ada, bob) = (house.user("ada").await, house.user("bob").await);
        let acme = house.organisation("Acme", &ada).await;
        let other = house.organisation("Other", &bob).await;
        let path = format!("/v1/organisations/{}/invitations", acme.id);
        let body = json!({ "email": "eve@example.org", "role": "reader" });
        let made = house.post(&path, &house.token(&ada, Some(&acme)), body.clone()).await.json();
        let id = made["id"].as_str().unwrap();
        let stranger = house.token(&bob, Some(&other));
        assert_eq!(house.get(&path, &stranger).await.status(), 404);
        assert_eq!(house.post(&path, &stranger, body).await.status(), 404);
        assert_eq!(house.delete(&format!("{path}/{id}"), &stranger).await.status(), 404);
        let own = format!("/v1/organisations/{}/invitations/{id}", other.id);
        let foreign = house.delete(&own, &stranger).await;
        assert_eq!(foreign.problem(), (404, "identity.invitation.not_found".to_owned()));
        let resend = house.post(&format!("{own}/resend"), &stranger, Value::Null).await;
        assert_eq!(resend.problem(), (404, "identity.invitation.not_found".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn nobody_joins_an_organisation_that_is_barred() {
    in_house(async |house| {
        let (admin, ada, bob) =
            (house.user("root").await, house.user("ada").await, house.user("bob").await);
        let acme = house.organisation("Acme", &ada).await;
        let path = format!("/v1/organisations/{}/invitations", acme.id);
        let body = json!({ "email": "bob@example.org", "role": "reader" });
        house.post(&path, &house.token(&ada, Some(&acme)), body).await;
        let token = house.mailed_token("identity.invitation").await;
        let suspend = format!("/v1/organisations/{}/suspend", acme.id);
        house.post(&suspend, &house.token(&admin, None), json!({ "reason": "x" })).await;
        let accept = format!("/v1/invitations/{token}/accept");
        let refused = house.post(&accept, &house.token(&bob, None), Value::Null).await;
        assert_eq!(refused.problem(), (409, "identity.organisation.not_active".to_owned()));
        let preview = house.get(&format!("/v1/invitations/{token}"), &Caller::nobody()).await;
        assert_eq!(preview.problem().1, "identity.token.invalid");
    })
    .await;
}
