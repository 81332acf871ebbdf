//! One connection: TLS, HTTP/1.1 by hyper, and its end.
//!
//! While the node drains, every answer says `Connection: close`, and a connection that is idle
//! gets a moment to send the request that may be on its way before it is closed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::linger::Watched;
use super::stream::{self, Guarded, HeadWatch, Patience};
use crate::config::EdgeConfig;
use crate::front::Front;

/// hyper's own limit of header fields; any other makes it clear the room for them at each request.
const HYPER_HEADERS_MAX: usize = 100;
/// How long an idle connection may still send a request when the node drains.
const LINGER: Duration = Duration::from_millis(250);

/// An accepted connection and what it needs.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) config: Arc<EdgeConfig>,
    pub(super) front: Arc<Front>,
    pub(super) leave: watch::Receiver<Option<Duration>>,
}

pub(super) async fn serve(connection: Connection) {
    let Connection { stream, peer, tls, config, front, leave } = connection;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let http = Http { peer, config, front, leave };
    let Some(tls) = tls else { return http.serve(stream).await };
    match tokio::time::timeout(http.config.header_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => http.serve(stream).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
    }
}

struct Http {
    peer: SocketAddr,
    config: Arc<EdgeConfig>,
    front: Arc<Front>,
    leave: watch::Receiver<Option<Duration>>,
}

impl Http {
    async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(self, stream: S) {
        let Self { peer, config, front, mut leave } = self;
        let address = peer.ip();
        let watch = Arc::new(HeadWatch::default());
        let watched = watch.clone();
        // A count of its own: one that all cores change is slow for all of them.
        let answering = Arc::new(front.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (front, watch) = (answering.clone(), watched.clone());
            async move {
                watch.turn();
                let request = request.map(|body| Watched::new(body, watch.clone()));
                let response = front.serve(address, request).await;
                watch.turn();
                Ok::<_, Infallible>(response)
            }
        });
        let header_bytes_max = usize::try_from(config.header_bytes_max).unwrap_or(usize::MAX);
        let patience = Patience { head: config.header_timeout, write: config.write_timeout };
        let stream = Guarded::new(stream, patience, watch.clone());
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(config.idle_timeout)
            .max_buf_size(header_bytes_max)
            .half_close(true);
        if config.headers_max != HYPER_HEADERS_MAX {
            builder.max_headers(config.headers_max);
        }
        let mut connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut leaving = leave.borrow().is_some();
        let ended = tokio::select! {
            ended = &mut connection => Some(ended),
            () = told_to_leave(&mut leave, &mut leaving) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => leave_in_order(&mut connection).await,
        };
        let Err(error) = ended else { return };
        tracing::debug!(%peer, %error, "a connection ended early");
        let parts = connection.into_parts();
        // A head that began and did not end is told so; an idle connection is closed silently.
        let late = watch.is_late() || (error.is_timeout() && !parts.read_buf.is_empty());
        if late && !front.is_draining() {
            say_too_slow(parts.io.into_inner(), config.write_timeout).await;
        }
    }
}

/// Resolves when the node drains.
async fn told_to_leave(leave: &mut watch::Receiver<Option<Duration>>, already: &mut bool) {
    while !*already {
        // A sender that is gone means that the listener stops.
        *already = leave.changed().await.is_err() || leave.borrow().is_some();
    }
}

/// Lets the request at work, or one that is on its way, end; then closes.
async fn leave_in_order<F>(connection: &mut F) -> hyper::Result<()>
where
    F: Future<Output = hyper::Result<()>> + Unpin + Graceful,
{
    if let Ok(ended) = tokio::time::timeout(LINGER, &mut *connection).await {
        return ended;
    }
    connection.finish();
    connection.await
}

/// hyper's orderly end, without naming its type.
trait Graceful {
    fn finish(&mut self);
}

impl<I, S> Graceful for http1::Connection<I, S>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = Full<Bytes>> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn finish(&mut self) {
        Pin::new(self).graceful_shutdown();
    }
}

async fn say_too_slow<S: AsyncWrite + Unpin>(mut stream: S, within: Duration) {
    let text = stream::problem(
        408,
        "edge.header.slow",
        "the head of the request did not arrive in time; send it at once",
        None,
    );
    let saying = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    };
    // The peer may be gone; then nobody needs the answer.
    drop(tokio::time::timeout(within, saying).await);
}
