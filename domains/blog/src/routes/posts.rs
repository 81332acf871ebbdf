//! Posts, revisions, tags and search for members.

use troupe_actors::ServiceRef;
use troupe_kernel::{Failure, HttpRequest, HttpResponse, Page, Route};

use super::{DOCUMENT_JSON_BYTES_MAX, SMALL_JSON_BYTES_MAX};
use crate::messages::{
    CreatePost, DeletePost, GetPost, GetRevision, ListPosts, ListRevisions, ListTags, NewPost,
    Post, PostChange, PostFilter, PostMessage, Publication, PublishPost, RestoreRevision, Revision,
    RevisionContent, Schedule, SchedulePost, SearchHit, SearchPosts, SearchQuery, TagCount,
    UnpublishPost, UnschedulePost, UpdatePost,
};
use crate::permissions::{POST_CREATE, POST_DELETE, POST_PUBLISH, POST_READ, POST_UPDATE};

pub(super) fn routes(posts: &ServiceRef<PostMessage>) -> Vec<Route> {
    let mut routes = reads(posts);
    routes.extend(finds(posts));
    routes.extend(writes(posts));
    routes.extend(publication(posts));
    routes.extend(schedule(posts));
    routes.extend(revisions(posts));
    routes
}

fn reads(posts: &ServiceRef<PostMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/blog/posts")
            .permission(POST_READ)
            .summary("List posts, newest first")
            .description("Members see what is published and their own drafts, editors all posts.")
            .tag("blog")
            .query::<PostFilter>()
            .paginated()
            .returns::<Page<Post>>(200)
            .ask(
                posts,
                |request| Ok(ListPosts { filter: request.query()?, page: request.page()? }),
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::get("/v1/blog/posts/{id}")
            .permission(POST_READ)
            .summary("Read a post with its content")
            .tag("blog")
            .returns::<Post>(200)
            .ask(posts, |request| Ok(GetPost { id: request.parameter("id")? }), one),
    ]
}

fn writes(posts: &ServiceRef<PostMessage>) -> Vec<Route> {
    vec![
        Route::post("/v1/blog/posts")
            .permission(POST_CREATE)
            .summary("Write a new draft")
            .tag("blog")
            .body::<NewPost>()
            .body_limit(DOCUMENT_JSON_BYTES_MAX)
            .returns::<Post>(201)
            .ask(
                posts,
                |request| Ok(CreatePost { post: request.json()? }),
                |post: Post| {
                    let location = format!("/v1/blog/posts/{}", post.id);
                    Ok(HttpResponse::created(location, &post).etag(post.version))
                },
            ),
        Route::patch("/v1/blog/posts/{id}")
            .permission(POST_UPDATE)
            .summary("Change a post")
            .description("What is absent stays. Each change of the content is kept as a revision.")
            .tag("blog")
            .versioned()
            .body::<PostChange>()
            .body_limit(DOCUMENT_JSON_BYTES_MAX)
            .returns::<Post>(200)
            .ask(
                posts,
                |request| {
                    Ok(UpdatePost {
                        id: request.parameter("id")?,
                        version: request.if_match()?,
                        change: request.json::<PostChange>()?,
                    })
                },
                one,
            ),
        Route::delete("/v1/blog/posts/{id}")
            .permission(POST_DELETE)
            .summary("Delete a post with its comments and revisions")
            .tag("blog")
            .returns_nothing(204)
            .ask(
                posts,
                |request| {
                    Ok(DeletePost {
                        id: request.parameter("id")?,
                        version: request.if_match_optional()?,
                    })
                },
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}

fn finds(posts: &ServiceRef<PostMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/blog/tags")
            .permission(POST_READ)
            .summary("List tags with the number of posts")
            .tag("blog")
            .paginated()
            .returns::<Page<TagCount>>(200)
            .ask(
                posts,
                |request| Ok(ListTags { page: request.page()? }),
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::get("/v1/blog/search")
            .permission(POST_READ)
            .summary("Search posts, drafts included that the caller may read")
            .tag("blog")
            .query::<SearchQuery>()
            .paginated()
            .returns::<Page<SearchHit>>(200)
            .ask(
                posts,
                |request| {
                    let query: SearchQuery = request.query()?;
                    Ok(SearchPosts { query: query.q, page: request.page()? })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
    ]
}

fn publication(posts: &ServiceRef<PostMessage>) -> Vec<Route> {
    vec![
        Route::post("/v1/blog/posts/{id}/publish")
            .permission(POST_PUBLISH)
            .summary("Publish a post now")
            .tag("blog")
            .body::<Publication>()
            .body_limit(SMALL_JSON_BYTES_MAX)
            .returns::<Post>(200)
            .ask(
                posts,
                |request| {
                    let publication: Publication = optional_body(request)?;
                    Ok(PublishPost {
                        id: request.parameter("id")?,
                        version: request.if_match_optional()?,
                        published_at: publication.published_at,
                    })
                },
                one,
            ),
        Route::post("/v1/blog/posts/{id}/unpublish")
            .permission(POST_PUBLISH)
            .summary("Take a post back to draft")
            .tag("blog")
            .returns::<Post>(200)
            .ask(
                posts,
                |request| {
                    Ok(UnpublishPost {
                        id: request.parameter("id")?,
                        version: request.if_match_optional()?,
                    })
                },
                one,
            ),
    ]
}

fn schedule(posts: &ServiceRef<PostMessage>) -> Vec<Route> {
    vec![
        Route::put("/v1/blog/posts/{id}/schedule")
            .permission(POST_PUBLISH)
            .summary("Publish a post at a time")
            .tag("blog")
            .body::<Schedule>()
            .body_limit(SMALL_JSON_BYTES_MAX)
            .returns::<Post>(200)
            .ask(
                posts,
                |request| {
                    Ok(SchedulePost {
                        id: request.parameter("id")?,
                        version: request.if_match_optional()?,
                        publish_at: request.json::<Schedule>()?.publish_at,
                    })
                },
                one,
            ),
        Route::delete("/v1/blog/posts/{id}/schedule")
            .permission(POST_PUBLISH)
            .summary("Take a scheduled post back to draft")
            .tag("blog")
            .returns::<Post>(200)
            .ask(
                posts,
                |request| {
                    Ok(UnschedulePost {
                        id: request.parameter("id")?,
                        version: request.if_match_optional()?,
                    })
                },
                one,
            ),
    ]
}

fn revisions(posts: &ServiceRef<PostMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/blog/posts/{id}/revisions")
            .permission(POST_UPDATE)
            .summary("List the saves of a post, newest first")
            .tag("blog")
            .paginated()
            .returns::<Page<Revision>>(200)
            .ask(
                posts,
                |request| {
                    Ok(ListRevisions { post: request.parameter("id")?, page: request.page()? })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::get("/v1/blog/posts/{id}/revisions/{revision}")
            .permission(POST_UPDATE)
            .summary("Read a save of a post")
            .tag("blog")
            .returns::<RevisionContent>(200)
            .ask(
                posts,
                |request| {
                    Ok(GetRevision {
                        post: request.parameter("id")?,
                        revision: request.parameter("revision")?,
                    })
                },
                |revision| Ok(HttpResponse::ok(&revision)),
            ),
        Route::post("/v1/blog/posts/{id}/revisions/{revision}/restore")
            .permission(POST_UPDATE)
            .summary("Save an old revision as the newest")
            .tag("blog")
            .versioned()
            .returns::<Post>(200)
            .ask(
                posts,
                |request| {
                    Ok(RestoreRevision {
                        post: request.parameter("id")?,
                        revision: request.parameter("revision")?,
                        version: request.if_match()?,
                    })
                },
                one,
            ),
    ]
}

fn one(post: Post) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::ok(&post).etag(post.version))
}

/// A body whose fields all have defaults may be left out.
fn optional_body<T: serde::de::DeserializeOwned + Default>(
    request: &HttpRequest,
) -> Result<T, Failure> {
    if request.body.is_empty() { Ok(T::default()) } else { request.json() }
}
