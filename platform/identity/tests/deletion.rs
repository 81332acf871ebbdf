//! The deletion of an account.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_identity_messages::{FindUserByEmail, GetUser, MembershipOf, UserStatus};
use troupe_kernel::InvalidationMessage;

use crate::house::{PASSWORD, in_house};

const DELETION: &str = "/v1/users/me/deletion";
const GRACE: Duration = Duration::from_secs(14 * 86_400);

fn proof() -> Value {
    json!({ "current_password": PASSWORD })
}

#[tokio::test]
async fn nobody_but_its_owner_with_the_password_ends_an_account() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None);
        let missing = house.post(DELETION, &caller, json!({})).await;
        assert_eq!(missing.problem(), (400, "kernel.body.malformed".to_owned()));
        let wrong = json!({ "current_password": "eleven quiet foxes" });
        let wrong = house.post(DELETION, &caller, wrong).await;
        assert_eq!(wrong.problem(), (403, "auth.password.wrong".to_owned()));
        let by_key = house.post(DELETION, &caller.clone().by_api_key(), proof()).await;
        assert_eq!(by_key.problem(), (403, "identity.principal.not_a_user".to_owned()));
        assert!(house.take_mails().await.is_empty());
        assert_eq!(house.get("/v1/users/me", &caller).await.json()["deletion_due_at"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn an_account_is_anonymised_when_its_time_has_come() {
    in_house(async |house| {
        let scope = house.scope();
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let bob = house.member("bob", "editor", &acme, &ada).await;
        house.told_roles().await;
        let caller = house.token(&bob, None);
        let asked = house.post(DELETION, &caller, proof()).await;
        assert_eq!(asked.status(), 202, "{asked:?}");
        assert!(asked.json()["deletion_due_at"].is_string());
        assert_eq!(house.take_mails().await[0]["template"], "identity.deletion_requested");
        let jobs = house.take_jobs("identity.anonymise").await;
        assert_eq!(jobs, [json!({ "user": bob.id })]);

        house.run_job("identity.anonymise", &jobs[0]).await.unwrap();
        let still = house.identity.ask(&scope, GetUser { id: bob.id }).await.unwrap();
        assert_eq!(still.email, "bob@example.org", "it is too early");
        house.clock.advance(GRACE);
        house.run_job("identity.anonymise", &jobs[0]).await.unwrap();

        let gone = house.identity.ask(&scope, GetUser { id: bob.id }).await.unwrap();
        assert_eq!(
            (gone.status, gone.display_name.as_str()),
            (UserStatus::Deleted, "Deleted user")
        );
        assert_eq!(gone.email, format!("{}@deleted.invalid", bob.id));
        let find = FindUserByEmail { email: bob.email.clone() };
        assert_eq!(house.identity.ask(&scope, find).await.unwrap(), None);
        let of = MembershipOf { user: bob.id, organisation: acme.id };
        assert_eq!(house.identity.ask(&scope, of).await.unwrap(), None);
        let told = house.told_roles().await;
        assert_eq!((told[0].subject, told[0].role.clone()), (bob.id.uuid(), None));
        let InvalidationMessage::RevokeSubject(revoked) = house.revocations.expect().await else {
            panic!("another message came")
        };
        assert_eq!(revoked.subject, bob.id.uuid());
        let list = house
            .get(
                &format!("/v1/organisations/{}/invitations", acme.id),
                &house.token(&ada, Some(&acme)),
            )
            .await;
        assert!(!list.json().to_string().contains("bob@"), "{:?}", list.json());
        let kinds = house.events().await;
        assert_eq!(
            kinds[kinds.len() - 2..],
            ["identity.member.removed", "identity.user.anonymised"]
        );

        house.run_job("identity.anonymise", &jobs[0]).await.unwrap();
        assert_eq!(house.events().await.len(), kinds.len(), "a second run changes nothing");
        let me = house.post(DELETION, &caller, proof()).await;
        assert_eq!(me.problem(), (404, "identity.user.not_found".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_request_that_was_taken_back_has_no_effect() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None);
        house.post(DELETION, &caller, proof()).await;
        house.clock.advance(Duration::from_secs(86_400));
        let back = house.delete(DELETION, &caller).await;
        assert_eq!((back.status(), back.json()["deletion_due_at"].clone()), (200, Value::Null));
        house.post(DELETION, &caller, proof()).await;
        let jobs = house.take_jobs("identity.anonymise").await;
        assert_eq!(jobs.len(), 2);
        house.clock.advance(GRACE - Duration::from_secs(86_400));
        house.run_job("identity.anonymise", &jobs[0]).await.unwrap();
        let me = house.get("/v1/users/me", &caller).await.json();
        assert_eq!(me["status"], "active", "the first request was taken back");
        house.clock.advance(Duration::from_secs(86_400));
        house.run_job("identity.anonymise", &jobs[1]).await.unwrap();
        let me = house.get("/v1/users/me", &caller).await.json();
        assert_eq!(me["status"], "deleted");
    })
    .await;
}

#[tokio::test]
async fn the_last_owner_hands_over_or_closes_first() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let caller = house.token(&ada, Some(&acme));
        let refused = house.post(DELETION, &caller, proof()).await;
        assert_eq!(refused.problem(), (409, "identity.user.last_owner".to_owned()));
        assert!(refused.json()["detail"].as_str().unwrap().contains("acme"));

        let bob = house.member("bob", "owner", &acme, &ada).await;
        assert_eq!(house.post(DELETION, &caller, proof()).await.status(), 202);
        let bobs = house.token(&bob, Some(&acme));
        let leave = format!("/v1/users/me/organisations/{}", acme.id);
        let last = house.delete(&leave, &bobs).await;
        assert_eq!(
            last.problem(),
            (409, "identity.member.last_owner".to_owned()),
            "ada is about to go"
        );

        let close = format!("/v1/organisations/{}/close", acme.id);
        assert_eq!(house.post(&close, &bobs.clone().if_match(1), Value::Null).await.status(), 200);
        assert_eq!(house.post(DELETION, &bobs, proof()).await.status(), 202);
    })
    .await;
}
