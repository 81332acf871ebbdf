//! Posts a message to an endpoint, over HTTP/1.1 and TLS by rustls.
//!
//! The host is resolved once, every address of it is checked, and the connection is made to one that
//! was checked: a name cannot be led elsewhere in between. A connection serves one message. Redirects are
//! answers like any other. The whole exchange has one deadline, and no more of the answer is read than is
//! kept.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use troupe_kernel::Bytes;

use super::guard::Guard;
use super::target::{Rule, Target, TargetFault};

/// How much of the body of an answer is read and kept.
pub(crate) const RESPONSE_BYTES_KEPT: usize = 1_024;
/// How long the body of an answer is waited for.
const BODY_WITHIN: Duration = Duration::from_secs(1);
/// The largest header of an answer.
const HEADER_BYTES_MAX: usize = 32 * 1_024;
/// Addresses of one host that are looked at.
const ADDRESSES_MAX: usize = 16;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientFault {
    #[error("the URL {0}")]
    Url(TargetFault),
    #[error("the host cannot be resolved")]
    Unresolved(#[source] std::io::Error),
    #[error("the host has no address")]
    NoAddress,
    /// Does not tell the address: names of the internal network are nobody's business.
    #[error("the host leads to an address that is not on the public internet")]
    Private(IpAddr),
    #[error("no connection could be made")]
    Unreachable(#[source] std::io::Error),
    #[error("no encrypted connection could be made")]
    Encryption(#[source] std::io::Error),
    #[error("the host of the URL is no name for a certificate")]
    ServerName,
    #[error("the answer is not HTTP, or broke off")]
    Broken(#[source] hyper::Error),
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
}

impl ClientFault {
    /// What is kept of it: the fault with its causes.
    pub(crate) fn described(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// A message on its way.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) url: &'a str,
    pub(crate) headers: [(HeaderName, HeaderValue); 3],
    pub(crate) body: Bytes,
}

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The wait that it asks for.
    pub(crate) retry_after: Option<Duration>,
    /// How its body begins.
    pub(crate) begin: String,
}

/// Posts messages.
pub(crate) struct Client {
    rule: Rule,
    tls: TlsConnector,
    timeout: Duration,
    agent: HeaderValue,
}

impl Client {
    pub(crate) fn new(rule: Rule, tls: Arc<ClientConfig>, timeout: Duration) -> Self {
        let agent =
            HeaderValue::from_static(concat!("troupe-webhooks/", env!("CARGO_PKG_VERSION")));
        Self { rule, tls: TlsConnector::from(tls), timeout, agent }
    }

    /// Which URLs are accepted.
    pub(crate) fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Posts a message.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn post(&self, message: Outgoing<'_>) -> Result<Answer, ClientFault> {
        let target = self.rule.read(message.url).map_err(ClientFault::Url)?;
        let exchange = async {
            let stream = self.connect(&target).await?;
            let request = self.request(&target, message);
            if !target.encrypted {
                return exchange(stream, request).await;
            }
            let name =
                ServerName::try_from(target.host.clone()).map_err(|_| ClientFault::ServerName)?;
            let stream = self.tls.connect(name, stream).await.map_err(ClientFault::Encryption)?;
            exchange(stream, request).await
        };
        let answer = tokio::time::timeout(self.timeout, exchange).await;
        answer.unwrap_or(Err(ClientFault::Late(self.timeout)))
    }

    /// Connects to an address that was checked; the next one is tried when one does not answer.
    async fn connect(&self, target: &Target) -> Result<TcpStream, ClientFault> {
        let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
        let addresses: Vec<SocketAddr> =
            found.map_err(ClientFault::Unresolved)?.take(ADDRESSES_MAX).collect();
        check(&self.rule.guard, &addresses)?;
        let mut last = ClientFault::NoAddress;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = ClientFault::Unreachable(error),
            }
        }
        Err(last)
    }

    fn request(&self, target: &Target, message: Outgoing<'_>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(message.body));
        *request.method_mut() = http::Method::POST;
        // The path was read from a URL, the authority too.
        *request.uri_mut() = target.path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::from_str(&target.authority) {
            headers.insert(header::HOST, host);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, self.agent.clone());
        headers.extend(message.headers);
        request
    }
}

/// Refuses a host as soon as one of its addresses is private: such a name is up to no good.
fn check(guard: &Guard, addresses: &[SocketAddr]) -> Result<(), ClientFault> {
    match addresses.iter().find(|address| !guard.admits(address.ip())) {
        Some(address) => Err(ClientFault::Private(address.ip())),
        None => Ok(()),
    }
}

/// One request and its answer on a connection of its own.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, ClientFault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEADER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ClientFault::Broken)?;
    let answer = async move {
        let response = sender.send_request(request).await.map_err(ClientFault::Broken)?;
        let (head, body) = response.into_parts();
        let retry_after = asked_wait(&head.headers);
        Ok(Answer { status: head.status.as_u16(), retry_after, begin: beginning(body).await })
    };
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // What came before the end is still read.
        _ = connection => answer.await,
    }
}

/// The first bytes of a body as text; one that breaks off or takes long ends there, because the status
/// says all that counts.
async fn beginning(mut body: Incoming) -> String {
    let until = Instant::now() + BODY_WITHIN;
    let mut bytes = Vec::new();
    while bytes.len() < RESPONSE_BYTES_KEPT {
        let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await else { break };
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data[..data.len().min(RESPONSE_BYTES_KEPT - bytes.len())]);
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    text.chars().filter(|char| !char.is_control() || "\n\t".contains(*char)).collect()
}

/// `Retry-After` in its form with seconds (RFC 9110, 10.2.3).
fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_private_address_among_public_ones_refuses_the_host() {
        let addresses = |texts: &[&str]| {
            texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>()
        };
        let guard = Guard::default();
        assert!(check(&guard, &addresses(&["1.1.1.1:443", "[2606:2800:220:1::1]:443"])).is_ok());
        let fault = check(&guard, &addresses(&["1.1.1.1:443", "10.0.0.1:443"])).unwrap_err();
        assert!(
            matches!(fault, ClientFault::Private(address) if address.to_string() == "10.0.0.1")
        );
    }
}
