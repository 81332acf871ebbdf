//! The HTTP side of the console, under `/v1/inspect`.

use serde::{Deserialize, Serialize};
use troupe_actors::{Priority, ServiceRef};
use troupe_kernel::http::{HttpRequest, HttpResponse};
use troupe_kernel::routes::{Route, RouteBuilder};
use utoipa::ToSchema;

use crate::messages::{
    GetActor, GetCrash, GetKinds, GetNode, GetProtocols, GetTop, GetTree, InspectMessage,
    ListCrashes, ListDeadLetters, ListRecords, ListTaps, ReadTap, StartTap, StopTap,
};
use crate::permissions::{SYSTEM_READ, TAP_WRITE};
use crate::views::{
    ActorPage, ActorsView, CrashSummary, CrashView, DeadLetterView, KindView, NodeView,
    ProtocolView, RecordView, SortBy, TapRecords, TapView, TreeView,
};

const TAG: &str = "inspection";

/// How much of the tree is wanted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TreeQuery {
    /// Actors at most, 1 to 500; 500 unless given.
    #[schema(minimum = 1, maximum = 500)]
    pub nodes: Option<u32>,
}

/// Which list is wanted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopQuery {
    /// How many actors, 1 to 200; 20 unless given.
    #[schema(minimum = 1, maximum = 200)]
    pub k: Option<u32>,
    /// What they are sorted by; `depth` unless given.
    #[schema(inline)]
    pub sort: Option<SortBy>,
}

/// How many are wanted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitQuery {
    /// How many, 1 to 100; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

/// Whether contents of messages are wanted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayloadQuery {
    /// Shows the redacted message; needs `inspect.payload.read` and is audited.
    pub payload: Option<bool>,
}

/// Which dead letters are wanted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterQuery {
    /// How many, 1 to 100; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Shows the redacted messages; needs `inspect.payload.read` and is audited.
    pub payload: Option<bool>,
}

/// Which records are wanted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordQuery {
    /// How many, 1 to 200; 50 unless given.
    #[schema(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// Only those of this trace.
    pub trace: Option<String>,
    /// Only those that the actor at this path handled.
    pub actor: Option<String>,
}

/// A tap to be opened. It needs a path, a protocol or a kind.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTap {
    /// Actors whose path begins with this; it names more than the node.
    pub path: Option<String>,
    /// Messages of this protocol.
    pub protocol: Option<String>,
    /// Messages of this kind.
    pub kind: Option<String>,
    /// It ends after this many records, 1 to 1000; 100 unless given.
    #[schema(minimum = 1, maximum = 1000)]
    pub records: Option<u32>,
    /// It ends after this many seconds, 1 to 600; 60 unless given.
    #[schema(minimum = 1, maximum = 600)]
    pub seconds: Option<u32>,
    /// Shows the redacted messages; needs `inspect.payload.read`.
    #[serde(default)]
    pub payload: bool,
}

/// What was already seen of a tap.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TapQuery {
    /// Number of the last record that was seen.
    pub after: Option<u64>,
}

/// All routes.
#[must_use]
pub(crate) fn routes(service: &ServiceRef<InspectMessage>) -> Vec<Route> {
    let mut routes = actors(service);
    routes.extend(messages(service));
    routes.extend(taps(service));
    routes
}

/// Inspection is shed late: it is needed most when the node is under load.
fn reading(builder: RouteBuilder) -> RouteBuilder {
    builder.permission(SYSTEM_READ).tag(TAG).priority(Priority::High)
}

fn acting(builder: RouteBuilder) -> RouteBuilder {
    builder.permission(TAP_WRITE).tag(TAG).priority(Priority::High)
}

/// What changes at every moment is kept nowhere.
fn live<T: Serialize>(value: &T) -> HttpResponse {
    HttpResponse::ok(value).cache("no-store")
}

fn actors(service: &ServiceRef<InspectMessage>) -> Vec<Route> {
    vec![
        reading(Route::get("/v1/inspect/node"))
            .summary("The node as a whole")
            .returns::<NodeView>(200)
            .ask(service, |_| Ok(GetNode), |node| Ok(live(&node))),
        reading(Route::get("/v1/inspect/tree"))
            .summary("The supervision tree")
            .description("At most 500 actors; of more than 50 siblings the rest is counted.")
            .query::<TreeQuery>()
            .returns::<TreeView>(200)
            .ask(
                service,
                |request: &HttpRequest| {
                    let query: TreeQuery = request.query()?;
                    Ok(GetTree { nodes: query.nodes.unwrap_or(500) })
                },
                |tree| Ok(live(&tree)),
            ),
        reading(Route::get("/v1/inspect/top"))
            .summary("The actors that lead a list")
            .query::<TopQuery>()
            .returns::<ActorsView>(200)
            .ask(
                service,
                |request: &HttpRequest| {
                    let query: TopQuery = request.query()?;
                    Ok(GetTop { k: query.k.unwrap_or(20), sort: query.sort.unwrap_or_default() })
                },
                |actors| Ok(live(&actors)),
            ),
        reading(Route::get("/v1/inspect/actors/{*path}"))
            .summary("One actor with what happened to it lately")
            .returns::<ActorPage>(200)
            .ask(
                service,
                |request: &HttpRequest| {
                    let path: String = request.parameter("path")?;
                    Ok(GetActor { path: format!("/{}", path.trim_start_matches('/')) })
                },
                |page| Ok(live(&page)),
            ),
        reading(Route::get("/v1/inspect/protocols"))
            .summary("Services by protocol with their counters")
            .returns::<Vec<ProtocolView>>(200)
            .ask(service, |_| Ok(GetProtocols), |protocols| Ok(live(&protocols))),
        reading(Route::get("/v1/inspect/kinds"))
            .summary("Kinds of messages with their timings")
            .returns::<Vec<KindView>>(200)
            .ask(service, |_| Ok(GetKinds), |kinds| Ok(live(&kinds))),
    ]
}

fn messages(service: &ServiceRef<InspectMessage>) -> Vec<Route> {
    vec![
        reading(Route::get("/v1/inspect/crashes"))
            .summary("The newest crashes")
            .query::<LimitQuery>()
            .returns::<Vec<CrashSummary>>(200)
            .ask(
                service,
                |request: &HttpRequest| {
                    let query: LimitQuery = request.query()?;
                    Ok(ListCrashes { limit: query.limit.unwrap_or(20) })
                },
                |crashes| Ok(live(&crashes)),
            ),
        reading(Route::get("/v1/inspect/crashes/{number}"))
            .summary("One crash with its backtrace and the messages before it")
            .query::<PayloadQuery>()
            .returns::<CrashView>(200)
            .ask(
                service,
                |request: &HttpRequest| {
                    let query: PayloadQuery = request.query()?;
                    let number = request.parameter("number")?;
                    Ok(GetCrash { number, payload: query.payload.unwrap_or(false) })
                },
                |crash| Ok(live(&crash)),
            ),
        reading(Route::get("/v1/inspect/dead-letters"))
            .summary("The newest messages that nobody handled")
            .query::<DeadLetterQuery>()
            .returns::<Vec<DeadLetterView>>(200)
            .ask(
                service,
                |request: &HttpRequest| {
                    let query: DeadLetterQuery = request.query()?;
                    let payload = query.payload.unwrap_or(false);
                    Ok(ListDeadLetters { limit: query.limit.unwrap_or(20), payload })
                },
                |letters| Ok(live(&letters)),
            ),
        reading(Route::get("/v1/inspect/records"))
            .summary("The newest records of handled messages, as far as they were timed")
            .query::<RecordQuery>()
            .returns::<Vec<RecordView>>(200)
            .ask(
                service,
                |request: &HttpRequest| {
                    let RecordQuery { limit, trace, actor } = request.query()?;
                    Ok(ListRecords { limit: limit.unwrap_or(50), trace, actor })
                },
                |records| Ok(live(&records)),
            ),
    ]
}

fn taps(service: &ServiceRef<InspectMessage>) -> Vec<Route> {
    vec![
        acting(Route::post("/v1/inspect/taps"))
            .summary("Open a tap")
            .description("Four at once on a node. One that its owner does not read ends by itself.")
            .body::<NewTap>()
            .returns::<TapView>(201)
            .ask(
                service,
                |request: &HttpRequest| {
                    let NewTap { path, protocol, kind, records, seconds, payload } =
                        request.json()?;
                    let (records, seconds) = (records.unwrap_or(100), seconds.unwrap_or(60));
                    Ok(StartTap { path, protocol, kind, records, seconds, payload })
                },
                |tap: TapView| {
                    Ok(HttpResponse::created(format_args!("/v1/inspect/taps/{}", tap.id), &tap))
                },
            ),
        reading(Route::get("/v1/inspect/taps"))
            .summary("The open taps of everybody")
            .returns::<Vec<TapView>>(200)
            .ask(service, |_| Ok(ListTaps), |taps| Ok(live(&taps))),
        acting(Route::get("/v1/inspect/taps/{id}"))
            .summary("What your tap has seen; reading keeps it open")
            .query::<TapQuery>()
            .returns::<TapRecords>(200)
            .ask(
                service,
                |request: &HttpRequest| {
                    let query: TapQuery = request.query()?;
                    Ok(ReadTap { id: request.parameter("id")?, after: query.after.unwrap_or(0) })
                },
                |records| Ok(live(&records)),
            ),
        acting(Route::delete("/v1/inspect/taps/{id}"))
            .summary("Close your tap")
            .returns_nothing(204)
            .ask(
                service,
                |request: &HttpRequest| Ok(StopTap { id: request.parameter("id")? }),
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}
