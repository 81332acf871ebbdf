//! The HTTP side of the trail: only reading.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::ServiceRef;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::http::{HttpRequest, HttpResponse};
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::Page;
use troupe_kernel::{Failure, HeaderName, Outcome, Route, header};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::messages::{
    AuditEntry, AuditMessage, CheckpointInfo, EntryQuery, Export, ExportEntries, GetEntry, GetKey,
    KeyInfo, ListCheckpoints, ListEntries, ListWaiting, Trail, VerifierMessage, VerifyTrail,
    WaitingRecord,
};
use crate::permissions::{ENTRY_EXPORT, ENTRY_READ, PLATFORM_READ, PLATFORM_VERIFY, TRAIL_VERIFY};
use crate::report::Report;

const TAG: &str = "audit";
const JSON_LINES: &str = "application/x-ndjson";
/// Names the cursor of the next part of an export.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");
const VERIFY_WITHIN: Duration = Duration::from_secs(60);

/// Which entries a request asks for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryParameters {
    /// Only by this actor.
    pub actor: Option<Uuid>,
    /// Only actions that start so: `blog.post.` or `blog.post.publish`.
    pub action: Option<String>,
    /// Only about this thing: `post:ID`.
    pub resource: Option<String>,
    /// Only with this outcome.
    pub outcome: Option<Outcome>,
    /// Only at or after this time.
    pub from: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
    /// Only of this organisation; for platform-wide queries.
    pub tenant: Option<Uuid>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Items wanted.
    pub limit: Option<u32>,
}

/// Where a verification goes on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyParameters {
    /// After this entry; nothing starts at the beginning.
    pub after: Option<u64>,
}

/// Whose trail a route reaches, and who may.
struct Reach {
    prefix: &'static str,
    read: &'static str,
    export: &'static str,
    verify: &'static str,
    whose: &'static str,
    trail: fn(&HttpRequest) -> Result<Trail, Failure>,
}

const TENANT: Reach = Reach {
    prefix: "/v1/audit",
    read: ENTRY_READ,
    export: ENTRY_EXPORT,
    verify: TRAIL_VERIFY,
    whose: "of the organisation",
    trail: |request| request.tenant().map(Trail::Tenant),
};
const PLATFORM: Reach = Reach {
    prefix: "/v1/audit/platform",
    read: PLATFORM_READ,
    export: PLATFORM_READ,
    verify: PLATFORM_VERIFY,
    whose: "of all organisations and the platform",
    trail: |_| Ok(Trail::All),
};

/// All routes.
#[must_use]
pub fn routes(
    trail: &ServiceRef<AuditMessage>,
    verifier: &ServiceRef<VerifierMessage>,
) -> Vec<Route> {
    let mut routes = Vec::new();
    for reach in [&TENANT, &PLATFORM] {
        routes.extend(entry_routes(trail, reach));
        routes.push(verify_route(verifier, reach));
    }
    routes.push(
        Route::get("/v1/audit/entries/{sequence}")
            .permission(ENTRY_READ)
            .summary("Shows an entry of the organisation's trail")
            .tag(TAG)
            .returns::<AuditEntry>(200)
            .ask(
                trail,
                |request| {
                    Ok(GetEntry {
                        tenant: request.tenant()?,
                        sequence: request.parameter("sequence")?,
                    })
                },
                |entry| Ok(HttpResponse::ok(&entry)),
            ),
    );
    routes.push(
        Route::get("/v1/audit/key")
            .permission(ENTRY_READ)
            .summary("Shows the public key that verifies the trail")
            .tag(TAG)
            .returns::<KeyInfo>(200)
            .ask(trail, |_| Ok(GetKey), |key| Ok(HttpResponse::ok(&key))),
    );
    routes
}

fn entry_routes(service: &ServiceRef<AuditMessage>, reach: &'static Reach) -> Vec<Route> {
    vec![
        Route::get(format!("{}/entries", reach.prefix))
            .permission(reach.read)
            .summary(&format!("Lists entries {}, newest first", reach.whose))
            .tag(TAG)
            .query::<EntryParameters>()
            .paginated()
            .returns::<Page<AuditEntry>>(200)
            .ask(
                service,
                |request| {
                    let (trail, query, _) = asked(request, reach)?;
                    Ok(ListEntries { trail, query, page: request.page()? })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::get(format!("{}/export", reach.prefix))
            .permission(reach.export)
            .summary(&format!("Exports entries {} as JSON lines", reach.whose))
            .description(
                "Answers one part, newest first. While the header `Next-Cursor` is there, ask again \
                 with it as `cursor` for the next part.",
            )
            .tag(TAG)
            .query::<EntryParameters>()
            .returns_media(200, JSON_LINES)
            .ask(
                service,
                |request| {
                    let (trail, query, cursor) = asked(request, reach)?;
                    Ok(ExportEntries { trail, query, cursor })
                },
                exported,
            ),
        Route::get(format!("{}/checkpoints", reach.prefix))
            .permission(reach.read)
            .summary(&format!("Lists signed checkpoints {}, newest first", reach.whose))
            .tag(TAG)
            .paginated()
            .returns::<Page<CheckpointInfo>>(200)
            .ask(
                service,
                |request| {
                    Ok(ListCheckpoints { trail: (reach.trail)(request)?, page: request.page()? })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::get(format!("{}/waiting", reach.prefix))
            .permission(reach.read)
            .summary(&format!("Lists records {} that wait to be sealed", reach.whose))
            .tag(TAG)
            .returns::<Page<WaitingRecord>>(200)
            .ask(
                service,
                |request| Ok(ListWaiting { trail: (reach.trail)(request)? }),
                |items: Vec<WaitingRecord>| {
                    Ok(HttpResponse::ok(&Page { items, next_cursor: None }).cache("no-store"))
                },
            ),
    ]
}

fn verify_route(service: &ServiceRef<VerifierMessage>, reach: &'static Reach) -> Route {
    Route::get(format!("{}/verify", reach.prefix))
        .permission(reach.verify)
        .summary(&format!("Verifies the trail {}", reach.whose))
        .description(
            "Walks the hash chain and checks every signature. When `complete` is false, ask again \
             with `after`.",
        )
        .tag(TAG)
        .query::<VerifyParameters>()
        .timeout(VERIFY_WITHIN)
        .returns::<Report>(200)
        .ask(
            service,
            |request| {
                let query: VerifyParameters = request.query()?;
                Ok(VerifyTrail { trail: (reach.trail)(request)?, after: query.after.unwrap_or(0) })
            },
            |report| Ok(HttpResponse::ok(&report).cache("no-store")),
        )
}

/// The trail is the token's; only a platform-wide query may choose one.
fn asked(
    request: &HttpRequest,
    reach: &Reach,
) -> Result<(Trail, EntryQuery, Option<String>), Failure> {
    let parameters: EntryParameters = request.query()?;
    let mut trail = (reach.trail)(request)?;
    if let Some(tenant) = parameters.tenant {
        match trail {
            Trail::All => trail = Trail::Tenant(TenantId(tenant)),
            Trail::Tenant(own) if own.uuid() == tenant => {}
            Trail::Tenant(_) => {
                return Err(Failure::forbidden(
                    "audit.tenant.other",
                    "this token reads the trail of its own organisation only",
                ));
            }
        }
    }
    let query = EntryQuery {
        actor: parameters.actor,
        action: parameters.action,
        resource: parameters.resource,
        outcome: parameters.outcome.map(|outcome| crate::sealing::outcome(outcome).to_owned()),
        from: parameters.from,
        until: parameters.until,
    };
    Ok((trail, query, parameters.cursor))
}

fn exported(part: Export) -> Result<HttpResponse, Failure> {
    let response = HttpResponse::bytes(JSON_LINES, part.lines.into())
        .header(header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\"")
        .cache("no-store");
    Ok(match part.next_cursor {
        Some(cursor) => response.header(NEXT_CURSOR, cursor),
        None => response,
    })
}
