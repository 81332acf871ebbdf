//! The accepting task: takes connections up to the limit and ends without losing a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::connection::{self, Connection};
use super::stream;
use super::tls::SharedTls;
use crate::config::EdgeConfig;
use crate::front::Front;

/// After a failed accept (no file descriptors left, for example) it waits before the next.
const PAUSE: Duration = Duration::from_millis(50);

/// What the accepting task works with.
pub(super) struct Accepting {
    pub(super) listener: TcpListener,
    pub(super) tls: SharedTls,
    /// The runtimes that take connections in turn; none: this one takes them all.
    pub(super) cores: Vec<Handle>,
    /// Connections that were taken so far.
    pub(super) taken: usize,
    pub(super) config: Arc<EdgeConfig>,
    pub(super) front: Arc<Front>,
    pub(super) leave: watch::Receiver<Option<Duration>>,
}

/// Accepts until it is told to leave, then waits for the connections; answers how many were still
/// busy at the deadline.
pub(super) async fn serve(mut accepting: Accepting) -> usize {
    let mut connections = JoinSet::new();
    let gauge = metrics::gauge!("troupe_http_connections");
    metrics::counter!("troupe_http_connections_refused_total").increment(0);
    let within = loop {
        tokio::select! {
            accepted = accepting.listener.accept() => match accepted {
                Ok((stream, peer)) => accepting.take(stream, peer, &mut connections),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => note(ended),
            changed = accepting.leave.changed() => {
                let within = *accepting.leave.borrow_and_update();
                if changed.is_err() || within.is_some() {
                    break within.unwrap_or_default();
                }
            }
        }
        gauge.set(count(connections.len()));
    };
    // Who has connected already is served: only then is the socket closed.
    while let Some(Ok((stream, peer))) = accepting.listener.accept().now_or_never() {
        accepting.take(stream, peer, &mut connections);
    }
    drop(accepting);
    let deadline = Instant::now() + within;
    while !connections.is_empty() {
        match tokio::time::timeout_at(deadline, connections.join_next()).await {
            Ok(Some(ended)) => note(ended),
            Ok(None) => break,
            Err(_) => {
                tracing::warn!(unfinished = connections.len(), "the drain deadline passed");
                break;
            }
        }
    }
    let unfinished = connections.len();
    connections.shutdown().await;
    gauge.set(0.0);
    unfinished
}

impl Accepting {
    fn take(&mut self, stream: TcpStream, peer: SocketAddr, connections: &mut JoinSet<()>) {
        if connections.len() >= self.config.connections_max {
            metrics::counter!("troupe_http_connections_refused_total").increment(1);
            refuse(stream, self.config.tls.is_on());
            return;
        }
        let (tls, config) = (self.tls.acceptor(), self.config.clone());
        let (front, leave) = (self.front.clone(), self.leave.clone());
        let serve =
            move |stream| connection::serve(Connection { stream, peer, tls, config, front, leave });
        self.taken = self.taken.wrapping_add(1);
        let Some(core) = self.taken.checked_rem(self.cores.len()) else {
            connections.spawn(serve(stream));
            return;
        };
        // A socket belongs to the runtime that it was made on.
        let stream = stream.into_std();
        let moved = async move {
            match stream.and_then(TcpStream::from_std) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "a connection could not be moved to its core"),
            }
        };
        connections.spawn_on(moved, &self.cores[core]);
    }
}

/// Says why, as far as the fresh socket takes it at once, and closes.
fn refuse(mut stream: TcpStream, tls: bool) {
    if !tls {
        let text = stream::problem(
            503,
            "edge.connections.full",
            "the node has as many connections as it takes; try again shortly",
            Some(1),
        );
        // The buffer of a new socket has room for it; a peer that is gone need not know.
        drop(stream.write_all(text.as_bytes()).now_or_never());
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection panicked");
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of connections is far below 2^52")]
fn count(connections: usize) -> f64 {
    connections as f64
}
