//! The HTTP client that S3 is spoken to with: HTTP/1.1 on pooled connections, TLS by rustls on ring,
//! certificates of the system or of a file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use troupe_kernel::ports::BoxFuture;

use crate::error::BlobError;

/// Connections that are kept for the next request.
const IDLE_MAX: usize = 32;
/// Shorter than what servers usually allow, so that none is used that its server just closed.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// Makes the client of a store.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    /// Whom the server's certificate must lead to.
    pub(crate) trust: Trust,
    /// How long connecting may take.
    pub(crate) connect_within: Duration,
    /// How long one try may take until the header of the response is there.
    pub(crate) answer_within: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let fault = |source: Box<dyn std::error::Error + Send + Sync>| {
            object_store::Error::Generic { store: "S3", source }
        };
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(error.into()))?;
        let tls = match &self.trust {
            Trust::System => tls.with_native_roots().map_err(|error| fault(error.into()))?,
            Trust::Roots(roots) => tls.with_root_certificates(roots.clone()),
        };
        let tls = tls.with_no_client_auth();
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.connect_within));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(https);
        Ok(HttpClient::new(Service { client, answer_within: self.answer_within }))
    }
}

/// Whom the certificate of a server must lead to.
#[derive(Debug, Clone)]
pub(crate) enum Trust {
    /// Whom the system trusts.
    System,
    /// These alone.
    Roots(Arc<RootCertStore>),
}

impl Trust {
    /// The certificates of the file, or the system's without one.
    pub(crate) fn read(file: Option<&Path>) -> Result<Self, BlobError> {
        let Some(path) = file else { return Ok(Self::System) };
        let unusable = |why: String| BlobError::Trust { path: path.to_owned(), why };
        let mut roots = RootCertStore::empty();
        let found =
            CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
        for certificate in found {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unusable("it holds no certificate".to_owned()));
        }
        Ok(Self::Roots(Arc::new(roots)))
    }
}

#[derive(Debug)]
struct Service {
    client: Client<HttpsConnector<TcpConnector>, HttpRequestBody>,
    answer_within: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} ms", .0.as_millis())]
struct Late(Duration);

impl HttpService for Service {
    fn call<'service, 'answer>(
        &'service self,
        request: HttpRequest,
    ) -> BoxFuture<'answer, Result<HttpResponse, HttpError>>
    where
        'service: 'answer,
        Self: 'answer,
    {
        Box::pin(async move {
            let answer = tokio::time::timeout(self.answer_within, self.client.request(request));
            let response = answer
                .await
                .map_err(|_| HttpError::new(HttpErrorKind::Timeout, Late(self.answer_within)))?
                .map_err(|error| HttpError::new(kind_of(&error), error))?;
            Ok(response.map(|body| {
                HttpResponseBody::new(
                    body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error)),
                )
            }))
        })
    }
}

/// Whether a request may be sent again: always when it was never sent, if it is idempotent when the
/// connection broke under it.
fn kind_of(error: &hyper_util::client::legacy::Error) -> HttpErrorKind {
    if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted }
}
