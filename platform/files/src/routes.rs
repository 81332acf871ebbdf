//! The addresses of files: declared here, handled by the service.

use std::time::Duration;

use troupe_actors::ServiceRef;
use troupe_kernel::{HttpResponse, Page, Route, StatusCode};

use crate::config::FilesConfig;
use crate::messages::{
    AbortUpload, BeginUpload, CompleteUpload, DeleteFile, File, FileMessage, GetFile, GetUpload,
    Link, LinkFile, ListFiles, Part, PutPart, Upload,
};
use crate::permissions::{FILE_CREATE, FILE_DELETE, FILE_READ};

const TAG: &str = "files";
/// Parts are read and written once more when an upload is completed.
const COMPLETE_WITHIN: Duration = Duration::from_secs(120);

/// All routes of files.
pub(crate) fn routes(files: &ServiceRef<FileMessage>, config: &FilesConfig) -> Vec<Route> {
    let part_bytes_max = usize::try_from(config.part_size).unwrap_or(usize::MAX);
    let mut routes = uploads(files, part_bytes_max);
    routes.extend(kept(files));
    routes
}

fn uploads(files: &ServiceRef<FileMessage>, part_bytes_max: usize) -> Vec<Route> {
    vec![
        Route::post("/v1/files/uploads")
            .permission(FILE_CREATE)
            .summary("Begin an upload")
            .description(
                "Announces name, type, length and digest. Then send the content in parts, or all of it \
                 by the `link`, and complete the upload.",
            )
            .tag(TAG)
            .body::<BeginUpload>()
            .returns::<Upload>(201)
            .ask(
                files,
                |request| request.json::<BeginUpload>(),
                |upload: Upload| {
                    let location = format!("/v1/files/uploads/{}", upload.id);
                    Ok(HttpResponse::created(location, &upload))
                },
            ),
        Route::get("/v1/files/uploads/{id}")
            .permission(FILE_CREATE)
            .summary("See which parts of an upload have come")
            .tag(TAG)
            .returns::<Upload>(200)
            .ask(
                files,
                |request| Ok(GetUpload { id: request.parameter("id")? }),
                |upload| Ok(HttpResponse::ok(&upload)),
            ),
        Route::put("/v1/files/uploads/{id}/parts/{number}")
            .permission(FILE_CREATE)
            .summary("Send a part of an upload")
            .description(
                "Parts are numbered from 1, have `part_size_bytes` but for the last, may come in any order \
                 and may be sent again.",
            )
            .tag(TAG)
            .body_media("application/octet-stream")
            .body_limit(part_bytes_max)
            .returns::<Part>(200)
            .ask(
                files,
                |request| {
                    let (id, number) = (request.parameter("id")?, request.parameter("number")?);
                    Ok(PutPart { id, number, content: request.body.clone() })
                },
                |part| Ok(HttpResponse::ok(&part)),
            ),
        Route::post("/v1/files/uploads/{id}/complete")
            .permission(FILE_CREATE)
            .summary("Make a file of an upload whose content is all there")
            .tag(TAG)
            .timeout(COMPLETE_WITHIN)
            .returns::<File>(201)
            .ask(
                files,
                |request| Ok(CompleteUpload { id: request.parameter("id")? }),
                |file: File| Ok(HttpResponse::created(format!("/v1/files/{}", file.id), &file)),
            ),
        Route::delete("/v1/files/uploads/{id}")
            .permission(FILE_CREATE)
            .summary("Give up an upload")
            .tag(TAG)
            .returns_nothing(204)
            .ask(
                files,
                |request| Ok(AbortUpload { id: request.parameter("id")? }),
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}

fn kept(files: &ServiceRef<FileMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/files")
            .permission(FILE_READ)
            .summary("List files, newest first")
            .tag(TAG)
            .paginated()
            .returns::<Page<File>>(200)
            .ask(
                files,
                |request| Ok(ListFiles { page: request.page()? }),
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::get("/v1/files/{id}")
            .permission(FILE_READ)
            .summary("See what is known of a file")
            .tag(TAG)
            .returns::<File>(200)
            .ask(
                files,
                |request| Ok(GetFile { id: request.parameter("id")? }),
                |file: File| Ok(HttpResponse::ok(&file).etag(&file.digest)),
            ),
        Route::post("/v1/files/{id}/link")
            .permission(FILE_READ)
            .summary("Get a link that reads a file")
            .description("Whoever holds it reads the file, without an account, until it expires.")
            .tag(TAG)
            .returns::<Link>(200)
            .ask(
                files,
                |request| Ok(LinkFile { id: request.parameter("id")? }),
                |link| Ok(HttpResponse::json(StatusCode::OK, &link).cache("no-store")),
            ),
        Route::delete("/v1/files/{id}")
            .permission(FILE_DELETE)
            .summary("Delete a file")
            .tag(TAG)
            .returns_nothing(204)
            .ask(
                files,
                |request| Ok(DeleteFile { id: request.parameter("id")? }),
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}
