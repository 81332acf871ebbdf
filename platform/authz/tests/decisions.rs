//! Decisions about resources, and why.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use troupe_authz_messages::{
    ConditionOutcome, CreateRole, Explain, ExplainDecision, Explanation, Grant, Reason,
};
use troupe_kernel::{
    Decision, PermissionSet, Principal, PrincipalKind, Question, Resource, TenantId, Uuid,
};

use crate::house::{
    DELETE, EDIT, EDIT_ANY, House, READ, grant, in_both, person, principal, system,
};

fn article(tenant: TenantId, owner: Uuid, attributes: Value) -> Resource {
    let attributes: BTreeMap<String, Value> =
        serde_json::from_value(attributes).expect("attributes are an object");
    Resource {
        kind: "press.article".to_owned(),
        id: "1".to_owned(),
        tenant: Some(tenant.uuid()),
        owner: Some(owner),
        attributes,
    }
}

async fn decide(house: &House, principal: Principal, action: &str, resource: Resource) -> Decision {
    let question = Question { principal, action: action.to_owned(), resource };
    house.authorizer.decide(question, &system()).await.expect("it is decided")
}

async fn explain(
    house: &House,
    subject: Uuid,
    tenant: TenantId,
    action: &str,
    resource: Option<Resource>,
) -> Explanation {
    let question =
        Explain { subject, tenant: Some(tenant.uuid()), action: action.to_owned(), resource };
    house.service.ask(&system(), ExplainDecision { question }).await.expect("it is explained")
}

#[tokio::test]
async fn a_prohibition_wins_over_a_permit_and_a_permit_over_the_default() {
    in_both(async |house| {
        let tenant = house.tenant();
        let author = house.member(tenant, "author").await;
        let who = || principal(author, Some(tenant), None);
        let draft = json!({"status": "draft"});

        let own = decide(house, who(), EDIT, article(tenant, author, draft.clone())).await;
        assert_eq!((own.allowed, own.policy.as_deref()), (true, Some("press.own_articles")));
        let foreign = decide(house, who(), EDIT, article(tenant, house.id(), draft.clone())).await;
        assert_eq!((foreign.allowed, foreign.policy), (false, None));
        let locked = json!({"status": "draft", "locked": true});
        let locked = decide(house, who(), EDIT, article(tenant, author, locked)).await;
        assert_eq!((locked.allowed, locked.policy.as_deref()), (false, Some("press.locked")));
        assert!(locked.reason.contains("nobody touches a locked article"), "{}", locked.reason);

        // Reading is not governed: the permission suffices, and a prohibition still holds.
        let read = decide(house, who(), READ, article(tenant, house.id(), draft)).await;
        assert!(read.allowed && read.policy.is_none());
        let locked = article(tenant, author, json!({"locked": true}));
        assert!(!decide(house, who(), READ, locked).await.allowed);

        let editor = house.member(tenant, "editor").await;
        let any = decide(
            house,
            principal(editor, Some(tenant), None),
            EDIT,
            article(tenant, author, json!({})),
        )
        .await;
        assert_eq!((any.allowed, any.policy.as_deref()), (true, Some("press.any_article")));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_evaluated_permits_nothing_and_forbids() {
    in_both(async |house| {
        let tenant = house.tenant();
        let author = house.member(tenant, "author").await;
        let who = || principal(author, Some(tenant), None);
        // No status: the permit has nothing to compare.
        assert!(!decide(house, who(), EDIT, article(tenant, author, json!({}))).await.allowed);
        // A lock that is no bool: the prohibition errs on the safe side.
        let odd = article(tenant, author, json!({"status": "draft", "locked": "yes"}));
        let decision = decide(house, who(), EDIT, odd).await;
        assert_eq!((decision.allowed, decision.policy.as_deref()), (false, Some("press.locked")));
    })
    .await;
}

#[tokio::test]
async fn a_resource_of_another_organisation_is_out_of_reach() {
    in_both(async |house| {
        let (mine, other) = (house.tenant(), house.tenant());
        let editor = house.member(mine, "editor").await;
        let decision = decide(
            house,
            principal(editor, Some(mine), None),
            EDIT,
            article(other, editor, json!({})),
        )
        .await;
        assert!(!decision.allowed);
        assert_eq!(decision.reason, "the resource belongs to another organisation");
        // A member there with a token of here is out of reach as well.
        house.grant(&system(), grant(editor, Some(other), "editor")).await.expect("granted");
        let again = decide(
            house,
            principal(editor, Some(mine), None),
            EDIT,
            article(other, editor, json!({})),
        )
        .await;
        assert!(!again.allowed);
        let administrator = house.administrator().await;
        let decision = decide(
            house,
            principal(administrator, Some(mine), None),
            EDIT,
            article(other, editor, json!({})),
        )
        .await;
        assert!(decision.allowed, "{}", decision.reason);
    })
    .await;
}

#[tokio::test]
async fn permissions_and_bounds_come_before_policies() {
    in_both(async |house| {
        let tenant = house.tenant();
        let reader = house.member(tenant, "reader").await;
        let draft = || article(tenant, reader, json!({"status": "draft"}));
        let missing = decide(house, principal(reader, Some(tenant), None), EDIT, draft()).await;
        assert_eq!(missing.reason, "no role gives the permission press.article.edit here");
        let unknown =
            decide(house, principal(reader, Some(tenant), None), "press.article.fly", draft())
                .await;
        assert!(unknown.reason.contains("no module registers"), "{}", unknown.reason);

        let author = house.member(tenant, "editor").await;
        let bound = Some(house.catalog.compile([READ]));
        let limited = decide(house, principal(author, Some(tenant), bound), EDIT, draft()).await;
        assert!(limited.reason.contains("credential"), "{}", limited.reason);
        // Within the bound, `permitted(…)` sees the bound too.
        let bound = Some(house.catalog.compile([EDIT]));
        assert!(
            !decide(house, principal(author, Some(tenant), bound), EDIT, draft()).await.allowed
        );
        let bound = Some(house.catalog.compile([EDIT, EDIT_ANY]));
        assert!(decide(house, principal(author, Some(tenant), bound), EDIT, draft()).await.allowed);

        // What the gate compiled is not believed: the decision looks at what is granted now.
        let mut forged = principal(reader, Some(tenant), None);
        forged.permissions = house.catalog.all();
        assert!(!decide(house, forged, EDIT, draft()).await.allowed);
        let mut platform = principal(house.id(), None, None);
        platform.kind = PrincipalKind::System;
        platform.permissions = PermissionSet::new();
        assert!(decide(house, platform, EDIT, draft()).await.allowed);
    })
    .await;
}

#[tokio::test]
async fn a_grant_with_a_condition_counts_only_where_it_is_checked() {
    in_both(async |house| {
        let tenant = house.tenant();
        let subject = house.id();
        let role = CreateRole {
            tenant,
            key: "desk".to_owned(),
            title: "Desk".to_owned(),
            description: String::new(),
            permissions: [EDIT, EDIT_ANY, DELETE].map(str::to_owned).to_vec(),
        };
        house.service.ask(&system(), role).await.expect("created");
        let command = Grant {
            condition: Some(
                "resource.attributes.section == 'sports' && request.address == '192.0.2.7'"
                    .to_owned(),
            ),
            ..grant(subject, Some(tenant), "desk")
        };
        house.grant(&system(), command).await.expect("granted");
        // Only `edit` is governed, so only it passes the gate.
        assert_eq!(house.held(subject, Some(tenant)).await, [EDIT]);

        let ask = async |section: &str, scope| {
            let resource = article(tenant, subject, json!({"section": section, "status": "draft"}));
            let question = Question {
                principal: principal(subject, Some(tenant), None),
                action: EDIT.to_owned(),
                resource,
            };
            house.authorizer.decide(question, &scope).await.expect("it is decided")
        };
        let there = || person(subject, Some(tenant));
        assert!(ask("sports", there()).await.allowed);
        let elsewhere = ask("politics", there()).await;
        assert!(
            !elsewhere.allowed && elsewhere.reason.contains("condition"),
            "{}",
            elsewhere.reason
        );
        assert!(!ask("sports", system()).await.allowed, "from another address");
        // A conditional grant is no firm ground: `permitted(…)` and further grants do not count it.
        let foreign = article(tenant, house.id(), json!({"section": "sports", "status": "draft"}));
        assert!(
            !decide(house, principal(subject, Some(tenant), None), EDIT, foreign).await.allowed
        );

        let told =
            explain(house, subject, tenant, DELETE, Some(article(tenant, subject, json!({}))))
                .await;
        assert_eq!(told.reason, Reason::PermissionMissing);
        assert!(
            told.grants[0]
                .obstacle
                .as_deref()
                .is_some_and(|text| text.contains("never be checked"))
        );
    })
    .await;
}

#[tokio::test]
async fn an_explanation_names_role_policy_condition_and_values() {
    in_both(async |house| {
        let tenant = house.tenant();
        let author = house.member(tenant, "author").await;
        house.grant(&system(), grant(author, None, "reader")).await.expect("granted");
        let resource = article(
            tenant,
            author,
            json!({"status": "published", "secret_note": "x", "locked": false}),
        );
        let told = explain(house, author, tenant, EDIT, Some(resource)).await;

        assert!(!told.allowed && told.registered && told.held);
        assert_eq!(told.reason, Reason::NoPolicyPermits);
        let giving: Vec<_> = told.grants.iter().filter(|grant| grant.counts).collect();
        assert_eq!(giving.len(), 1);
        assert_eq!((giving[0].role.as_str(), giving[0].tenant), ("author", Some(tenant)));
        assert!(told.grants.iter().any(|grant| grant.role == "reader" && !grant.gives_permission));

        let ids: Vec<&str> = told.policies.iter().map(|policy| policy.id.as_str()).collect();
        assert_eq!(ids, ["press.locked", "press.own_articles", "press.any_article"]);
        let own = &told.policies[1];
        assert_eq!(own.outcome, ConditionOutcome::Fails);
        assert_eq!(own.conditions[0].text, "resource.owner == principal.id");
        assert_eq!(own.conditions[0].outcome, ConditionOutcome::Holds);
        assert_eq!(own.conditions[0].values["resource.owner"], author.to_string());
        assert_eq!(own.conditions[1].text, "resource.attributes.status == 'draft'");
        assert_eq!(own.conditions[1].outcome, ConditionOutcome::Fails);
        assert_eq!(own.conditions[1].values["resource.attributes.status"], "published");
        let any = &told.policies[2].conditions[0];
        assert_eq!(any.values["permitted('press.article.edit_any')"], false);
        let text = serde_json::to_string(&told).expect("an explanation is data");
        assert!(!text.contains("secret_note"), "only what conditions read is shown");
    })
    .await;
}

#[tokio::test]
async fn an_explanation_agrees_with_the_decision() {
    in_both(async |house| {
        let tenant = house.tenant();
        let mut subjects = vec![house.id(), house.administrator().await];
        for role in ["reader", "author", "editor", "owner"] {
            subjects.push(house.member(tenant, role).await);
        }
        for subject in subjects.clone() {
            for action in [READ, EDIT, DELETE, "press.article.fly"] {
                for attributes in [
                    json!({}),
                    json!({"status": "draft"}),
                    json!({"status": "draft", "locked": true}),
                ] {
                    for owner in [subject, subjects[0]] {
                        for home in [tenant, house.tenant()] {
                            let resource = article(home, owner, attributes.clone());
                            let decision = decide(
                                house,
                                principal(subject, Some(tenant), None),
                                action,
                                resource.clone(),
                            )
                            .await;
                            let told =
                                explain(house, subject, tenant, action, Some(resource)).await;
                            assert_eq!(
                                (decision.allowed, &decision.reason, &decision.policy),
                                (told.allowed, &told.summary, &told.decided_by)
                            );
                        }
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_gate_is_explained_without_a_resource() {
    in_both(async |house| {
        let tenant = house.tenant();
        let author = house.member(tenant, "author").await;
        let reason = async |action| explain(house, author, tenant, action, None).await.reason;
        assert_eq!(reason(READ).await, Reason::PermissionSuffices);
        assert_eq!(reason(EDIT).await, Reason::DecidedPerResource);
        assert_eq!(reason(DELETE).await, Reason::PermissionMissing);
        assert_eq!(reason("press.article.fly").await, Reason::UnknownAction);
    })
    .await;
}

#[tokio::test]
async fn what_another_node_changed_is_seen_after_the_age_limit() {
    in_both(async |house| {
        let (subject, tenant) = (house.id(), house.tenant());
        assert!(house.held(subject, Some(tenant)).await.is_empty());
        let sql = match house.db.dialect() {
            troupe_database::Dialect::Postgres => format!(
                "INSERT INTO authz_memberships VALUES ('{subject}', '{tenant}', 'reader', now())"
            ),
            troupe_database::Dialect::Sqlite => format!(
                "INSERT INTO authz_memberships VALUES (x'{}', x'{}', 'reader', 0)",
                subject.simple(),
                tenant.uuid().simple()
            ),
        };
        house
            .db
            .transaction(&system(), async move |uow: &mut troupe_database::UnitOfWork| {
                Ok(uow.conn().batch(&sql).await?)
            })
            .await
            .expect("written behind the service's back");
        assert!(house.held(subject, Some(tenant)).await.is_empty(), "remembered");
        house.clock.advance(Duration::from_secs(61));
        assert_eq!(house.held(subject, Some(tenant)).await, [READ]);
    })
    .await;
}
