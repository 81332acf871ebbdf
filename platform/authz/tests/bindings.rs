//! Giving and taking roles.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::testing::Probe;
use troupe_actors::{Idempotency, Scope};
use troupe_authz_messages::{
    Binding, CheckAssignable, ForgetSubject, GetBinding, HasAdministrator, ListBindings,
    ROLE_ADMINISTRATOR, Revoke,
};
use troupe_database::prelude::*;
use troupe_database::schema::{audit_queue, outbox};
use troupe_kernel::pagination::{Cursor, PageRequest};
use troupe_kernel::{Clock, InvalidationMessage, Outcome};

use crate::house::{DELETE, EDIT, House, READ, code, grant, in_both, person, person_with, system};

#[tokio::test]
async fn a_grant_and_its_end_are_effective_when_they_are_answered() {
    in_both(async |house| {
        let gate: Probe<InvalidationMessage> =
            Probe::answering(&house.universe, "gate", |message, ctx| match message {
                InvalidationMessage::PermissionsChanged(changed) => ctx.reply(changed, ()),
                _ => Ok(()),
            })
            .await;
        house.invalidations.subscribe(gate.service().clone());
        let (subject, tenant) = (house.id(), house.tenant());
        assert!(house.held(subject, Some(tenant)).await.is_empty());

        let binding =
            house.grant(&system(), grant(subject, Some(tenant), "author")).await.expect("granted");
        assert_eq!(gate.unread(), 1, "the gate knew before the answer");
        assert_eq!(house.held(subject, Some(tenant)).await, [EDIT, READ]);
        assert!(
            house.held(subject, Some(house.tenant())).await.is_empty(),
            "not in another tenant"
        );
        assert!(house.held(subject, None).await.is_empty(), "not on the platform");

        let revoke = Revoke { id: binding.id, tenant: Some(tenant) };
        house.service.ask(&system(), revoke).await.expect("revoked");
        assert_eq!(gate.unread(), 2);
        assert!(house.held(subject, Some(tenant)).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn every_change_leaves_an_event_and_a_record() {
    in_both(async |house| {
        let (subject, tenant) = (house.id(), house.tenant());
        let administrator = house.administrator().await;
        let scope = person(administrator, Some(tenant));
        let binding =
            house.grant(&scope, grant(subject, Some(tenant), "author")).await.expect("granted");
        let revoke = Revoke { id: binding.id, tenant: Some(tenant) };
        house.service.ask(&scope, revoke).await.expect("revoked");

        let (events, records) = effects(house).await;
        assert_eq!(
            events,
            [
                ("authz.role.granted".to_owned(), administrator.to_string()),
                ("authz.role.granted".to_owned(), subject.to_string()),
                ("authz.role.revoked".to_owned(), subject.to_string()),
            ]
        );
        let actions: Vec<&str> =
            records.iter().filter_map(|record| record["action"].as_str()).collect();
        assert_eq!(actions, ["authz.binding.grant", "authz.binding.grant", "authz.binding.revoke"]);
        assert!(records[0]["tenant"].is_null(), "a platform grant is in the platform's trail");
        assert_eq!(records[1]["tenant"], tenant.to_string());
        assert_eq!(records[1]["actor"], administrator.to_string());
        assert_eq!(records[1]["detail"]["role"], "author");
        assert_eq!(records[1]["address"], "192.0.2.7");
    })
    .await;
}

/// Kinds and subjects of all events, and all audit records, in order.
async fn effects(house: &House) -> (Vec<(String, String)>, Vec<serde_json::Value>) {
    house
        .db
        .read(async |conn| {
            let events: Vec<(String, String)> = run!(conn, |c| outbox::table
                .order(outbox::position.asc())
                .select((outbox::kind, outbox::subject))
                .load(c))?;
            let records: Vec<Json> = run!(conn, |c| audit_queue::table
                .order(audit_queue::position.asc())
                .select(audit_queue::record)
                .load(c))?;
            Ok((events, records.into_iter().map(|record| record.0).collect()))
        })
        .await
        .expect("the effects are read")
}

#[tokio::test]
async fn nobody_gives_or_takes_more_than_they_hold() {
    in_both(async |house| {
        let tenant = house.tenant();
        let admin = house.member(tenant, "admin").await;
        let owner = house.member(tenant, "owner").await;
        let subject = house.id();
        let scope = person(admin, Some(tenant));

        let refused = house.grant(&scope, grant(subject, Some(tenant), "owner")).await;
        let failure = refused.expect_err("an admin does not make owners");
        assert_eq!(failure.code(), "authz.grant.exceeds");
        assert!(failure.detail().contains(DELETE), "{failure}");
        house
            .grant(&scope, grant(subject, Some(tenant), "editor"))
            .await
            .expect("an admin makes editors");

        let binding = house
            .grant(&person(owner, Some(tenant)), grant(subject, Some(tenant), "owner"))
            .await
            .expect("an owner makes owners");
        let revoke = Revoke { id: binding.id, tenant: Some(tenant) };
        assert_eq!(code(house.service.ask(&scope, revoke.clone()).await), "authz.grant.exceeds");
        // One's own role may always be given up.
        house.service.ask(&person(subject, Some(tenant)), revoke).await.expect("given up");

        let records = house.audit.records.lock().expect("nobody panics with it").clone();
        assert_eq!(records.len(), 2, "{records:?}");
        assert!(records.iter().all(|record| record.outcome == Outcome::Denied));
        assert_eq!(records[0].actor, Some(admin));
    })
    .await;
}

#[tokio::test]
async fn rights_in_one_organisation_are_none_in_another() {
    in_both(async |house| {
        let (mine, other) = (house.tenant(), house.tenant());
        let owner = house.member(mine, "owner").await;
        let elsewhere = grant(house.id(), Some(other), "reader");
        assert_eq!(
            code(house.grant(&person(owner, Some(mine)), elsewhere.clone()).await),
            "authz.grant.exceeds"
        );
        let on_platform = grant(house.id(), None, "reader");
        assert_eq!(
            code(house.grant(&person(owner, Some(mine)), on_platform).await),
            "authz.grant.exceeds"
        );
        // What counts on the whole platform counts with a token of any organisation.
        let administrator = house.administrator().await;
        house.grant(&person(administrator, Some(mine)), elsewhere).await.expect("granted");
    })
    .await;
}

#[tokio::test]
async fn a_limited_credential_gives_no_more_than_its_bound() {
    in_both(async |house| {
        let tenant = house.tenant();
        let owner = house.member(tenant, "owner").await;
        let bound = house.catalog.compile([READ]);
        let scope = person_with(owner, Some(tenant), Some(bound));
        assert_eq!(
            code(house.grant(&scope, grant(house.id(), Some(tenant), "author")).await),
            "authz.grant.exceeds"
        );
        house
            .grant(&scope, grant(house.id(), Some(tenant), "reader"))
            .await
            .expect("within the bound");
    })
    .await;
}

#[tokio::test]
async fn the_last_administrator_stays() {
    in_both(async |house| {
        assert!(!house.service.ask(&system(), HasAdministrator).await.expect("answered"));
        let first = house
            .grant(&system(), grant(house.id(), None, ROLE_ADMINISTRATOR))
            .await
            .expect("granted");
        let revoke = |binding: &Binding| Revoke { id: binding.id, tenant: None };
        assert_eq!(
            code(house.service.ask(&system(), revoke(&first)).await),
            "authz.binding.last_administrator"
        );
        // One for a time does not count: the platform would be left alone when it ends.
        let mut passing = grant(house.id(), None, ROLE_ADMINISTRATOR);
        passing.expires_at = Some(house.in_an_hour());
        house.grant(&system(), passing).await.expect("granted");
        assert_eq!(
            code(house.service.ask(&person(first.subject, None), revoke(&first)).await),
            "authz.binding.last_administrator"
        );
        let second = house
            .grant(&system(), grant(house.id(), None, ROLE_ADMINISTRATOR))
            .await
            .expect("granted");
        // Two at once: exactly one leaves.
        let scope = system();
        let (a, b) = tokio::join!(
            house.service.ask(&scope, revoke(&first)),
            house.service.ask(&scope, revoke(&second)),
        );
        assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1, "{a:?} {b:?}");
        assert!(house.service.ask(&system(), HasAdministrator).await.expect("answered"));
    })
    .await;
}

#[tokio::test]
async fn a_binding_ends_when_its_time_is_over() {
    in_both(async |house| {
        let (subject, tenant) = (house.id(), house.tenant());
        let mut command = grant(subject, Some(tenant), "reader");
        command.expires_at = Some(house.in_an_hour());
        let binding = house.grant(&system(), command).await.expect("granted");
        assert_eq!(house.held(subject, Some(tenant)).await, [READ]);
        house.clock.advance(Duration::from_secs(3600));
        assert!(house.held(subject, Some(tenant)).await.is_empty(), "at once, before it is swept");

        let query = GetBinding { id: binding.id, tenant: Some(tenant) };
        for attempt in 0.. {
            let found = house.service.ask(&system(), query.clone()).await;
            if found.is_err() {
                assert_eq!(code(found), "authz.binding.not_found");
                break;
            }
            assert!(attempt < 100, "it is swept soon");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (events, records) = effects(house).await;
        assert!(
            events.contains(&("authz.role.expired".to_owned(), subject.to_string())),
            "{events:?}"
        );
        assert_eq!(records.last().expect("records")["action"], "authz.binding.expire");
    })
    .await;
}

#[tokio::test]
async fn a_grant_that_cannot_be_is_refused_with_what_to_do() {
    in_both(async |house| {
        let (subject, tenant) = (house.id(), house.tenant());
        let refuse = async |command| code(house.grant(&system(), command).await);
        assert_eq!(refuse(grant(subject, Some(tenant), "nobody")).await, "authz.role.not_found");
        assert_eq!(refuse(grant(subject, None, "nobody")).await, "authz.role.not_found");
        assert_eq!(
            refuse(grant(subject, Some(tenant), ROLE_ADMINISTRATOR)).await,
            "authz.grant.invalid"
        );
        let mut ended = grant(subject, Some(tenant), "reader");
        ended.expires_at = Some(house.clock.now());
        assert_eq!(refuse(ended).await, "authz.grant.invalid");
        for condition in
            ["resource.owner ==", "user.id == 1", "[1].all(x, x > 0)", &"a".repeat(3000)]
        {
            let mut command = grant(subject, Some(tenant), "author");
            command.condition = Some(condition.to_owned());
            assert_eq!(refuse(command).await, "authz.grant.invalid", "{condition}");
        }
        let mut useless = grant(subject, Some(tenant), "reader");
        useless.condition = Some("request.hour < 12".to_owned());
        assert_eq!(refuse(useless).await, "authz.grant.invalid");
        house.grant(&system(), grant(subject, Some(tenant), "reader")).await.expect("granted");
        assert_eq!(refuse(grant(subject, Some(tenant), "reader")).await, "authz.grant.exists");
        let anonymous = Scope::bare(Duration::from_secs(5));
        assert_eq!(
            code(house.grant(&anonymous, grant(subject, Some(tenant), "author")).await),
            "authz.principal.missing"
        );
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_binding() {
    in_both(async |house| {
        let tenant = house.tenant();
        let owner = house.member(tenant, "owner").await;
        let mut scope = person(owner, Some(tenant));
        scope.origin_mut().idempotency =
            Some(Idempotency { key: "k1".to_owned(), fingerprint: "f".to_owned() });
        let command = grant(house.id(), Some(tenant), "reader");
        let first = house.grant(&scope, command.clone()).await.expect("granted");
        let again = house.service.ask_answer(&scope, command).await;
        assert_eq!(first, again.result.expect("replayed"));
        assert!(again.origin.is_some_and(|origin| origin.trailers.replayed));
    })
    .await;
}

#[tokio::test]
async fn bindings_are_listed_page_by_page_within_their_reach() {
    in_both(async |house| {
        let (tenant, other) = (house.tenant(), house.tenant());
        let mut expected = Vec::new();
        for _ in 0..5 {
            house.clock.advance(Duration::from_micros(1));
            let binding = house.grant(&system(), grant(house.id(), Some(tenant), "reader")).await;
            expected.push(binding.expect("granted"));
        }
        house.grant(&system(), grant(house.id(), Some(other), "reader")).await.expect("granted");
        house.grant(&system(), grant(house.id(), None, "reader")).await.expect("granted");
        let query = |tenant, cursor: Option<String>| ListBindings {
            tenant,
            subject: None,
            role: None,
            page: PageRequest::new(cursor.map(Cursor::from_text), 2).expect("a page"),
        };
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page =
                house.service.ask(&system(), query(Some(tenant), cursor)).await.expect("listed");
            found.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected);
        let platform = house.service.ask(&system(), query(None, None)).await.expect("listed");
        assert_eq!(platform.items.len(), 1);
        let mut mine = query(Some(tenant), None);
        mine.subject = Some(expected[3].subject);
        mine.role = Some("reader".to_owned());
        assert_eq!(
            house.service.ask(&system(), mine).await.expect("listed").items,
            [expected[3].clone()]
        );
        // Another tenant's binding is not found, whoever asks with that tenant.
        let foreign = GetBinding { id: expected[0].id, tenant: Some(other) };
        assert_eq!(code(house.service.ask(&system(), foreign).await), "authz.binding.not_found");
        let foreign = Revoke { id: expected[0].id, tenant: None };
        assert_eq!(code(house.service.ask(&system(), foreign).await), "authz.binding.not_found");
    })
    .await;
}

#[tokio::test]
async fn a_subject_that_is_gone_keeps_nothing() {
    in_both(async |house| {
        let tenant = house.tenant();
        let subject = house.member(tenant, "owner").await;
        house.grant(&system(), grant(subject, None, "reader")).await.expect("granted");
        assert!(house.held(subject, Some(tenant)).await.contains(&DELETE.to_owned()));
        house.service.ask(&system(), ForgetSubject { subject }).await.expect("forgotten");
        assert!(house.held(subject, Some(tenant)).await.is_empty());
        let (events, _) = effects(house).await;
        assert!(
            events.contains(&("authz.role.revoked".to_owned(), subject.to_string())),
            "{events:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_invitation_can_ask_first_whether_its_role_may_be_given() {
    in_both(async |house| {
        let tenant = house.tenant();
        let admin = house.member(tenant, "admin").await;
        let scope = person(admin, Some(tenant));
        let check = |role: &str| CheckAssignable { tenant, role: role.to_owned() };
        house.service.ask(&scope, check("editor")).await.expect("it may");
        assert_eq!(code(house.service.ask(&scope, check("owner")).await), "authz.grant.exceeds");
        assert_eq!(code(house.service.ask(&scope, check("nobody")).await), "authz.role.not_found");
        assert_eq!(
            code(house.service.ask(&scope, check(ROLE_ADMINISTRATOR)).await),
            "authz.grant.invalid"
        );
    })
    .await;
}

#[tokio::test]
async fn a_gate_that_does_not_acknowledge_is_reported() {
    in_both(async |house| {
        let silent: Probe<InvalidationMessage> = Probe::start(&house.universe, "silent").await;
        house.invalidations.subscribe(silent.service().clone());
        let refused = house.grant(&system(), grant(house.id(), None, "reader")).await;
        assert_eq!(code(refused), "kernel.invalidation.incomplete");
        drop(Arc::new(silent));
    })
    .await;
}
