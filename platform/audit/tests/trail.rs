//! Reading the trail.

use std::collections::BTreeSet;
use std::time::Duration;

use troupe_audit::{
    EntryQuery, ExportEntries, GetEntry, GetKey, ListCheckpoints, ListEntries, ListWaiting,
    MIGRATIONS, PublicKey, Trail, VerifyOptions, VerifyTrail, export, verify,
};
use troupe_database::UnitOfWork;
use troupe_database::testing::for_both;
use troupe_kernel::pagination::{Cursor, PageRequest};
use troupe_kernel::{AuditRecord, Outcome, Uuid};

use crate::house::{House, in_both, record, scope, tenant};

async fn list(house: &House, trail: Trail, query: EntryQuery) -> Vec<String> {
    let query = ListEntries { trail, query, page: PageRequest::new(None, 100).expect("a page") };
    let page = house.trail.ask(&scope(), query).await.expect("listed");
    page.items.into_iter().map(|entry| entry.action).collect()
}

async fn write(house: &House, record: AuditRecord) {
    house
        .db
        .transaction(&scope(), async move |uow: &mut UnitOfWork| {
            uow.audit(record);
            Ok(())
        })
        .await
        .expect("written");
}

#[tokio::test]
async fn entries_are_found_by_what_is_known_of_them() {
    in_both(async |house| {
        let (own, other) = (tenant(), tenant());
        let actor = Uuid::now_v7();
        write(house, record(Some(own), "blog.post.publish").actor(actor)).await;
        write(house, record(Some(own), "blog.post.delete").outcome(Outcome::Denied)).await;
        let mut resource = record(Some(own), "blog.comment.add");
        resource.resource = "comment:5".to_owned();
        write(house, resource).await;
        write(house, record(Some(own), "blog_post.x%y")).await;
        write(house, record(Some(other), "blog.post.publish")).await;
        house.sealed().await;
        let own = Trail::Tenant(own);
        let all = EntryQuery::default;

        assert_eq!(list(house, own, all()).await.len(), 4);
        assert_eq!(list(house, Trail::All, all()).await.len(), 5);
        assert_eq!(
            list(house, own, EntryQuery { actor: Some(actor), ..all() }).await,
            ["blog.post.publish"]
        );
        let prefix = |text: &str| EntryQuery { action: Some(text.to_owned()), ..all() };
        assert_eq!(
            list(house, own, prefix("blog.post.")).await,
            ["blog.post.delete", "blog.post.publish"]
        );
        assert_eq!(list(house, own, prefix("blog_")).await, ["blog_post.x%y"], "no wildcard");
        assert_eq!(list(house, own, prefix("blog_post.x%y")).await, ["blog_post.x%y"]);
        assert!(list(house, own, prefix("%")).await.is_empty());
        let denied = EntryQuery { outcome: Some("denied".to_owned()), ..all() };
        assert_eq!(list(house, own, denied).await, ["blog.post.delete"]);
        let comment = EntryQuery { resource: Some("comment:5".to_owned()), ..all() };
        assert_eq!(list(house, own, comment).await, ["blog.comment.add"]);
    })
    .await;
}

#[tokio::test]
async fn entries_are_found_by_time_and_an_empty_range_is_refused() {
    in_both(async |house| {
        let own = tenant();
        house.write(Some(own), &["a.b.early"]).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let between = house.db.clock().now();
        tokio::time::sleep(Duration::from_millis(5)).await;
        house.write(Some(own), &["a.b.late"]).await;
        house.sealed().await;
        let trail = Trail::Tenant(own);
        let until = EntryQuery { until: Some(between), ..EntryQuery::default() };
        assert_eq!(list(house, trail, until).await, ["a.b.early"]);
        let from = EntryQuery { from: Some(between), ..EntryQuery::default() };
        assert_eq!(list(house, trail, from).await, ["a.b.late"]);
        let empty =
            EntryQuery { from: Some(between), until: Some(between), ..EntryQuery::default() };
        let query = ListEntries { trail, query: empty, page: PageRequest::default() };
        let failure = house.trail.ask(&scope(), query).await.expect_err("empty");
        assert_eq!(failure.code(), "audit.range.empty");
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    in_both(async |house| {
        let own = tenant();
        // One transaction: all have the same time.
        let actions: Vec<String> = (0..25).map(|number| format!("a.b.{number}")).collect();
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        house.write(Some(own), &actions).await;
        house.sealed().await;
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = PageRequest::new(cursor.map(Cursor::from_text), 10).expect("a page");
            let query =
                ListEntries { trail: Trail::Tenant(own), query: EntryQuery::default(), page };
            let page = house.trail.ask(&scope(), query).await.expect("listed");
            seen.extend(page.items.into_iter().map(|entry| entry.sequence));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=25).rev().collect::<Vec<u64>>());
    })
    .await;
}

#[tokio::test]
async fn one_entry_its_key_and_its_checkpoints_are_shown() {
    in_both(async |house| {
        let (own, other) = (tenant(), tenant());
        for action in ["a.b.1", "a.b.2"] {
            house.write(Some(own), &[action]).await;
            house.write(Some(other), &[action]).await;
            house.seal().await;
        }
        let entry =
            house.trail.ask(&scope(), GetEntry { tenant: own, sequence: 2 }).await.expect("found");
        assert_eq!(entry.action, "a.b.2");
        let missing = house.trail.ask(&scope(), GetEntry { tenant: own, sequence: 3 }).await;
        assert_eq!(missing.expect_err("not there").code(), "audit.entry.not_found");

        let key = house.trail.ask(&scope(), GetKey).await.expect("shown");
        assert_eq!(PublicKey::from_pem(&key.public_key).expect("a key"), house.public_key());
        let checkpoints = |trail, limit| ListCheckpoints {
            trail,
            page: PageRequest::new(None, limit).expect("a page"),
        };
        let own_ones =
            house.trail.ask(&scope(), checkpoints(Trail::Tenant(own), 10)).await.expect("listed");
        let said: Vec<_> =
            own_ones.items.iter().map(|each| (each.number, each.sequence, each.trails)).collect();
        assert_eq!(said, [(2, Some(2), 2), (1, Some(1), 2)]);
        assert_eq!(own_ones.items[0].entry_hash, Some(entry.hash));
        let first = house.trail.ask(&scope(), checkpoints(Trail::All, 1)).await.expect("listed");
        assert_eq!((first.items.len(), first.items[0].number), (1, 2));
        let page = PageRequest::new(first.next_cursor.map(Cursor::from_text), 1).expect("a page");
        let rest = house
            .trail
            .ask(&scope(), ListCheckpoints { trail: Trail::All, page })
            .await
            .expect("listed");
        assert_eq!((rest.items[0].number, rest.next_cursor), (1, None));
    })
    .await;
}

#[tokio::test]
async fn records_that_wait_are_shown_as_such() {
    for_both(MIGRATIONS, async |db| {
        let (own, other) = (tenant(), tenant());
        for (which, action) in [(own, "a.b.own"), (other, "a.b.other")] {
            let written = record(Some(which), action);
            db.transaction(&scope(), async move |uow: &mut UnitOfWork| {
                uow.audit(written);
                Ok(())
            })
            .await
            .expect("written");
        }
        let house = House::open(db, "").await;
        // The sealer's first tick comes after a second.
        let waiting = house
            .trail
            .ask(&scope(), ListWaiting { trail: Trail::Tenant(own) })
            .await
            .expect("listed");
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].record["action"], "a.b.own");
        assert_eq!(
            house
                .trail
                .ask(&scope(), ListWaiting { trail: Trail::All })
                .await
                .expect("listed")
                .len(),
            2
        );
        // And then it finds what was committed before it started.
        house.sealed().await;
        assert_eq!(house.entries(Trail::All).await.len(), 2);
        house.universe.finish().await;
    })
    .await;
}

#[tokio::test]
async fn an_export_has_every_entry_once_as_json_lines() {
    in_both(async |house| {
        let own = tenant();
        let actions: Vec<String> = (0..2500).map(|number| format!("a.b.{number}")).collect();
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        house.write(Some(own), &actions).await;
        house.sealed().await;
        let query =
            ExportEntries { trail: Trail::Tenant(own), query: EntryQuery::default(), cursor: None };
        let part = house.trail.ask(&scope(), query).await.expect("exported");
        assert_eq!(part.lines.lines().count(), 2000);
        assert!(part.next_cursor.is_some());
        let (mut seen, mut parts) = (BTreeSet::new(), 0);
        export(&house.db, Trail::Tenant(own), &EntryQuery::default(), |lines| {
            parts += 1;
            for line in lines.lines() {
                let entry: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
                assert!(seen.insert(entry["sequence"].as_u64().expect("a number")));
            }
            Ok(())
        })
        .await
        .expect("exported");
        assert_eq!((seen.len(), parts), (2500, 2));
    })
    .await;
}

#[tokio::test]
async fn a_verification_goes_on_where_it_stopped() {
    in_both(async |house| {
        let own = tenant();
        let actions: Vec<String> = (0..2100).map(|number| format!("a.b.{number}")).collect();
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        house.write(Some(own), &actions).await;
        house.seal().await;
        let keys = [house.public_key()];
        let options = |after| VerifyOptions {
            chain: Some(own.uuid()),
            after,
            entries_max: Some(1000),
            anchor: None,
        };
        let first = verify(&house.db, &keys, &options(0)).await.expect("read");
        assert_eq!((first.intact, first.complete, first.after), (true, false, 1000));
        let second = verify(&house.db, &keys, &options(first.after)).await.expect("read");
        assert_eq!((second.intact, second.complete, second.after), (true, false, 2000));
        let third = verify(&house.db, &keys, &options(second.after)).await.expect("read");
        assert_eq!((third.intact, third.complete, third.entries), (true, true, 100));

        let asked = VerifyTrail { trail: Trail::Tenant(own), after: 0 };
        let report = house.verifier.ask(&scope(), asked).await.expect("verified");
        assert!(report.intact && report.complete && report.entries == 2100, "{report:?}");
        let asked = VerifyTrail { trail: Trail::All, after: 0 };
        assert!(house.verifier.ask(&scope(), asked).await.expect("verified").intact);
    })
    .await;
}
