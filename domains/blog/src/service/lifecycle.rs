//! From draft to published and back, now or at a time.
//!
//! A schedule is a state of the post and a job in the same transaction. The job names the time it
//! was made for: when the post was scheduled anew, taken back or deleted meanwhile, the job finds
//! another time and does nothing.

use std::time::Duration;

use troupe_actors::Scope;
use troupe_database::{DbTimestamp, UnitOfWork};
use troupe_kernel::{Failure, Job, TenantId, Timestamp};

use super::posts::permit;
use super::{Blog, access, caching, save};
use crate::content::status::PostStatus;
use crate::error::BlogError;
use crate::events;
use crate::messages::{
    Post, PostId, PublishDue, PublishPost, SchedulePost, UnpublishPost, UnschedulePost,
};
use crate::permissions::POST_PUBLISH;
use crate::repository::posts::PostRow;

/// The kind of the job that publishes a post.
pub(crate) const PUBLISH_JOB: &str = "blog.publish";
/// A post may be scheduled this far ahead.
const AHEAD_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);
/// A missed publication is tried for about a day.
const ATTEMPTS_MAX: u16 = 25;

pub(super) async fn publish(
    blog: &Blog,
    scope: &Scope,
    command: &PublishPost,
) -> Result<Post, Failure> {
    let tenant = access::tenant(scope)?;
    permit(blog, scope, POST_PUBLISH, command.id).await?;
    let command = command.clone();
    let id = command.id;
    let post = blog
        .db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let before = save::locked_row(uow, tenant, id, command.version).await?;
            if before.is_published() && command.published_at.is_none() {
                return Err(BlogError::AlreadyPublished.into());
            }
            if command.published_at.is_some_and(|date| date > uow.now()) {
                return Err(BlogError::PublishedAt.into());
            }
            let mut after = before.clone();
            set_published(&mut after, command.published_at, uow.now());
            save::advance(uow, &before, &mut after).await?;
            save::record(uow, events::POST_PUBLISHED, "blog.post.publish", &after);
            Ok(after.to_post(None))
        })
        .await?;
    caching::forget_post(blog, tenant, id).await;
    Ok(post)
}

pub(super) async fn unpublish(
    blog: &Blog,
    scope: &Scope,
    command: &UnpublishPost,
) -> Result<Post, Failure> {
    let tenant = access::tenant(scope)?;
    permit(blog, scope, POST_PUBLISH, command.id).await?;
    let (id, version) = (command.id, command.version);
    let post = blog
        .db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let before = save::locked_row(uow, tenant, id, version).await?;
            let mut after = before.clone();
            let kind = match before.status() {
                PostStatus::Published => events::POST_UNPUBLISHED,
                PostStatus::Scheduled => events::POST_UNSCHEDULED,
                PostStatus::Draft => return Err(BlogError::AlreadyDraft.into()),
            };
            set_draft(&mut after);
            save::advance(uow, &before, &mut after).await?;
            save::record(uow, kind, "blog.post.unpublish", &after);
            Ok(after.to_post(None))
        })
        .await?;
    caching::forget_post(blog, tenant, id).await;
    Ok(post)
}

pub(super) async fn schedule(
    blog: &Blog,
    scope: &Scope,
    command: &SchedulePost,
) -> Result<Post, Failure> {
    let tenant = access::tenant(scope)?;
    permit(blog, scope, POST_PUBLISH, command.id).await?;
    let command = command.clone();
    blog.db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let before = save::locked_row(uow, tenant, command.id, command.version).await?;
            if before.is_published() {
                return Err(BlogError::AlreadyPublished.into());
            }
            let mut after = before.clone();
            set_scheduled(uow, &mut after, command.publish_at)?;
            save::advance(uow, &before, &mut after).await?;
            save::record(uow, events::POST_SCHEDULED, "blog.post.schedule", &after);
            Ok(after.to_post(None))
        })
        .await
}

pub(super) async fn unschedule(
    blog: &Blog,
    scope: &Scope,
    command: &UnschedulePost,
) -> Result<Post, Failure> {
    let tenant = access::tenant(scope)?;
    permit(blog, scope, POST_PUBLISH, command.id).await?;
    let (id, version) = (command.id, command.version);
    blog.db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let before = save::locked_row(uow, tenant, id, version).await?;
            if before.status() != PostStatus::Scheduled {
                return Err(BlogError::NotScheduled.into());
            }
            let mut after = before.clone();
            set_draft(&mut after);
            save::advance(uow, &before, &mut after).await?;
            save::record(uow, events::POST_UNSCHEDULED, "blog.post.unschedule", &after);
            Ok(after.to_post(None))
        })
        .await
}

/// Does the job: publishes the post if it is still scheduled for the time of the job.
pub(super) async fn publish_due(
    blog: &Blog,
    scope: &Scope,
    due: &PublishDue,
) -> Result<(), Failure> {
    let due = due.clone();
    let (tenant, id) = (due.tenant, due.post);
    let published = blog
        .db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let row = crate::repository::posts::lock(uow.conn(), due.tenant, due.post).await?;
            let Some(before) = row.filter(|row| is_due(row, &due)) else { return Ok(false) };
            if uow.now() < due.publish_at {
                return Err(Failure::unavailable(
                    "blog.publish.early",
                    "the time of this post has not come; the job is tried again",
                ));
            }
            let mut after = before.clone();
            set_published(&mut after, Some(due.publish_at), uow.now());
            save::advance(uow, &before, &mut after).await?;
            save::record(uow, events::POST_PUBLISHED, "blog.post.publish", &after);
            Ok(true)
        })
        .await?;
    if published {
        caching::forget_post(blog, tenant, id).await;
    }
    Ok(())
}

fn is_due(row: &PostRow, due: &PublishDue) -> bool {
    row.status() == PostStatus::Scheduled
        && row.publish_at.map(Timestamp::from) == Some(due.publish_at)
}

/// Makes the row a public one that shows `date`, or the date it had, or the time now.
pub(super) fn set_published(row: &mut PostRow, date: Option<Timestamp>, now: Timestamp) {
    row.status = PostStatus::Published.as_str().to_owned();
    row.publish_at = None;
    row.published_at = date.map(DbTimestamp).or(row.published_at).or(Some(DbTimestamp(now)));
}

/// Makes the row a draft; the date it showed stays.
pub(super) fn set_draft(row: &mut PostRow) {
    row.status = PostStatus::Draft.as_str().to_owned();
    row.publish_at = None;
}

/// Makes the row a scheduled one and adds its job.
pub(super) fn set_scheduled(
    uow: &mut UnitOfWork,
    row: &mut PostRow,
    publish_at: Timestamp,
) -> Result<(), BlogError> {
    let now = uow.now();
    if publish_at <= now || publish_at > now.plus(AHEAD_MAX) {
        return Err(BlogError::PublishAt);
    }
    row.status = PostStatus::Scheduled.as_str().to_owned();
    row.publish_at = Some(DbTimestamp(publish_at));
    uow.job(publish_job(row.tenant_id.to(), row.id.to(), publish_at));
    Ok(())
}

fn publish_job(tenant: TenantId, post: PostId, publish_at: Timestamp) -> Job {
    Job::new(PUBLISH_JOB, &PublishDue { tenant, post, publish_at })
        .delay_until(publish_at)
        .key(post.to_string())
        .attempts_max(ATTEMPTS_MAX)
        .unique(format!("{PUBLISH_JOB}:{post}:{}", publish_at.as_micros()))
}
