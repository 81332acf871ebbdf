//! What most people write: axum with a `from_fn` layer for each concern.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, Extension, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
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
    let guarded = Router::new()
        .route("/items/{id}", get(item))
        .layer(from_fn_with_state(shared.clone(), limit))
        .layer(from_fn_with_state(shared.clone(), authorize))
        .layer(from_fn_with_state(shared.clone(), authenticate));
    let router = guarded
        .layer(from_fn_with_state(shared.clone(), observe))
        .route("/health", get(|| async { "ok" }))
        .with_state(shared);
    let listener = tokio::net::TcpListener::bind(start.address).await?;
    say_ready(listener.local_addr()?);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(terminated()).await?;
    Ok(())
}

/// The ids of the request, the limit of its address, the fields of its answer and the metrics.
async fn observe(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let ids = ids(request.headers());
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
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Response> {
    shared.checks.authorize(caller, READ)?;
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
