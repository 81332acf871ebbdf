//! Comments: guests submit, members comment, moderators decide.

use troupe_actors::{Priority, ServiceRef};
use troupe_kernel::{HttpResponse, Page, Route};

use super::SMALL_JSON_BYTES_MAX;
use crate::messages::{
    Comment, CommentFilter, CommentMessage, CommentReceipt, CreateComment, DeleteComment,
    ListComments, MemberComment, ModerateComment, Moderation, NewComment, SubmitComment,
};
use crate::permissions::{COMMENT_CREATE, COMMENT_DELETE, COMMENT_MODERATE, COMMENT_READ};

pub(super) fn routes(comments: &ServiceRef<CommentMessage>) -> Vec<Route> {
    let mut routes = writes(comments);
    routes.extend(decisions(comments));
    routes
}

fn writes(comments: &ServiceRef<CommentMessage>) -> Vec<Route> {
    vec![
        Route::post("/v1/public/{organisation}/posts/{slug}/comments")
            .public()
            .summary("Comment on a published post")
            .description("A moderator reads the comment before it is shown.")
            .tag("public")
            .priority(Priority::Low)
            .body::<NewComment>()
            .body_limit(SMALL_JSON_BYTES_MAX)
            .returns::<CommentReceipt>(202)
            .ask(
                comments,
                |request| {
                    Ok(SubmitComment {
                        organisation: request.parameter("organisation")?,
                        slug: request.parameter("slug")?,
                        comment: request.json()?,
                        address: request.peer.to_string(),
                    })
                },
                |receipt| Ok(HttpResponse::json(troupe_kernel::StatusCode::ACCEPTED, &receipt)),
            ),
        Route::post("/v1/blog/posts/{id}/comments")
            .permission(COMMENT_CREATE)
            .summary("Comment on a post as a member")
            .tag("blog")
            .body::<MemberComment>()
            .body_limit(SMALL_JSON_BYTES_MAX)
            .returns::<Comment>(201)
            .ask(
                comments,
                |request| {
                    Ok(CreateComment { post: request.parameter("id")?, comment: request.json()? })
                },
                |comment: Comment| {
                    let location = format!("/v1/blog/comments/{}", comment.id);
                    Ok(HttpResponse::created(location, &comment))
                },
            ),
    ]
}

fn decisions(comments: &ServiceRef<CommentMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/blog/comments")
            .permission(COMMENT_READ)
            .summary("List comments, newest first")
            .description(
                "Members see their own comments, authors those on their posts, editors all.",
            )
            .tag("blog")
            .query::<CommentFilter>()
            .paginated()
            .returns::<Page<Comment>>(200)
            .ask(
                comments,
                |request| Ok(ListComments { filter: request.query()?, page: request.page()? }),
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::patch("/v1/blog/comments/{id}")
            .permission(COMMENT_MODERATE)
            .summary("Approve or reject a comment, or mark it as spam")
            .tag("blog")
            .body::<Moderation>()
            .body_limit(SMALL_JSON_BYTES_MAX)
            .returns::<Comment>(200)
            .ask(
                comments,
                |request| {
                    Ok(ModerateComment {
                        id: request.parameter("id")?,
                        moderation: request.json()?,
                    })
                },
                |comment| Ok(HttpResponse::ok(&comment)),
            ),
        Route::delete("/v1/blog/comments/{id}")
            .permission(COMMENT_DELETE)
            .summary("Delete a comment")
            .tag("blog")
            .returns_nothing(204)
            .ask(
                comments,
                |request| Ok(DeleteComment { id: request.parameter("id")? }),
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}
