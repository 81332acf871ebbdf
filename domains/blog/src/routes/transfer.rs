//! Import and export of documents.

use std::time::Duration;

use troupe_actors::ServiceRef;
use troupe_kernel::{HttpResponse, Page, Route, StatusCode};

use super::DOCUMENT_JSON_BYTES_MAX;
use crate::messages::{
    ExportPosts, ExportedDocument, ImportDocument, ImportOutcome, ImportRequest, Imported,
    TransferMessage,
};
use crate::permissions::{POST_EXPORT, POST_IMPORT};

/// A document of 1 MiB is rendered and written within this.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn routes(transfer: &ServiceRef<TransferMessage>) -> Vec<Route> {
    vec![
        Route::post("/v1/blog/import")
            .permission(POST_IMPORT)
            .summary("Import a Markdown document")
            .description(
                "Front matter in YAML (`---`) or TOML (`+++`) is understood. The same path with \
                 the same content changes nothing.",
            )
            .tag("blog")
            .timeout(TIMEOUT)
            .body::<ImportRequest>()
            .body_limit(DOCUMENT_JSON_BYTES_MAX)
            .returns::<Imported>(200)
            .returns::<Imported>(201)
            .ask(
                transfer,
                |request| Ok(ImportDocument { document: request.json()? }),
                |imported: Imported| {
                    let location = format!("/v1/blog/posts/{}", imported.post.id);
                    Ok(match imported.outcome {
                        ImportOutcome::Created => HttpResponse::created(location, &imported),
                        _ => HttpResponse::json(StatusCode::OK, &imported),
                    })
                },
            ),
        Route::get("/v1/blog/export")
            .permission(POST_EXPORT)
            .summary("Export all posts as Markdown documents")
            .description("Importing an exported document gives the same post.")
            .tag("blog")
            .timeout(TIMEOUT)
            .paginated()
            .returns::<Page<ExportedDocument>>(200)
            .ask(
                transfer,
                |request| Ok(ExportPosts { page: request.page()? }),
                |page| Ok(HttpResponse::ok(&page)),
            ),
    ]
}
