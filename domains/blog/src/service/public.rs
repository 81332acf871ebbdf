//! The actor of public reads.
//!
//! Mailbox: 4096; `blog.public_workers` workers; permanent. A crash loses the message at hand.
//! Answers are kept encoded; a miss on a post goes through the batcher, so that many readers of many
//! posts become few queries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{Context, Handled, Lent, Scope, Service};
use troupe_database::{DbConn, DbTimestamp, DbUuid};
use troupe_identity_messages::{FindOrganisationBySlug, ListUserNames};
use troupe_kernel::{Bytes, Failure, Page, TenantId, Timestamp, UserId};

use super::Blog;
use super::caching::{self, Made, Wanted};
use super::posts::{search_page, tags_page};
use crate::content::feed::{self, Channel, Entry};
use crate::content::{slug, tags};
use crate::error::BlogError;
use crate::messages::{
    CommentId, FeedFormat, ListPublicComments, ListPublicPosts, ListPublicTags, PublicMessage,
    PublicPost, PublicSummary, ReadFeed, ReadPublicPost, SearchPublic, Served,
};
use crate::repository::posts::PostRow;
use crate::repository::public::PublishedPost;
use crate::repository::{Viewer, comments, posts, public};

const JSON: &str = "application/json";
/// The most addresses in a sitemap; the format allows 50,000.
const SITEMAP_MAX: i64 = 5_000;
/// How long the tenant of an organisation's slug is remembered.
const ORGANISATION_TTL: Duration = Duration::from_secs(30);
/// The longest organisation slug that is looked up.
const ORGANISATION_BYTES_MAX: usize = 100;

/// Answers public reads.
pub struct PublicReads {
    blog: Arc<Blog>,
}

impl PublicReads {
    /// One worker.
    #[must_use]
    pub fn new(blog: Arc<Blog>) -> Self {
        Self { blog }
    }
}

impl Service for PublicReads {
    type Message = PublicMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<PublicMessage>,
        ctx: &mut Context<PublicMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        let blog = &self.blog;
        match &**message {
            PublicMessage::ReadPublicPost(query) => {
                let served = read_post(blog, &scope, query).await?;
                ctx.reply(query, served)
            }
            PublicMessage::ListPublicPosts(query) => {
                let served = list_posts(blog, &scope, query).await?;
                ctx.reply(query, served)
            }
            PublicMessage::ListPublicTags(query) => {
                let served = list_tags(blog, &scope, query).await?;
                ctx.reply(query, served)
            }
            PublicMessage::SearchPublic(query) => {
                let served = search(blog, &scope, query).await?;
                ctx.reply(query, served)
            }
            PublicMessage::ReadFeed(query) => {
                let served = read_feed(blog, &scope, query).await?;
                ctx.reply(query, served)
            }
            PublicMessage::ListPublicComments(query) => {
                let served = list_comments(blog, &scope, query).await?;
                ctx.reply(query, served)
            }
            PublicMessage::ForgetPost(command) => {
                caching::forget_post(blog, command.tenant, command.post).await;
                ctx.reply(command, ())
            }
            PublicMessage::ForgetOrganisation(command) => {
                caching::forget_organisation(blog, command.tenant).await;
                ctx.reply(command, ())
            }
        }
    }
}

/// An organisation whose blog is public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Publisher {
    pub(super) tenant: TenantId,
    pub(super) slug: String,
    pub(super) name: String,
}

/// The active organisation of a slug.
pub(super) async fn publisher(
    blog: &Blog,
    scope: &Scope,
    slug: &str,
) -> Result<Publisher, Failure> {
    let plausible = !slug.is_empty()
        && slug.len() <= ORGANISATION_BYTES_MAX
        && slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !plausible {
        return Err(BlogError::OrganisationNotFound.into());
    }
    let key = format!("blog:organisation:{slug}");
    if let Some(entry) = blog.cache.get(&key).await
        && let Ok(found) = serde_json::from_slice(&entry)
    {
        return Ok(found);
    }
    // Which organisation it is says under which tag it is kept; what is kept is asked for after that.
    let seen = find_publisher(blog, scope, slug).await?;
    let tags = [caching::organisation_tag(seen.tenant)];
    let load = Box::pin(async {
        let found = find_publisher(blog, scope, slug).await?;
        let is_same = found.tenant == seen.tenant;
        let found = is_same.then_some(found).ok_or(BlogError::OrganisationNotFound)?;
        Ok::<_, Failure>(Bytes::from(encode(&found)?))
    });
    // The load may be another caller's and end with its deadline; what was seen is good for now.
    let filled = blog.cache.fill(&key, ORGANISATION_TTL, &tags, load).await;
    let found = filled.ok().and_then(|entry| serde_json::from_slice(&entry).ok());
    Ok(found.unwrap_or(seen))
}

async fn find_publisher(blog: &Blog, scope: &Scope, slug: &str) -> Result<Publisher, Failure> {
    let organisation = blog
        .identity
        .ask(scope, FindOrganisationBySlug { slug: slug.to_owned() })
        .await?
        .filter(troupe_identity_messages::Organisation::is_active)
        .ok_or(BlogError::OrganisationNotFound)?;
    Ok(Publisher { tenant: organisation.id, slug: organisation.slug, name: organisation.name })
}

async fn read_post(blog: &Blog, scope: &Scope, query: &ReadPublicPost) -> Result<Served, Failure> {
    let publisher = publisher(blog, scope, &query.organisation).await?;
    if !slug::is_slug(&query.slug) {
        return Err(BlogError::PostNotFound.into());
    }
    let tenant = publisher.tenant;
    let key = caching::key(tenant, "read", &[&query.slug]);
    let wanted = Wanted { tenant, key: &key, known: query.known.as_deref() };
    if let Some(served) = caching::kept(blog, wanted).await {
        return Ok(served);
    }
    let seen = seen_for_tag(blog, scope, tenant, &query.slug).await?;
    let tags = seen.iter().map(|id| caching::post_tag(tenant, id.to())).collect();
    caching::fill(blog, wanted, tags, async {
        let found = find_post(blog, scope, tenant, &query.slug).await?;
        let is_same = seen == Some(found.id);
        let mut made = if found.slug == found.found_by {
            make_post(blog, scope, found).await?
        } else {
            let location = format!("/v1/public/{}/posts/{}", publisher.slug, found.slug);
            Made { content_type: caching::MOVED, body: location.into_bytes(), keep: true }
        };
        made.keep &= is_same;
        Ok(made)
    })
    .await
}

async fn find_post(
    blog: &Blog,
    scope: &Scope,
    tenant: TenantId,
    slug: &str,
) -> Result<PublishedPost, Failure> {
    let found = blog.published.get(scope, (tenant.uuid(), slug.to_owned())).await?;
    Ok(found.ok_or(BlogError::PostNotFound)?)
}

/// Which post an answer is about says under which tag it is kept; what is kept is read after that. None
/// where nothing is kept.
async fn seen_for_tag(
    blog: &Blog,
    scope: &Scope,
    tenant: TenantId,
    slug: &str,
) -> Result<Option<DbUuid>, Failure> {
    if !caching::keeps(blog) {
        return Ok(None);
    }
    Ok(Some(find_post(blog, scope, tenant, slug).await?.id))
}

async fn make_post(blog: &Blog, scope: &Scope, found: PublishedPost) -> Result<Made, Failure> {
    let names = names(blog, scope, [found.author.to()].into()).await;
    let id = found.id.to();
    let post = PublicPost {
        id,
        author: name_of(names.as_ref(), found.author.to()),
        slug: found.slug,
        title: found.title,
        summary: found.summary,
        html: found.html,
        tags: found.tags.0,
        comments_enabled: found.comments_enabled,
        published_at: found.published_at.unwrap_or(found.updated_at).into(),
        updated_at: found.updated_at.into(),
    };
    Ok(Made { content_type: JSON, body: encode(&post)?, keep: names.is_some() })
}

async fn list_posts(
    blog: &Blog,
    scope: &Scope,
    query: &ListPublicPosts,
) -> Result<Served, Failure> {
    let tenant = publisher(blog, scope, &query.organisation).await?.tenant;
    let tag = query.tag.as_deref().map(tags::normalise_one);
    let after: Option<(Timestamp, crate::messages::PostId)> = query.page.position()?;
    let limit = query.page.limit.to_string();
    let cursor = query.page.cursor.as_ref().map_or("", |cursor| cursor.as_str());
    let key = caching::key(tenant, "list", &[tag.as_deref().unwrap_or(""), cursor, &limit]);
    let wanted = Wanted { tenant, key: &key, known: query.known.as_deref() };
    caching::serve(blog, wanted, vec![caching::lists_tag(tenant)], async {
        let rows = query.page.rows();
        let after = after.map(|(time, id)| (DbTimestamp(time), DbUuid::of(id)));
        let found = blog
            .db
            .read_stale(async move |conn: &mut DbConn| {
                Ok(public::page(conn, tenant, tag.as_deref(), after, rows).await?)
            })
            .await?;
        let page = Page::from_rows(found, &query.page, |row| (row.published_at, row.id));
        let authors = page.items.iter().map(|row| row.author_id.to()).collect();
        let names = names(blog, scope, authors).await;
        let page = page.map(|row| summary(row, names.as_ref()));
        Ok(Made { content_type: JSON, body: encode(&page)?, keep: names.is_some() })
    })
    .await
}

fn summary(row: PostRow, names: Option<&HashMap<UserId, String>>) -> PublicSummary {
    PublicSummary {
        id: row.id.to(),
        author: name_of(names, row.author_id.to()),
        published_at: row.published_at.unwrap_or(row.updated_at).into(),
        updated_at: row.updated_at.into(),
        slug: row.slug,
        title: row.title,
        summary: row.summary,
        tags: row.tags.0,
    }
}

async fn list_tags(blog: &Blog, scope: &Scope, query: &ListPublicTags) -> Result<Served, Failure> {
    let tenant = publisher(blog, scope, &query.organisation).await?.tenant;
    let limit = query.page.limit.to_string();
    let cursor = query.page.cursor.as_ref().map_or("", |cursor| cursor.as_str());
    let key = caching::key(tenant, "tags", &[cursor, &limit]);
    let wanted = Wanted { tenant, key: &key, known: query.known.as_deref() };
    caching::serve(blog, wanted, vec![caching::lists_tag(tenant)], async {
        let page = tags_page(blog, tenant, Viewer::Public, &query.page).await?;
        listed(encode(&page)?, JSON)
    })
    .await
}

async fn search(blog: &Blog, scope: &Scope, query: &SearchPublic) -> Result<Served, Failure> {
    let tenant = publisher(blog, scope, &query.organisation).await?.tenant;
    let limit = query.page.limit.to_string();
    let cursor = query.page.cursor.as_ref().map_or("", |cursor| cursor.as_str());
    let key = caching::key(tenant, "search", &[&query.query, cursor, &limit]);
    let wanted = Wanted { tenant, key: &key, known: query.known.as_deref() };
    caching::serve(blog, wanted, vec![caching::lists_tag(tenant)], async {
        let page = search_page(blog, tenant, Viewer::Public, &query.query, &query.page).await?;
        listed(encode(&page)?, JSON)
    })
    .await
}

async fn read_feed(blog: &Blog, scope: &Scope, query: &ReadFeed) -> Result<Served, Failure> {
    let publisher = publisher(blog, scope, &query.organisation).await?;
    let tenant = publisher.tenant;
    let format = query.format;
    let key = caching::key(tenant, "feed", &[format.file()]);
    let wanted = Wanted { tenant, key: &key, known: query.known.as_deref() };
    caching::serve(blog, wanted, vec![caching::lists_tag(tenant)], async {
        let body = match format {
            FeedFormat::Sitemap => sitemap(blog, &publisher).await?,
            FeedFormat::Atom | FeedFormat::Rss => posts_feed(blog, &publisher, format).await?,
        };
        listed(body, format.media_type())
    })
    .await
}

async fn posts_feed(
    blog: &Blog,
    publisher: &Publisher,
    format: FeedFormat,
) -> Result<Vec<u8>, Failure> {
    let (tenant, rows) = (publisher.tenant, i64::from(blog.config.feed_items));
    let found = blog
        .db
        .read_stale(async move |conn: &mut DbConn| Ok(public::newest(conn, tenant, rows).await?))
        .await?;
    let channel = Channel {
        title: publisher.name.clone(),
        link: blog.config.home_link(&publisher.slug),
        self_link: blog.config.feed_link(&publisher.slug, format.file()),
        tenant: tenant.uuid(),
    };
    let entries: Vec<Entry> = found
        .into_iter()
        .map(|(row, html)| Entry {
            id: row.id.into(),
            link: blog.config.post_link(&publisher.slug, &row.slug),
            published_at: row.published_at.unwrap_or(row.updated_at).into(),
            updated_at: row.updated_at.into(),
            title: row.title,
            summary: row.summary,
            html,
            tags: row.tags.0,
        })
        .collect();
    Ok(match format {
        FeedFormat::Rss => feed::rss(&channel, &entries),
        FeedFormat::Atom | FeedFormat::Sitemap => feed::atom(&channel, &entries),
    })
}

async fn sitemap(blog: &Blog, publisher: &Publisher) -> Result<Vec<u8>, Failure> {
    let tenant = publisher.tenant;
    let found = blog
        .db
        .read_stale(async move |conn: &mut DbConn| {
            Ok(posts::addresses(conn, tenant, SITEMAP_MAX).await?)
        })
        .await?;
    let links: Vec<(String, Timestamp)> = found
        .into_iter()
        .map(|(slug, changed)| (blog.config.post_link(&publisher.slug, &slug), changed.into()))
        .collect();
    Ok(feed::sitemap(links.iter().map(|(link, changed)| (link.as_str(), *changed))))
}

async fn list_comments(
    blog: &Blog,
    scope: &Scope,
    query: &ListPublicComments,
) -> Result<Served, Failure> {
    let tenant = publisher(blog, scope, &query.organisation).await?.tenant;
    let after: Option<CommentId> = query.page.position()?;
    let limit = query.page.limit.to_string();
    let cursor = query.page.cursor.as_ref().map_or("", |cursor| cursor.as_str());
    let key = caching::key(tenant, "comments", &[&query.slug, cursor, &limit]);
    let wanted = Wanted { tenant, key: &key, known: query.known.as_deref() };
    if let Some(served) = caching::kept(blog, wanted).await {
        return Ok(served);
    }
    let seen = seen_for_tag(blog, scope, tenant, &query.slug).await?;
    let tags = seen.iter().map(|id| caching::post_tag(tenant, id.to())).collect();
    caching::fill(blog, wanted, tags, async {
        let (slug, rows) = (query.slug.clone(), query.page.rows());
        let (post, found) = blog
            .db
            .read_stale(async move |conn: &mut DbConn| {
                let post = public::find(conn, tenant, &slug).await?;
                let post = post.ok_or(BlogError::PostNotFound)?;
                let found = comments::approved(conn, post.id.to(), after, rows).await?;
                Ok((post, found))
            })
            .await?;
        let page = Page::from_rows(found, &query.page, |comment| comment.id);
        Ok(Made { content_type: JSON, body: encode(&page)?, keep: seen == Some(post.id) })
    })
    .await
}

fn listed(body: Vec<u8>, content_type: &'static str) -> Result<Made, Failure> {
    Ok(Made { content_type, body, keep: true })
}

/// The names of authors; none when identity does not answer, and then the answer is not kept.
async fn names(
    blog: &Blog,
    scope: &Scope,
    mut ids: Vec<UserId>,
) -> Option<HashMap<UserId, String>> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Some(HashMap::new());
    }
    match blog.identity.ask(scope, ListUserNames { ids }).await {
        Ok(names) => Some(names.into_iter().map(|user| (user.id, user.display_name)).collect()),
        Err(failure) => {
            tracing::warn!(%failure, "the names of authors are left out");
            None
        }
    }
}

fn name_of(names: Option<&HashMap<UserId, String>>, id: UserId) -> String {
    names.and_then(|names| names.get(&id)).cloned().unwrap_or_default()
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| {
        Failure::internal("blog.answer.encode", format!("an answer has no JSON form: {error}"))
    })
}
