//! Letters that may be switched off, and those that may not.

use serde_json::{Value, json};
use troupe_kernel::ids::UserId;
use troupe_kernel::{Bytes, HttpResponse, Job, Mail, Method, Uuid, header};

use crate::house::{House, NOTICE, in_house, json_of, person, reset};

const ADA: UserId = UserId(Uuid::from_u128(0xada));

/// A letter that Ada may switch off.
fn notice(user: UserId) -> Job {
    let data = json!({
        "display_name": "Ada", "organisation": "Acme", "host": "example.org", "because": "gone",
    });
    Mail::new(NOTICE.key, "ada@example.org", &data).for_user(user).into_job()
}

async fn as_ada(house: &House, method: Method, path: &str, body: Value) -> HttpResponse {
    house
        .send(method, path, |request| {
            request.scope.origin_mut().principal = Some(person(ADA.uuid(), None));
            if !body.is_null() {
                request.body = Bytes::from(body.to_string());
                request.headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
            }
        })
        .await
}

/// The path of the link in the newest letter.
fn link_of(letter: &str) -> String {
    let letter = letter.replace("\r\n ", "").replace("=\r\n", "");
    let (_, rest) = letter.split_once("/v1/notify/unsubscribe/").expect("a link");
    let end = rest.find(|char: char| !char.is_ascii_alphanumeric() && !"-_".contains(char));
    format!("/v1/notify/unsubscribe/{}", &rest[..end.expect("an end")])
}

#[tokio::test]
async fn a_user_switches_a_kind_of_letter_off_and_on() {
    in_house(async |house| {
        let all = as_ada(house, Method::GET, "/v1/notify/preferences", Value::Null).await;
        let expected = json!([{ "notice": NOTICE.key, "title": NOTICE.title, "mail": true }]);
        assert_eq!(json_of(&all), expected);
        let path = format!("/v1/notify/preferences/{}", NOTICE.key);
        let off = as_ada(house, Method::PUT, &path, json!({ "mail": false })).await;
        assert_eq!((off.status.as_u16(), &json_of(&off)["mail"]), (200, &json!(false)));
        house.run(Uuid::from_u128(1), &notice(ADA), 1).await.unwrap();
        assert_eq!(house.written().len(), 0, "she does not want it");
        house.run(Uuid::from_u128(2), &notice(UserId(Uuid::from_u128(9))), 1).await.unwrap();
        assert_eq!(house.written().len(), 1, "another user said nothing");
        let all = as_ada(house, Method::GET, "/v1/notify/preferences", Value::Null).await;
        assert_eq!(json_of(&all)[0]["mail"], false);
        as_ada(house, Method::PUT, &path, json!({ "mail": true })).await;
        house.run(Uuid::from_u128(3), &notice(ADA), 1).await.unwrap();
        assert_eq!(house.written().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn letters_about_the_security_of_an_account_cannot_be_switched_off() {
    in_house(async |house| {
        for key in ["auth.password_reset", "auth.sessions_revoked", "x"] {
            let path = format!("/v1/notify/preferences/{key}");
            let told = as_ada(house, Method::PUT, &path, json!({ "mail": false })).await;
            assert_eq!(told.status.as_u16(), 404, "{key}");
        }
        let mut job = reset("ada@example.org");
        job.payload["user"] = json!(ADA);
        house.run(Uuid::from_u128(1), &job, 1).await.unwrap();
        let [(_, letter)] = house.written().try_into().unwrap();
        assert!(!letter.contains("List-Unsubscribe"), "{letter}");
        let nobody = house.call(Method::GET, "/v1/notify/preferences", "").await;
        assert_eq!(nobody.status.as_u16(), 403);
    })
    .await;
}

#[tokio::test]
async fn the_link_of_a_letter_switches_its_like_off_by_its_button_alone() {
    in_house(async |house| {
        house.run(Uuid::from_u128(1), &notice(ADA), 1).await.unwrap();
        let [(_, letter)] = house.written().try_into().unwrap();
        assert!(letter.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{letter}");
        assert_eq!(letter.matches("List-Unsubscribe: <http").count(), 1, "{letter}");
        let path = link_of(&letter);
        let page = house.call(Method::GET, &path, "").await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(text.contains("<form method=\"post\">") && text.contains("&lt;was&gt;"), "{text}");
        assert!(page.headers.contains_key(header::CONTENT_SECURITY_POLICY));
        house.run(Uuid::from_u128(2), &notice(ADA), 1).await.unwrap();
        assert_eq!(house.written().len(), 2, "a scanner that opens links changes nothing");

        let pressed = house
            .send(Method::POST, &path, |request| {
                request.body = Bytes::from_static(b"List-Unsubscribe=One-Click");
                let media = "application/x-www-form-urlencoded".parse().unwrap();
                request.headers.insert(header::CONTENT_TYPE, media);
            })
            .await;
        assert_eq!(pressed.status.as_u16(), 200);
        house.run(Uuid::from_u128(3), &notice(ADA), 1).await.unwrap();
        assert_eq!(house.written().len(), 2);

        let mut forged = path.clone();
        let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
        forged.insert(forged.len() - 20, last);
        for bad in [forged.as_str(), "/v1/notify/unsubscribe/AAAA", "/v1/notify/unsubscribe/%"] {
            let told = house.call(Method::POST, bad, "").await;
            assert_eq!(told.status.as_u16(), 404, "{bad}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_letter_that_is_sent_again_has_its_link_again() {
    in_house(async |house| {
        let id = Uuid::from_u128(1);
        house.run(id, &notice(ADA), 1).await.unwrap();
        let path = format!("/v1/notify/mails/{id}/resend");
        assert_eq!(house.call(Method::POST, &path, "").await.status.as_u16(), 202);
        let [(kind, payload)] = house.take_jobs().await.try_into().unwrap();
        house.run(Uuid::from_u128(2), &Job::new(kind, &payload), 1).await.unwrap();
        let letters = house.written();
        let last = &letters.last().unwrap().1;
        assert!(last.contains("List-Unsubscribe-Post"), "{last}");
    })
    .await;
}
