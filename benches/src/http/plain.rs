//! What most people write: axum with a `from_fn` layer for each concern.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Extension, Path, RawQuery, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use troupe_kernel::http::from_query;
use uuid::Uuid;

use super::checks::{Caller, Checks, Ids, Left, ids, mark};
use super::items::{self, Items};
use super::rows::{By, Rows, added_answer, item_answer, malformed, page_answer};
use super::{Start, observed, say_ready, terminated};
use crate::fixture::{Fixture, READ, WRITE};

struct Shared {
    checks: Checks,
    items: Items,
    quota: u32,
}

/// Serves until it is told to end.
///
/// # Errors
/// When the fixture cannot be read or the address cannot be listened on.
pub async fn serve(start: Start) -> anyhow::Result<()> {
    let _upkeep = observed()?;
    let mut fixture = Fixture::read(&start.directory)?;
    let items = items::by_id(std::mem::take(&mut fixture.items));
    let checks = Checks::new(fixture, start.quota);
    let shared = Arc::new(Shared { checks, items, quota: start.quota });
    let reads = Router::new().route("/items/{id}", get(item)).with_state(shared.clone());
    let mut guarded = guard(reads, READ, &shared);
    if let Some(url) = &start.database {
        let rows = Arc::new(Rows::open(url)?);
        let reads = Router::new().route("/rows/{id}", get(row)).route("/rows", get(page));
        let writes = Router::new().route("/rows", post(add)).with_state(rows.clone());
        guarded = guarded
            .merge(guard(reads.with_state(rows), READ, &shared))
            .merge(guard(writes, WRITE, &shared));
    }
    let router =
        guarded.layer(from_fn_with_state(shared, observe)).route("/health", get(|| async { "ok" }));
    let listener = tokio::net::TcpListener::bind(start.address).await?;
    say_ready(listener.local_addr()?);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(terminated()).await?;
    Ok(())
}

/// Puts the checks around routes.
fn guard(routes: Router, permission: &'static str, shared: &Arc<Shared>) -> Router {
    routes
        .layer(from_fn_with_state(shared.clone(), limit))
        .layer(from_fn_with_state((shared.clone(), permission), authorize))
        .layer(from_fn_with_state(shared.clone(), authenticate))
}

/// The ids of the request, the limit of its address, the fields of its answer and the metrics.
async fn observe(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let ids = ids(request.headers());
    request.extensions_mut().insert(ids);
    let mut response = match shared.checks.address(peer.ip()) {
        Ok(_) => next.run(request).await,
        Err(refused) => refused,
    };
    let left = response.extensions().get::<Left>().copied();
    mark(response.headers_mut(), ids, left, shared.quota);
    shared.checks.meters.count(response.status(), began.elapsed());
    response
}

async fn authenticate(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Response> {
    let caller = shared.checks.authenticate(request.headers())?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

async fn authorize(
    State((shared, permission)): State<(Arc<Shared>, &'static str)>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Response> {
    shared.checks.authorize(caller, permission)?;
    Ok(next.run(request).await)
}

async fn limit(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Response> {
    let left = shared.checks.subject(caller.subject)?;
    let mut response = next.run(request).await;
    response.extensions_mut().insert(left);
    Ok(response)
}

async fn item(State(shared): State<Arc<Shared>>, Path(id): Path<Uuid>) -> Response {
    items::answer(shared.items.get(&id).map(AsRef::as_ref))
}

async fn row(State(rows): State<Arc<Rows>>, Path(id): Path<Uuid>) -> Response {
    item_answer(rows.find(id).await)
}

async fn page(State(rows): State<Arc<Rows>>, RawQuery(query): RawQuery) -> Response {
    let Ok(query) = from_query(&query.unwrap_or_default()) else { return malformed() };
    page_answer(rows.page(query).await)
}

async fn add(
    State(rows): State<Arc<Rows>>,
    Extension(caller): Extension<Caller>,
    Extension(ids): Extension<Ids>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Response {
    let Ok(new) = serde_json::from_slice(&body) else { return malformed() };
    added_answer(rows.add(new, By { caller, ids, peer: peer.ip() }).await)
}
