//! A loopback proxy in front of a server, to take the server away and bring it back.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the way to the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Bytes pass.
    Open,
    /// Connections are closed, those that are open as well.
    Refused,
    /// Connections are taken and nothing is ever answered.
    Silent,
}

/// The proxy; it ends with this value.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(watch::channel(Way::Open).0);
        let given = way.clone();
        let accepting = async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass(client, server.clone(), given.subscribe()));
            }
        };
        #[expect(clippy::disallowed_methods, reason = "aborted when the proxy is dropped")]
        let accepting = tokio::spawn(accepting);
        Self { address, way, accepting }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(mut client: TcpStream, server: String, mut way: watch::Receiver<Way>) {
    let now = *way.borrow_and_update();
    match now {
        Way::Refused => {}
        Way::Silent => drop(way.changed().await),
        Way::Open => {
            let Ok(mut server) = TcpStream::connect(server).await else { return };
            let cut = tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => Way::Open,
                changed = way.changed() => {
                    changed.map_or(Way::Refused, |()| *way.borrow_and_update())
                }
            };
            // What was under way falls silent with the rest.
            if cut == Way::Silent {
                drop(way.changed().await);
            }
        }
    }
}
