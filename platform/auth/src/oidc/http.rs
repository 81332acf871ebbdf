//! The HTTP client that asks providers: HTTP/1.1 over rustls with the certificates of the system.
//!
//! It follows no redirect, keeps no connection, and reads no more than a mebibyte. It has no time
//! limit but for the connection: [`Provider`](super::provider::Provider) bounds a whole exchange.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use troupe_kernel::Bytes;
use troupe_kernel::ports::BoxFuture;

/// Longest answer of a provider that is read.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpFault {
    /// No connection, or it broke.
    #[error("the provider cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// The answer broke off or is too long.
    #[error("the answer of the provider broke off or is longer than a mebibyte")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The client.
pub struct HttpClient {
    inner: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// A client; one that is not for encrypted connections alone also asks `http` addresses.
    ///
    /// # Errors
    /// When the certificates of the system cannot be read.
    pub fn new(encrypted_only: bool, connect: Duration) -> std::io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(connect));
        let provider = rustls::crypto::ring::default_provider();
        let builder = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)?;
        let builder = if encrypted_only { builder.https_only() } else { builder.https_or_http() };
        let connector = builder.enable_http1().wrap_connector(connector);
        let inner =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { inner })
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpFault> {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let response = self.inner.request(request).await.map_err(HttpFault::Unreachable)?;
        let (head, body) = response.into_parts();
        let body =
            Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(HttpFault::Unreadable)?;
        Ok(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
    }
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = HttpFault;
    type Future = BoxFuture<'c, Result<HttpResponse, HttpFault>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
