//! The listener: owns the socket and all connections.
//!
//! Mailbox: small; nobody asks it in a request's course. Restart: permanent. A crash closes the
//! socket and the connections and binds again. To stop without losing a request it is asked to
//! drain first; stopped without that, it closes what is open.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use troupe_actors::{Context, Failure, Handled, Lent, Reply, Service, System};

use super::accept::{self, Accepting};
use super::tls::SharedTls;
use crate::config::EdgeConfig;
use crate::front::Front;

/// Connections that the operating system keeps waiting until they are accepted.
const BACKLOG: u32 = 1024;

/// Where does it listen?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetAddress;

/// Take no more connections, finish what is at work within this time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drain {
    pub(crate) within: Duration,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Connections that were closed at the deadline although they were busy.
    pub unfinished: usize,
}

/// The task that accepts connections has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    /// How many connections were closed busy; none when the task died.
    pub(crate) unfinished: Option<usize>,
}

troupe_actors::protocol! {
    /// What the listener understands.
    pub enum ListenerMessage("edge.listener", 1) redact [] {
        /// Answers the address.
        GetAddress => SocketAddr,
        /// Stops without losing a request.
        Drain => Drained,
        /// The accepting task has ended.
        Ended,
    }
}

pub(crate) struct ListenerParts {
    pub(crate) system: System,
    pub(crate) config: Arc<EdgeConfig>,
    pub(crate) front: Arc<Front>,
    pub(crate) tls: SharedTls,
}

pub(crate) struct Listener {
    parts: Arc<ListenerParts>,
    address: Option<SocketAddr>,
    /// Tells the accepting task to end, and within which time.
    leave: watch::Sender<Option<Duration>>,
    drained: Option<Drained>,
    waiting: Vec<Reply<Drained>>,
}

impl Listener {
    pub(crate) fn new(parts: Arc<ListenerParts>) -> Self {
        Self {
            parts,
            address: None,
            leave: watch::channel(None).0,
            drained: None,
            waiting: Vec::new(),
        }
    }

    fn ended(&mut self, unfinished: Option<usize>) {
        // Without its task the listener is deaf. A new incarnation binds again.
        let unfinished = unfinished.expect("the accepting task does not die");
        let drained = Drained { unfinished };
        self.drained = Some(drained);
        for reply in self.waiting.drain(..) {
            reply.send(Ok(drained));
        }
    }
}

impl Service for Listener {
    type Message = ListenerMessage;

    async fn start(&mut self, ctx: &mut Context<ListenerMessage>) -> Handled {
        let config = &self.parts.config;
        self.parts.tls.open(&config.tls)?;
        let listener = bind(config.listen)?;
        let address = listener.local_addr().map_err(|error| {
            Failure::unavailable("edge.listen.failed", format!("the address is unknown: {error}"))
        })?;
        self.address = Some(address);
        self.parts.front.draining.store(false, Ordering::Relaxed);
        let accepting = Accepting {
            listener,
            tls: self.parts.tls.clone(),
            cores: (0..self.parts.system.cores())
                .filter_map(|number| self.parts.system.core(number))
                .collect(),
            taken: 0,
            config: config.clone(),
            front: self.parts.front.clone(),
            leave: self.leave.subscribe(),
        };
        tracing::info!(%address, tls = config.tls.is_on(), "listening");
        ctx.run(async move {
            // In a set of its own the task may die without this report being lost.
            let mut tasks = JoinSet::new();
            tasks.spawn(accept::serve(accepting));
            let unfinished = match tasks.join_next().await {
                Some(Ok(unfinished)) => Some(unfinished),
                _ => None,
            };
            Some(Ended { unfinished }.into())
        })
    }

    async fn handle(
        &mut self,
        message: &mut Lent<ListenerMessage>,
        ctx: &mut Context<ListenerMessage>,
    ) -> Handled {
        match &**message {
            ListenerMessage::GetAddress(get) => match self.address {
                Some(address) => ctx.reply(get, address),
                None => ctx.fail(Failure::unavailable("edge.listen.down", "it does not listen")),
            },
            ListenerMessage::Drain(drain) => {
                if let Some(drained) = self.drained {
                    return ctx.reply(drain, drained);
                }
                self.waiting.push(ctx.defer(drain));
                self.parts.front.draining.store(true, Ordering::Relaxed);
                self.leave.send_replace(Some(drain.within));
                Ok(())
            }
            ListenerMessage::Ended(ended) => {
                self.ended(ended.unfinished);
                Ok(())
            }
        }
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let listener = socket.and_then(|socket| {
        // A port whose last connections are still closing may be taken again at once.
        socket.set_reuseaddr(cfg!(unix))?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    });
    listener.map_err(|error| {
        let (code, advice) = match error.kind() {
            ErrorKind::AddrInUse => (
                "edge.listen.in_use",
                "another program listens there; stop it, or set edge.listen to another port"
                    .to_owned(),
            ),
            ErrorKind::PermissionDenied => (
                "edge.listen.denied",
                "ports below 1024 need a privilege; set edge.listen to a higher port".to_owned(),
            ),
            ErrorKind::AddrNotAvailable => (
                "edge.listen.unknown",
                "this machine has no such address; set edge.listen to one it has".to_owned(),
            ),
            _ => ("edge.listen.failed", error.to_string()),
        };
        Failure::unavailable(code, format!("cannot listen on {address}: {advice}"))
    })
}
