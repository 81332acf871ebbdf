//! API keys: made within what their maker may do, shown once, revoked at once.

use std::time::Duration;

use troupe_actors::{FailureKind, PrincipalKind};
use troupe_auth::messages::{
    CreateApiKey, CreatedApiKey, EndTenant, EndUser, GetApiKey, ListApiKeys, RenameApiKey,
    RevokeApiKey, Tokens,
};
use troupe_kernel::Secret;
use troupe_kernel::error::Failure;
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::{Cursor, PageRequest};
use troupe_kernel::ports::Credential;
use uuid::Uuid;

use crate::harness::{
    House, POST_CREATE, POST_READ, acting, code, forgotten_session, scope, with_config, with_house,
};

fn asked(tokens: &Tokens, permissions: &[&str]) -> CreateApiKey {
    CreateApiKey {
        organisation: tokens.organisation.expect("works in one"),
        user: tokens.user,
        name: "deployment".to_owned(),
        permissions: permissions.iter().map(|key| (*key).to_owned()).collect(),
        expires_at: None,
    }
}

async fn create(
    house: &House,
    tokens: &Tokens,
    request: CreateApiKey,
) -> Result<CreatedApiKey, Failure> {
    let held = house.catalog.compile([POST_READ]);
    house.auth.api_keys.ask(&acting(tokens, held), request).await
}

async fn member(house: &House) -> Tokens {
    house.member().await;
    house.session().await
}

#[tokio::test]
async fn a_key_acts_for_its_maker_within_its_bound() {
    with_house(async |house: &House| {
        let tokens = member(house).await;
        let made = create(house, &tokens, asked(&tokens, &[POST_READ])).await.expect("made");
        assert!(made.secret.expose().starts_with(&made.key.prefix));
        let who = house.check(&made.secret).await.expect("good");
        assert_eq!(who.principal.kind, PrincipalKind::Service);
        assert_eq!(who.principal.subject, tokens.user.uuid());
        assert_eq!(who.principal.tenant, tokens.organisation.map(Uuid::from));
        assert_eq!(who.principal.session, Some(made.key.id.uuid()));
        assert_eq!(who.principal.bound, Some(house.catalog.compile([POST_READ])));
        assert!(who.principal.permissions.is_empty(), "the gate fills them");
        let credential = Credential::ApiKey(Secret::new(made.secret.expose()));
        let other_header = house.authenticator.authenticate(credential, &scope()).await;
        assert_eq!(other_header.map(|who| who.principal), Ok(who.principal));
        let query = GetApiKey { organisation: made.key.organisation, id: made.key.id };
        for _ in 0..200 {
            let shown = house.auth.api_keys.ask(&scope(), query.clone()).await.expect("shown");
            if shown.last_used_at.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the use was never noted");
    })
    .await;
}

#[tokio::test]
async fn nobody_makes_a_key_that_may_more_than_they() {
    with_house(async |house: &House| {
        let tokens = member(house).await;
        let exceeding = create(house, &tokens, asked(&tokens, &[POST_READ, POST_CREATE])).await;
        let exceeding = exceeding.expect_err("more than its maker");
        assert_eq!(
            (exceeding.code(), exceeding.kind()),
            ("auth.api_key.exceeds", FailureKind::Forbidden)
        );
        assert_eq!(exceeding.fields()[0].pointer, "/permissions/1");
        let unknown = create(house, &tokens, asked(&tokens, &["blog.post.fly"])).await;
        assert_eq!(unknown.expect_err("unknown").fields()[0].pointer, "/permissions/0");
        let none = create(house, &tokens, asked(&tokens, &[])).await;
        assert_eq!(code(none), "auth.api_key.invalid");
        let past = CreateApiKey { expires_at: Some(house.now()), ..asked(&tokens, &[POST_READ]) };
        assert_eq!(code(create(house, &tokens, past).await), "auth.api_key.invalid");
        let nameless = CreateApiKey { name: " ".to_owned(), ..asked(&tokens, &[POST_READ]) };
        assert_eq!(code(create(house, &tokens, nameless).await), "auth.api_key.invalid");
    })
    .await;
}

#[tokio::test]
async fn a_key_makes_no_keys() {
    with_house(async |house: &House| {
        let tokens = member(house).await;
        let mut scope = acting(&tokens, house.catalog.all());
        let principal = scope.origin_mut().principal.as_mut().expect("somebody acts");
        std::sync::Arc::make_mut(principal).kind = PrincipalKind::Service;
        let refused = house.auth.api_keys.ask(&scope, asked(&tokens, &[POST_READ])).await;
        assert_eq!(code(refused), "auth.principal.not_a_user");
        let nobody = crate::harness::scope();
        let refused = house.auth.api_keys.ask(&nobody, asked(&tokens, &[POST_READ])).await;
        assert_eq!(code(refused), "auth.principal.not_a_user");
    })
    .await;
}

#[tokio::test]
async fn a_revoked_an_expired_and_a_forged_key_are_refused_alike() {
    with_house(async |house: &House| {
        let tokens = member(house).await;
        let made = create(house, &tokens, asked(&tokens, &[POST_READ])).await.expect("made");
        let mut forged = made.secret.expose().to_owned();
        let last = if forged.ends_with('A') { 'B' } else { 'A' };
        forged.pop();
        forged.push(last);
        for wrong in [forged.as_str(), "trp_", "trp_aaaaaaaaaaaa_", &made.key.prefix] {
            let refused = house.check(&troupe_auth::SecretText::new(wrong)).await;
            assert_eq!(code(refused), "auth.api_key.refused", "{wrong}");
        }
        let revoke = RevokeApiKey { organisation: made.key.organisation, id: made.key.id };
        house.auth.api_keys.ask(&scope(), revoke.clone()).await.expect("revoked");
        assert_eq!(forgotten_session(&house.gate).await, made.key.id.uuid());
        assert_eq!(code(house.check(&made.secret).await), "auth.api_key.refused");
        let again = house.auth.api_keys.ask(&scope(), revoke).await;
        assert_eq!(code(again), "auth.api_key.not_found");
        let told = forgotten_session(&house.gate).await;
        assert_eq!(told, made.key.id.uuid(), "the caches are told again");
        let ends = house.now().plus(Duration::from_secs(30));
        let short = CreateApiKey { expires_at: Some(ends), ..asked(&tokens, &[POST_READ]) };
        let short = create(house, &tokens, short).await.expect("made");
        assert_eq!(house.check(&short.secret).await.expect("good").expires, ends);
        house.clock.advance(Duration::from_secs(30));
        assert_eq!(code(house.check(&short.secret).await), "auth.api_key.refused");
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_in_pages_renamed_and_kept_from_other_organisations() {
    with_house(async |house: &House| {
        let tokens = member(house).await;
        let organisation = tokens.organisation.expect("works in one");
        let mut ids = Vec::new();
        for number in 0..5 {
            house.clock.advance(Duration::from_secs(1));
            let request =
                CreateApiKey { name: format!("key {number}"), ..asked(&tokens, &[POST_READ]) };
            ids.push(create(house, &tokens, request).await.expect("made").key.id);
        }
        let mut listed = Vec::new();
        let mut cursor = None;
        loop {
            let page = PageRequest::new(cursor, 2).expect("a valid limit");
            let query = ListApiKeys { organisation, page };
            let page = house.auth.api_keys.ask(&scope(), query).await.expect("listed");
            listed.extend(page.items.iter().map(|key| key.id));
            match page.next_cursor {
                Some(next) => cursor = Some(Cursor::from_text(next)),
                None => break,
            }
        }
        ids.reverse();
        assert_eq!(listed, ids, "newest first, each once");
        let rename = RenameApiKey { organisation, id: ids[0], name: "nightly".to_owned() };
        let renamed = house.auth.api_keys.ask(&scope(), rename.clone()).await.expect("renamed");
        assert_eq!(renamed.name, "nightly");
        let foreign = TenantId::from(Uuid::from_u128(9));
        let get = GetApiKey { organisation: foreign, id: ids[0] };
        assert_eq!(code(house.auth.api_keys.ask(&scope(), get).await), "auth.api_key.not_found");
        let rename = RenameApiKey { organisation: foreign, ..rename };
        let refused = house.auth.api_keys.ask(&scope(), rename).await;
        assert_eq!(code(refused), "auth.api_key.not_found");
        let revoke = RevokeApiKey { organisation: foreign, id: ids[0] };
        let refused = house.auth.api_keys.ask(&scope(), revoke).await;
        assert_eq!(code(refused), "auth.api_key.not_found");
    })
    .await;
}

#[tokio::test]
async fn an_organisation_has_a_bounded_number_of_keys() {
    with_config("api_keys_max = 1", async |house: &House| {
        let tokens = member(house).await;
        create(house, &tokens, asked(&tokens, &[POST_READ])).await.expect("made");
        let second = create(house, &tokens, asked(&tokens, &[POST_READ])).await;
        assert_eq!(code(second), "auth.api_key.limit");
    })
    .await;
}

#[tokio::test]
async fn the_keys_of_a_barred_user_end_with_their_sessions() {
    with_house(async |house: &House| {
        let tokens = member(house).await;
        let made = create(house, &tokens, asked(&tokens, &[POST_READ])).await.expect("made");
        let end = EndUser { user: tokens.user, erase: false };
        house.auth.sessions.ask(&scope(), end).await.expect("ended");
        assert_eq!(code(house.check(&made.secret).await), "auth.api_key.refused");
    })
    .await;
}

#[tokio::test]
async fn the_end_of_an_organisation_is_told_to_the_caches_again_when_it_is_tried_again() {
    with_house(async |house: &House| {
        let tokens = member(house).await;
        let made = create(house, &tokens, asked(&tokens, &[POST_READ])).await.expect("made");
        let end = EndTenant { organisation: made.key.organisation };
        for _ in 0..2 {
            house.auth.sessions.ask(&scope(), end.clone()).await.expect("ended");
            assert_eq!(forgotten_session(&house.gate).await, tokens.session.uuid());
            assert_eq!(forgotten_session(&house.gate).await, made.key.id.uuid());
            house.clock.advance(Duration::from_secs(60));
        }
        assert_eq!(code(house.check(&made.secret).await), "auth.api_key.refused");
    })
    .await;
}
