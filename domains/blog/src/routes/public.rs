//! What everybody may read, below `/v1/public/{organisation}`.

use serde::Deserialize;
use troupe_actors::ServiceRef;
use troupe_kernel::{HttpResponse, Page, Route};
use utoipa::ToSchema;

use super::{known, served};
use crate::messages::{
    FeedFormat, ListPublicComments, ListPublicPosts, ListPublicTags, PublicComment, PublicMessage,
    PublicPost, PublicSummary, ReadFeed, ReadPublicPost, SearchHit, SearchPublic, SearchQuery,
    Served, TagCount,
};

/// Which posts are listed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct TagFilter {
    /// Only posts with this tag.
    tag: Option<String>,
}

pub(super) fn routes(public: &ServiceRef<PublicMessage>) -> Vec<Route> {
    let mut routes = posts(public);
    routes.extend(finds(public));
    for (format, summary) in [
        (FeedFormat::Atom, "The newest posts as an Atom feed"),
        (FeedFormat::Rss, "The newest posts as an RSS feed"),
        (FeedFormat::Sitemap, "The addresses of published posts"),
    ] {
        routes.push(feed(public, format, summary));
    }
    routes
}

fn posts(public: &ServiceRef<PublicMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/public/{organisation}/posts")
            .public()
            .summary("List published posts, newest first")
            .tag("public")
            .query::<TagFilter>()
            .paginated()
            .returns::<Page<PublicSummary>>(200)
            .ask(
                public,
                |request| {
                    Ok(ListPublicPosts {
                        organisation: request.parameter("organisation")?,
                        tag: request.query::<TagFilter>()?.tag,
                        page: request.page()?,
                        known: known(request),
                    })
                },
                answer,
            ),
        Route::get("/v1/public/{organisation}/posts/{slug}")
            .public()
            .summary("Read a published post")
            .description("An older slug answers 301 with the address of the current one.")
            .tag("public")
            .returns::<PublicPost>(200)
            .returns_nothing(301)
            .returns_nothing(304)
            .ask(
                public,
                |request| {
                    Ok(ReadPublicPost {
                        organisation: request.parameter("organisation")?,
                        slug: request.parameter("slug")?,
                        known: known(request),
                    })
                },
                answer,
            ),
        Route::get("/v1/public/{organisation}/posts/{slug}/comments")
            .public()
            .summary("List approved comments, oldest first")
            .tag("public")
            .paginated()
            .returns::<Page<PublicComment>>(200)
            .ask(
                public,
                |request| {
                    Ok(ListPublicComments {
                        organisation: request.parameter("organisation")?,
                        slug: request.parameter("slug")?,
                        page: request.page()?,
                        known: known(request),
                    })
                },
                answer,
            ),
    ]
}

fn finds(public: &ServiceRef<PublicMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/public/{organisation}/tags")
            .public()
            .summary("List tags of published posts")
            .tag("public")
            .paginated()
            .returns::<Page<TagCount>>(200)
            .ask(
                public,
                |request| {
                    Ok(ListPublicTags {
                        organisation: request.parameter("organisation")?,
                        page: request.page()?,
                        known: known(request),
                    })
                },
                answer,
            ),
        Route::get("/v1/public/{organisation}/search")
            .public()
            .summary("Search published posts")
            .tag("public")
            .query::<SearchQuery>()
            .paginated()
            .returns::<Page<SearchHit>>(200)
            .ask(
                public,
                |request| {
                    Ok(SearchPublic {
                        organisation: request.parameter("organisation")?,
                        query: request.query::<SearchQuery>()?.q,
                        page: request.page()?,
                        known: known(request),
                    })
                },
                answer,
            ),
    ]
}

fn feed(public: &ServiceRef<PublicMessage>, format: FeedFormat, summary: &str) -> Route {
    Route::get(format!("/v1/public/{{organisation}}/{}", format.file()))
        .public()
        .summary(summary)
        .tag("public")
        .returns_media(200, format.media_type())
        .ask(
            public,
            move |request| {
                Ok(ReadFeed {
                    organisation: request.parameter("organisation")?,
                    format,
                    known: known(request),
                })
            },
            answer,
        )
}

fn answer(reply: Served) -> Result<HttpResponse, troupe_kernel::Failure> {
    Ok(served(reply))
}
