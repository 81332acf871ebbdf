//! Proving addresses.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_identity::messages::{AccountMessage, RequestDeletion, RequestEmailChange};
use troupe_identity_messages::{CreateUser, GetUser, User};
use troupe_kernel::SecretText;
use troupe_kernel::ids::UserId;

use crate::house::{Caller, House, PASSWORD, in_house};

async fn unproven(house: &House) -> User {
    let command = CreateUser {
        id: UserId::new(&*house.clock),
        email: "ada@example.org".to_owned(),
        display_name: "Ada".to_owned(),
        locale: Some("de".to_owned()),
        time_zone: None,
        email_verified: false,
    };
    house.identity.ask(&house.scope(), command).await.unwrap()
}

async fn current(house: &House, user: &User) -> User {
    house.identity.ask(&house.scope(), GetUser { id: user.id }).await.unwrap()
}

#[tokio::test]
async fn the_link_of_the_mail_proves_the_address_once() {
    in_house(async |house| {
        let ada = unproven(house).await;
        let token = house.mailed_token("identity.verify_email").await;
        let path = format!("/v1/email-verification/{token}");
        let page = house.get(&path, &Caller::nobody()).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let text = String::from_utf8(page.response.body.to_vec()).unwrap();
        assert!(text.contains("a…@example.org") && !text.contains("ada@"), "{text}");
        assert_eq!(current(house, &ada).await.email_verified_at, None, "reading changes nothing");

        let done = house.post(&path, &Caller::nobody(), Value::Null).await;
        assert_eq!(done.status(), 200, "{done:?}");
        assert!(current(house, &ada).await.email_verified_at.is_some());
        for again in [
            house.post(&path, &Caller::nobody(), Value::Null).await,
            house.get(&path, &Caller::nobody()).await,
            house
                .post("/v1/email-verification", &Caller::nobody(), json!({ "token": token }))
                .await,
        ] {
            assert_eq!(again.problem(), (404, "identity.token.invalid".to_owned()));
        }
    })
    .await;
}

#[tokio::test]
async fn a_program_confirms_with_json_and_an_old_token_does_not_work() {
    in_house(async |house| {
        unproven(house).await;
        let old = house.mailed_token("identity.verify_email").await;
        house.clock.advance(Duration::from_secs(2 * 86_400));
        let body = json!({ "token": old });
        let expired = house.post("/v1/email-verification", &Caller::nobody(), body).await;
        assert_eq!(expired.problem().1, "identity.token.invalid");
        let wrong = json!({ "token": "guess" });
        let wrong = house.post("/v1/email-verification", &Caller::nobody(), wrong).await;
        assert_eq!(wrong.problem().1, "identity.token.invalid");
    })
    .await;
}

#[tokio::test]
async fn a_new_mail_ends_the_old_link_and_their_number_is_limited() {
    in_house(async |house| {
        let ada = unproven(house).await;
        let first = house.mailed_token("identity.verify_email").await;
        let caller = house.token(&ada, None);
        let path = "/v1/users/me/email-verification";
        let early = house.post(path, &caller, Value::Null).await;
        assert_eq!(early.problem(), (429, "identity.email.too_many".to_owned()));
        assert_eq!(early.header("retry-after"), "60");
        for _ in 0..4 {
            house.clock.advance(Duration::from_secs(61));
            assert_eq!(house.post(path, &caller, Value::Null).await.status(), 202);
        }
        house.clock.advance(Duration::from_secs(61));
        let sixth = house.post(path, &caller, Value::Null).await;
        assert_eq!(sixth.status(), 429);
        let wait: u64 = sixth.header("retry-after").parse().unwrap();
        assert!((86_000..86_400).contains(&wait), "{wait}");

        let mails = house.take_mails().await;
        assert_eq!((mails.len(), &mails[3]["locale"]), (4, &json!("de")));
        let link = mails[3]["data"]["link"].as_str().unwrap();
        let newest = link.rsplit('/').next().unwrap();
        let confirm = async |token: &str| {
            let body = json!({ "token": token });
            house.post("/v1/email-verification", &Caller::nobody(), body).await
        };
        assert_eq!(confirm(&first).await.status(), 404);
        assert_eq!(confirm(newest).await.status(), 200);
        house.clock.advance(Duration::from_secs(2 * 86_400));
        let proven = house.post(path, &caller, Value::Null).await;
        assert_eq!(proven.problem(), (409, "identity.email.already_verified".to_owned()));
    })
    .await;
}

/// The body of a change of address.
fn change(email: &str) -> Value {
    json!({ "email": email, "current_password": PASSWORD })
}

#[tokio::test]
async fn nobody_but_its_owner_with_the_password_changes_an_address() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None);
        let path = "/v1/users/me/email-change";
        let missing = house.post(path, &caller, json!({ "email": "ada@new.example" })).await;
        assert_eq!(missing.problem(), (400, "kernel.body.malformed".to_owned()));
        assert!(missing.json().to_string().contains("current_password"), "{missing:?}");
        let wrong = json!({ "email": "ada@new.example", "current_password": "eleven foxes" });
        let wrong = house.post(path, &caller, wrong).await;
        assert_eq!(wrong.problem(), (403, "auth.password.wrong".to_owned()));
        let by_key =
            house.post(path, &caller.clone().by_api_key(), change("ada@new.example")).await;
        assert_eq!(by_key.problem(), (403, "identity.principal.not_a_user".to_owned()));
        assert!(house.take_mails().await.is_empty(), "no link went out");
    })
    .await;
}

#[tokio::test]
async fn no_trace_of_a_password_is_kept_for_an_idempotency_key() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None).idempotency_key("once");
        let path = "/v1/users/me/email-change";
        let proof = json!({ "current_password": PASSWORD });
        assert_eq!(house.post(path, &caller, change("ada@new.example")).await.status(), 202);
        assert_eq!(house.post("/v1/users/me/deletion", &caller, proof).await.status(), 202);
        let kept: i64 = house
            .db
            .read(async |conn: &mut troupe_database::DbConn| {
                use troupe_database::prelude::*;
                use troupe_database::schema::idempotency;
                Ok(run!(conn, |c| idempotency::table.count().get_result::<i64>(c))?)
            })
            .await
            .unwrap();
        assert_eq!(kept, 0);
    })
    .await;
}

#[tokio::test]
async fn the_password_is_not_shown_to_who_watches_messages() {
    let password = SecretText::new(PASSWORD);
    let user = UserId(troupe_kernel::Uuid::nil());
    let email = "ada@new.example".to_owned();
    let messages: [AccountMessage; 2] = [
        RequestEmailChange { user, email, current_password: password.clone() }.into(),
        RequestDeletion { user, current_password: password }.into(),
    ];
    for message in messages {
        let shown = format!("{message:?} {}", troupe_actors::redacted(&message));
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}

#[tokio::test]
async fn an_address_changes_when_the_new_one_is_proven() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None);
        let body = change("Ada@new.example");
        let asked = house.post("/v1/users/me/email-change", &caller, body).await;
        assert_eq!(asked.status(), 202, "{asked:?}");
        assert_eq!(current(house, &ada).await.email, "ada@example.org");
        let mut mails = house.take_mails().await;
        mails.sort_by_key(|mail| mail["template"].to_string());
        let to: Vec<_> = mails.iter().map(|mail| (&mail["template"], &mail["to"])).collect();
        let expected = [
            (&json!("identity.email_change"), &json!("Ada@new.example")),
            (&json!("identity.email_change_notice"), &json!("ada@example.org")),
        ];
        assert_eq!(to, expected);
        let link = mails[0]["data"]["link"].as_str().unwrap();
        let token = link.rsplit('/').next().unwrap();
        let body = json!({ "token": token });
        let done = house.post("/v1/email-verification", &Caller::nobody(), body).await;
        let expected =
            json!({ "purpose": "change", "email": "Ada@new.example", "confirmed": true });
        assert_eq!(done.json(), expected);
        assert_eq!(current(house, &ada).await.email, "Ada@new.example");
        assert_eq!(house.events().await[1], "identity.user.email_changed");
    })
    .await;
}

#[tokio::test]
async fn asking_for_a_taken_address_tells_nothing_and_sends_no_link() {
    in_house(async |house| {
        let (ada, _) = (house.user("ada").await, house.user("bob").await);
        let caller = house.token(&ada, None);
        let path = "/v1/users/me/email-change";
        let taken = house.post(path, &caller, change("BOB@example.org")).await;
        assert_eq!(taken.status(), 202);
        let mails = house.take_mails().await;
        assert_eq!(mails.len(), 1, "{mails:?}");
        assert_eq!(mails[0]["template"], "identity.email_change_notice");
        let same = house.post(path, &caller, change("ada@example.org")).await;
        assert_eq!(same.problem(), (409, "identity.email.unchanged".to_owned()));
        let bad = house.post(path, &caller, change("bob")).await;
        assert_eq!(bad.problem(), (422, "identity.user.invalid".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_stays_with_its_owner() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None);
        let body = change("bob@example.org");
        house.post("/v1/users/me/email-change", &caller, body).await;
        let token = house.mailed_token("identity.email_change").await;
        house.user("bob").await;
        let body = json!({ "token": token });
        let refused = house.post("/v1/email-verification", &Caller::nobody(), body).await;
        assert_eq!(refused.problem(), (409, "identity.user.email_taken".to_owned()));
        assert_eq!(current(house, &ada).await.email, "ada@example.org");
    })
    .await;
}

#[tokio::test]
async fn old_tokens_are_removed_by_a_job() {
    in_house(async |house| {
        unproven(house).await;
        let count = async || {
            house
                .db
                .read(async |conn: &mut troupe_database::DbConn| {
                    use troupe_database::prelude::*;
                    use troupe_identity::repository::schema::identity_email_tokens as tokens;
                    Ok(run!(conn, |c| tokens::table.count().get_result::<i64>(c))?)
                })
                .await
                .unwrap()
        };
        house.run_job("identity.purge_tokens", &Value::Null).await.unwrap();
        assert_eq!(count().await, 1);
        house.clock.advance(Duration::from_secs(40 * 86_400));
        house.run_job("identity.purge_tokens", &Value::Null).await.unwrap();
        assert_eq!(count().await, 0);
    })
    .await;
}
