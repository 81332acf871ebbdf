//! In which tenant a message acts, and what the authorizer says about a thing in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use troupe_actors::Scope;
use troupe_kernel::{Failure, Principal, Question, Resource, TenantId};
use uuid::Uuid;

use super::Blog;
use crate::error::BlogError;
use crate::permissions::{
    COMMENT_READ, POST_READ, RESOURCE_COMMENT, RESOURCE_MEDIA, RESOURCE_POST,
};
use crate::repository::Viewer;
use crate::repository::comments::CommentRow;
use crate::repository::media::MediaRow;
use crate::repository::posts::PostRow;

/// Who acts.
pub(super) fn principal(scope: &Scope) -> Result<&Arc<Principal>, BlogError> {
    scope.principal().ok_or(BlogError::NoPrincipal)
}

/// The tenant that the message acts in.
pub(super) fn tenant(scope: &Scope) -> Result<TenantId, BlogError> {
    principal(scope)?.tenant.map(TenantId).ok_or(BlogError::NoTenant)
}

/// A post in a question.
pub(super) fn of_post(row: &PostRow) -> Resource {
    Resource {
        kind: RESOURCE_POST.to_owned(),
        id: row.id.0.to_string(),
        tenant: Some(row.tenant_id.0),
        owner: Some(row.author_id.0),
        attributes: BTreeMap::from([("status".to_owned(), json!(row.status))]),
    }
}

/// A comment in a question.
pub(super) fn of_comment(row: &CommentRow, post_author: Uuid) -> Resource {
    Resource {
        kind: RESOURCE_COMMENT.to_owned(),
        id: row.id.0.to_string(),
        tenant: Some(row.tenant_id.0),
        owner: row.author_id.map(Uuid::from),
        attributes: BTreeMap::from([
            ("status".to_owned(), json!(row.status)),
            ("post_author".to_owned(), json!(post_author)),
        ]),
    }
}

/// An upload in a question.
pub(super) fn of_media(row: &MediaRow) -> Resource {
    Resource {
        kind: RESOURCE_MEDIA.to_owned(),
        id: row.id.0.to_string(),
        tenant: Some(row.tenant_id.0),
        owner: Some(row.uploader_id.0),
        attributes: BTreeMap::new(),
    }
}

/// Refuses unless the authorizer allows it.
pub(super) async fn require(
    blog: &Blog,
    scope: &Scope,
    action: &str,
    resource: Resource,
) -> Result<(), Failure> {
    match ask(blog, scope, action, resource).await? {
        None => Ok(()),
        Some(reason) => Err(BlogError::Denied(reason).into()),
    }
}

/// Whose posts the caller may see: asked once, about a draft that belongs to nobody.
pub(super) async fn viewer_of_posts(
    blog: &Blog,
    scope: &Scope,
    tenant: TenantId,
) -> Result<Viewer, Failure> {
    let draft = Resource {
        kind: RESOURCE_POST.to_owned(),
        tenant: Some(tenant.uuid()),
        attributes: BTreeMap::from([("status".to_owned(), json!("draft"))]),
        ..Resource::default()
    };
    viewer(blog, scope, POST_READ, draft).await
}

/// Whose comments the caller may see: asked once, about a comment that belongs to nobody.
pub(super) async fn viewer_of_comments(
    blog: &Blog,
    scope: &Scope,
    tenant: TenantId,
) -> Result<Viewer, Failure> {
    let comment = Resource {
        kind: RESOURCE_COMMENT.to_owned(),
        tenant: Some(tenant.uuid()),
        attributes: BTreeMap::from([
            ("status".to_owned(), json!("pending")),
            ("post_author".to_owned(), serde_json::Value::Null),
        ]),
        ..Resource::default()
    };
    viewer(blog, scope, COMMENT_READ, comment).await
}

async fn viewer(
    blog: &Blog,
    scope: &Scope,
    action: &str,
    resource: Resource,
) -> Result<Viewer, Failure> {
    let me = principal(scope)?.subject;
    Ok(match ask(blog, scope, action, resource).await? {
        None => Viewer::Manager,
        Some(_) => Viewer::Member(me),
    })
}

/// Why not; none when it is allowed.
pub(super) async fn ask(
    blog: &Blog,
    scope: &Scope,
    action: &str,
    resource: Resource,
) -> Result<Option<String>, Failure> {
    let question = Question {
        principal: principal(scope)?.as_ref().clone(),
        action: action.to_owned(),
        resource,
    };
    let decision = blog.authorizer.decide(question, scope).await?;
    Ok((!decision.allowed).then_some(decision.reason))
}
