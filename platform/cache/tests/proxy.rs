//! A loopback proxy that can be cut, stalled, slowed and healed: the network between a node and its
//! Redis.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// They pass after a while.
    Open(Duration),
    /// They wait, and nobody is told.
    Stalled,
    /// Connections are closed, old and new.
    Cut,
}

pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    // Ends with the proxy.
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// A proxy before the server of this URL (`redis://HOST:PORT`).
    pub async fn before(url: &str) -> Self {
        let server = url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, watch) = watch::channel(Network::Open(Duration::ZERO));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                if *watch.borrow() == Network::Cut {
                    continue;
                }
                let Ok(far) = TcpStream::connect(&server).await else { continue };
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                for (from, to) in [(near_read, far_write), (far_read, near_write)] {
                    connections.spawn(pass(from, to, watch.clone()));
                }
            }
        });
        Self { address, network, _tasks: tasks }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    pub fn heal(&self) {
        self.set(Network::Open(Duration::ZERO));
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(length) if length > 0 => length,
                _ => return,
            },
            _ = network.wait_for(|network| *network == Network::Cut) => return,
        };
        let passable = network.wait_for(|network| *network != Network::Stalled).await;
        let Ok(Network::Open(delay)) = passable.map(|network| *network) else { return };
        tokio::time::sleep(delay).await;
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
