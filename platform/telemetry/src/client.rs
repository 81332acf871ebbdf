//! The HTTP client that sends what others collect: HTTP/1.1 on a kept connection, TLS by rustls on
//! ring with the certificates of the system, a deadline for each exchange. It follows no redirect.

use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;
use troupe_kernel::Bytes;

/// Bytes of an answer that are read, so that the connection can be kept.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Shorter than what servers usually allow, so that none is used that its server just closed.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum ClientFault {
    /// No connection, or it broke.
    #[error("the server cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// The client.
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl Client {
    /// A client whose exchanges may take so long each.
    ///
    /// # Errors
    /// When the certificates of the system cannot be read.
    pub(crate) fn new(timeout: Duration) -> std::io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        let provider = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { pool, timeout })
    }

    /// Sends a body.
    pub(crate) async fn post(
        &self,
        to: &Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, ClientFault> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = to.clone();
        *request.headers_mut() = headers.clone();
        let exchange = async {
            let response = self.pool.request(request).await.map_err(ClientFault::Unreachable)?;
            let (head, body) = response.into_parts();
            // Only read so that the connection can be used again.
            drop(Limited::new(body, ANSWER_BYTES_MAX).collect().await);
            Ok(Answer { status: head.status, headers: head.headers })
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientFault::Late(self.timeout)),
        }
    }
}

impl Answer {
    /// How long the server wants to be left alone; its other form, a date, is not read.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
        seconds.parse().ok().map(Duration::from_secs)
    }
}
