//! Roles that come with memberships.

use std::time::Duration;

use troupe_authz_messages::SetMemberRole;
use troupe_kernel::{Clock, TenantId, Timestamp, Uuid};

use crate::house::{EDIT, House, READ, in_both, system};

async fn report(house: &House, subject: Uuid, tenant: TenantId, role: Option<&str>, at: Timestamp) {
    let command = SetMemberRole { subject, tenant, role: role.map(str::to_owned), at };
    house.service.ask(&system(), command).await.expect("reported");
}

#[tokio::test]
async fn the_later_report_wins_in_any_order() {
    in_both(async |house| {
        let (subject, tenant) = (house.id(), house.tenant());
        let first = house.clock.now();
        let second = first.plus(Duration::from_micros(1));
        let third = first.plus(Duration::from_micros(2));
        report(house, subject, tenant, Some("author"), second).await;
        assert_eq!(house.held(subject, Some(tenant)).await, [EDIT, READ]);
        report(house, subject, tenant, Some("reader"), first).await;
        assert_eq!(
            house.held(subject, Some(tenant)).await,
            [EDIT, READ],
            "an old report changes nothing"
        );
        report(house, subject, tenant, None, third).await;
        assert!(
            house.held(subject, Some(tenant)).await.is_empty(),
            "who left has nothing, at once"
        );
        report(house, subject, tenant, Some("author"), second).await;
        assert!(house.held(subject, Some(tenant)).await.is_empty(), "and stays away");
    })
    .await;
}

#[tokio::test]
async fn a_membership_and_a_grant_add_up() {
    in_both(async |house| {
        let tenant = house.tenant();
        let subject = house.member(tenant, "reader").await;
        house
            .grant(&system(), crate::house::grant(subject, Some(tenant), "author"))
            .await
            .expect("granted");
        assert_eq!(house.held(subject, Some(tenant)).await, [EDIT, READ]);
        let left = house.in_an_hour();
        report(house, subject, tenant, None, left).await;
        assert!(house.held(subject, Some(tenant)).await.is_empty(), "who left has nothing");
        let back = left.plus(Duration::from_micros(1));
        report(house, subject, tenant, Some("reader"), back).await;
        assert_eq!(
            house.held(subject, Some(tenant)).await,
            [READ],
            "what was granted before does not come back"
        );
    })
    .await;
}

#[tokio::test]
async fn a_membership_with_a_platform_role_or_an_unknown_one_gives_nothing() {
    in_both(async |house| {
        let tenant = house.tenant();
        for role in ["administrator", "unheard-of"] {
            let subject = house.member(tenant, role).await;
            assert!(house.held(subject, Some(tenant)).await.is_empty(), "{role}");
        }
    })
    .await;
}
