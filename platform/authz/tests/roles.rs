//! Roles of organisations, and the built-in ones.

use troupe_actors::testing::Probe;
use troupe_authz_messages::{
    CompilePermissions, CreateRole, DeleteRole, GetRole, ListOwnPermissions, ListPermissions,
    ListRoles, Role, UpdateRole,
};
use troupe_kernel::{FailureKind, InvalidationMessage, TenantId};

use crate::house::{DELETE, EDIT, READ, code, grant, in_both, person, person_with, system};

fn create(tenant: TenantId, key: &str, permissions: &[&str]) -> CreateRole {
    CreateRole {
        tenant,
        key: key.to_owned(),
        title: "A role".to_owned(),
        description: String::new(),
        permissions: permissions.iter().map(|&key| key.to_owned()).collect(),
    }
}

fn update(role: &Role, permissions: &[&str]) -> UpdateRole {
    UpdateRole {
        tenant: role.tenant.expect("a role of a tenant"),
        key: role.key.clone(),
        version: role.version,
        title: None,
        description: Some("changed".to_owned()),
        permissions: Some(permissions.iter().map(|&key| key.to_owned()).collect()),
    }
}

#[tokio::test]
async fn a_role_of_ones_own_lives_and_changes_what_its_holders_may_do() {
    in_both(async |house| {
        let tenant = house.tenant();
        let owner = house.member(tenant, "owner").await;
        let scope = person(owner, Some(tenant));
        let role = house
            .service
            .ask(&scope, create(tenant, "proof", &[READ, READ]))
            .await
            .expect("created");
        assert_eq!((role.version, role.permissions.as_slice()), (1, [READ.to_owned()].as_slice()));
        let subject = house.id();
        house.grant(&scope, grant(subject, Some(tenant), "proof")).await.expect("granted");
        assert_eq!(house.held(subject, Some(tenant)).await, [READ]);

        let gate: Probe<InvalidationMessage> =
            Probe::answering(&house.universe, "gate", |message, ctx| match message {
                InvalidationMessage::PermissionsChanged(changed) => ctx.reply(changed, ()),
                _ => Ok(()),
            })
            .await;
        house.invalidations.subscribe(gate.service().clone());
        let changed = house.service.ask(&scope, update(&role, &[EDIT])).await.expect("changed");
        let InvalidationMessage::PermissionsChanged(told) = gate.expect().await else {
            panic!("another message came")
        };
        let told = (told.subject, told.tenant);
        assert_eq!(told, (None, Some(tenant.uuid())), "other tenants remember what they know");
        assert_eq!((changed.version, changed.title.as_str()), (2, "A role"));
        assert_eq!(house.held(subject, Some(tenant)).await, [EDIT], "at once");
        let stale = house.service.ask(&scope, update(&role, &[READ])).await.expect_err("stale");
        assert_eq!((stale.code(), stale.kind()), ("authz.role.stale", FailureKind::Stale));

        let get = GetRole { tenant: Some(tenant), key: "proof".to_owned() };
        assert_eq!(house.service.ask(&scope, get.clone()).await.expect("found"), changed);
        let elsewhere = GetRole { tenant: Some(house.tenant()), ..get };
        assert_eq!(code(house.service.ask(&scope, elsewhere).await), "authz.role.not_found");

        let delete = |version| DeleteRole { tenant, key: "proof".to_owned(), version };
        assert_eq!(code(house.service.ask(&scope, delete(None)).await), "authz.role.in_use");
        let binding = house
            .service
            .ask(
                &scope,
                troupe_authz_messages::ListBindings {
                    tenant: Some(tenant),
                    subject: Some(subject),
                    role: None,
                    page: troupe_kernel::PageRequest::default(),
                },
            )
            .await
            .expect("listed")
            .items
            .remove(0);
        let revoke = troupe_authz_messages::Revoke { id: binding.id, tenant: Some(tenant) };
        house.service.ask(&scope, revoke).await.expect("revoked");
        assert_eq!(code(house.service.ask(&scope, delete(Some(1))).await), "authz.role.stale");
        house.service.ask(&scope, delete(Some(2))).await.expect("deleted");
        assert_eq!(code(house.service.ask(&scope, delete(None)).await), "authz.role.not_found");
    })
    .await;
}

#[tokio::test]
async fn a_role_holds_no_more_than_its_author() {
    in_both(async |house| {
        let tenant = house.tenant();
        let owner = house.member(tenant, "owner").await;
        let scope = person(owner, Some(tenant));
        let above = create(tenant, "above", &["authz.platform.write"]);
        assert_eq!(code(house.service.ask(&scope, above).await), "authz.grant.exceeds");
        let role =
            house.service.ask(&system(), create(tenant, "above", &["authz.platform.write"])).await;
        let role = role.expect("the platform may");
        // Nor may one take away what one does not hold.
        assert_eq!(
            code(house.service.ask(&scope, update(&role, &[READ])).await),
            "authz.grant.exceeds"
        );
        let delete = DeleteRole { tenant, key: "above".to_owned(), version: None };
        assert_eq!(code(house.service.ask(&scope, delete).await), "authz.grant.exceeds");
    })
    .await;
}

#[tokio::test]
async fn a_faulty_role_is_refused_with_the_place_of_the_fault() {
    in_both(async |house| {
        let tenant = house.tenant();
        let fault = async |command: CreateRole| {
            let failure = house.service.ask(&system(), command).await.expect_err("it is faulty");
            (failure.code().to_owned(), failure.fields().first().map(|field| field.pointer.clone()))
        };
        for key in ["", "Upper", "1st", "with space", &"a".repeat(65)] {
            let found = fault(create(tenant, key, &[])).await;
            assert_eq!(found, ("authz.role.invalid".to_owned(), Some("/key".to_owned())), "{key}");
        }
        let mut untitled = create(tenant, "a", &[]);
        untitled.title = " ".to_owned();
        assert_eq!(fault(untitled).await.1.as_deref(), Some("/title"));
        let mut wordy = create(tenant, "a", &[]);
        wordy.description = "x".repeat(501);
        assert_eq!(fault(wordy).await.1.as_deref(), Some("/description"));
        let unknown = fault(create(tenant, "a", &["gone.thing.read"])).await;
        assert_eq!(
            unknown,
            ("authz.permission.unknown".to_owned(), Some("/permissions".to_owned()))
        );
        assert_eq!(fault(create(tenant, "owner", &[])).await.0, "authz.role.exists");
        house.service.ask(&system(), create(tenant, "twice", &[])).await.expect("created");
        assert_eq!(fault(create(tenant, "twice", &[])).await.0, "authz.role.exists");
        house
            .service
            .ask(&system(), create(house.tenant(), "twice", &[]))
            .await
            .expect("another tenant's");
    })
    .await;
}

#[tokio::test]
async fn built_in_roles_are_listed_first_and_cannot_be_changed() {
    in_both(async |house| {
        let tenant = house.tenant();
        house.service.ask(&system(), create(tenant, "zz", &[])).await.expect("created");
        let listed =
            house.service.ask(&system(), ListRoles { tenant: Some(tenant) }).await.expect("listed");
        let keys: Vec<&str> = listed.iter().map(|role| role.key.as_str()).collect();
        assert_eq!(keys, ["admin", "administrator", "author", "editor", "owner", "reader", "zz"]);
        let owner = listed.iter().find(|role| role.key == "owner").expect("built in");
        assert!(
            owner.permissions.contains(&DELETE.to_owned())
                && owner.permissions.contains(&READ.to_owned())
        );
        let builtins =
            house.service.ask(&system(), ListRoles { tenant: None }).await.expect("listed");
        assert!(builtins.iter().all(|role| role.builtin));
        let change = UpdateRole {
            tenant,
            key: "owner".to_owned(),
            version: 0,
            title: None,
            description: None,
            permissions: None,
        };
        assert_eq!(code(house.service.ask(&system(), change).await), "authz.role.builtin");
        let delete = DeleteRole { tenant, key: "owner".to_owned(), version: None };
        assert_eq!(code(house.service.ask(&system(), delete).await), "authz.role.builtin");
    })
    .await;
}

#[tokio::test]
async fn an_organisation_has_a_bounded_number_of_roles() {
    in_both(async |house| {
        let tenant = house.tenant();
        for number in 0..100 {
            house
                .service
                .ask(&system(), create(tenant, &format!("r{number}"), &[]))
                .await
                .expect("created");
        }
        assert_eq!(
            code(house.service.ask(&system(), create(tenant, "more", &[])).await),
            "authz.role.limit"
        );
    })
    .await;
}

#[tokio::test]
async fn permissions_are_listed_compiled_and_ones_own() {
    in_both(async |house| {
        let listed = house.service.ask(&system(), ListPermissions).await.expect("listed");
        let edit = listed.iter().find(|permission| permission.key == EDIT).expect("registered");
        let read = listed.iter().find(|permission| permission.key == READ).expect("registered");
        assert!(edit.governed && !read.governed);

        let compile = |keys: &[&str]| CompilePermissions {
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
        };
        let set = house.service.ask(&system(), compile(&[READ, EDIT])).await.expect("compiled");
        assert_eq!(house.names(&set), [EDIT, READ]);
        let unknown = house.service.ask(&system(), compile(&[READ, "no.such.thing"])).await;
        assert_eq!(code(unknown), "authz.permission.unknown");

        let tenant = house.tenant();
        let author = house.member(tenant, "author").await;
        let own = house
            .service
            .ask(&person(author, Some(tenant)), ListOwnPermissions)
            .await
            .expect("listed");
        assert_eq!(own, [EDIT, READ]);
        let bound = Some(house.catalog.compile([READ]));
        let own =
            house.service.ask(&person_with(author, Some(tenant), bound), ListOwnPermissions).await;
        assert_eq!(own.expect("listed"), [READ]);
    })
    .await;
}
