//! What the blog lets whom do: permissions, the roles that hold them, and the rules about resources.
//!
//! The gate checks the permission of a route. Where a rule of [`policies`] is about the action, the
//! service asks the authorizer with the post, comment or upload at hand: an author acts on what is
//! their own, whoever holds [`POST_MANAGE`] on everything.

use troupe_authz_messages::{ROLE_AUTHOR, ROLE_EDITOR, ROLE_READER};
use troupe_kernel::{PermissionDef, PolicyDef, PolicyEffect, RoleDef};

/// Read posts, revisions and tags.
pub const POST_READ: &str = "blog.post.read";
/// Write new posts.
pub const POST_CREATE: &str = "blog.post.create";
/// Change posts and restore revisions.
pub const POST_UPDATE: &str = "blog.post.update";
/// Publish, schedule and unpublish posts.
pub const POST_PUBLISH: &str = "blog.post.publish";
/// Delete posts.
pub const POST_DELETE: &str = "blog.post.delete";
/// Do with the posts, comments and uploads of others what one may do with one's own.
pub const POST_MANAGE: &str = "blog.post.manage";
/// Import documents.
pub const POST_IMPORT: &str = "blog.post.import";
/// Export all posts as documents.
pub const POST_EXPORT: &str = "blog.post.export";
/// See comments, also those that wait.
pub const COMMENT_READ: &str = "blog.comment.read";
/// Comment as a member.
pub const COMMENT_CREATE: &str = "blog.comment.create";
/// Approve and reject comments.
pub const COMMENT_MODERATE: &str = "blog.comment.moderate";
/// Delete comments.
pub const COMMENT_DELETE: &str = "blog.comment.delete";
/// See the list of uploads.
pub const MEDIA_READ: &str = "blog.media.read";
/// Upload.
pub const MEDIA_CREATE: &str = "blog.media.create";
/// Delete uploads.
pub const MEDIA_DELETE: &str = "blog.media.delete";

/// The resource kind of a post.
pub const RESOURCE_POST: &str = "blog.post";
/// The resource kind of a comment; its attribute `post_author` is the author of the post.
pub const RESOURCE_COMMENT: &str = "blog.comment";
/// The resource kind of an upload.
pub const RESOURCE_MEDIA: &str = "blog.media";

/// The permissions.
#[must_use]
pub fn permissions() -> Vec<PermissionDef> {
    [
        (POST_READ, "Read posts, revisions and tags"),
        (POST_CREATE, "Write new posts"),
        (POST_UPDATE, "Change posts and restore revisions"),
        (POST_PUBLISH, "Publish, schedule and unpublish posts"),
        (POST_DELETE, "Delete posts"),
        (POST_MANAGE, "Act on the posts, comments and uploads of others"),
        (POST_IMPORT, "Import documents"),
        (POST_EXPORT, "Export all posts as documents"),
        (COMMENT_READ, "See comments, also those that wait"),
        (COMMENT_CREATE, "Comment as a member"),
        (COMMENT_MODERATE, "Approve and reject comments"),
        (COMMENT_DELETE, "Delete comments"),
        (MEDIA_READ, "See the list of uploads"),
        (MEDIA_CREATE, "Upload images and documents"),
        (MEDIA_DELETE, "Delete uploads"),
    ]
    .map(|(key, description)| PermissionDef { key, description })
    .to_vec()
}

/// What the built-in roles hold of them; each role holds what the one below holds, and admins and
/// owners hold what editors do.
#[must_use]
pub fn roles() -> Vec<RoleDef> {
    vec![
        RoleDef {
            key: ROLE_READER,
            title: "Reader",
            permissions: vec![POST_READ, COMMENT_READ, COMMENT_CREATE, COMMENT_DELETE, MEDIA_READ],
        },
        RoleDef {
            key: ROLE_AUTHOR,
            title: "Author",
            permissions: vec![
                POST_CREATE,
                POST_UPDATE,
                POST_PUBLISH,
                POST_DELETE,
                COMMENT_MODERATE,
                MEDIA_CREATE,
                MEDIA_DELETE,
            ],
        },
        RoleDef {
            key: ROLE_EDITOR,
            title: "Editor",
            permissions: vec![POST_MANAGE, POST_IMPORT, POST_EXPORT],
        },
    ]
}

const OWN_OR_MANAGE: &str = "resource.owner == principal.id || permitted('blog.post.manage')";

/// The rules about resources.
#[must_use]
pub fn policies() -> Vec<PolicyDef> {
    let permit = |id, action, condition, description| PolicyDef {
        id,
        action,
        effect: PolicyEffect::Permit,
        condition,
        description,
    };
    vec![
        permit(
            "blog.published_or_own",
            POST_READ,
            "resource.attributes.status == 'published' || resource.owner == principal.id || permitted('blog.post.manage')",
            "members read what is published, authors their own drafts, editors all",
        ),
        permit(
            "blog.update_own",
            POST_UPDATE,
            OWN_OR_MANAGE,
            "authors change their own posts, editors all",
        ),
        permit(
            "blog.publish_own",
            POST_PUBLISH,
            OWN_OR_MANAGE,
            "authors publish their own posts, editors all",
        ),
        permit(
            "blog.delete_own",
            POST_DELETE,
            OWN_OR_MANAGE,
            "authors delete their own posts, editors all",
        ),
        permit(
            "blog.comments_of_own_posts",
            COMMENT_READ,
            "resource.owner == principal.id || resource.attributes.post_author == principal.id || permitted('blog.post.manage')",
            "members see their own comments, authors those on their posts, editors all",
        ),
        permit(
            "blog.moderate_own_posts",
            COMMENT_MODERATE,
            "resource.attributes.post_author == principal.id || permitted('blog.post.manage')",
            "authors moderate the comments on their own posts, editors all",
        ),
        permit(
            "blog.delete_own_comments",
            COMMENT_DELETE,
            "resource.owner == principal.id || resource.attributes.post_author == principal.id || permitted('blog.post.manage')",
            "members delete their own comments, authors those on their posts, editors all",
        ),
        permit(
            "blog.delete_own_media",
            MEDIA_DELETE,
            OWN_OR_MANAGE,
            "authors delete their own uploads, editors all",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn roles_and_policies_name_registered_permissions_only() {
        let known: BTreeSet<_> = permissions().into_iter().map(|each| each.key).collect();
        for role in roles() {
            assert!(role.permissions.iter().all(|key| known.contains(key)), "{role:?}");
        }
        for policy in policies() {
            assert!(known.contains(policy.action), "{policy:?}");
        }
    }

    #[test]
    fn every_permission_is_in_exactly_one_rung_of_the_ladder() {
        let held: Vec<_> = roles().into_iter().flat_map(|role| role.permissions).collect();
        assert_eq!(held.len(), permissions().len());
        assert_eq!(held.iter().collect::<BTreeSet<_>>().len(), held.len());
    }
}
