//! Uploads: the body is the file itself.

use serde::Deserialize;
use troupe_actors::ServiceRef;
use troupe_kernel::{Failure, HttpResponse, Page, Route, header};
use utoipa::ToSchema;

use super::{known, served};
use crate::config::MediaConfig;
use crate::messages::{
    DeleteMedia, ListMedia, Media, MediaMessage, ReadMedia, ReadPublicMedia, Served, UploadMedia,
};
use crate::permissions::{MEDIA_CREATE, MEDIA_DELETE, MEDIA_READ};

/// What is not in the body of an upload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UploadQuery {
    /// The file's name.
    name: String,
}

pub(super) fn routes(media: &ServiceRef<MediaMessage>, config: &MediaConfig) -> Vec<Route> {
    let mut routes = kept(media, config);
    routes.extend(read(media));
    routes
}

fn kept(media: &ServiceRef<MediaMessage>, config: &MediaConfig) -> Vec<Route> {
    let bytes_max = usize::try_from(config.bytes_max).unwrap_or(usize::MAX);
    vec![
        Route::post("/v1/blog/media")
            .permission(MEDIA_CREATE)
            .summary("Upload a PNG, JPEG, GIF, WebP or PDF file")
            .description("The body is the file. Its type is told from its content.")
            .tag("blog")
            .query::<UploadQuery>()
            .body_media("application/octet-stream")
            .body_limit(bytes_max)
            .returns::<Media>(201)
            .ask(
                media,
                |request| {
                    Ok(UploadMedia {
                        name: request.query::<UploadQuery>()?.name,
                        content: request.body.clone(),
                    })
                },
                |media: Media| {
                    let location = format!("/v1/blog/media/{}", media.id);
                    Ok(HttpResponse::created(location, &media))
                },
            ),
        Route::get("/v1/blog/media")
            .permission(MEDIA_READ)
            .summary("List uploads, newest first")
            .tag("blog")
            .paginated()
            .returns::<Page<Media>>(200)
            .ask(
                media,
                |request| Ok(ListMedia { page: request.page()? }),
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::delete("/v1/blog/media/{id}")
            .permission(MEDIA_DELETE)
            .summary("Delete an upload")
            .tag("blog")
            .returns_nothing(204)
            .ask(
                media,
                |request| Ok(DeleteMedia { id: request.parameter("id")? }),
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}

fn read(media: &ServiceRef<MediaMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/blog/media/{id}")
            .permission(MEDIA_READ)
            .summary("Read an upload")
            .tag("blog")
            .returns_media(200, "application/octet-stream")
            .returns_nothing(304)
            .ask(
                media,
                |request| Ok(ReadMedia { id: request.parameter("id")?, known: known(request) }),
                file,
            ),
        Route::get("/v1/public/{organisation}/media/{id}")
            .public()
            .summary("Read an upload")
            .tag("public")
            .returns_media(200, "application/octet-stream")
            .returns_nothing(304)
            .ask(
                media,
                |request| {
                    Ok(ReadPublicMedia {
                        organisation: request.parameter("organisation")?,
                        id: request.parameter("id")?,
                        known: known(request),
                    })
                },
                file,
            ),
    ]
}

/// A file that a browser shows but never runs, whatever is in it.
fn file(reply: Served) -> Result<HttpResponse, Failure> {
    Ok(served(reply)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")
        .header(header::CONTENT_DISPOSITION, "inline"))
}
