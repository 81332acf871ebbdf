//! The cheap limit: axum with every check inline in the handler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
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

/// What the routes of the database share.
struct Stored {
    shared: Arc<Shared>,
    rows: Rows,
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
    let mut router = Router::new()
        .route("/items/{id}", get(item))
        .route("/health", get(|| async { "ok" }))
        .with_state(shared.clone());
    if let Some(url) = &start.database {
        let rows = Router::new().route("/rows/{id}", get(row)).route("/rows", get(page).post(add));
        let rows = rows.with_state(Arc::new(Stored { shared, rows: Rows::open(url)? }));
        router = router.merge(rows);
    }
    let listener = tokio::net::TcpListener::bind(start.address).await?;
    say_ready(listener.local_addr()?);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(terminated()).await?;
    Ok(())
}

#[expect(clippy::result_large_err, reason = "a refusal is a response, as axum has it")]
fn pass(
    shared: &Shared,
    peer: SocketAddr,
    headers: &HeaderMap,
    permission: &str,
) -> Result<(Caller, Left), Response> {
    let checks = &shared.checks;
    checks.address(peer.ip())?;
    let caller = checks.authenticate(headers)?;
    checks.authorize(caller, permission)?;
    let left = checks.subject(caller.subject)?;
    Ok((caller, left))
}

async fn item(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Response {
    let began = Instant::now();
    let ids = ids(&headers);
    let (mut response, left) = match pass(&shared, peer, &headers, READ) {
        Ok((_, left)) => (items::answer(shared.items.get(&id).map(AsRef::as_ref)), Some(left)),
        Err(refused) => (refused, None),
    };
    mark(response.headers_mut(), ids, left, shared.quota);
    shared.checks.meters.count(response.status(), began.elapsed());
    response
}

async fn row(
    State(stored): State<Arc<Stored>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Response {
    let find = async |_: Caller, _: Ids| item_answer(stored.rows.find(id).await);
    guarded(&stored.shared, (peer, &headers), READ, find).await
}

async fn page(
    State(stored): State<Arc<Stored>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let read = async |_: Caller, _: Ids| {
        let Ok(query) = from_query(&query.unwrap_or_default()) else { return malformed() };
        page_answer(stored.rows.page(query).await)
    };
    guarded(&stored.shared, (peer, &headers), READ, read).await
}

async fn add(
    State(stored): State<Arc<Stored>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let add = async |caller: Caller, ids: Ids| {
        let Ok(new) = serde_json::from_slice(&body) else { return malformed() };
        added_answer(stored.rows.add(new, By { caller, ids, peer: peer.ip() }).await)
    };
    guarded(&stored.shared, (peer, &headers), WRITE, add).await
}

/// Every check before the work, and the marks of the answer after it.
async fn guarded(
    shared: &Shared,
    (peer, headers): (SocketAddr, &HeaderMap),
    permission: &str,
    work: impl AsyncFnOnce(Caller, Ids) -> Response,
) -> Response {
    let began = Instant::now();
    let ids = ids(headers);
    let (mut response, left) = match pass(shared, peer, headers, permission) {
        Ok((caller, left)) => (work(caller, ids).await, Some(left)),
        Err(refused) => (refused, None),
    };
    mark(response.headers_mut(), ids, left, shared.quota);
    shared.checks.meters.count(response.status(), began.elapsed());
    response
}
