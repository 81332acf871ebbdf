//! The cheap limit: axum with every check inline in the handler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use uuid::Uuid;

use super::checks::{Caller, Checks, Left, ids, mark};
use super::items::{self, Items};
use super::{Start, observed, say_ready, terminated};
use crate::fixture::{Fixture, READ};

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
    let router = Router::new()
        .route("/items/{id}", get(item))
        .route("/health", get(|| async { "ok" }))
        .with_state(shared);
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
