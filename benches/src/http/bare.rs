//! axum with a fixed body: what HTTP alone costs. No contender, a floor.

use axum::Router;
use axum::routing::get;
use http::header;

use super::{Start, say_ready, terminated};

/// Serves until it is told to end.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(start: Start) -> anyhow::Result<()> {
    let body: &'static str = Box::leak("x".repeat(781).into_boxed_str());
    let answer = move || async move { ([(header::CONTENT_TYPE, "application/json")], body) };
    let router =
        Router::new().route("/items/{id}", get(answer)).route("/health", get(|| async { "ok" }));
    let listener = tokio::net::TcpListener::bind(start.address).await?;
    say_ready(listener.local_addr()?);
    axum::serve(listener, router).with_graceful_shutdown(terminated()).await?;
    Ok(())
}
