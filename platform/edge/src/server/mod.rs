//! Sockets: the listener actor, its connections, TLS, and what bounds them.

mod accept;
mod connection;
mod linger;
mod listener;
mod stream;
mod tls;

#[cfg(test)]
pub(crate) use listener::Ended;
pub(crate) use listener::{Drain, GetAddress, Listener, ListenerParts};
pub use listener::{Drained, ListenerMessage};
pub(crate) use tls::SharedTls;
