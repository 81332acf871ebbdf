//! The addresses of the blog: declared here, handled by the services.

mod comments;
mod media;
mod posts;
mod public;
mod transfer;

use troupe_actors::ServiceRef;
use troupe_kernel::{HttpRequest, HttpResponse, Route, StatusCode, header};

use crate::config::BlogConfig;
use crate::messages::{
    CommentMessage, MediaMessage, PostMessage, PublicMessage, Served, TransferMessage,
};

/// The services that the routes ask.
#[derive(Clone)]
pub struct Services {
    /// Posts.
    pub posts: ServiceRef<PostMessage>,
    /// Public reads.
    pub public: ServiceRef<PublicMessage>,
    /// Comments.
    pub comments: ServiceRef<CommentMessage>,
    /// Uploads.
    pub media: ServiceRef<MediaMessage>,
    /// Import and export.
    pub transfer: ServiceRef<TransferMessage>,
}

/// All routes.
#[must_use]
pub fn routes(services: &Services, config: &BlogConfig) -> Vec<Route> {
    let mut routes = posts::routes(&services.posts);
    routes.extend(public::routes(&services.public));
    routes.extend(comments::routes(&services.comments));
    routes.extend(media::routes(&services.media, &config.media));
    routes.extend(transfer::routes(&services.transfer));
    routes
}

/// The longest JSON body that carries a document of 1 MiB: its escapes may double it.
const DOCUMENT_JSON_BYTES_MAX: usize = 3 * 1024 * 1024;
/// The longest JSON body that carries a comment or a small command.
const SMALL_JSON_BYTES_MAX: usize = 64 * 1024;

/// The entity tags that the caller has.
fn known(request: &HttpRequest) -> Option<String> {
    request.header(header::IF_NONE_MATCH.as_str()).map(str::to_owned)
}

/// An answer that is asked for again each time and mostly not sent again.
const REVALIDATE: &str = "public, no-cache";
/// An answer whose bytes never change.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The response of an encoded answer.
fn served(served: Served) -> HttpResponse {
    let directives = |immutable| if immutable { IMMUTABLE } else { REVALIDATE };
    match served {
        Served::Fresh { content_type, etag, body, immutable } => {
            HttpResponse::bytes(&content_type, body).etag(etag).cache(directives(immutable))
        }
        Served::NotModified { etag, immutable } => {
            HttpResponse::new(StatusCode::NOT_MODIFIED).etag(etag).cache(directives(immutable))
        }
        Served::Moved { location } => {
            HttpResponse::redirect(StatusCode::MOVED_PERMANENTLY, location).cache(REVALIDATE)
        }
    }
}
