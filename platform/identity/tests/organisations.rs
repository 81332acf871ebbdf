//! Organisations from their making to their closing.

use serde_json::{Value, json};

use crate::house::in_house;

#[tokio::test]
async fn a_person_makes_an_organisation_once_per_key() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None).idempotency_key("k1");
        let body = json!({ "name": "Acme", "slug": "acme" });
        let made = house.post("/v1/organisations", &caller, body.clone()).await;
        assert_eq!(made.status(), 201, "{made:?}");
        let id = made.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(made.header("location"), format!("/v1/organisations/{id}"));
        let again = house.post("/v1/organisations", &caller, body.clone()).await;
        assert!(again.replayed);
        assert_eq!(again.json()["id"], id.as_str());
        let other_key = house.token(&ada, None).idempotency_key("k2");
        let taken = house.post("/v1/organisations", &other_key, body).await;
        assert_eq!(taken.problem(), (409, "identity.organisation.slug_taken".to_owned()));

        let own = house.get("/v1/users/me/organisations", &caller).await.json();
        assert_eq!(
            (own[0]["slug"].clone(), own[0]["role"].clone()),
            (json!("acme"), json!("owner"))
        );
        let kinds = house.events().await;
        assert_eq!(kinds[1..], ["identity.organisation.created", "identity.member.joined"]);
        let tenant = Some(id.parse().unwrap());
        let expected = [
            ("identity.organisation.create".to_owned(), tenant),
            ("identity.member.join".to_owned(), tenant),
        ];
        assert_eq!(house.audit().await[1..], expected);
    })
    .await;
}

#[tokio::test]
async fn a_bad_name_or_slug_is_named() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let caller = house.token(&ada, None);
        let body = json!({ "name": "", "slug": "Not A Slug" });
        let refused = house.post("/v1/organisations", &caller, body).await;
        assert_eq!(refused.problem(), (422, "identity.organisation.invalid".to_owned()));
        let errors = refused.json()["errors"].clone();
        assert_eq!(
            (errors[0]["pointer"].clone(), errors[1]["pointer"].clone()),
            (json!("/name"), json!("/slug"))
        );
    })
    .await;
}

#[tokio::test]
async fn an_organisation_is_changed_on_its_version_by_its_own_token_only() {
    in_house(async |house| {
        let (ada, bob) = (house.user("ada").await, house.user("bob").await);
        let acme = house.organisation("Acme", &ada).await;
        let other = house.organisation("Other", &bob).await;
        let path = format!("/v1/organisations/{}", acme.id);
        let caller = house.token(&ada, Some(&acme));
        let body = json!({ "name": "Acme World" });
        assert_eq!(house.patch(&path, &caller, body.clone()).await.status(), 428);
        let changed = house.patch(&path, &caller.clone().if_match(1), body.clone()).await;
        assert_eq!((changed.status(), changed.header("etag")), (200, "\"2\""));
        let stale = house.patch(&path, &caller.clone().if_match(1), body.clone()).await;
        assert_eq!(stale.problem(), (412, "identity.organisation.stale".to_owned()));
        let taken = json!({ "slug": "other" });
        let taken = house.patch(&path, &caller.if_match(2), taken).await;
        assert_eq!(taken.problem(), (409, "identity.organisation.slug_taken".to_owned()));

        for stranger in [house.token(&bob, Some(&other)), house.token(&bob, None)] {
            let refused = house.patch(&path, &stranger.clone().if_match(2), body.clone()).await;
            assert_eq!(refused.problem(), (404, "identity.organisation.not_found".to_owned()));
            assert_eq!(house.get(&path, &stranger).await.status(), 404);
        }
    })
    .await;
}

#[tokio::test]
async fn a_closed_organisation_takes_the_roles_of_its_members() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let bob = house.member("bob", "editor", &acme, &ada).await;
        house.told_roles().await;
        let caller = house.token(&ada, Some(&acme)).if_match(1);
        let path = format!("/v1/organisations/{}/close", acme.id);
        let closed = house.post(&path, &caller, Value::Null).await;
        assert_eq!(closed.json()["status"], "closed");
        let jobs = house.take_jobs("identity.sync_member_roles").await;
        assert_eq!(jobs.len(), 1);
        house.run_job("identity.sync_member_roles", &jobs[0]).await.unwrap();
        let told = house.told_roles().await;
        let who: Vec<_> = told.iter().map(|each| (each.subject, each.role.clone())).collect();
        assert_eq!(who, [(ada.id.uuid(), None), (bob.id.uuid(), None)]);

        let patch = format!("/v1/organisations/{}", acme.id);
        let refused = house.patch(&patch, &caller.if_match(2), json!({ "name": "x" })).await;
        assert_eq!(refused.problem(), (409, "identity.organisation.not_active".to_owned()));

        let admin = house.user("root").await;
        let path = format!("/v1/organisations/{}/reinstate", acme.id);
        let back = house.post(&path, &house.token(&admin, None), Value::Null).await;
        assert_eq!(back.json()["status"], "active");
        let jobs = house.take_jobs("identity.sync_member_roles").await;
        house.run_job("identity.sync_member_roles", &jobs[0]).await.unwrap();
        let told = house.told_roles().await;
        let who: Vec<_> = told.iter().map(|each| each.role.as_deref()).collect();
        assert_eq!(who, [Some("owner"), Some("editor")]);
        assert!(told.iter().all(|each| each.at == back.json()["updated_at"].as_str().unwrap().parse().unwrap()));
    })
    .await;
}

#[tokio::test]
async fn administrators_search_and_suspend_organisations() {
    in_house(async |house| {
        let (admin, ada) = (house.user("root").await, house.user("ada").await);
        let acme = house.organisation("Acme", &ada).await;
        house.organisation("Other", &ada).await;
        let caller = house.token(&admin, None);
        let path = format!("/v1/organisations/{}/suspend", acme.id);
        let done = house.post(&path, &caller, json!({ "reason": "abuse" })).await;
        assert_eq!(done.json()["status"], "suspended");
        let again = house.post(&path, &caller, json!({ "reason": "abuse" })).await;
        assert_eq!(again.header("etag"), "\"2\"");
        assert_eq!(house.take_jobs("identity.sync_member_roles").await.len(), 1);

        let slugs = async |query: &str| {
            let page = house.get(&format!("/v1/organisations?{query}"), &caller).await.json();
            let items = page["items"].as_array().unwrap().clone();
            items.iter().map(|each| each["slug"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(slugs("").await, ["other", "acme"]);
        assert_eq!(slugs("text=ACM").await, ["acme"]);
        assert_eq!(slugs("status=active").await, ["other"]);
        assert_eq!(slugs("limit=1").await, ["other"]);
    })
    .await;
}
