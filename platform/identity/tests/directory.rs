//! What other services ask.

use troupe_identity_messages::{
    CreateOrganisation, CreateUser, FindOrganisationBySlug, FindUserByEmail, GetOrganisation,
    GetUser, ListMembershipsOf, ListUserNames, MarkEmailVerified, MembershipOf,
};
use troupe_kernel::ids::{TenantId, UserId};

use crate::house::{House, in_house};

fn command(house: &House, email: &str) -> CreateUser {
    CreateUser {
        id: UserId::new(&*house.clock),
        email: email.to_owned(),
        display_name: String::new(),
        locale: None,
        time_zone: None,
        email_verified: false,
    }
}

#[tokio::test]
async fn a_user_is_made_once_and_told_by_mail_event_and_audit() {
    in_house(async |house| {
        let scope = house.scope();
        let create = command(house, "Ada@Example.org");
        let user = house.identity.ask(&scope, create.clone()).await.unwrap();
        assert_eq!((user.email.as_str(), user.display_name.as_str()), ("Ada@Example.org", "Ada"));
        assert_eq!((user.email_verified_at, user.version), (None, 1));
        let again = house.identity.ask(&scope, create.clone()).await.unwrap();
        assert_eq!(again, user);

        let mails = house.take_mails().await;
        assert_eq!(mails.len(), 1, "{mails:?}");
        assert_eq!(mails[0]["template"], "identity.verify_email");
        assert_eq!(house.events().await, ["identity.user.created"]);
        assert_eq!(house.audit().await, [("identity.user.create".to_owned(), None)]);

        let other_address = CreateUser { email: "b@example.org".to_owned(), ..create };
        let failure = house.identity.ask(&scope, other_address).await.unwrap_err();
        assert_eq!(failure.code(), "identity.user.id_taken");
    })
    .await;
}

#[tokio::test]
async fn an_address_belongs_to_one_user_whatever_its_case() {
    in_house(async |house| {
        let scope = house.scope();
        let user = house.identity.ask(&scope, command(house, "ada@example.org")).await.unwrap();
        let failure =
            house.identity.ask(&scope, command(house, "ADA@EXAMPLE.ORG")).await.unwrap_err();
        assert_eq!(failure.code(), "identity.user.email_taken");
        let find = FindUserByEmail { email: " Ada@example.ORG ".to_owned() };
        assert_eq!(house.identity.ask(&scope, find).await.unwrap(), Some(user));
        for email in ["b@example.org", "no address"] {
            let find = FindUserByEmail { email: email.to_owned() };
            assert_eq!(house.identity.ask(&scope, find).await.unwrap(), None);
        }
    })
    .await;
}

#[tokio::test]
async fn two_at_once_with_one_address_make_one_user() {
    in_house(async |house| {
        let scope = house.scope();
        let (one, two) = (command(house, "ada@example.org"), command(house, "Ada@example.org"));
        let (left, right) =
            tokio::join!(house.identity.ask(&scope, one), house.identity.ask(&scope, two),);
        let failure = match (left, right) {
            (Ok(_), Err(failure)) | (Err(failure), Ok(_)) => failure,
            both => panic!("one must succeed: {both:?}"),
        };
        assert_eq!(failure.code(), "identity.user.email_taken");
    })
    .await;
}

#[tokio::test]
async fn every_bad_field_of_a_user_is_named() {
    in_house(async |house| {
        let create = CreateUser {
            display_name: "a\nb".to_owned(),
            locale: Some("english".to_owned()),
            time_zone: Some("here".to_owned() + "/"),
            ..command(house, "no address")
        };
        let failure = house.identity.ask(&house.scope(), create).await.unwrap_err();
        assert_eq!(failure.code(), "identity.user.invalid");
        let pointers: Vec<_> =
            failure.fields().iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(pointers, ["/email", "/display_name", "/locale", "/time_zone"]);
    })
    .await;
}

#[tokio::test]
async fn users_are_answered_by_id_and_names_in_numbers() {
    in_house(async |house| {
        let scope = house.scope();
        let (ada, bob) = (house.user("ada").await, house.user("bob").await);
        assert_eq!(house.identity.ask(&scope, GetUser { id: ada.id }).await.unwrap(), ada);
        let unknown = UserId::new(&*house.clock);
        let failure = house.identity.ask(&scope, GetUser { id: unknown }).await.unwrap_err();
        assert_eq!(failure.code(), "identity.user.not_found");
        let ids = vec![ada.id, unknown, bob.id];
        let mut names = house.identity.ask(&scope, ListUserNames { ids }).await.unwrap();
        names.sort_by_key(|name| name.id);
        let names: Vec<_> = names.into_iter().map(|name| name.display_name).collect();
        assert_eq!(names, ["ada", "bob"]);
        let ids = vec![ada.id; 101];
        let failure = house.identity.ask(&scope, ListUserNames { ids }).await.unwrap_err();
        assert_eq!(failure.code(), "identity.user.too_many");
    })
    .await;
}

#[tokio::test]
async fn another_service_proves_only_the_current_address() {
    in_house(async |house| {
        let scope = house.scope();
        let user = house.identity.ask(&scope, command(house, "ada@example.org")).await.unwrap();
        let prove = |email: &str| MarkEmailVerified { id: user.id, email: email.to_owned() };
        let same = house.identity.ask(&scope, prove("old@example.org")).await.unwrap();
        assert_eq!(same, user);
        let proven = house.identity.ask(&scope, prove("ADA@example.org")).await.unwrap();
        assert_eq!(proven.email_verified_at, Some(proven.updated_at));
        assert_eq!(house.identity.ask(&scope, prove("ada@example.org")).await.unwrap(), proven);
        let expected = ["identity.user.created", "identity.user.email_verified"];
        assert_eq!(house.events().await, expected);
    })
    .await;
}

#[tokio::test]
async fn an_organisation_has_its_maker_as_owner_and_authorization_knows() {
    in_house(async |house| {
        let scope = house.scope();
        let ada = house.user("ada").await;
        let create = CreateOrganisation {
            id: TenantId::new(&*house.clock),
            slug: Some("acme".to_owned()),
            name: "Acme".to_owned(),
            owner: ada.id,
        };
        let acme = house.identity.ask(&scope, create.clone()).await.unwrap();
        assert_eq!(house.identity.ask(&scope, create.clone()).await.unwrap(), acme);
        let told = house.told_roles().await;
        assert_eq!(told[0].role.as_deref(), Some("owner"));
        assert_eq!((told[0].subject, told[0].tenant), (ada.id.uuid(), acme.id));
        assert_eq!(told[0].at, acme.created_at);

        let of = MembershipOf { user: ada.id, organisation: acme.id };
        let membership = house.identity.ask(&scope, of).await.unwrap().expect("she is a member");
        assert_eq!((membership.role.as_str(), membership.slug.as_str()), ("owner", "acme"));
        let list = ListMembershipsOf { user: ada.id };
        assert_eq!(house.identity.ask(&scope, list).await.unwrap(), [membership]);
        let get = GetOrganisation { id: acme.id };
        assert_eq!(house.identity.ask(&scope, get).await.unwrap(), acme);

        let bob = house.user("bob").await;
        let taken = CreateOrganisation { id: TenantId::new(&*house.clock), ..create.clone() };
        let failure = house.identity.ask(&scope, taken).await.unwrap_err();
        assert_eq!(failure.code(), "identity.organisation.slug_taken");
        let other_owner = CreateOrganisation { owner: bob.id, ..create };
        let failure = house.identity.ask(&scope, other_owner).await.unwrap_err();
        assert_eq!(failure.code(), "identity.organisation.id_taken");
        let of = MembershipOf { user: bob.id, organisation: acme.id };
        assert_eq!(house.identity.ask(&scope, of).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn organisations_of_one_name_get_different_slugs() {
    in_house(async |house| {
        let ada = house.user("ada").await;
        let one = house.organisation("Acme & Söhne", &ada).await;
        let two = house.organisation("Acme & Söhne", &ada).await;
        assert_eq!((one.slug.as_str(), two.slug.as_str()), ("acme-sohne", "acme-sohne-2"));
    })
    .await;
}

#[tokio::test]
async fn a_slug_is_found_also_after_it_was_missed_and_changed() {
    in_house(async |house| {
        let scope = house.scope();
        let find = |slug: &str| FindOrganisationBySlug { slug: slug.to_owned() };
        assert_eq!(house.identity.ask(&scope, find("acme")).await.unwrap(), None);
        assert_eq!(house.identity.ask(&scope, find("../x")).await.unwrap(), None);
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        assert_eq!(house.identity.ask(&scope, find("acme")).await.unwrap(), Some(acme.clone()));

        let caller = house.token(&ada, Some(&acme)).if_match(acme.version);
        let path = format!("/v1/organisations/{}", acme.id);
        let body = serde_json::json!({ "slug": "acme-world" });
        assert_eq!(house.patch(&path, &caller, body).await.status(), 200);
        assert_eq!(house.identity.ask(&scope, find("acme")).await.unwrap(), None);
        let moved = house.identity.ask(&scope, find("acme-world")).await.unwrap();
        assert_eq!(moved.map(|organisation| organisation.id), Some(acme.id));
    })
    .await;
}

#[tokio::test]
async fn a_slug_is_answered_from_memory_until_it_is_too_old() {
    in_house(async |house| {
        let scope = house.scope();
        let ada = house.user("ada").await;
        let acme = house.organisation("Acme", &ada).await;
        let find = || FindOrganisationBySlug { slug: "acme".to_owned() };
        assert_eq!(house.identity.ask(&scope, find()).await.unwrap(), Some(acme.clone()));
        // Behind the service's back, as another node would do it.
        house
            .db
            .transaction(&scope, async |uow: &mut troupe_database::UnitOfWork| {
                uow.conn().batch("UPDATE identity_organisations SET name = 'Elsewhere'").await?;
                Ok(())
            })
            .await
            .unwrap();
        let remembered = house.identity.ask(&scope, find()).await.unwrap().unwrap();
        assert_eq!(remembered.name, "Acme");
        house.clock.advance(std::time::Duration::from_secs(61));
        let read = house.identity.ask(&scope, find()).await.unwrap().unwrap();
        assert_eq!(read.name, "Elsewhere");

        let subscription = &house.parts.subscriptions[0];
        let data = troupe_identity_messages::OrganisationEvent {
            organisation: acme.id,
            slug: "acme".to_owned(),
            slug_before: Some("old".to_owned()),
            version: 2,
        };
        let event = troupe_kernel::Event::new("identity.organisation.updated", acme.id, &data);
        assert!(subscription.takes(&event.kind));
        house
            .db
            .transaction(&scope, async |uow: &mut troupe_database::UnitOfWork| {
                uow.conn().batch("UPDATE identity_organisations SET name = 'Again'").await?;
                Ok(())
            })
            .await
            .unwrap();
        subscription.run(&event, &scope).await.unwrap();
        let read = house.identity.ask(&scope, find()).await.unwrap().unwrap();
        assert_eq!(read.name, "Again");
    })
    .await;
}
