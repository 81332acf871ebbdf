//! The repositories where the routes do not reach: migrations, bounds, races.

use troupe_blog::repository::public::{PublishedBySlug, published};
use troupe_blog::repository::{MIGRATIONS, comments, media, posts, revisions, slugs, tags};
use troupe_database::prelude::*;
use troupe_database::testing::for_both;
use troupe_database::{Db, KeyedLoad, Plan, UnitOfWork};
use troupe_kernel::{Scope, TenantId, Timestamp, Uuid};

fn scope() -> Scope {
    Scope::system("test", std::time::Duration::from_secs(20))
}

fn row(number: u128, tenant: TenantId, slug: &str) -> (posts::PostRow, posts::ContentRow) {
    let (id, tenant_id) = (DbUuid(Uuid::from_u128(number)), DbUuid::of(tenant));
    let now = DbTimestamp(Timestamp::from_secs(1_000));
    let row = posts::PostRow {
        id,
        tenant_id,
        author_id: DbUuid(Uuid::from_u128(1)),
        slug: slug.to_owned(),
        title: slug.to_owned(),
        summary: String::new(),
        tags: TextList(vec!["x".to_owned()]),
        status: "published".to_owned(),
        comments_enabled: true,
        version: 1,
        source_path: None,
        source_digest: None,
        published_at: Some(now),
        publish_at: None,
        created_at: now,
        updated_at: now,
    };
    let content = posts::ContentRow {
        post_id: id,
        tenant_id,
        title: slug.to_owned(),
        keywords: "x".to_owned(),
        body: "b".to_owned(),
        html: "<p>b</p>".to_owned(),
        plain: "b".to_owned(),
        excerpt: None,
        size_bytes: 1,
    };
    (row, content)
}

async fn add(db: &Db, number: u128, tenant: TenantId, slug: &'static str) {
    let (row, content) = row(number, tenant, slug);
    db.transaction(&scope(), async move |uow: &mut UnitOfWork| {
        let now = uow.now();
        assert!(slugs::claim(uow.conn(), tenant, slug, row.id.to(), now).await?);
        posts::insert(uow.conn(), &row, &content).await?;
        tags::set(uow.conn(), row.tenant_id, row.id, &row.tags.0).await?;
        Ok(())
    })
    .await
    .expect("added");
}

fn tenant(number: u128) -> TenantId {
    TenantId(Uuid::from_u128(number))
}

#[tokio::test]
async fn the_tables_go_and_come_back() {
    for_both(&[], async |db: Db| {
        let plan = Plan::merge(&[MIGRATIONS]).expect("one list");
        let steps = db.migrate(&plan).await.expect("up").len();
        assert_eq!(steps, MIGRATIONS.len());
        assert_eq!(db.revert(&plan, steps).await.expect("down").len(), steps);
        assert_eq!(db.migrate(&plan).await.expect("up again").len(), steps);
        add(&db, 1, tenant(1), "hello").await;
    })
    .await;
}

#[tokio::test]
async fn a_slug_is_claimed_once_per_tenant() {
    for_both(MIGRATIONS, async |db: Db| {
        add(&db, 1, tenant(1), "hello").await;
        let (other, _) = row(2, tenant(1), "hello");
        let outcome = db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                let again = slugs::claim(
                    uow.conn(),
                    tenant(1),
                    "hello",
                    DbUuid(Uuid::from_u128(1)).to(),
                    now,
                )
                .await?;
                let taken =
                    slugs::claim(uow.conn(), tenant(1), "hello", other.id.to(), now).await?;
                let owner = slugs::owner(uow.conn(), tenant(2), "hello").await?;
                Ok((again, taken, owner))
            })
            .await
            .expect("claimed");
        assert_eq!(outcome, (true, false, None));
    })
    .await;
}

#[tokio::test]
async fn a_row_is_updated_over_its_version_only() {
    for_both(MIGRATIONS, async |db: Db| {
        add(&db, 1, tenant(1), "hello").await;
        let (mut changed, _) = row(1, tenant(1), "hello");
        changed.version = 2;
        changed.published_at = None;
        changed.status = "draft".to_owned();
        let done = db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                let first = posts::update(uow.conn(), &changed, 1).await?;
                let second = posts::update(uow.conn(), &changed, 1).await?;
                Ok((first, second))
            })
            .await
            .expect("updated");
        assert_eq!(done, (true, false));
        let found = db
            .read(async |conn: &mut DbConn| {
                Ok(posts::find(conn, tenant(1), Uuid::from_u128(1).into()).await?)
            })
            .await
            .expect("read")
            .expect("there");
        assert_eq!((found.version, found.published_at), (2, None), "none is written as null");
    })
    .await;
}

#[tokio::test]
async fn an_id_of_another_tenant_is_not_found() {
    for_both(MIGRATIONS, async |db: Db| {
        add(&db, 1, tenant(1), "hello").await;
        let id = Uuid::from_u128(1);
        let found = db
            .read(async move |conn: &mut DbConn| {
                Ok((
                    posts::find(conn, tenant(2), id.into()).await?,
                    revisions::find(conn, tenant(2), id.into(), 1).await?,
                    comments::find(conn, tenant(2), id.into()).await?,
                    media::find(conn, tenant(2), id.into()).await?,
                ))
            })
            .await
            .expect("read");
        assert!(found.0.is_none() && found.1.is_none() && found.2.is_none() && found.3.is_none());
        let locked = db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                Ok(posts::lock(uow.conn(), tenant(2), id.into()).await?)
            })
            .await;
        assert!(matches!(locked, Ok(None)));
    })
    .await;
}

#[tokio::test]
async fn one_load_answers_many_tenants_without_mixing_them() {
    for_both(MIGRATIONS, async |db: Db| {
        add(&db, 1, tenant(1), "a").await;
        add(&db, 2, tenant(1), "b").await;
        add(&db, 3, tenant(2), "a").await;
        let keys = vec![
            (tenant(1).uuid(), "a".to_owned()),
            (tenant(2).uuid(), "a".to_owned()),
            (tenant(2).uuid(), "b".to_owned()),
        ];
        let wanted = keys.clone();
        let rows = db
            .read(async move |conn: &mut DbConn| Ok(published(conn, wanted).await?))
            .await
            .expect("read");
        assert_eq!(rows.len(), 2);
        let load = PublishedBySlug { db: db.clone() };
        let found = load.load(keys.clone()).await.expect("loaded");
        assert_eq!(found[&keys[0]].id.0, Uuid::from_u128(1));
        assert_eq!(found[&keys[1]].id.0, Uuid::from_u128(3));
        assert!(!found.contains_key(&keys[2]));
    })
    .await;
}

#[tokio::test]
async fn everything_goes_with_its_post() {
    for_both(MIGRATIONS, async |db: Db| {
        add(&db, 1, tenant(1), "hello").await;
        let id = DbUuid(Uuid::from_u128(1));
        let left = db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                posts::delete(uow.conn(), id).await?;
                let slug = slugs::owner(uow.conn(), tenant(1), "hello").await?;
                let viewer = troupe_blog::repository::Viewer::Manager;
                let tags = tags::page(uow.conn(), tenant(1), viewer, None, 10).await?;
                Ok((slug, tags))
            })
            .await
            .expect("deleted");
        assert_eq!(left, (None, Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn the_largest_text_fits_the_search_index() {
    for_both(MIGRATIONS, async |db: Db| {
        let (row, mut content) = row(1, tenant(1), "large");
        let mut plain = String::new();
        for number in 0_u32.. {
            plain.push_str(&format!("ж{number}ж "));
            if plain.len() > 1024 * 1024 {
                break;
            }
        }
        content.plain = plain;
        db.transaction(&scope(), async move |uow: &mut UnitOfWork| {
            Ok(posts::insert(uow.conn(), &row, &content).await?)
        })
        .await
        .expect("indexed");
    })
    .await;
}
